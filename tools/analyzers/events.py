"""Events about objects that are not in the input: what they alone say. An object that was listed and is gone is no trouble."""

from collections.abc import Iterator

from tools.objects import Condition, Obj, Objects, event_count, event_message, event_target, event_time

RECENT_S = 1800
OFTEN = 3
_KNOWN = {
    "FailedScheduling": ("unschedulable", "read the scheduler's message: resources, taints, selectors or claims"),
    "FailedCreatePodSandBox": ("sandbox_failed", "look at the node's network plug-in and container runtime"),
    "FailedMount": ("mount_failed", "the volume's ConfigMap, Secret or claim named there must exist"),
    "FailedAttachVolume": ("mount_failed", "the volume must be detached from its former node"),
    "FailedCreate": ("failed_create", "mend what the message names: quota, account or admission"),
    "ProvisioningFailed": ("provisioning_failed", "mend the class, the driver or the room"),
    "Unhealthy": ("probe_failing", "ask the container why its probe fails"),
    "BackoffLimitExceeded": ("job_failed", "read the log of its last pod"),
    "Evicted": ("evicted", "look at the node's pressure and the pod's requests"),
    "OOMKilling": ("oom_killed", "raise the memory limit or find what uses the memory"),
    "SystemOOM": ("oom_killed", "find what uses the node's memory"),
    "NodeNotReady": ("node_not_ready", "look at its kubelet"),
    "FailedGetResourceMetric": ("metric_unavailable", "check metrics-server and the pods' requests"),
    "FailedComputeMetricsReplicas": ("metric_unavailable", "check metrics-server and the pods' requests"),
    "InvalidImageName": ("image_pull", "correct the image's name"),
}
_ONCE = {"FailedCreate", "ProvisioningFailed", "BackoffLimitExceeded", "Evicted", "OOMKilling", "SystemOOM", "NodeNotReady", "FailedScheduling",
         "InvalidImageName"}  # fmt: skip


# What comes after trouble only when it is over; the newest event is read first
_HEALED = {
    "Started",
    "SuccessfulCreate",
    "ProvisioningSucceeded",
    "NodeReady",
    "Completed",
    "SuccessfulMountVolume",
    "SuccessfulRescale",
    "Scheduled",
    "Pulled",
}
_COMES_AGAIN = {"crash_loop", "probe_failing", "oom_killed"}  # between two of these a container starts


def analyze(objects: Objects) -> Iterator[Condition]:
    """Return what recent warnings say, one condition for each object and condition."""
    told: set[tuple[str, str, str, str]] = set()
    events = sorted(objects.all("Event"), key=lambda e: at.timestamp() if (at := event_time(e)) else 0.0, reverse=True)
    healed: set[tuple[str, str, str]] = set()
    for event in events:
        target = event_target(event)
        kind, place, called = (str(target.get(key) or "") for key in ("kind", "namespace", "name"))
        if event.get("reason") in _HEALED:
            healed.add((kind, place, called))
        named = _named(event)
        key = (kind, place, called, named[0] if named else "")
        if (
            named is None
            or not objects.recent(event_time(event), RECENT_S)
            or key in told
            or objects.get(kind, place, called) is not None
            or objects.listed(kind, place)
            or ((kind, place, called) in healed and named[0] not in _COMES_AGAIN)
        ):
            continue
        told.add(key)
        yield Condition(kind, place, called, named[0], f"{event.get('reason')}: {event_message(event)} ({event_count(event)} times)",
                        named[1], "warning", event_time(event))  # fmt: skip


def _named(event: Obj) -> tuple[str, str] | None:
    reason, text = str(event.get("reason") or ""), event_message(event)
    if event.get("type") == "Normal":
        return None
    if reason == "BackOff":
        return ("image_pull", "check the image's name and tag, the registry and the pull secret") if "pulling image" in text else (
            "crash_loop", "read its last log: `kubectl logs --previous`")  # fmt: skip
    if reason == "Failed" and "pull" in text.lower():
        return "image_pull", "check the image's name and tag, the registry and the pull secret"
    if reason == "Failed" and "not found" in text:
        return "config_error", "create the ConfigMap or Secret named there"
    if reason not in _KNOWN or (reason not in _ONCE and event_count(event) < OFTEN):
        return None
    return _KNOWN[reason]
