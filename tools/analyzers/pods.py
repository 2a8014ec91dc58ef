"""Pods: scheduling, images, configuration, crashes, probes and volumes, containers and init containers alike."""

import re
from collections.abc import Iterator
from datetime import datetime

from tools.analyzers.jobs import made_good
from tools.objects import (
    Condition,
    Obj,
    Objects,
    Severity,
    condition,
    dicts,
    event_count,
    event_message,
    event_time,
    found,
    meta,
    name,
    namespace,
    number,
    spec,
    status,
)
from tools.prometheus import moment

START_S = 60  # what started less than this ago may still become ready
SCHEDULING_S = 10
RECENT_S = 3600  # Kubernetes keeps events for an hour
UNHEALTHY = 3  # Kubernetes' default failureThreshold
_IMAGE = {
    "ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull", "InvalidImageName", "ImageInspectError", "RegistryUnavailable",
    "SignatureValidationFailed",
}  # fmt: skip
_START = {
    "CreateContainerConfigError", "CreateContainerError", "PreCreateHookError", "PreStartHookError", "PostStartHookError",
    "RunContainerError", "StartError", "ContainerCannotRun",
}  # fmt: skip
_WAITS = {"FailedCreatePodSandBox", "FailedMount", "FailedAttachVolume", "FailedMapVolume"}
_SIGNALS = {
    1: "SIGHUP",
    2: "SIGINT",
    4: "SIGILL",
    6: "SIGABRT",
    7: "SIGBUS",
    8: "SIGFPE",
    9: "SIGKILL",
    11: "SIGSEGV",
    15: "SIGTERM",
}
_CAUSES = (
    ("volume claim", re.compile(r"(?i)persistentvolumeclaim|volume node affinity|volume zone|bind(?:ing)? volumes"),
     "look at the claim: `kubectl describe pvc`; it must exist, be bound and be reachable from a node"),
    ("resources", re.compile(r"(?i)insufficient|too many pods|exceed"),
     "lower the pod's requests, free room or add a node"),
    ("taint", re.compile(r"(?i)taint"), "add a toleration or remove the taint from a node that should take it"),
    ("selector or affinity", re.compile(r"(?i)selector|affinity|topology|didn't match"),
     "correct the pod's nodeSelector or affinity, or label a node"),
)  # fmt: skip


def analyze(objects: Objects) -> Iterator[Condition]:
    """Return the conditions of every pod."""
    for pod in objects.all("Pod"):
        if status(pod).get("phase") == "Succeeded":
            continue
        if "deletionTimestamp" in meta(pod):
            yield from _leaving(pod, objects)
        elif status(pod).get("phase") == "Failed":
            yield from _failed(pod, objects)
        else:
            yield from _living(pod, objects)


def _leaving(pod: Obj, objects: Objects) -> Iterator[Condition]:
    ago = objects.since(meta(pod).get("deletionTimestamp"))
    if ago is not None and ago.total_seconds() > RECENT_S / 6:
        yield found(pod, "stuck_terminating", f"should have ended {int(ago.total_seconds() // 60)} min ago"
                    + (f"; finalizers: {', '.join(map(str, meta(pod)['finalizers']))}" if meta(pod).get("finalizers") else ""),
                    "look at its node and finalizers; force the deletion only when the node is surely gone")  # fmt: skip


def _failed(pod: Obj, objects: Objects) -> Iterator[Condition]:
    state = status(pod)
    reason, message = str(state.get("reason") or ""), str(state.get("message") or "")
    if reason in {"Evicted", "Preempted", "Preempting"}:
        yield found(pod, "evicted", f"{reason}: {message or 'no message'}",
                    "give it requests that fit, and look at the node's pressure; delete the leftover pod")  # fmt: skip
    elif _job_goes_on(pod, objects) or reason in {"Terminated", "NodeShutdown", "Shutdown"}:
        return
    elif reason:
        yield found(
            pod, "pod_failed", f"{reason}: {message}", "read the reason; `kubectl describe pod` shows its events"
        )
    else:
        ended = [(c, (c.get("state") or {}).get("terminated") or {}) for c in _statuses(pod)]
        for container, end in ended:
            if number(end.get("exitCode")) != 0:
                yield _exit(pod, container, end)


def _job_goes_on(pod: Obj, objects: Objects) -> bool:
    """Whether a failed pod belongs to a Job that has succeeded or tries again: its end is then part of the work."""
    owners = [ref for ref in dicts(meta(pod).get("ownerReferences")) if ref.get("kind") == "Job"]
    if not owners:
        return False
    called = str(owners[0].get("name", ""))
    job = objects.get("Job", namespace(pod), called)
    if job is not None:
        return condition(job, "Failed").get("status") != "True" or made_good(job, objects)
    siblings = [other for other in objects.in_namespace("Pod", namespace(pod)) if called in
                {str(ref.get("name")) for ref in dicts(meta(other).get("ownerReferences"))}]  # fmt: skip
    return any(status(other).get("phase") in {"Succeeded", "Running", "Pending"} for other in siblings)


def _living(pod: Obj, objects: Objects) -> Iterator[Condition]:
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        yield from _unscheduled(pod, scheduled, objects)
        return
    if not scheduled and status(pod).get("phase") == "Pending" and not spec(pod).get("nodeName"):
        told = [e for e in objects.events(pod) if e.get("reason") == "FailedScheduling"][-1:]
        yield from (_no_node(pod, "FailedScheduling", event_message(e), event_time(e)) for e in told)
    conditions = [each for container in _statuses(pod) for each in _container(pod, container, objects)]
    yield from conditions
    if conditions:
        return
    waiting = [c for c in _statuses(pod) if "waiting" in (c.get("state") or {})]
    if status(pod).get("phase") == "Pending" and (waiting or not _statuses(pod)):
        yield from _waits(pod, objects)
    elif status(pod).get("phase") in {"Running", None}:
        yield from _unready(pod, objects)


def _unscheduled(pod: Obj, scheduled: Obj, objects: Objects) -> Iterator[Condition]:
    message = str(scheduled.get("message") or "no message")
    if scheduled.get("reason") == "SchedulingGated":
        if not objects.younger(pod, START_S):
            gates = ", ".join(str(gate.get("name")) for gate in dicts(spec(pod).get("schedulingGates"))) or "unknown"
            yield found(pod, "scheduling_gated", f"SchedulingGated: waits for its gates to be lifted: {gates}",
                        "ask what owns the gate (a queue or a controller) why it is closed")  # fmt: skip
        return
    if objects.younger(pod, SCHEDULING_S):
        return
    reason = str(scheduled.get("reason") or "Unschedulable")
    yield _no_node(pod, reason, message, moment(scheduled.get("lastTransitionTime")))


def _no_node(pod: Obj, reason: str, message: str, at: datetime | None) -> Condition:
    cause, remedy = next(
        ((cause, remedy) for cause, pattern, remedy in _CAUSES if pattern.search(message)),
        ("unknown", "read the scheduler's message; `kubectl describe pod` shows its events"),
    )
    return found(pod, "unschedulable", f"{reason} ({cause}): {message}", remedy, "critical", at)


def _statuses(pod: Obj) -> list[Obj]:
    return [*dicts(status(pod).get("initContainerStatuses")), *dicts(status(pod).get("containerStatuses"))]


def _container(pod: Obj, container: Obj, objects: Objects) -> Iterator[Condition]:
    state, last = container.get("state") or {}, container.get("lastState") or {}
    waiting = state.get("waiting") or {}
    reason, message = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
    which = f"container {container.get('name', '?')}"
    if reason in _IMAGE:
        told = _event_text(pod, objects, {"Failed"}, "pull") or message
        yield found(pod, "image_pull", f"{reason}: {which} cannot get image {container.get('image', '?')}: {told}",
                    "check the image's name and tag, that the registry answers, and the pull secret", "critical")  # fmt: skip
    elif reason in _START or reason.endswith("Error"):
        yield found(pod, "config_error", f"{reason}: {which}: {message or 'no message'}",
                    "mend what the message names (a ConfigMap, Secret, key, command, mount or hook)", "critical")  # fmt: skip
    elif reason == "CrashLoopBackOff":
        yield _crash_loop(pod, container, last.get("terminated") or {}, objects)
    else:
        yield from _ended(pod, container, state, last, objects)


def _event_text(pod: Obj, objects: Objects, reasons: set[str], word: str = "") -> str:
    told = [event_message(e) for e in objects.events(pod) if e.get("reason") in reasons and word in event_message(e)]
    return max(told, key=len) if told else ""


def _end_text(end: Obj) -> str:
    code = number(end.get("exitCode"), -1)
    signal = number(end.get("signal")) or (code - 128 if 128 < code < 160 else 0)
    parts = [str(end.get("reason") or "ended"), f"exit code {code}" if code >= 0 else "exit code unknown"]
    parts += [_SIGNALS.get(signal, f"signal {signal}")] if signal else []
    return ", ".join(parts) + (f"; last words: {str(end['message']).strip()[-300:]}" if end.get("message") else "")


def _remedy(end: Obj) -> str:
    code = number(end.get("exitCode"), -1)
    if end.get("reason") == "OOMKilled":
        return "raise the memory limit or find what uses the memory; undo the change that brought it"
    if code == 0:
        return "it ends by itself: run it as a Job, or give it a command that stays"
    if code in {126, 127}:
        return "the command cannot be run: check command, args, the image's content and its rights"
    return "read its last log: `kubectl logs --previous`; undo the change that brought it"


def _crash_loop(pod: Obj, container: Obj, end: Obj, objects: Objects) -> Condition:
    oom = end.get("reason") == "OOMKilled"
    limit = f", memory limit {limit}" if oom and (limit := _limit(pod, container)) else ""
    probe = _event_text(pod, objects, {"Unhealthy"}, "Liveness")
    probed = f"; {probe}" if probe and number(end.get("exitCode")) in {137, 143} and not oom else ""
    return found(
        pod, "oom_killed" if oom else "crash_loop",
        f"CrashLoopBackOff: container {container.get('name', '?')} restarted {number(container.get('restartCount'))} times; "
        f"last end: {_end_text(end) if end else 'unknown'}{limit}{probed}",
        _remedy(end), "critical", moment(end.get("finishedAt")),
    )  # fmt: skip


def _limit(pod: Obj, container: Obj) -> str:
    for each in [*dicts(spec(pod).get("initContainers")), *dicts(spec(pod).get("containers"))]:
        if each.get("name") == container.get("name"):
            return str(((each.get("resources") or {}).get("limits") or {}).get("memory") or "")
    return ""


def _exit(pod: Obj, container: Obj, end: Obj) -> Condition:
    oom = end.get("reason") == "OOMKilled"
    return found(pod, "oom_killed" if oom else "nonzero_exit", f"container {container.get('name', '?')}: {_end_text(end)}",
                 _remedy(end), "critical" if oom else "warning", moment(end.get("finishedAt")))  # fmt: skip


def _ended(pod: Obj, container: Obj, state: Obj, last: Obj, objects: Objects) -> Iterator[Condition]:
    now_ended, before = state.get("terminated") or {}, last.get("terminated") or {}
    restarts = number(container.get("restartCount"))
    if now_ended:
        if number(now_ended.get("exitCode")) != 0:
            yield _exit(pod, container, now_ended)
    elif before and objects.recent(before.get("finishedAt"), RECENT_S) and number(before.get("exitCode")) != 0:
        if before.get("reason") == "OOMKilled":
            limit = _limit(pod, container)
            yield found(pod, "oom_killed", f"container {container.get('name', '?')}: {_end_text(before)}, {restarts} restarts"
                        + (f", memory limit {limit}" if limit else ""), _remedy(before),
                        "note" if container.get("ready") and restarts < UNHEALTHY else "warning", moment(before.get("finishedAt")))  # fmt: skip
        elif restarts > UNHEALTHY and objects.recent(before.get("finishedAt"), 600):
            yield found(pod, "crash_loop", f"container {container.get('name', '?')} restarted {restarts} times; last end: "
                        f"{_end_text(before)}", _remedy(before), _again(pod, container, state, objects),
                        moment(before.get("finishedAt")))  # fmt: skip


def _again(pod: Obj, container: Obj, state: Obj, objects: Objects) -> Severity:
    """Judge a container that runs after many restarts: one that is ready has recovered, unless the restart was minutes ago by a clock.

    Without a clock the restart itself may be the newest thing that the file tells, however long ago it was.
    """
    if not container.get("ready") or objects.clock:
        return "warning"
    began = moment((state.get("running") or {}).get("startedAt"))
    backed_off = [at for e in objects.events(pod) if e.get("reason") == "BackOff" and (at := event_time(e))]
    return "warning" if began is not None and any(at >= began for at in backed_off) else "note"


def _waits(pod: Obj, objects: Objects) -> Iterator[Condition]:
    """Return why a pod that has a node does not start: its sandbox or its volumes."""
    events = [e for e in objects.events(pod) if e.get("reason") in _WAITS]
    if not events or (objects.younger(pod, START_S / 2) and event_count(events[-1]) < UNHEALTHY):
        return
    newest = events[-1]
    message = event_message(newest)
    if newest["reason"] == "FailedCreatePodSandBox":
        yield found(pod, "sandbox_failed", f"ContainerCreating: FailedCreatePodSandBox: {message}",
                    "look at the node's network plug-in and container runtime", "critical", event_time(newest))  # fmt: skip
    else:
        yield found(pod, "mount_failed", f"ContainerCreating: {newest['reason']}: {message}",
                    "the volume's ConfigMap, Secret, claim or attachment named there must exist and be free",
                    "critical", event_time(newest))  # fmt: skip


def _unready(pod: Obj, objects: Objects) -> Iterator[Condition]:
    ready = condition(pod, "Ready")
    if ready.get("status") != "False" or ready.get("reason") == "PodCompleted" or _only_done(pod):
        return
    unhealthy = [e for e in objects.events(pod) if e.get("reason") == "Unhealthy"]
    ago = objects.since(ready.get("lastTransitionTime"))
    if unhealthy:
        newest = unhealthy[-1]
        few = sum(map(event_count, unhealthy)) < UNHEALTHY
        if few and (objects.younger(pod, START_S) or (ago is not None and ago.total_seconds() < START_S / 2)):
            return
        yield found(pod, "probe_failing", f"running but not ready: {event_message(newest).strip()} ({event_count(newest)} times)",
                    "ask the container why its probe fails (its log, its dependencies); check the probe's port, path and delays",
                    "warning", event_time(newest))  # fmt: skip
    elif ago is not None and ago.total_seconds() >= START_S:
        gates = [str(g.get("conditionType")) for g in dicts(spec(pod).get("readinessGates"))
                 if condition(pod, str(g.get("conditionType"))).get("status") != "True"]  # fmt: skip
        why = f"; readiness gates closed: {', '.join(gates)}" if gates else ""
        yield found(pod, "not_ready", f"running but not ready for {int(ago.total_seconds())} s: {_reason(ready)}{why}",
                    "look at its readiness probe and log", "warning", moment(ready.get("lastTransitionTime")))  # fmt: skip


def _only_done(pod: Obj) -> bool:
    """Whether all containers that are not ready ended well, as the first of several in a Job's pod does."""
    waiting = [c for c in dicts(status(pod).get("containerStatuses")) if not c.get("ready")]
    ends = [(c.get("state") or {}).get("terminated") for c in waiting]
    return bool(ends) and all(isinstance(end, dict) and number(end.get("exitCode"), 1) == 0 for end in ends)


def _reason(cond: Obj) -> str:
    """Return a readiness condition's message, or its reason."""
    return str(cond.get("message") or cond.get("reason") or "no reason given")


def owner_of(pod: Obj) -> str:
    """Return the name of what controls *pod*, its own name when nothing does."""
    refs = dicts(meta(pod).get("ownerReferences"))
    return str(refs[0].get("name")) if refs else name(pod)
