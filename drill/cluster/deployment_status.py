"""What a Deployment says of itself: counts and conditions; used by the deployment controller alone."""

from typing import Any

from drill.cluster.objects import Obj, clone, condition, from_iso, iso


def status_of(deployment: Obj, sets: list[Obj], new: Obj | None, now: float, *, unavailable: int, made: bool) -> Obj:
    """Return the whole status; *unavailable* is how many pods may be missing, *made* that a replica set was just created."""
    wanted = deployment["spec"]["replicas"]
    total, ready, available = (_sum(sets, key) for key in ("replicas", "readyReplicas", "availableReplicas"))
    updated = new.get("status", {}).get("replicas", 0) if new else 0
    counts = {
        "replicas": total,
        "updatedReplicas": updated,
        "readyReplicas": ready,
        "availableReplicas": available,
        "unavailableReplicas": max(0, max(wanted, total) - available),
    }
    status: Obj = {"observedGeneration": deployment["metadata"]["generation"]}
    status |= {key: value for key, value in counts.items() if value}
    old = deployment.get("status", {})
    enough = available >= wanted - unavailable
    conditions = [
        _set(
            condition(deployment, "Available"),
            "Available",
            "True" if enough else "False",
            "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
            f"Deployment {'has' if enough else 'does not have'} minimum availability.",
            now,
        )
    ]
    progress = _progress(deployment, new, counts, old, now, made=made)
    refused = condition(new, "ReplicaFailure") if new else None
    status["conditions"] = [*conditions, *([progress] if progress else []), *([_failure(refused)] if refused else [])]
    return status


def _failure(refused: Obj) -> Obj:
    """Return the replica set's own condition as the Deployment repeats it."""
    return clone(refused) | {"lastUpdateTime": refused["lastTransitionTime"]}


def _sum(sets: list[Obj], key: str) -> int:
    return sum(rs.get("status", {}).get(key, 0) for rs in sets)


def _progress(
    deployment: Obj, new: Obj | None, counts: dict[str, int], old: Obj, now: float, *, made: bool
) -> Obj | None:
    known = condition(deployment, "Progressing")
    if deployment["spec"].get("paused"):
        return _set(known, "Progressing", "Unknown", "DeploymentPaused", "Deployment is paused", now)
    if new is None:
        return known
    name, wanted = new["metadata"]["name"], deployment["spec"]["replicas"]
    complete = counts["updatedReplicas"] == wanted == counts["replicas"] == counts["availableReplicas"]
    settled = known is not None and known["reason"] == "NewReplicaSetAvailable"
    if complete and old.get("observedGeneration") is not None:
        line = f'ReplicaSet "{name}" has successfully progressed.'
        return _set(known, "Progressing", "True", "NewReplicaSetAvailable", line, now, touch=not settled)
    if made:
        line = f'Created new replica set "{name}"'
        return _set(known, "Progressing", "True", "NewReplicaSetCreated", line, now, touch=True)
    if known is not None and settled and f'"{name}"' in known["message"]:
        return known  # a finished rollout does not become unfinished because a pod fails later
    return _under_way(deployment, name, known, counts, old, now)


def _under_way(
    deployment: Obj, name: str, known: Obj | None, counts: dict[str, int], old: Obj, now: float
) -> Obj | None:
    """Tell a rollout that moves from one that has stood still for too long."""
    grown = any(counts[key] > old.get(key, 0) for key in ("updatedReplicas", "readyReplicas", "availableReplicas"))
    outdated = counts["replicas"] - counts["updatedReplicas"]
    if known is None or grown or outdated < old.get("replicas", 0) - old.get("updatedReplicas", 0):
        return _set(
            known, "Progressing", "True", "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.', now, touch=True
        )
    deadline = deployment["spec"].get("progressDeadlineSeconds", 600)
    if known["status"] == "True" and now - from_iso(known["lastUpdateTime"]) > deadline:
        line = f'ReplicaSet "{name}" has timed out progressing.'
        return _set(known, "Progressing", "False", "ProgressDeadlineExceeded", line, now)
    return known


def _set(
    known: Obj | None, kind: str, value: str, reason: str, message: str, now: float, *, touch: bool = False
) -> Obj:
    same = known is not None and (known["status"], known["reason"]) == (value, reason)
    if known is not None and same and not touch:
        return known
    fresh: dict[str, Any] = clone(known) if known else {"type": kind}
    fresh |= {"status": value, "reason": reason, "message": message, "lastUpdateTime": iso(now)}
    if known is None or known["status"] != value:
        fresh["lastTransitionTime"] = iso(now)
    return fresh
