"""Kubernetes objects for the tests of analyzers, small, at a fixed time; times are written as seconds before it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tools.inspect import inspect
from tools.objects import Condition, Objects

NOW = datetime(2026, 11, 23, 20, 0, 0, tzinfo=UTC)
Obj = dict[str, Any]


def ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def obj(
    kind: str,
    name: str,
    *,
    ns: str = "shop",
    age: float = 7200,
    labels: Obj | None = None,
    meta: Obj | None = None,
    **rest: Any,
) -> Obj:
    found = (
        {"name": name, "creationTimestamp": ago(age), "labels": labels or {}}
        | ({"namespace": ns} if ns else {})
        | (meta or {})
    )
    return {"apiVersion": "v1", "kind": kind, "metadata": found, **rest}


def cond(kind: str, status: str, reason: str = "", message: str = "", at: float = 3600) -> Obj:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": ago(at),
        "lastUpdateTime": ago(at),
    }


def pod(
    name: str = "cart-1", *, phase: str = "Running", ready: bool = True, age: float = 7200, state: Obj | None = None, last: Obj | None = None,
    restarts: int = 0, conditions: list[Obj] | None = None, init: Obj | None = None, owner: tuple[str, str] | None = None,
    spec: Obj | None = None, labels: Obj | None = None, meta: Obj | None = None, since: float = 3600, **status: Any,
) -> Obj:  # fmt: skip
    container = {"name": "app", "image": "shop/cart:v2", "ready": ready, "restartCount": restarts,
                 "state": state or {"running": {"startedAt": ago(age)}}, "lastState": last or {}}  # fmt: skip
    owners = {"ownerReferences": [{"kind": owner[0], "name": owner[1], "uid": owner[1]}]} if owner else {}
    told = conditions if conditions is not None else [cond("PodScheduled", "True"), cond("Ready", str(ready), at=since)]
    more = {"initContainerStatuses": [{"name": "init", "image": "i", "restartCount": 0, **init}]} if init else {}
    return obj("Pod", name, age=age, labels=labels or {"app": "cart"}, meta=owners | (meta or {}),
               spec={"containers": [{"name": "app", "resources": {"limits": {"memory": "64Mi"}}}]} | (spec or {}),
               status={"phase": phase, "conditions": told, "containerStatuses": [container]} | more | status)  # fmt: skip


def waiting(reason: str, message: str = "") -> Obj:
    return {"waiting": {"reason": reason, "message": message}}


def ended(reason: str = "Error", code: int = 1, at: float = 60, **more: Any) -> Obj:
    return {"terminated": {"reason": reason, "exitCode": code, "finishedAt": ago(at), **more}}


def event(
    kind: str,
    name: str,
    reason: str,
    message: str,
    *,
    ns: str = "shop",
    count: int = 5,
    at: float = 30,
    type_: str = "Warning",
) -> Obj:
    return obj("Event", f"{name}.{reason}", ns=ns, age=at, reason=reason, message=message, type=type_, count=count, lastTimestamp=ago(at),
               involvedObject={"kind": kind, "namespace": ns, "name": name})  # fmt: skip


def workload(kind: str = "Deployment", name: str = "cart", *, replicas: int | None = 3, available: int = 3, age: float = 7200, updated: int | None = None,
             conditions: list[Obj] | None = None, spec: Obj | None = None, pod_spec: Obj | None = None, generation: int = 2, observed: int = 2,
             meta: Obj | None = None, **status: Any) -> Obj:  # fmt: skip
    have = {"replicas": replicas, "availableReplicas": available, "readyReplicas": available, "observedGeneration": observed,
            "updatedReplicas": replicas if updated is None else updated,
            "conditions": conditions if conditions is not None else [cond("Progressing", "True", "NewReplicaSetAvailable")]}  # fmt: skip
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "app"}]} | (pod_spec or {})}
    return obj(kind, name, age=age, meta={"generation": generation} | (meta or {}), spec={"replicas": replicas, "template": template} | (spec or {}),
               status=have | status)  # fmt: skip


def service(name: str = "cart", **spec: Any) -> Obj:
    return obj("Service", name, spec={"selector": {"app": "cart"}, "ports": [{"port": 80}]} | spec)


def look(*items: Obj, lists: tuple[tuple[str, str], ...] = ()) -> list[Condition]:
    return inspect(Objects(tuple(items), NOW, clock=True, lists=frozenset(lists)))


def problems(*items: Obj) -> set[str]:
    return {each.condition for each in look(*items) if each.severity != "note"}


def notes(*items: Obj) -> set[str]:
    return {each.condition for each in look(*items) if each.severity == "note"}
