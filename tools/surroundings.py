"""What surrounds a workload (its ReplicaSets, nodes, claims, quotas, autoscaler, budgets, ingresses, policies), judged by the analyzers.

Used by tools.evidence.kubernetes. Pods, the workload itself and its Services are told by tools.conditions.
"""

import asyncio
import math
from collections.abc import Callable, Iterator
from datetime import datetime

from tools.errors import TocsinError
from tools.inspect import inspect, read_list
from tools.kube import Kube
from tools.objects import Condition, Obj, Objects, dicts, matches, meta, name, number, spec, status
from tools.records import Finding, Scalar
from tools.workloads import Workload

MAX_FINDINGS = 8
KINDS = {
    "persistentvolumeclaims": "/api/v1",
    "resourcequotas": "/api/v1",
    "limitranges": "/api/v1",
    "horizontalpodautoscalers": "/apis/autoscaling/v2",
    "poddisruptionbudgets": "/apis/policy/v1",
    "ingresses": "/apis/networking.k8s.io/v1",
    "networkpolicies": "/apis/networking.k8s.io/v1",
    "endpointslices": "/apis/discovery.k8s.io/v1",
    "certificates": "/apis/cert-manager.io/v1",
    "nodes": "/api/v1",
}
_SCORES = {
    "failed_create": 0.9, "quota_refuses": 0.88, "limit_range_refuses": 0.88, "policy_blocks": 0.88, "node_unreachable": 0.85,
    "node_not_ready": 0.85, "provisioning_failed": 0.8, "claim_lost": 0.9, "nearly_full": 0.75, "hpa_at_maximum": 0.85, "pdb_blocks": 0.2,
    "certificate_expired": 0.95, "last_runs_failed": 0.9, "job_failed": 0.85,
}  # fmt: skip
_USUAL = {"critical": 0.7, "warning": 0.45, "note": 0.05}


async def around(
    kube: Kube, workload: Workload, now: datetime, ask: Callable[[str], str], unread: Callable[[str], None]
) -> list[Finding]:
    """Return what is wrong around *workload*, the most telling first; *unread* is told what could not be read."""
    place = workload.namespace.name
    paths = [f"{base}/namespaces/{place}/{plural}" for plural, base in KINDS.items() if plural != "nodes"]
    paths += [f"/api/v1/nodes/{node}" for node in _nodes(workload)]
    read = await asyncio.gather(*(_one(kube, ask(path), unread) for path in paths))
    items = [obj for _, objs, _ in read for obj in objs]
    lists = {(kind, place) for kind, _, whole in read if kind and whole}
    for plural, kind in (("replicasets", "ReplicaSet"), ("pods", "Pod"), ("services", "Service"), ("events", "Event")):
        items += [{**obj, "kind": kind} for obj in workload.namespace.of(plural)]
    items += [{**obj, "kind": "Job"} for obj in workload.jobs]
    items.append({**workload.obj, "kind": workload.kind})
    objects = Objects(tuple(items), now, clock=True, lists=frozenset(lists))
    near = [each for each in inspect(objects) if each.severity != "note" and _near(each, workload, objects)]
    found = [_finding(each, workload, objects) for each in near]
    return sorted(found, key=lambda finding: -finding.score)[:MAX_FINDINGS]


async def _one(kube: Kube, path: str, unread: Callable[[str], None]) -> tuple[str, list[Obj], bool]:
    try:
        return await read_list(kube, path, unread)
    except TocsinError as exc:  # what surrounds a workload must not cost the workload itself
        unread(str(exc))
        return "", [], False


def _nodes(workload: Workload) -> list[str]:
    return sorted({str(spec(pod)["nodeName"]) for pod in workload.pods if spec(pod).get("nodeName")})[:5]


def _near(each: Condition, workload: Workload, objects: Objects) -> bool:
    """Whether a condition is about something that *workload* uses or is used by."""
    return each.name in set(_names(each.kind, workload, objects))


def _names(kind: str, workload: Workload, objects: Objects) -> Iterator[str]:
    place = workload.namespace.name
    if kind == "ReplicaSet":
        yield from (name(each) for each in workload.replica_sets[:1])
    elif kind == "Node":
        yield from _nodes(workload)
    elif kind in {"ResourceQuota", "LimitRange"}:
        yield from (name(each) for each in objects.in_namespace(kind, place))
    elif kind == "PersistentVolumeClaim":
        volumes = [volume for pod in workload.pods for volume in dicts(spec(pod).get("volumes"))]
        yield from (str((volume.get("persistentVolumeClaim") or {}).get("claimName")) for volume in volumes)
    elif kind == "HorizontalPodAutoscaler":
        hpas = objects.in_namespace(kind, place)
        yield from (name(hpa) for hpa in hpas if (spec(hpa).get("scaleTargetRef") or {}).get("name") == workload.name)
    elif kind in {"CronJob", "Job"}:
        yield from (name(each) for each in (workload.obj, *workload.jobs))
    elif kind == "Certificate":
        yield from _certificates(workload, objects)
    elif kind in {"PodDisruptionBudget", "NetworkPolicy"}:
        yield from _selecting(kind, workload, objects)
    elif kind == "Ingress":
        served = {name(service) for service in workload.services}
        yield from (name(each) for each in objects.in_namespace(kind, place) if served & set(_backends(each)))


def _certificates(workload: Workload, objects: Objects) -> Iterator[str]:
    """Name the Certificates whose secret an ingress of the workload serves with, or its pods mount."""
    place, served = workload.namespace.name, {name(service) for service in workload.services}
    secrets = {
        str(tls.get("secretName"))
        for ingress in objects.in_namespace("Ingress", place)
        if served & set(_backends(ingress))
        for tls in dicts(spec(ingress).get("tls"))
    }
    volumes = [volume for pod in workload.pods for volume in dicts(spec(pod).get("volumes"))]
    secrets |= {str((volume.get("secret") or {}).get("secretName")) for volume in volumes}
    for each in objects.in_namespace("Certificate", place):
        if spec(each).get("secretName") in secrets:
            yield name(each)


def _selecting(kind: str, workload: Workload, objects: Objects) -> Iterator[str]:
    labels = meta(spec(workload.obj).get("template") or {}).get("labels")
    field = "podSelector" if kind == "NetworkPolicy" else "selector"
    for each in objects.in_namespace(kind, workload.namespace.name):
        if matches(spec(each).get(field) or {}, labels):
            yield name(each)


def _backends(ingress: Obj) -> Iterator[str]:
    for rule in dicts(spec(ingress).get("rules")):
        for path in dicts((rule.get("http") or {}).get("paths")):
            yield str(((path.get("backend") or {}).get("service") or {}).get("name"))


def _autoscaler(obj: Obj | None) -> dict[str, Scalar]:
    """Return the autoscaler's name, its maximum, and the replicas that its CPU or memory target asks for now."""
    if obj is None:
        return {}
    inner, state = spec(obj), status(obj)
    goals = {str((m.get("resource") or {}).get("name")): number(((m.get("resource") or {}).get("target") or {}).get("averageUtilization"))
             for m in dicts(inner.get("metrics"))}  # fmt: skip
    wanted = 0
    for metric in dicts(state.get("currentMetrics")):
        resource = metric.get("resource") or {}
        use, goal = (
            number((resource.get("current") or {}).get("averageUtilization")),
            goals.get(str(resource.get("name")), 0),
        )
        wanted = max(wanted, math.ceil(number(state.get("currentReplicas")) * use / goal) if goal else 0)
    return {"autoscaler": name(obj), "maximum": number(inner.get("maxReplicas")), "wanted": wanted or None}


def _finding(each: Condition, workload: Workload, objects: Objects) -> Finding:
    data: dict[str, Scalar] = {"namespace": workload.namespace.name, "object": each.about, "remedy": each.remedy}
    data |= {"deployment": workload.name} if workload.kind == "Deployment" else {}
    data |= (
        _autoscaler(objects.get(each.kind, each.namespace, each.name)) if each.kind == "HorizontalPodAutoscaler" else {}
    )
    data |= {"job": each.name} if each.kind == "Job" else {}
    return Finding(
        kind=each.condition, service=workload.service, statement=f"{each.about}: {each.why}",
        score=_SCORES.get(each.condition, _USUAL[each.severity]), at=each.at, data=data,
    )  # fmt: skip
