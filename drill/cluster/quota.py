"""ResourceQuota: refuses pods that would pass it, and counts what is used; called by writes, replica sets and the cluster."""

from drill.cluster import kinds
from drill.cluster.objects import ApiError, Obj, quantity, safe_hash
from drill.cluster.store import Store

_OVER = ("Succeeded", "Failed")
_COMPUTE = {"cpu": ("requests", "cpu"), "memory": ("requests", "memory")} | {
    f"{part}.{what}": (part, what) for part in ("requests", "limits") for what in ("cpu", "memory")
}


def check(store: Store, pod: Obj) -> None:
    """Raise ApiError 403 when a quota of the namespace has no room for *pod*, in the API server's words."""
    meta = pod["metadata"]
    asked = _of(pod)
    for quota in store.list(kinds.QUOTAS, meta["namespace"]):
        hard, used = quota["spec"].get("hard") or {}, usage(store, meta["namespace"])
        name = meta.get("name") or meta.get("generateName", "") + safe_hash(meta.get("generateName"), 5)
        unsaid = [key for key in sorted(hard) if key in _COMPUTE and not _says(pod, _COMPUTE[key])]
        if unsaid:
            said = f"failed quota: {quota['metadata']['name']}: must specify {','.join(unsaid)}"
            raise ApiError(403, "Forbidden", f'pods "{name}" is forbidden: {said}', {"name": name, "kind": "pods"})
        over = sorted(
            key for key, most in hard.items() if asked.get(key) and used.get(key, 0.0) + asked[key] > quantity(most)
        )
        if over:
            requested = ",".join(f"{key}={_text(key, asked[key])}" for key in over)
            have = ",".join(f"{key}={_text(key, used.get(key, 0.0))}" for key in over)
            limited = ",".join(f"{key}={hard[key]}" for key in over)
            message = (
                f'pods "{name}" is forbidden: exceeded quota: {quota["metadata"]["name"]}, requested: {requested}, '
                f"used: {have}, limited: {limited}"
            )
            raise ApiError(403, "Forbidden", message, {"name": name, "kind": "pods"})


def reconcile(store: Store) -> None:
    """Write what each quota limits and how much of it is used."""
    for quota in list(store.list(kinds.QUOTAS)):
        meta, hard = quota["metadata"], quota["spec"].get("hard") or {}
        used = usage(store, meta["namespace"])
        status = {"hard": dict(hard), "used": {key: _text(key, used.get(key, 0.0)) for key in hard}}
        if quota.get("status") != status:
            place = {key: meta[key] for key in ("name", "namespace")}
            store.update(kinds.QUOTAS, {"metadata": place, "status": status}, status=True)


def usage(store: Store, namespace: str) -> dict[str, float]:
    """Return what the namespace's live pods ask for, by the quota's own keys."""
    total: dict[str, float] = {}
    for pod in store.list(kinds.PODS, namespace):
        if pod.get("status", {}).get("phase") not in _OVER:
            for key, value in _of(pod).items():
                total[key] = total.get(key, 0.0) + value
    return total


def _says(pod: Obj, wanted: tuple[str, str]) -> bool:
    """Whether every container names that request or limit; a request may come from the limit."""
    part, what = wanted
    parts = (part, "limits")
    return all(
        any(what in ((each.get("resources") or {}).get(one) or {}) for one in parts)
        for each in pod["spec"]["containers"]
    )


def _of(pod: Obj) -> dict[str, float]:
    total = {"pods": 1.0} | {f"{part}.{what}": 0.0 for part in ("requests", "limits") for what in ("cpu", "memory")}
    for container in pod["spec"]["containers"]:
        for part in ("requests", "limits"):
            for what, value in ((container.get("resources") or {}).get(part) or {}).items():
                total[f"{part}.{what}"] = total.get(f"{part}.{what}", 0.0) + quantity(value)
    return total | {"cpu": total["requests.cpu"], "memory": total["requests.memory"]}


def _text(key: str, value: float) -> str:
    if key.endswith("cpu"):
        return f"{value:.0f}" if value == int(value) else f"{value * 1000:.0f}m"
    return f"{value / 2**20:.0f}Mi" if key.endswith("memory") else f"{value:.0f}"
