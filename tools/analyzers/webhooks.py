"""Admission webhooks whose service is missing or has no pod that is ready: failing closed, they stop every write they match."""

from collections.abc import Iterator

from tools.objects import (
    Condition,
    Obj,
    Objects,
    Severity,
    condition,
    dicts,
    event_message,
    event_time,
    found,
    matches,
    meta,
    name,
    spec,
    status,
)

KINDS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
_RECENT_S = 3600


def analyze(objects: Objects) -> Iterator[Condition]:
    """Return the conditions of every webhook configuration."""
    for config in objects.all(*KINDS):
        seen: set[tuple[str, str]] = set()
        for hook in dicts(config.get("webhooks")):
            service = (hook.get("clientConfig") or {}).get("service") or {}
            key = (str(service.get("namespace") or ""), str(service.get("name") or ""))
            if service and key not in seen:
                seen.add(key)
                yield from _hook(config, hook, *key, objects)


def _hook(config: Obj, hook: Obj, place: str, called: str, objects: Objects) -> Iterator[Condition]:
    closed = (hook.get("failurePolicy") or "Fail") == "Fail"
    effect = (
        "it fails closed (failurePolicy Fail): every write that it matches is refused"
        if closed
        else "it is skipped (failurePolicy Ignore)"
    )
    severity: Severity = "critical" if closed else "warning"
    service = objects.get("Service", place, called)
    if objects.missing("Service", place, called):
        yield found(config, "webhook_service_missing", f"webhook {hook.get('name')}: its service {place}/{called} does not exist; {effect}",
                    "restore the service or delete the configuration", severity)  # fmt: skip
    elif service is not None and _no_pods(service, place, objects):
        yield found(config, "webhook_no_pods", f"webhook {hook.get('name')}: no active pod behind its service {place}/{called}; {effect}",
                    "start its workload or delete the configuration", severity)  # fmt: skip
    else:
        told = [e for e in objects.all("Event") if f'calling webhook "{hook.get("name")}"' in event_message(e)
                and objects.recent(event_time(e), _RECENT_S)]  # fmt: skip
        if told:
            yield found(config, "webhook_failing", f"calls of webhook {hook.get('name')} fail: {event_message(told[-1])}; {effect}",
                        "look at the pods behind its service and its certificate", severity, event_time(told[-1]))  # fmt: skip


def _no_pods(service: Obj, place: str, objects: Objects) -> bool:
    selector = spec(service).get("selector")
    if not selector:
        return False
    ends = [e for e in objects.in_namespace("EndpointSlice", place)
            if (meta(e).get("labels") or {}).get("kubernetes.io/service-name") == name(service)]  # fmt: skip
    if any((end.get("conditions") or {}).get("ready") is not False for e in ends for end in dicts(e.get("endpoints"))):
        return False
    endpoints = objects.get("Endpoints", place, name(service))
    if endpoints and any(dicts(s.get("addresses")) for s in dicts(endpoints.get("subsets"))):
        return False
    pods = [
        pod for pod in objects.in_namespace("Pod", place) if matches({"matchLabels": selector}, meta(pod).get("labels"))
    ]
    if not pods:
        return bool(ends) or endpoints is not None or objects.listed("Pod", place)
    return not any(_active(pod) for pod in pods)


def _active(pod: Obj) -> bool:
    ready = condition(pod, "Ready")
    return status(pod).get("phase") == "Running" and ready.get("status") != "False"
