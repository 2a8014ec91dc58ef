"""What changed around a workload: the cluster's nodes and its own autoscaler; read by tools.evidence.changes."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from tools.history import Event, place
from tools.kube import Kube, NotFound
from tools.objects import condition, dicts, event_message, event_target, event_time, meta, name, spec, status
from tools.prometheus import moment
from tools.records import Scalar
from tools.workloads import Workload, items

Obj = dict[str, Any]
NODE_REASONS = {
    "NodeNotReady": ("became not ready", 0.85), "NodeReady": ("became ready", 0.3), "Rebooted": ("was rebooted", 0.8),
    "RegisteredNode": ("joined the cluster", 0.3), "RemovingNode": ("left the cluster", 0.6),
    "NodeNotSchedulable": ("was cordoned", 0.4), "NodeSchedulable": ("was uncordoned", 0.1),
    "Starting": ("restarted its kubelet", 0.5), "TerminatingEvictedPod": ("evicted pods", 0.7),
}  # fmt: skip


async def node_changes(kube: Kube, workload: Workload, ask: Callable[[str], str]) -> list[Event]:
    """Return what happened to the cluster's nodes; what happened to those that the workload runs on weighs more."""
    path = ask("/api/v1/nodes")
    nodes = {name(node): node for node in items(await kube.get(path, {"limit": "1000"}), path)}
    mine = {str(spec(pod).get("nodeName") or "") for pod in workload.pods}
    query = {"fieldSelector": "involvedObject.kind=Node", "limit": "500"}
    where = ask("/api/v1/namespaces/default/events?fieldSelector=involvedObject.kind=Node")
    events = [
        e for e in items(await kube.get(where.partition("?")[0], query), where) if event_target(e).get("kind") == "Node"
    ]
    found: dict[tuple[str, str], Event] = {}
    for happened in [*_from_states(nodes), *_from_events(events)]:
        called, what, at, worth = happened
        kept = found.get((called, what))
        if kept is None or (kept.at and at > kept.at):
            near = 1.0 if called in mine or called not in nodes else 0.4
            found[called, what] = _node(workload, called, what, at, worth * near, here=called in mine)
    return list(found.values())


def _node(workload: Workload, called: str, what: str, at: datetime, worth: float, *, here: bool) -> Event:
    runs = f", where {workload.name} runs," if here else ""
    data: dict[str, Scalar] = place(workload) | {"node": called, "what": what, "runs_here": here}
    return Event("node_changed", workload.service, f"Node {called}{runs} {what} {{when}}", at, worth, data)


def _from_states(nodes: dict[str, Obj]) -> Iterator[tuple[str, str, datetime, float]]:
    """Yield what the nodes' own states date: their making, readiness, pressure and taints."""
    for called, node in nodes.items():
        if made := moment(meta(node).get("creationTimestamp")):
            yield called, "joined the cluster", made, 0.3
        ready = condition(node, "Ready")
        since = moment(ready.get("lastTransitionTime"))
        if since and ready.get("status") != "True":
            yield called, "became not ready", since, 0.85
        for kind, told in (("MemoryPressure", "ran low on memory"), ("DiskPressure", "ran low on disk")):
            pressed = condition(node, kind)
            if pressed.get("status") == "True" and (at := moment(pressed.get("lastTransitionTime"))):
                yield called, told, at, 0.8
        for taint in dicts(spec(node).get("taints")):
            if taint.get("key") == "node.kubernetes.io/unschedulable" and (at := moment(taint.get("timeAdded"))):
                yield called, "was cordoned", at, 0.4
        version = (status(node).get("nodeInfo") or {}).get("kubeletVersion")
        for entry in dicts(meta(node).get("managedFields")):
            info = ((entry.get("fieldsV1") or {}).get("f:status") or {}).get("f:nodeInfo") or {}
            at = moment(entry.get("time"))
            # A kubelet owns its version from the moment it registers; a later write of that very field is an upgrade.
            if at and "f:kubeletVersion" in info and set(info) <= {"f:kubeletVersion", "f:kubeProxyVersion"}:
                yield called, f"changed its kubelet to {version}", at, 0.5


def _from_events(events: Iterable[Obj]) -> Iterator[tuple[str, str, datetime, float]]:
    for event in events:
        known, at = NODE_REASONS.get(str(event.get("reason") or "")), event_time(event)
        called = str(event_target(event).get("name") or "")
        if (
            known
            and at
            and called
            and not (event.get("reason") == "Starting" and "kubelet" not in event_message(event))
        ):
            yield called, known[0], at, known[1]


async def autoscaler_moves(kube: Kube, workload: Workload, ask: Callable[[str], str]) -> list[Event]:
    """Return what the workload's HorizontalPodAutoscaler did: its events, else its status' last move."""
    for version in ("v2", "v1"):  # v2 came with Kubernetes 1.23
        path = f"/apis/autoscaling/{version}/namespaces/{workload.namespace.name}/horizontalpodautoscalers"
        try:
            scalers = items(await kube.get(path, {"limit": "1000"}), path)
        except NotFound:
            continue
        ask(path)
        break
    else:
        return []
    mine = [each for each in scalers if _targets(each, workload)]
    return [move for scaler in mine for move in _moves(scaler, workload)]


def _targets(scaler: Obj, workload: Workload) -> bool:
    target = spec(scaler).get("scaleTargetRef") or {}
    return target.get("name") == workload.name and target.get("kind") == workload.kind


def _moves(scaler: Obj, workload: Workload) -> Iterator[Event]:
    said_of = [
        (at, event_message(event))
        for event in workload.namespace.of("events")
        if event_target(event).get("kind") == "HorizontalPodAutoscaler" and event_target(event).get("name") == name(scaler)
        and event.get("reason") == "SuccessfulRescale" and (at := event_time(event))
    ]  # fmt: skip
    if not said_of and (last := moment(status(scaler).get("lastScaleTime"))):
        said_of = [(last, f"New size: {status(scaler).get('desiredReplicas')}")]
    limit = spec(scaler).get("maxReplicas")
    for at, message in said_of[-3:]:
        clean = message.replace("{", "(").replace("}", ")")
        full = ", its maximum" if f"New size: {limit};" in f"{message};" else ""
        data: dict[str, Scalar] = place(workload) | {"autoscaler": name(scaler), "message": clean, "maximum": limit}
        said = f"The autoscaler of {workload.name} moved {{when}}: {clean}{full}"
        yield Event("autoscaled", workload.service, said, at, 0.35 if not full else 0.5, data)
