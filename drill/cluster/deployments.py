"""The deployment controller: revisions, rolling updates, proportional room for surge, conditions; run by the world."""

import math

from drill.cluster import kinds
from drill.cluster.deployment_status import status_of
from drill.cluster.events import Recorder
from drill.cluster.objects import Obj, clone, owner_reference, owner_uid, safe_hash
from drill.cluster.store import Store

REVISION = "deployment.kubernetes.io/revision"
_HISTORY = "deployment.kubernetes.io/revision-history"
_DESIRED = "deployment.kubernetes.io/desired-replicas"
_MAX = "deployment.kubernetes.io/max-replicas"
_HASH = "pod-template-hash"
_BY = "deployment-controller"
_NOT_COPIED = (REVISION, _HISTORY, _DESIRED, _MAX, "kubectl.kubernetes.io/last-applied-configuration")


class Deployments:
    """Reconciles every Deployment once per call."""

    def __init__(self, store: Store, events: Recorder) -> None:
        self._store, self._events = store, events

    def reconcile(self) -> None:
        """One step for each Deployment; replica sets of deleted ones are removed."""
        owned: dict[str, list[Obj]] = {}
        for replica_set in self._store.list(kinds.REPLICASETS):
            owned.setdefault(owner_uid(replica_set), []).append(replica_set)
        alive = set()
        for deployment in list(self._store.list(kinds.DEPLOYMENTS)):
            alive.add(deployment["metadata"]["uid"])
            self._one(deployment, owned.get(deployment["metadata"]["uid"], []))
        for uid, sets in owned.items():
            if uid and uid not in alive:
                for replica_set in sets:
                    meta = replica_set["metadata"]
                    self._store.delete(kinds.REPLICASETS, meta["namespace"], meta["name"])

    def _one(self, deployment: Obj, sets: list[Obj]) -> None:
        template = deployment["spec"]["template"]
        new = next((rs for rs in sets if _same_template(rs, template)), None)
        paused = deployment["spec"].get("paused", False)
        created = False
        if not paused:
            if new is None:
                new, created = self._create(deployment, sets), True
            new = self._revise(deployment, new, sets)
        old = [rs for rs in sets if new is None or rs["metadata"]["uid"] != new["metadata"]["uid"]]
        if new is not None:
            active = [rs for rs in old if rs["spec"]["replicas"]]
            if paused or not active:
                self._scale_single(deployment, new)
            elif deployment["spec"]["strategy"]["type"] == "Recreate":
                self._recreate(deployment, new, active)
            else:
                self._roll(deployment, new, active)
            self._forget(deployment, old)
        names = [rs["metadata"]["name"] for rs in [*old, *([new] if new else [])]]
        fresh = [rs for name in names if (rs := self._find(deployment, name))]
        current = self._find(deployment, new["metadata"]["name"]) if new else None
        self._report(deployment, fresh, current, created=created)

    def _find(self, deployment: Obj, name: str) -> Obj | None:
        return self._store.find(kinds.REPLICASETS, deployment["metadata"]["namespace"], name)

    def _create(self, deployment: Obj, sets: list[Obj]) -> Obj:
        meta, spec = deployment["metadata"], deployment["spec"]
        template = clone(spec["template"])
        suffix = safe_hash(template)
        template.setdefault("metadata", {}).setdefault("labels", {})[_HASH] = suffix
        selector = clone(spec["selector"])
        selector.setdefault("matchLabels", {})[_HASH] = suffix
        active = [rs for rs in sets if rs["spec"]["replicas"]]
        wanted = spec["replicas"]
        if active:
            taken = sum(rs["spec"]["replicas"] for rs in active)
            rolling = spec["strategy"]["type"] == "RollingUpdate"
            wanted = max(min(wanted + limits(spec)[0] - taken, wanted), 0) if rolling else 0
        copied = {k: v for k, v in meta.get("annotations", {}).items() if k not in _NOT_COPIED}
        made = self._store.create(
            kinds.REPLICASETS,
            {
                "metadata": {
                    "name": f"{meta['name']}-{suffix}",
                    "namespace": meta["namespace"],
                    "labels": clone(template["metadata"]["labels"]),
                    "annotations": copied | _room(spec) | {REVISION: str(_latest(sets) + 1)},
                    "ownerReferences": [owner_reference(deployment)],
                },
                "spec": {"replicas": wanted, "selector": selector, "template": template}
                | ({"minReadySeconds": spec["minReadySeconds"]} if spec.get("minReadySeconds") else {}),
                "status": {"replicas": 0},
            },
        )
        if wanted:
            line = f"Scaled up replica set {made['metadata']['name']} to {wanted}"
            self._events.record(deployment, "ScalingReplicaSet", line, by=_BY)
        return made

    def _revise(self, deployment: Obj, new: Obj, sets: list[Obj]) -> Obj:
        """Give the current template the highest revision, on its replica set and on the Deployment."""
        others = [rs for rs in sets if rs["metadata"]["uid"] != new["metadata"]["uid"]]
        notes = new["metadata"].get("annotations", {})
        wanted = max(_revision(new), _latest(others) + 1)
        if _revision(new) != wanted:
            fresh = clone(new)
            before = [each for each in (notes.get(_HISTORY), notes.get(REVISION)) if each]
            fresh["metadata"]["annotations"] |= {REVISION: str(wanted), _HISTORY: ",".join(before)}
            new = self._store.update(kinds.REPLICASETS, fresh)
        if deployment["metadata"].get("annotations", {}).get(REVISION) != str(wanted):
            marked = clone(deployment)
            marked["metadata"].setdefault("annotations", {})[REVISION] = str(wanted)
            self._store.update(kinds.DEPLOYMENTS, marked)
        return new

    def _scale_single(self, deployment: Obj, new: Obj) -> None:
        self._scale(deployment, new, deployment["spec"]["replicas"])

    def _recreate(self, deployment: Obj, new: Obj, active: list[Obj]) -> None:
        for replica_set in active:
            self._scale(deployment, replica_set, 0)
        if not any(rs.get("status", {}).get("replicas") for rs in active):
            self._scale(deployment, new, deployment["spec"]["replicas"])

    def _roll(self, deployment: Obj, new: Obj, active: list[Obj]) -> None:
        """One step of a rolling update: up within the surge, else down within what may be unavailable."""
        spec = deployment["spec"]
        wanted, (surge, unavailable) = spec["replicas"], limits(spec)
        total = new["spec"]["replicas"] + sum(rs["spec"]["replicas"] for rs in active)
        if new["spec"]["replicas"] > wanted:
            self._scale(deployment, new, wanted)
            return
        room = wanted + surge - total
        if new["spec"]["replicas"] < wanted and room > 0:
            self._scale(deployment, new, min(wanted, new["spec"]["replicas"] + room))
            return
        short_of_new = new["spec"]["replicas"] - new.get("status", {}).get("availableReplicas", 0)
        spare = total - (wanted - unavailable) - short_of_new
        for replica_set in sorted(active, key=_revision):  # sick pods of old templates go first
            sick = replica_set["spec"]["replicas"] - replica_set.get("status", {}).get("availableReplicas", 0)
            cut = min(sick, spare)
            if cut > 0:
                self._scale(deployment, replica_set, replica_set["spec"]["replicas"] - cut)
                return
        available = sum(rs.get("status", {}).get("availableReplicas", 0) for rs in [new, *active])
        spare = available - (wanted - unavailable)
        for replica_set in sorted(active, key=_revision):
            cut = min(replica_set["spec"]["replicas"], spare)
            if cut > 0:
                self._scale(deployment, replica_set, replica_set["spec"]["replicas"] - cut)
                return

    def _scale(self, deployment: Obj, replica_set: Obj, to: int) -> None:
        now = replica_set["spec"]["replicas"]
        room = _room(deployment["spec"])
        if now == to and room.items() <= replica_set["metadata"].get("annotations", {}).items():
            return
        fresh = clone(replica_set)
        fresh["spec"]["replicas"] = to
        fresh["metadata"].setdefault("annotations", {}).update(room)
        self._store.update(kinds.REPLICASETS, fresh)
        if now != to:
            way = "up" if to > now else "down"
            line = f"Scaled {way} replica set {replica_set['metadata']['name']} to {to} from {now}"
            self._events.record(deployment, "ScalingReplicaSet", line, by=_BY)

    def _forget(self, deployment: Obj, old: list[Obj]) -> None:
        idle = [rs for rs in old if not rs["spec"]["replicas"] and not rs.get("status", {}).get("replicas")]
        spare = len(idle) - deployment["spec"].get("revisionHistoryLimit", 10)
        for replica_set in sorted(idle, key=_revision)[: max(spare, 0)]:
            meta = replica_set["metadata"]
            self._store.delete(kinds.REPLICASETS, meta["namespace"], meta["name"])

    def _report(self, deployment: Obj, sets: list[Obj], new: Obj | None, *, created: bool) -> None:
        meta = deployment["metadata"]
        latest = self._store.find(kinds.DEPLOYMENTS, meta["namespace"], meta["name"])
        if latest is None:
            return
        status = status_of(latest, sets, new, self._store.clock(), unavailable=limits(latest["spec"])[1], made=created)
        if status != latest.get("status"):
            name = {k: meta[k] for k in ("name", "namespace")}
            self._store.update(kinds.DEPLOYMENTS, {"metadata": name, "status": status}, status=True)


def limits(spec: Obj) -> tuple[int, int]:
    """(maxSurge, maxUnavailable) in pods: surge rounds up, unavailable rounds down, never both zero."""
    if spec["strategy"]["type"] != "RollingUpdate":
        return 0, int(spec["replicas"])
    rolling, wanted = spec["strategy"].get("rollingUpdate", {}), spec["replicas"]
    surge = _share(rolling.get("maxSurge", "25%"), wanted, up=True)
    unavailable = _share(rolling.get("maxUnavailable", "25%"), wanted, up=False)
    return surge, (1 if surge == unavailable == 0 else unavailable)


def _share(value: int | str, of: int, *, up: bool) -> int:
    if isinstance(value, int):
        return value
    exact = float(value.rstrip("%")) * of / 100
    return math.ceil(exact) if up else math.floor(exact)


def _room(spec: Obj) -> dict[str, str]:
    return {_DESIRED: str(spec["replicas"]), _MAX: str(spec["replicas"] + limits(spec)[0])}


def _revision(replica_set: Obj) -> int:
    return int(replica_set["metadata"].get("annotations", {}).get(REVISION, 0))


def _latest(sets: list[Obj]) -> int:
    return max((_revision(rs) for rs in sets), default=0)


def _same_template(replica_set: Obj, template: Obj) -> bool:
    return plain_template(replica_set["spec"]["template"]) == plain_template(template)


def plain_template(template: Obj) -> Obj:
    """Return a pod template without the hash label, for comparison."""
    copy = clone(template)
    copy.get("metadata", {}).get("labels", {}).pop(_HASH, None)
    copy.setdefault("metadata", {}).pop("creationTimestamp", None)
    return copy
