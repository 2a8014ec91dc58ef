"""The replica set controller: keeps as many pods as asked, and reports how many are ready; run by the world."""

from drill.cluster import kinds, limits, quota
from drill.cluster.events import Recorder
from drill.cluster.objects import ApiError, Obj, clone, condition, from_iso, is_ready, iso, owner_reference, owner_uid
from drill.cluster.store import Store

_BY = "replicaset-controller"
_AGAIN_S = 1.5  # after a refusal; the real one waits ever longer


class ReplicaSets:
    """Reconciles every ReplicaSet once per call."""

    def __init__(self, store: Store, events: Recorder) -> None:
        self._store, self._events = store, events
        self.waiting: dict[str, float] = {}
        self._refused: dict[str, str] = {}

    def reconcile(self) -> None:
        """Create and delete pods, then update each status."""
        owned: dict[str, list[Obj]] = {}
        for pod in self._store.list(kinds.PODS):
            if any(ref["kind"] == "ReplicaSet" for ref in pod["metadata"].get("ownerReferences") or ()):
                owned.setdefault(owner_uid(pod), []).append(pod)
        for replica_set in list(self._store.list(kinds.REPLICASETS)):
            self._one(replica_set, owned.get(replica_set["metadata"]["uid"], []))
        alive = {rs["metadata"]["uid"] for rs in self._store.list(kinds.REPLICASETS)}
        for uid, pods in owned.items():
            if uid and uid not in alive:
                for pod in pods:
                    self.end(pod)

    def _one(self, replica_set: Obj, pods: list[Obj]) -> None:
        live = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        wanted = replica_set["spec"]["replicas"]
        if len(live) < wanted:
            live += self._pods(replica_set, wanted - len(live))
        elif len(live) > wanted:
            spare = sorted(live, key=_keep_rank)[: len(live) - wanted]
            for pod in spare:
                self.end(pod)
                name = pod["metadata"]["name"]
                self._events.record(replica_set, "SuccessfulDelete", f"Deleted pod: {name}", by=_BY)
            live = [pod for pod in live if pod not in spare]
        self._report(replica_set, live)

    def _pods(self, replica_set: Obj, count: int) -> list[Obj]:
        """Create pods until one is refused; then wait before the next attempt."""
        uid, made = replica_set["metadata"]["uid"], []
        if self._store.clock() < self.waiting.get(uid, 0.0):
            return []
        self.waiting.pop(uid, None)
        self._refused.pop(uid, None)
        for _ in range(count):
            try:
                made.append(self._pod(replica_set))
            except ApiError as error:
                self._refused[uid] = error.message
                self.waiting[uid] = self._store.clock() + _AGAIN_S
                self._events.record(
                    replica_set, "FailedCreate", f"Error creating: {error.message}", by=_BY, warning=True
                )
                break
        return made

    def _pod(self, replica_set: Obj) -> Obj:
        meta, template = replica_set["metadata"], clone(replica_set["spec"]["template"])
        pod = {
            "metadata": template.get("metadata", {})
            | {
                "generateName": f"{meta['name']}-",
                "namespace": meta["namespace"],
                "ownerReferences": [owner_reference(replica_set)],
            },
            "spec": template["spec"],
            "status": {"phase": "Pending", "qosClass": "Burstable"},
        }
        limits.admit(self._store, pod)
        quota.check(self._store, pod)
        made = self._store.create(kinds.PODS, pod)
        self._events.record(replica_set, "SuccessfulCreate", f"Created pod: {made['metadata']['name']}", by=_BY)
        return made

    def end(self, pod: Obj) -> None:
        """Ask a pod to go; the kubelet removes it when its containers have stopped."""
        if "deletionTimestamp" in pod["metadata"]:
            return
        going = clone(pod)
        grace = pod["spec"].get("terminationGracePeriodSeconds", 30)
        going["metadata"] |= {"deletionTimestamp": iso(self._store.clock()), "deletionGracePeriodSeconds": grace}
        self._store.update(kinds.PODS, going)

    def _report(self, replica_set: Obj, live: list[Obj]) -> None:
        now, wait = self._store.clock(), replica_set["spec"].get("minReadySeconds", 0)
        ready = [pod for pod in live if is_ready(pod)]
        available = [pod for pod in ready if now - _ready_since(pod) >= wait]
        labels = (replica_set["spec"]["template"].get("metadata", {}).get("labels") or {}).items()
        full = [pod for pod in live if labels <= pod["metadata"].get("labels", {}).items()]
        status: Obj = {"replicas": len(live), "fullyLabeledReplicas": len(full)}
        status |= {"readyReplicas": len(ready), "availableReplicas": len(available)}
        status = {k: v for k, v in status.items() if v or k == "replicas"}
        status["observedGeneration"] = replica_set["metadata"]["generation"]
        refused = self._refused.get(replica_set["metadata"]["uid"], "")
        if len(live) >= replica_set["spec"]["replicas"]:
            self.waiting.pop(replica_set["metadata"]["uid"], None)
        elif refused:
            known = condition(replica_set, "ReplicaFailure")
            fresh = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": refused}
            status["conditions"] = [known or fresh | {"lastTransitionTime": iso(now)}]
        if status != replica_set.get("status"):
            meta = {k: replica_set["metadata"][k] for k in ("name", "namespace")}
            self._store.update(kinds.REPLICASETS, {"metadata": meta, "status": status}, status=True)


def _ready_since(pod: Obj) -> float:
    ready = next(c for c in pod["status"]["conditions"] if c["type"] == "Ready")
    return from_iso(ready["lastTransitionTime"])


def _keep_rank(pod: Obj) -> tuple[bool, bool, float, str]:
    """Whom to delete first: not running, not ready, then the youngest (controller.ActivePods' order)."""
    born = from_iso(pod["metadata"]["creationTimestamp"])
    return pod["status"].get("phase") == "Running", is_ready(pod), -born, pod["metadata"]["name"]
