"""Nodes: not ready, under pressure, without network, cordoned, unreachable. Conditions of unknown types are left alone."""

from collections.abc import Iterator

from tools.objects import Condition, Obj, Objects, condition, dicts, found, meta, said, spec
from tools.prometheus import moment

PRESSURE = {
    "MemoryPressure": "find what uses the memory; pods will be evicted",
    "DiskPressure": "free disk space (images, logs, emptyDirs); pods will be evicted",
    "PIDPressure": "find what starts so many processes",
    "NetworkUnavailable": "look at the node's network plug-in",
}
_FRESH_S = 90  # a node joins in about a minute


def analyze(objects: Objects) -> Iterator[Condition]:
    """Return the conditions of every Node."""
    for node in objects.all("Node"):
        yield from _node(node, objects)


def _node(node: Obj, objects: Objects) -> Iterator[Condition]:
    ready = condition(node, "Ready")
    taints = {str(taint.get("key")) for taint in dicts(spec(node).get("taints"))}
    if ready.get("status") == "Unknown" or "node.kubernetes.io/unreachable" in taints:
        yield found(node, "node_unreachable", f"its kubelet does not report: {said(ready, 'unreachable')}",
                    "check that the machine runs and reaches the API server", "critical", moment(ready.get("lastTransitionTime")))  # fmt: skip
    elif ready.get("status") == "False" and not objects.younger(node, _FRESH_S):
        yield found(node, "node_not_ready", f"not ready: {said(ready)}", "look at its kubelet, container runtime and network plug-in",
                    "critical", moment(ready.get("lastTransitionTime")))  # fmt: skip
    for kind, remedy in PRESSURE.items():
        bad = condition(node, kind)
        if bad.get("status") == "True":
            yield found(
                node, _snake(kind), f"{kind}: {said(bad)}", remedy, "critical", moment(bad.get("lastTransitionTime"))
            )
    if spec(node).get("unschedulable") or "node.kubernetes.io/unschedulable" in taints:
        drained = "ToBeDeletedByClusterAutoscaler" in taints or "deletionTimestamp" in meta(node)
        yield found(node, "node_cordoned", "cordoned: it takes no new pods", "uncordon it when the work on it is done",
                    "note" if drained else "warning")  # fmt: skip


def _snake(kind: str) -> str:
    return {"MemoryPressure": "memory_pressure", "DiskPressure": "disk_pressure", "PIDPressure": "pid_pressure"}.get(
        kind, "network_unavailable"
    )
