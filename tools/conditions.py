"""Named conditions of a workload: what is wrong with its pods, its rollout and its Services, as findings.

Pure functions over the API's JSON, called by tools.evidence.kubernetes. A condition must be true now or have happened in
the window; what is healthy, completed, being deleted, just started or in the middle of a rollout is not a finding.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tools.prometheus import moment
from tools.records import Finding, Scalar
from tools.workloads import Workload, name_of, selects, when, writer_of

Obj = dict[str, Any]

FRESH = timedelta(seconds=30)  # what started less than this ago may still become ready
SCHEDULING = timedelta(seconds=10)  # a pod younger than this is simply being scheduled
RECENT = timedelta(hours=1)  # Kubernetes keeps events for an hour by default
_IMAGE = {"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"}
_CONFIG = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "CreatePodSandboxError"}
PROBE_FAILURES = 3  # Kubernetes' default failureThreshold


@dataclass
class _Case:
    """One condition seen at one container of one pod, before pods are counted together."""

    kind: str
    pod: str
    container: str
    what: str
    score: float
    at: datetime | None = None
    data: dict[str, Scalar] = field(default_factory=dict)


def findings(workload: Workload, since: datetime, now: datetime, *, alerting: bool) -> list[Finding]:
    """Return the named conditions of *workload*; events and ends older than *since* do not count.

    *alerting*: the service itself, or one that depends on it, has an alert firing.
    """
    cases = [case for pod in workload.pods for case in _pod_cases(pod, since, now)]
    cases += list(_event_cases(workload, since))
    return [*_together(workload, cases), *_deployment(workload, since, now, bool(cases), alerting)]


def _together(workload: Workload, cases: list[_Case]) -> Iterator[Finding]:
    groups: dict[tuple[str, str], dict[str, _Case]] = defaultdict(dict)
    for case in cases:
        groups[case.kind, case.container].setdefault(case.pod, case)
    total = len([pod for pod in workload.pods if _alive(pod)])
    for (kind, container), by_pod in groups.items():
        worst = max(by_pod.values(), key=lambda case: (case.score, case.at.timestamp() if case.at else 0))
        count = len(by_pod)
        who = f"{count} of {max(total, count)} pods of {workload.name}" if count > 1 else worst.pod
        part = f" (container {container})" if container and container != workload.name else ""
        yield Finding(
            kind=kind,
            service=workload.service,
            statement=f"{who}{part}: {worst.what}",
            score=worst.score,
            at=worst.at,
            data=_place(workload) | {"pod": worst.pod, "container": container, "pods": count} | worst.data,
        )


def _place(workload: Workload) -> dict[str, Scalar]:
    where: dict[str, Scalar] = {"namespace": workload.namespace.name, "deployment": workload.name}
    return where if workload.kind == "Deployment" else where | {"workload_kind": workload.kind}


def _alive(pod: Obj) -> bool:
    phase = (pod.get("status") or {}).get("phase")
    return phase != "Succeeded" and "deletionTimestamp" not in (pod.get("metadata") or {})


def _pod_cases(pod: Obj, since: datetime, now: datetime) -> Iterator[_Case]:
    if not _alive(pod):
        return
    status = pod.get("status") or {}
    name = name_of(pod)
    created = moment((pod.get("metadata") or {}).get("creationTimestamp")) or now
    if status.get("phase") == "Failed":
        ended = _latest_end(status) or created
        if status.get("reason") in {"Evicted", "Preempted", "NodeShutdown", "NodeLost"} and ended >= since:
            yield _Case("evicted", name, "", f"{status['reason']}: {status.get('message', 'no message')}", 0.8, ended)
        return
    scheduled = _condition(status, "PodScheduled")
    if scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable" and now - created > SCHEDULING:
        yield _Case("unschedulable", name, "", f"cannot be scheduled: {scheduled.get('message', '')}", 0.9, created)
        return
    spec = pod.get("spec") or {}
    limits = {c.get("name"): (c.get("resources") or {}).get("limits") or {} for c in spec.get("containers") or []}
    found = False
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        for case in _container_cases(name, container, limits.get(container.get("name"), {}), since):
            found = True
            yield case
    if not found and status.get("phase") == "Running":
        yield from _not_ready(name, status, now)


def _latest_end(status: Obj) -> datetime | None:
    ends = [
        moment(((c.get(state) or {}).get("terminated") or {}).get("finishedAt"))
        for c in status.get("containerStatuses") or []
        for state in ("state", "lastState")
    ]
    known = [end for end in ends if end]
    return max(known) if known else None


def _condition(status: Obj, kind: str) -> Obj:
    return next((c for c in status.get("conditions") or [] if c.get("type") == kind), {})


def _container_cases(pod: str, container: Obj, limits: Obj, since: datetime) -> Iterator[_Case]:
    name = str(container.get("name", ""))
    state, last = container.get("state") or {}, container.get("lastState") or {}
    waiting = state.get("waiting") or {}
    reason, message = str(waiting.get("reason", "")), str(waiting.get("message", ""))
    if reason in _IMAGE:
        yield _Case("image_pull", pod, name, f"image {container.get('image', '?')} cannot be pulled: {message or reason}", 0.95,
                    data={"image": str(container.get("image", "")), "reason": reason})  # fmt: skip
    if reason in _CONFIG:
        yield _Case("config_error", pod, name, f"{reason}: {message}", 0.92, data={"reason": reason})
    ended = state.get("terminated") or last.get("terminated") or {}
    at = moment(ended.get("finishedAt"))
    restarts = int(container.get("restartCount") or 0)
    recent = at is not None and at >= since
    facts: dict[str, Scalar] = {"restarts": restarts, "exit_code": ended.get("exitCode"), "reason": ended.get("reason")}
    crashing = reason == "CrashLoopBackOff"
    if ended.get("reason") == "OOMKilled" and (recent or crashing):
        limit = str(limits.get("memory") or "none")
        what = f"killed for using more memory than its limit of {limit} (OOMKilled, {restarts} restarts)"
        yield _Case("oom_killed", pod, name, what, 0.95, at, facts | {"limit": limit})
    failed = ended.get("exitCode") not in (0, None)
    if crashing or ("terminated" in state and failed and restarts > 1 and recent):
        said = f"; last words: {ended['message']}" if ended.get("message") else ""
        what = f"crash loop: exit code {ended.get('exitCode', '?')} ({ended.get('reason', 'unknown')}), {restarts} restarts{said}"
        yield _Case("crash_loop", pod, name, what, 0.85, at, facts)
    elif failed and recent and ended.get("reason") != "OOMKilled":
        what = f"ended with exit code {ended.get('exitCode')} ({ended.get('reason', 'unknown')}), {restarts} restarts"
        yield _Case("restarted", pod, name, what, 0.5, at, facts)


def _not_ready(pod: str, status: Obj, now: datetime) -> Iterator[_Case]:
    """Return a running pod that lost readiness, or never reached it although it has had time."""
    ready = _condition(status, "Ready")
    if ready.get("status") != "False":
        return
    since = moment(ready.get("lastTransitionTime")) or now
    starts = [
        moment(((c.get("state") or {}).get("running") or {}).get("startedAt"))
        for c in status.get("containerStatuses") or []
    ]
    started = max([at for at in starts if at], default=now)
    was_ready = since > started + timedelta(seconds=2)
    if not was_ready and now - max(started, since) < FRESH:
        return
    what = "running but not ready" + (f": {ready['message']}" if ready.get("message") else "")
    yield _Case("not_ready", pod, "", what, 0.7 if was_ready else 0.6, since)


def _event_cases(workload: Workload, since: datetime) -> Iterator[_Case]:
    pods = {name_of(pod): pod for pod in workload.pods if _alive(pod)}
    for event in workload.events:
        at = when(event)
        if at is None or at < since:
            continue
        pod = str((event.get("involvedObject") or {}).get("name", ""))
        message = str(event.get("message", ""))
        if event.get("reason") == "Unhealthy" and pod in pods:
            count = int(event.get("count") or (event.get("series") or {}).get("count") or 1)
            live = message.startswith("Liveness")
            # A readiness probe fails a few times while a container starts; a pod that is ready has got over it.
            ready = _condition(pods[pod].get("status") or {}, "Ready").get("status") == "True"
            if live or (count >= PROBE_FAILURES and not ready):
                what = f"{message} ({count} times)"
                yield _Case("probe_failing", pod, "", what, 0.75 if live else 0.6, at, {"count": count})
        elif event.get("reason") in {"FailedMount", "FailedAttachVolume"} and _pending(pods.get(pod)):
            yield _Case("config_error", pod, "", f"{event['reason']}: {message}", 0.85, at, {"reason": event["reason"]})


def _pending(pod: Obj | None) -> bool:
    return pod is not None and (pod.get("status") or {}).get("phase") == "Pending"


def _deployment(
    workload: Workload, since: datetime, now: datetime, explained: bool, alerting: bool
) -> Iterator[Finding]:
    spec, status = workload.obj.get("spec") or {}, workload.obj.get("status") or {}
    wanted = int(spec.get("replicas", 1) if spec.get("replicas") is not None else 1)
    if workload.kind in {"DaemonSet", "CronJob", "Job"}:
        return

    def found(kind: str, statement: str, score: float, at: datetime | None = None, **data: Scalar) -> Finding:
        return Finding(
            kind=kind, service=workload.service, statement=statement, score=score, at=at, data=_place(workload) | data
        )

    if wanted == 0:
        yield from _at_zero(workload, since, alerting, found)
        return
    yield from _stuck(workload.name, status, found)
    available = int(status.get("availableReplicas") or (status.get("readyReplicas") or 0))
    rolling = _rolling(workload.obj, now)
    if available < wanted and not rolling:
        score = 0.8 if available == 0 else 0.6
        said = f"{workload.name}: {available} of {wanted} replicas available"
        yield found("replicas_short", said, score - (0.1 if explained else 0), available=available, desired=wanted)
    if not (rolling and available):
        yield from _endpoints(workload, found)


Make = Callable[..., Finding]


def _at_zero(workload: Workload, since: datetime, alerting: bool, found: Make) -> Iterator[Finding]:
    """Zero replicas on purpose is a state like any other; it tells when it is new, or when somebody misses the service."""
    event = next((e for e in reversed(workload.events) if _to_zero(e)), None)
    manager, written = writer_of(workload.obj, "spec", "replicas")
    at = (when(event) if event else None) or written
    recent = at is not None and at >= since - RECENT
    if not recent and not alerting:
        return
    by = f" by {manager}" if manager else ""
    ago = f" at {at:%H:%M:%S} UTC{by}" if at else ""
    said = f"{workload.name} {'was' if at else 'is'} scaled to zero{ago}: nothing serves it"
    yield found("scaled_to_zero", said, 0.95 if recent else 0.8, at, by=manager, desired=0)


def _to_zero(event: Obj) -> bool:
    message = str(event.get("message", ""))
    return event.get("reason") == "ScalingReplicaSet" and ("to 0 " in f"{message} ")


def _stuck(name: str, status: Obj, found: Make) -> Iterator[Finding]:
    progressing, failure = _condition(status, "Progressing"), _condition(status, "ReplicaFailure")
    if progressing.get("status") == "False":
        at = moment(progressing.get("lastTransitionTime"))
        yield found("rollout_stuck", f"{name}: the rollout does not progress: {progressing.get('message', '')}", 0.85, at,
                    reason=progressing.get("reason", ""))  # fmt: skip
    if failure.get("status") == "True":
        at = moment(failure.get("lastTransitionTime"))
        yield found("rollout_stuck", f"{name}: pods cannot be created: {failure.get('message', '')}", 0.9, at,
                    reason=failure.get("reason", ""))  # fmt: skip


def _rolling(obj: Obj, now: datetime) -> bool:
    """Whether a rollout is under way and has not had time to finish."""
    meta, spec, status = obj.get("metadata") or {}, obj.get("spec") or {}, obj.get("status") or {}
    if int(status.get("observedGeneration") or 0) < int(meta.get("generation") or 0):
        return True
    progressing = _condition(status, "Progressing")
    moved = moment(progressing.get("lastUpdateTime"))
    unfinished = int(status.get("updatedReplicas") or 0) < int(spec.get("replicas") or 1) or (
        progressing.get("reason") in {"ReplicaSetUpdated", "NewReplicaSetCreated", "FoundNewReplicaSet"}
    )
    return unfinished and progressing.get("status") == "True" and moved is not None and now - moved < 2 * FRESH


def _endpoints(workload: Workload, found: Make) -> Iterator[Finding]:
    """Services none of whose pods is ready; only pods are looked at, so no right to read endpoints is needed."""
    pods = workload.namespace.of("pods")
    for service in workload.services:
        behind = [
            pod for pod in pods if selects(service, (pod.get("metadata") or {}).get("labels") or {}) and _alive(pod)
        ]
        ready = [pod for pod in behind if _condition(pod.get("status") or {}, "Ready").get("status") == "True"]
        if behind and not ready:
            said = f"Service {name_of(service)} has no ready endpoint: none of its {len(behind)} pods is ready"
            yield found("no_endpoints", said, 0.75, service=name_of(service))
