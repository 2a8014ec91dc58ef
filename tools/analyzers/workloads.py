"""Deployments, ReplicaSets, DaemonSets and StatefulSets: replicas short, rollouts stuck, pods that cannot be created."""

from collections.abc import Iterator

from tools.objects import (
    Condition,
    Obj,
    Objects,
    condition,
    dicts,
    event_message,
    event_time,
    found,
    matches,
    meta,
    name,
    namespace,
    number,
    pod_spec,
    said,
    spec,
    status,
)
from tools.prometheus import moment

FRESH_S = 60
START_S = 300  # a new Deployment's images and start may take this long
DEADLINE_S = 600  # Kubernetes' default progressDeadlineSeconds
_MOVING = {"ReplicaSetUpdated", "NewReplicaSetCreated", "FoundNewReplicaSet", "DeploymentResumed"}


def analyze(objects: Objects) -> Iterator[Condition]:
    """Return the conditions of every workload."""
    for obj in objects.all("Deployment"):
        yield from _deployment(obj, objects)
    for obj in objects.all("ReplicaSet", "DaemonSet", "StatefulSet"):
        yield from _creation(obj, objects)
    for obj in objects.all("ReplicaSet"):
        yield from _replica_set(obj, objects)
    for obj in objects.all("DaemonSet"):
        yield from _daemon_set(obj, objects)
    for obj in objects.all("StatefulSet"):
        yield from _stateful_set(obj, objects)


def _wanted(obj: Obj) -> int:
    return number(spec(obj).get("replicas", 1), 1)


def _deployment(obj: Obj, objects: Objects) -> Iterator[Condition]:
    wanted, state = _wanted(obj), status(obj)
    progressing, failure = condition(obj, "Progressing"), condition(obj, "ReplicaFailure")
    if failure.get("status") == "True":
        yield found(obj, "replica_failure", f"ReplicaFailure: pods cannot be created: {said(failure)}", _creation_remedy(said(failure)),
                    "critical", moment(failure.get("lastTransitionTime")))  # fmt: skip
    if progressing.get("status") == "False":
        yield found(obj, "rollout_stuck", f"the rollout does not progress: {said(progressing)}",
                    "look at the new ReplicaSet's pods; undo the rollout if it is at fault", "critical",
                    moment(progressing.get("lastTransitionTime")))  # fmt: skip
    if wanted == 0 and any(matches({"matchLabels": spec(svc).get("selector") or {"": ""}}, _labels(obj)) for svc in
                           objects.in_namespace("Service", namespace(obj))):  # fmt: skip
        yield found(
            obj,
            "scaled_to_zero",
            "has 0 replicas, so nothing serves its Service",
            "scale it up if that is not meant",
            "note",
        )
    if not state or wanted == 0 or spec(obj).get("paused"):
        return
    if _unobserved(obj, objects):
        yield found(obj, "not_observed", f"generation {meta(obj).get('generation')} is not observed "
                    f"(status tells of {state.get('observedGeneration', 'none')})",
                    "the controller manager does not keep up or does not run: look at kube-system")  # fmt: skip
        return
    available = number(state.get("availableReplicas"))
    if available < wanted and not _on_its_way(obj, wanted, objects):
        yield found(obj, "replicas_short", f"{available} of {wanted} replicas available"
                    + (f"; {said(condition(obj, 'Available'))}" if condition(obj, "Available").get("status") == "False" else ""),
                    "look at its pods that are not ready", "critical" if available == 0 else "warning")  # fmt: skip


def _labels(obj: Obj) -> Obj:
    return meta(spec(obj).get("template") or {}).get("labels") or {}


def _unobserved(obj: Obj, objects: Objects) -> bool:
    observed, wanted = status(obj).get("observedGeneration"), meta(obj).get("generation")
    if observed is None or wanted is None or number(observed) >= number(wanted):
        return False
    written = [
        entry.get("time") for entry in dicts(meta(obj).get("managedFields")) if entry.get("subresource") != "status"
    ]
    times = [ago for ago in map(objects.since, written) if ago is not None]
    return not times or min(times).total_seconds() > FRESH_S


def _on_its_way(obj: Obj, wanted: int, objects: Objects) -> bool:
    """Whether replicas are short because a good rollout, a start or a scaling up is under way."""
    state, progressing = status(obj), condition(obj, "Progressing")
    if progressing.get("status") == "False" or condition(obj, "ReplicaFailure").get("status") == "True":
        return False
    if number(state.get("observedGeneration")) < number(meta(obj).get("generation")):
        return True
    if objects.younger(obj, FRESH_S):
        return True
    if _went_down(obj, objects):
        return False
    moved = progressing.get("lastUpdateTime") or progressing.get("lastTransitionTime")
    deadline = number(spec(obj).get("progressDeadlineSeconds"), DEADLINE_S)
    moving = progressing.get("reason") in _MOVING or number(state.get("updatedReplicas")) < wanted
    if moving and progressing.get("status") == "True":
        return objects.recent(moved, deadline)
    changed = condition(obj, "Available")
    ago = objects.since(changed.get("lastTransitionTime"))
    return changed.get("status") == "False" and ago is not None and ago.total_seconds() < FRESH_S / 2


def _went_down(obj: Obj, objects: Objects) -> bool:
    """Whether an older Deployment is not Available: a good rolling update keeps it so, and only Recreate may break it for a moment."""
    if (
        condition(obj, "Available").get("status") != "False"
        or (spec(obj).get("strategy") or {}).get("type") == "Recreate"
    ):
        return False
    old = objects.since(meta(obj).get("creationTimestamp"))
    down = objects.since(condition(obj, "Available").get("lastTransitionTime"))
    grace = down is not None and down.total_seconds() < FRESH_S / 2
    return old is not None and old.total_seconds() > START_S and not grace


def _creation_remedy(text: str) -> str:
    low = text.lower()
    if "quota" in low:
        return "raise the ResourceQuota or lower what the pods ask for"
    if "serviceaccount" in low or "service account" in low:
        return "create the ServiceAccount or correct serviceAccountName"
    if "webhook" in low or "admission" in low or "denied" in low or "podsecurity" in low:
        return "an admission rule refuses the pod: change the pod as the message says, or mend the webhook"
    if "limitrange" in low or "maximum" in low or "minimum" in low:
        return "bring the pod's requests and limits within the LimitRange"
    return "read the message; `kubectl describe` shows its events"


def _creation(obj: Obj, objects: Objects) -> Iterator[Condition]:
    """Return FailedCreate, from the condition of a ReplicaSet or from the newest event of any of the three."""
    if obj.get("kind") != "DaemonSet" and _wanted(obj) == 0:
        return
    failure = condition(obj, "ReplicaFailure")
    events = objects.events(obj)
    failed = [e for e in events if e.get("reason") == "FailedCreate"]
    if failure.get("status") == "True":
        text, at = said(failure), moment(failure.get("lastTransitionTime"))
    elif failed and not any(e.get("reason") == "SuccessfulCreate" for e in events[events.index(failed[-1]) :]):
        text, at = f"FailedCreate: {event_message(failed[-1])}", event_time(failed[-1])
        have = number(status(obj).get("replicas", status(obj).get("currentNumberScheduled")))
        want = _wanted(obj) if obj.get("kind") != "DaemonSet" else number(status(obj).get("desiredNumberScheduled"))
        if status(obj) and have >= want > 0:
            return
    else:
        return
    yield found(obj, "failed_create", f"pods cannot be created: {text}", _creation_remedy(text), "critical", at)


def _replica_set(obj: Obj, objects: Objects) -> Iterator[Condition]:
    if any(ref.get("kind") == "Deployment" for ref in dicts(meta(obj).get("ownerReferences"))) or not status(obj):
        return  # its Deployment tells
    available, wanted = number(status(obj).get("availableReplicas")), _wanted(obj)
    if available < wanted and not objects.younger(obj, FRESH_S):
        yield found(
            obj, "replicas_short", f"{available} of {wanted} replicas available", "look at its pods that are not ready"
        )


def _daemon_set(obj: Obj, objects: Objects) -> Iterator[Condition]:
    state = status(obj)
    wanted, ready = number(state.get("desiredNumberScheduled")), number(state.get("numberReady"))
    updated = number(state.get("updatedNumberScheduled"), wanted)
    rolling = updated < wanted or number(state.get("observedGeneration")) < number(meta(obj).get("generation"))
    one_at_a_time = rolling and wanted - ready <= max(1, _at_once(obj, wanted))
    if ready < wanted and not one_at_a_time and not objects.younger(obj, FRESH_S):
        yield found(obj, "daemonset_not_ready", f"{ready} of {wanted} scheduled pods are ready",
                    "look at its pods that are not ready, and at their nodes", "critical" if ready == 0 else "warning")  # fmt: skip
    for ref in dicts(pod_spec(obj).get("imagePullSecrets")):
        if objects.missing("Secret", namespace(obj), str(ref.get("name") or "")):
            yield found(obj, "pull_secret_missing", f"image pull secret {ref['name']} does not exist",
                        "create the Secret (kubernetes.io/dockerconfigjson) or correct its name")  # fmt: skip


def _at_once(obj: Obj, wanted: int) -> int:
    """Return how many pods of a DaemonSet its rolling update may take at once (a number or a share)."""
    most = str(((spec(obj).get("updateStrategy") or {}).get("rollingUpdate") or {}).get("maxUnavailable") or 1)
    return wanted * number(most[:-1]) // 100 if most.endswith("%") else number(most, 1)


def _stateful_set(obj: Obj, objects: Objects) -> Iterator[Condition]:
    place, wanted, state = namespace(obj), _wanted(obj), status(obj)
    service = str(spec(obj).get("serviceName") or "")
    if objects.missing("Service", place, service):
        yield found(obj, "headless_service_missing", f"its headless Service {service} does not exist",
                    "create the Service with clusterIP: None or correct serviceName")  # fmt: skip
    for claim in dicts(spec(obj).get("volumeClaimTemplates")):
        called = str(spec(claim).get("storageClassName") or "")
        if objects.missing("StorageClass", "", called):
            yield found(obj, "storage_class_missing", f"StorageClass {called} of claim template {name(claim)} does not exist",
                        "create the StorageClass or correct the claim template")  # fmt: skip
    ready = number(state.get("readyReplicas"))
    rolling = state.get("updateRevision") not in {None, state.get("currentRevision")} or number(
        state.get("observedGeneration")) < number(meta(obj).get("generation"))  # fmt: skip
    stopped = any(_of(pod, obj) and _stopped(pod, objects) for pod in objects.in_namespace("Pod", place))
    moving = rolling and wanted - ready <= 1 and ready and not stopped
    if not state or ready >= wanted or objects.younger(obj, FRESH_S) or moving:
        return
    bad = [name(pod) for pod in objects.in_namespace("Pod", place) if _of(pod, obj) and not _is_ready(pod)]
    young = [pod for pod in objects.in_namespace("Pod", place) if _of(pod, obj) and objects.younger(pod, FRESH_S)]
    if young and not [called for called in bad if called not in {name(pod) for pod in young}]:
        return
    told = f"; not ready: {', '.join(sorted(bad)[:3])}" if bad else ""
    yield found(obj, "replicas_short", f"{ready} of {wanted} replicas ready{told}",
                "look at its first pod that does not run: the next ones wait for it", "critical" if ready == 0 else "warning")  # fmt: skip


def _stopped(pod: Obj, objects: Objects) -> bool:
    """Whether a pod neither runs nor has just been made."""
    waits = {
        str(((c.get("state") or {}).get("waiting") or {}).get("reason") or "")
        for c in dicts(status(pod).get("containerStatuses"))
    }
    broken = status(pod).get("phase") == "Failed" or any(
        w.endswith(("BackOff", "Error")) or w.startswith("Err") for w in waits
    )
    return broken and "deletionTimestamp" not in meta(pod) and not objects.younger(pod, FRESH_S)


def _of(pod: Obj, owner: Obj) -> bool:
    return any(ref.get("kind") == owner.get("kind") and ref.get("name") == name(owner)
               for ref in dicts(meta(pod).get("ownerReferences")))  # fmt: skip


def _is_ready(pod: Obj) -> bool:
    return condition(pod, "Ready").get("status") == "True"
