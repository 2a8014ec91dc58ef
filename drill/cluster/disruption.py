"""Whether a pod may be evicted, and whether a claim may grow; called by writes.py. Keeps budgets' status; called by the cluster."""

import math

from drill.cluster import kinds
from drill.cluster.objects import ApiError, Obj, condition, is_ready, iso, matches_labels, owner_uid, quantity
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
        raise ApiError(500, "", "This pod has more than one PodDisruptionBudget, which is not supported.")
    if not budgets or "deletionTimestamp" in meta or pod["status"].get("phase") in ("Pending", "Succeeded", "Failed"):
        return
    state = status(store, budgets[0])
    healthy, needed = state["currentHealthy"], state["desiredHealthy"]
    if state["disruptionsAllowed"] == 0 and not (healthy == needed and not is_ready(pod)):
        name = budgets[0]["metadata"]["name"]
        cause = {
            "reason": "DisruptionBudget",
            "message": f"The disruption budget {name} needs {needed} healthy pods and has {healthy} currently",
        }
        message = "Cannot evict pod as it would violate the pod's disruption budget."
        raise ApiError(429, "TooManyRequests", message, {"causes": [cause]})


def reconcile(store: Store) -> None:
    """Write what each budget allows now, as the disruption controller does."""
    for budget in list(store.list(kinds.PDBS)):
        fresh = status(store, budget)
        now = iso(store.clock())
        allowed = "True" if fresh["disruptionsAllowed"] else "False"
        known = condition(budget, "DisruptionAllowed")
        if known is None or known["status"] != allowed:
            reason = "SufficientPods" if fresh["disruptionsAllowed"] else "InsufficientPods"
            known = {"type": "DisruptionAllowed", "status": allowed, "reason": reason, "message": "",
                     "lastTransitionTime": now}  # fmt: skip
        fresh |= {"observedGeneration": budget["metadata"]["generation"], "conditions": [known]}
        if fresh != budget.get("status"):
            place = {key: budget["metadata"][key] for key in ("name", "namespace")}
            store.update(kinds.PDBS, {"metadata": place, "status": fresh}, status=True)


def status(store: Store, budget: Obj) -> Obj:
    """Return the four numbers of a budget's status: healthy pods, those it wants, those expected, and evictions left."""
    spec = budget["spec"]
    selector = spec.get("selector") or {}
    same = [
        each
        for each in store.list(kinds.PODS, budget["metadata"]["namespace"])
        if matches_labels(selector, each["metadata"].get("labels") or {})
    ]
    healthy, least, expected = sum(map(is_ready, same)), spec.get("minAvailable"), len(same)
    if spec.get("maxUnavailable") is not None or str(least).endswith("%"):
        expected = _scale(store, same)
    wanted = (
        _share(least, expected) if least is not None else expected - _share(spec.get("maxUnavailable", 0), expected)
    )
    allowed = max(healthy - max(wanted, 0), 0) if expected else 0
    return {"currentHealthy": healthy, "desiredHealthy": max(wanted, 0), "expectedPods": expected,
            "disruptionsAllowed": allowed}  # fmt: skip


def _scale(store: Store, pods: list[Obj]) -> int:
    """How many pods the controllers of these want; a pod of nobody counts for itself."""
    sets = {
        each["metadata"]["uid"]: each for kind in (kinds.REPLICASETS, kinds.STATEFULSETS) for each in store.list(kind)
    }
    owners = {owner_uid(pod) for pod in pods} & set(sets)
    alone = sum(owner_uid(pod) not in owners for pod in pods)
    return alone + sum(int(sets[uid]["spec"].get("replicas", 1)) for uid in owners)


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
