"""The monitoring analyst: which service an alert is about, which windows to look at, and which neighbour to look at next.

Called by agents/coordinator.py (and, for the model's own looks, by agents/model.py). Pure; time is passed in.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from agents.ports import Limits, Service
from tools.records import Alert, Evidence, Finding, Scope

# Most specific first: a label that names the workload beats one that names a pod of it.
SERVICE_LABELS = (
    "service", "app", "app_kubernetes_io_name", "app.kubernetes.io/name", "deployment", "statefulset", "daemonset",
    "destination_service", "workload", "service_name", "component", "job_name", "job", "container", "container_name",
)  # fmt: skip
NAMESPACE_LABELS = ("namespace", "exported_namespace", "kubernetes_namespace", "destination_service_namespace")
# Values of those labels that name the exporter of a metric, not the service it is about.
EXPORTERS = frozenset({
    "kube-state-metrics", "kubelet", "kubernetes-pods", "kubernetes-service-endpoints", "node-exporter", "cadvisor",
    "kubernetes-cadvisor", "blackbox", "blackbox-exporter", "prometheus", "pushgateway", "alertmanager", "POD",
})  # fmt: skip
POD_SUFFIX = re.compile(r"-[a-f0-9]{8,10}-[a-z0-9]{5}$|-[bcdfghjklmnpqrstvwxz2456789]{5}$|-\d+$")
NAME = re.compile(r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$")
MAX_WINDOW = timedelta(hours=24)
# Conditions that explain a failure by themselves, seen on the object (kubernetes) or in its history (changes).
EXPLAINS = frozenset({
    "oom_killed", "crash_loop", "image_pull", "config_error", "unschedulable", "evicted", "rollout_stuck",
    "no_endpoints", "scaled_to_zero", "rollout", "scaled",
})  # fmt: skip


def service_of(alert: Alert, services: Mapping[str, Service]) -> str:
    """Name the service *alert* is about: a label that names a known service, else the most specific label, else ""."""
    if alert.service:
        return alert.service
    named = [alert.labels[label] for label in SERVICE_LABELS if alert.labels.get(label)]
    pod = alert.labels.get("pod") or alert.labels.get("pod_name") or ""
    if pod:
        named.append(POD_SUFFIX.sub("", pod))
    named = [name.split(".")[0] for name in named if name not in EXPORTERS]
    known = next((name for name in named if name in services), None)
    if known or named:
        return known or named[0]
    words = set(re.findall(r"[a-z0-9][a-z0-9-]+", " ".join([alert.name, *alert.annotations.values()]).lower()))
    return next((name for name in services if name.lower() in words), "")


def namespace_of(alert: Alert, service: str, services: Mapping[str, Service]) -> str:
    """Name the namespace: the alert's own word first, then the policy's."""
    labelled = next((alert.labels[label] for label in NAMESPACE_LABELS if alert.labels.get(label)), "")
    known = services.get(service)
    return alert.namespace or labelled or (known.namespace if known else "")


def scope_for(alert: Alert, now: datetime, services: Mapping[str, Service], limits: Limits) -> Scope:
    """Return what to look at: metrics from 30 min and logs from 5 min before the alert began, up to *now*."""
    began = min(alert.starts_at or now, now)
    service = service_of(alert, services)
    oldest = now - MAX_WINDOW
    return Scope(
        alert=alert,
        service=service,
        namespace=namespace_of(alert, service, services),
        cluster=alert.cluster or alert.labels.get("cluster", ""),
        query=alert.query,
        start=max(began - timedelta(minutes=limits.metrics_minutes), oldest),
        end=now,
        logs_start=max(began - timedelta(minutes=limits.logs_minutes), oldest),
    )


def beside(scope: Scope, service: str, services: Mapping[str, Service], evidence: Sequence[Evidence] = ()) -> Scope:
    """Return the same look at a neighbour: its namespace is the policy's, else what *evidence* says, else the alert's."""
    known = services.get(service)
    told = (str(found.data.get("peer_namespace") or "") for item in evidence for found in item.findings
            if peer_of(found) == service)  # fmt: skip
    namespace = known.namespace if known and known.namespace else next(filter(None, told), scope.namespace)
    return scope.model_copy(update={"service": service, "namespace": namespace, "query": ""})


def window(scope: Scope, service: str, minutes: int, query: str, services: Mapping[str, Service]) -> Scope:
    """Return a look of *minutes* up to now at *service*, for its own alert query or another *query*."""
    start = scope.end - timedelta(minutes=minutes)
    own = scope if service == scope.service else beside(scope, service, services)
    return own.model_copy(update={"start": start, "logs_start": start, "query": query or own.query})


def peers(findings: Iterable[Finding], services: Collection[str]) -> list[str]:
    """Name what the metrics and logs of *services* point at, outside of them, most telling first."""
    scores: dict[str, float] = {}
    for found in findings:
        peer = peer_of(found)
        if peer and peer not in services and (not found.service or found.service in services):
            scores[peer] = max(scores.get(peer, 0.0), found.score)
    return sorted(scores, key=lambda peer: (-scores[peer], peer))


def peer_of(found: Finding) -> str:
    """Return the service that *found* says was being called, without port and domain; "" if it names none."""
    peer = str(found.data.get("peer") or "").removeprefix("http://").removeprefix("https://")
    name = re.split(r"[.:/]", peer, maxsplit=1)[0]
    return name if NAME.match(name) else ""


def neighbours(
    evidence: Sequence[Evidence],
    seen: Collection[str],
    services: Mapping[str, Service],
    limits: Limits,
    leads: Sequence[str] = (),
) -> list[str]:
    """Name the services worth a look next to those *seen*: called by one of them, and not explained by what was found.

    What a finding points at comes first, then *leads*, the neighbours whose raw signals deviate. Without either, declared
    dependencies are looked at, when nothing seen so far shows a cause.
    """
    findings = [found for item in evidence for found in item.findings]
    explained = {found.service for found in findings if found.kind in EXPLAINS}
    pointed = list(dict.fromkeys([*peers(findings, seen), *(name for name in leads if name not in seen)]))
    if not pointed and not explained.intersection(seen):
        declared = [name for service in seen if service in services for name in services[service].depends_on]
        pointed = [name for name in dict.fromkeys(declared) if name not in seen]
    return [name for name in pointed if name not in explained][: limits.neighbours]
