"""The endpoints controller: which ready pods stand behind each Service; run by the world."""

from drill.cluster import kinds
from drill.cluster.objects import Obj, is_ready
from drill.cluster.store import Store


class EndpointsController:
    """Keeps one Endpoints object per Service with a selector."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def reconcile(self) -> None:
        """Write what changed."""
        pods = list(self._store.list(kinds.PODS))
        for service in list(self._store.list(kinds.SERVICES)):
            selector = service["spec"].get("selector")
            if selector:
                self._one(service, [pod for pod in pods if _behind(service, selector, pod)])

    def _one(self, service: Obj, pods: list[Obj]) -> None:
        ready = [_address(pod) for pod in pods if is_ready(pod)]
        waiting = [_address(pod) for pod in pods if not is_ready(pod) and pod["status"].get("podIP")]
        subset: Obj = {}
        if ready:
            subset["addresses"] = ready
        if waiting:
            subset["notReadyAddresses"] = waiting
        if subset:
            subset["ports"] = [
                {"port": p.get("targetPort", p["port"]), "protocol": "TCP"} for p in service["spec"]["ports"]
            ]
        meta = {"name": service["metadata"]["name"], "namespace": service["metadata"]["namespace"]}
        wanted = [subset] if subset else []
        known = self._store.find(kinds.ENDPOINTS, meta["namespace"], meta["name"])
        if known is None:
            self._store.create(kinds.ENDPOINTS, {"metadata": meta, "subsets": wanted})
        elif known["subsets"] != wanted:
            self._store.update(kinds.ENDPOINTS, known | {"subsets": wanted})


def _behind(service: Obj, selector: dict[str, str], pod: Obj) -> bool:
    meta = pod["metadata"]
    same = meta["namespace"] == service["metadata"]["namespace"]
    return same and "deletionTimestamp" not in meta and selector.items() <= (meta.get("labels") or {}).items()


def _address(pod: Obj) -> Obj:
    meta = pod["metadata"]
    reference = {"kind": "Pod", "name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"]}
    return {"ip": pod["status"].get("podIP", ""), "nodeName": pod["spec"].get("nodeName", ""), "targetRef": reference}
