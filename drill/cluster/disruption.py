"""Whether a pod may be evicted, and whether a claim may grow, as the API server's own admission decides; called by writes.py."""

import math

from drill.cluster import kinds
from drill.cluster.objects import ApiError, Obj, is_ready, matches_labels, quantity
from drill.cluster.store import Store


def check(store: Store, pod: Obj) -> None:
    """Raise ApiError 429 when a PodDisruptionBudget does not allow the pod's eviction now."""
    meta = pod["metadata"]
    labels = meta.get("labels") or {}
    budgets = [
        budget
        for budget in store.list(kinds.PDBS, meta["namespace"])
        if matches_labels(budget["spec"].get("selector") or {}, labels)
    ]
    if len(budgets) > 1:
        raise ApiError(500, "InternalError", "This pod has more than one PodDisruptionBudget, which is not supported.")
    if not budgets or "deletionTimestamp" in meta or pod["status"].get("phase") in ("Pending", "Succeeded", "Failed"):
        return
    selector = budgets[0]["spec"].get("selector") or {}
    same = [
        each
        for each in store.list(kinds.PODS, meta["namespace"])
        if matches_labels(selector, each["metadata"].get("labels") or {})
        and "deletionTimestamp" not in each["metadata"]
    ]
    healthy, needed = sum(map(is_ready, same)), _needed(budgets[0]["spec"], len(same))
    if healthy <= needed and not (healthy == needed and not is_ready(pod)):
        name = budgets[0]["metadata"]["name"]
        cause = {
            "reason": "DisruptionBudget",
            "message": f"The disruption budget {name} needs {needed} healthy pods and has {healthy} currently",
        }
        message = "Cannot evict pod as it would violate the pod's disruption budget."
        raise ApiError(429, "TooManyRequests", message, {"causes": [cause]})


def _needed(spec: Obj, total: int) -> int:
    if spec.get("minAvailable") is not None:
        return _share(spec["minAvailable"], total)
    return total - _share(spec.get("maxUnavailable", 0), total)


def _share(value: object, total: int) -> int:
    text = str(value)
    return math.ceil(int(text[:-1]) / 100 * total) if text.endswith("%") else int(text)


def check_claim(store: Store, old: Obj, new: Obj) -> None:
    """Raise ApiError 403 when a claim grows whose class does not allow it, 422 when it shrinks."""
    before, after = _size(old), _size(new)
    if after < before:
        message = "spec.resources.requests.storage: Forbidden: field can not be less than previous value"
        raise ApiError(422, "Invalid", f'PersistentVolumeClaim "{old["metadata"]["name"]}" is invalid: {message}')
    found = store.find(kinds.CLASSES, "", str(old["spec"].get("storageClassName") or ""))
    if after > before and not (found and found.get("allowVolumeExpansion")):
        message = (
            f'persistentvolumeclaims "{old["metadata"]["name"]}" is forbidden: only dynamically provisioned pvc can be resized '
            "and the storageclass that provisions the pvc must support resize"
        )
        raise ApiError(403, "Forbidden", message)


def _size(claim: Obj) -> float:
    requests = (claim["spec"].get("resources") or {}).get("requests") or {}
    return quantity(requests.get("storage", "0"))
