"""The horizontal pod autoscaler: as many replicas as its target of CPU use asks for, within its bounds; run by the cluster."""

import math
from collections.abc import Callable

from drill.cluster import kinds
from drill.cluster.events import Recorder
from drill.cluster.objects import Obj, clone, condition, is_ready, iso, owner_uid, quantity
from drill.cluster.store import Store

_BY = "horizontal-pod-autoscaler"
_EVERY_S = 2.0  # the real one: 15 s
_TOLERANCE = 0.1
_DOWN_AFTER_S = 60.0  # the real one: 5 min
_WORTH_TELLING = 5  # percentage points of CPU use; each write wakes every controller
Usage = Callable[[Obj], float]


class Autoscaler:
    """Scales Deployments by CPU use; *usage* gives the cores that a pod uses."""

    def __init__(self, store: Store, events: Recorder) -> None:
        self._store, self._events = store, events
        self.usage: Usage = lambda _pod: 0.0
        self._due = 0.0
        self._high: dict[str, tuple[float, int]] = {}

    def reconcile(self) -> None:
        """Look at every autoscaler, every few seconds."""
        now = self._store.clock()
        if now < self._due:
            return
        self._due = now + _EVERY_S
        for hpa in list(self._store.list(kinds.HPAS)):
            target = hpa["spec"]["scaleTargetRef"]
            deployment = self._store.find(kinds.DEPLOYMENTS, hpa["metadata"]["namespace"], target["name"])
            if deployment is not None and deployment["spec"]["replicas"]:
                self._one(hpa, deployment, now)

    def _one(self, hpa: Obj, deployment: Obj, now: float) -> None:
        spec, current = hpa["spec"], int(deployment["spec"]["replicas"])
        goal = next(m["resource"]["target"]["averageUtilization"] for m in spec["metrics"] if m["type"] == "Resource")
        use = self._utilisation(deployment)
        if use is None:
            return
        wanted = current if abs(use / goal - 1) <= _TOLERANCE else max(math.ceil(current * use / goal), 1)
        bounded = min(max(wanted, spec.get("minReplicas", 1)), spec["maxReplicas"])
        bounded = self._steady(hpa, current, bounded, now)
        if bounded != current:
            fresh = clone(deployment)
            fresh["spec"]["replicas"] = bounded
            self._store.update(kinds.DEPLOYMENTS, fresh)
            way = "above" if bounded > current else "below"
            reason = f"cpu resource utilization (percentage of request) {way} target"
            self._events.record(hpa, "SuccessfulRescale", f"New size: {bounded}; reason: {reason}", by=_BY)
        self._report(hpa, current, bounded, round(use), wanted)

    def _steady(self, hpa: Obj, current: int, wanted: int, now: float) -> int:
        """Scale down only to the most that was wanted lately."""
        uid = hpa["metadata"]["uid"]
        since, most = self._high.get(uid, (now, wanted))
        if wanted >= most or wanted >= current:
            since, most = now, max(wanted, 1)
        elif now - since >= _DOWN_AFTER_S:
            since, most = now, wanted
        self._high[uid] = since, most
        return wanted if wanted >= current else min(most, current)

    def _utilisation(self, deployment: Obj) -> float | None:
        """Return the pods' CPU use in percent of their requests; None without a ready pod."""
        sets = {
            rs["metadata"]["uid"]
            for rs in self._store.list(kinds.REPLICASETS)
            if owner_uid(rs) == deployment["metadata"]["uid"]
        }
        pods = [pod for pod in self._store.list(kinds.PODS) if owner_uid(pod) in sets and is_ready(pod)]
        asked = sum(
            quantity((c.get("resources") or {}).get("requests", {}).get("cpu", "0"))
            for pod in pods
            for c in pod["spec"]["containers"]
        )
        return 100 * sum(map(self.usage, pods)) / asked if asked else None

    def _report(self, hpa: Obj, current: int, desired: int, use: int, wanted: int) -> None:
        limited = wanted > hpa["spec"]["maxReplicas"]
        few = wanted < hpa["spec"].get("minReplicas", 1)
        reason, line = "DesiredWithinRange", "the desired count is within the acceptable range"
        if limited:
            reason, line = "TooManyReplicas", "the desired replica count is more than the maximum replica count"
        elif few:
            reason, line = "TooFewReplicas", "the desired replica count is less than the minimum replica count"
        told = (
            ("AbleToScale", "True", "ReadyForNewScale", "recommended size matches current size"),
            ("ScalingActive", "True", "ValidMetricFound",
             "the HPA was able to successfully calculate a replica count from cpu resource utilization (percentage of request)"),
            ("ScalingLimited", "True" if limited or few else "False", reason, line),
        )  # fmt: skip
        conditions = []
        for kind, value, why, message in told:
            known = condition(hpa, kind)
            same = known is not None and known["status"] == value and known["reason"] == why
            at = known["lastTransitionTime"] if known is not None and same else iso(self._store.clock())
            conditions.append(
                {"type": kind, "status": value, "reason": why, "message": message, "lastTransitionTime": at}
            )
        metric = {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": use}}}
        status: Obj = {"currentReplicas": current, "desiredReplicas": desired, "currentMetrics": [metric]}
        status |= {"conditions": conditions, "observedGeneration": hpa["metadata"].get("generation", 1)}
        old = hpa.get("status") or {}
        same = all(old.get(key) == status[key] for key in ("currentReplicas", "desiredReplicas", "conditions"))
        if same and abs(_told(old) - use) < _WORTH_TELLING:
            return
        place = {key: hpa["metadata"][key] for key in ("name", "namespace")}
        self._store.update(kinds.HPAS, {"metadata": place, "status": status}, status=True)


def _told(status: Obj) -> int:
    metrics = status.get("currentMetrics") or [{}]
    return int(((metrics[0].get("resource") or {}).get("current") or {}).get("averageUtilization", -100))
