"""State of the service's workload in Kubernetes: Deployment conditions, pods, restarts, OOM kills, events, endpoints.

Also looks at the services it depends on (host names in its environment): replicas, readiness, scaled to zero. Use it for
every alert about something that runs in a cluster; it tells what is broken now, not what changed (see changes).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from tools import conditions
from tools.kube import Kube
from tools.observe import Seen, listed, missing, observe
from tools.prometheus import moment
from tools.records import Evidence, Finding, Scope
from tools.sources import Sources
from tools.surroundings import around
from tools.workloads import Workload, dependencies, find, name_of, when

NEEDS = "kube"
KINDS = ("replicasets", "pods", "events")
MAX_PODS = 12
MAX_EVENTS = 15


async def collect(scope: Scope, sources: Sources) -> Evidence:
    """Look at the workload behind *scope* and its dependencies, now."""
    kube = sources.kube
    if kube is None:
        return missing("kubernetes", "Kubernetes cluster", sources, "KUBECONFIG")
    now = sources.clock()
    return await observe(
        "kubernetes", f"Kubernetes state of {scope.service or scope.alert.name}", sources,
        lambda seen: _look(seen, scope, kube, now),
    )  # fmt: skip


async def _look(seen: Seen, scope: Scope, kube: Kube, now: datetime) -> None:
    workload = await find(kube, scope, KINDS, seen.ask)
    seen.truncated = bool(workload.namespace.partial)
    near = await dependencies(kube, workload, KINDS, seen.ask)
    alerting = scope.alert.status == "firing"
    for each in (workload, *near):
        found = conditions.findings(each, scope.start, now, alerting=alerting)
        seen.findings += found
        seen.body += _described(each, found, scope.start, now)
    unread: list[str] = []
    beside = await around(kube, workload, now, seen.ask, unread.append)
    seen.findings += beside
    seen.body += [f"  ! {finding.kind}: {finding.statement}" for finding in beside]
    seen.body += [f"  not read: {why}" for why in unread[:3]]
    seen.findings.sort(key=lambda finding: -finding.score)
    seen.summary = _summary(workload, near, seen.findings)


def _summary(workload: Workload, near: Sequence[Workload], findings: Sequence[Finding]) -> str:
    if findings:
        more = f" (and {len(findings) - 1} more findings)" if len(findings) > 1 else ""
        return findings[0].statement + more
    beside = f"; its dependencies {listed([each.name for each in near], 5)} too" if near else ""
    return f"{workload.kind} {_count(workload)}, no failing pod{beside}"


def _count(workload: Workload) -> str:
    spec, status = workload.obj.get("spec") or {}, workload.obj.get("status") or {}
    wanted = spec.get("replicas", status.get("desiredNumberScheduled", 1))
    ready = status.get("availableReplicas", status.get("readyReplicas", status.get("numberAvailable", 0))) or 0
    return f"{workload.namespace.name}/{workload.name}: {ready} of {wanted} replicas available"


def _described(workload: Workload, findings: Sequence[Finding], since: datetime, now: datetime) -> list[str]:
    role = "depends on " if workload.neighbour else ""
    lines = [f"{role}{workload.kind} {_count(workload)}"]
    lines += [f"  ! {finding.kind}: {finding.statement}" for finding in findings]
    if workload.neighbour and not findings:
        return lines
    pods = sorted(workload.pods, key=name_of)
    lines += [f"  pod {_pod(pod, now)}" for pod in pods[:MAX_PODS]]
    if len(pods) > MAX_PODS:
        lines.append(f"  and {len(pods) - MAX_PODS} more pods")
    events = [
        event for event in workload.events if (at := when(event)) and at >= min(since, now - timedelta(minutes=30))
    ]
    lines += [f"  event {_event(event)}" for event in events[-MAX_EVENTS:]]
    return lines


def _pod(pod: dict[str, Any], now: datetime) -> str:
    status = pod.get("status") or {}
    containers = status.get("containerStatuses") or []
    ready = sum(bool(c.get("ready")) for c in containers)
    restarts = sum(int(c.get("restartCount") or 0) for c in containers)
    created = moment((pod.get("metadata") or {}).get("creationTimestamp"))
    age = f"{int((now - created).total_seconds())} s old" if created else "age unknown"
    leaving = ", terminating" if "deletionTimestamp" in (pod.get("metadata") or {}) else ""
    doing = status.get("reason") or next((_doing(c) for c in containers if _doing(c)), "") or status.get("phase", "?")
    return f"{name_of(pod)}: {doing}, ready {ready}/{len(containers)}, {restarts} restarts, {age}{leaving}"


def _doing(container: dict[str, Any]) -> str:
    state = container.get("state") or {}
    return str((state.get("waiting") or state.get("terminated") or {}).get("reason", ""))


def _event(event: dict[str, Any]) -> str:
    at = when(event)
    target = event.get("involvedObject") or {}
    count = int(event.get("count") or 1)
    times = f" (x{count})" if count > 1 else ""
    stamp = f"{at:%H:%M:%S}" if at else "?"
    return f"{stamp} {event.get('reason', '')} {target.get('name', '')}: {str(event.get('message', ''))[:200]}{times}"
