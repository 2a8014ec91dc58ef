"""What changes to nodes share: reading them, cordon and uncordon as a patch, and which pods a drain would move.

Called by cordon, uncordon and drain_node of tools.actions.
"""

from dataclasses import dataclass

from tools import pods, targets
from tools.deployments import Obj, Refused
from tools.kube import Kube
from tools.targets import Target
from tools.workloads import items, name_of

NODES = "/api/v1/nodes"
MOST_PODS = 250  # the usual limit is 110 a node; a drain of more is a plan for people


def target(node: str) -> Target:
    """Return the node as a target."""
    return Target("Node", "/api/v1", "nodes", "", node)


def cordoned(node: Obj) -> bool:
    """Whether no new pod is put on the node."""
    return bool(targets.spec_of(node).get("unschedulable"))


def ready(node: Obj) -> bool:
    """Whether the node says that it is ready."""
    conditions = targets.status_of(node).get("conditions") or []
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


def facts(node: Obj) -> dict[str, str]:
    """Return what must still be so: the same node, and open or closed to new pods as shown."""
    return {"uid": targets.uid_of(node), "cordoned": str(cordoned(node)).lower()}


def patch(*, unschedulable: bool) -> Obj:
    """Return the merge patch; the field's absence is how Kubernetes says that a node is open."""
    return {"spec": {"unschedulable": True if unschedulable else None}}


async def refuse_last(kube: Kube, name: str) -> None:
    """Raise Refused when no other ready node would take new pods."""
    others = [node for node in items(await kube.get(NODES), NODES) if name_of(node) != name]
    if not any(ready(node) and not cordoned(node) for node in others):
        raise Refused(f"Node {name} is the last one that takes pods: they would have nowhere to go")


@dataclass(frozen=True)
class Load:
    """The pods of one node: those a drain *moves*, and (pod, why) of those that *stay* or *stop* it."""

    moves: list[Obj]
    stay: list[tuple[Obj, str]]
    stop: list[tuple[Obj, str]]


async def load(kube: Kube, name: str, *, empty_dir: bool, unmanaged: bool) -> Load:
    """Sort the node's pods as ``kubectl drain`` does; the two flags allow what it calls --delete-emptydir-data and --force."""
    where = "/api/v1/pods"
    sorted_: Load = Load([], [], [])
    for pod in items(await kube.get(where, {"fieldSelector": f"spec.nodeName={name}"}), where):
        why = _stays(pod)
        if why:
            sorted_.stay.append((pod, why))
            continue
        why = "" if pods.finished(pod) else _stops(pod, empty_dir=empty_dir, unmanaged=unmanaged)
        if why:
            sorted_.stop.append((pod, why))
        else:
            sorted_.moves.append(pod)
    return sorted_


def _stays(pod: Obj) -> str:
    if pods.is_mirror(pod):
        return "a static pod of the node"
    if pods.controller(pod).get("kind") == "DaemonSet":
        return "a DaemonSet's pod"
    return "terminating already" if pod["metadata"].get("deletionTimestamp") else ""


def _stops(pod: Obj, *, empty_dir: bool, unmanaged: bool) -> str:
    if not unmanaged and not pods.controller(pod):
        return "no controller would make it again (allow it with evict_unmanaged)"
    volumes = targets.spec_of(pod).get("volumes") or []
    if not empty_dir and any("emptyDir" in volume for volume in volumes):
        return "its emptyDir data would be lost (allow it with evict_empty_dir)"
    return ""


def full_name(pod: Obj) -> str:
    """Return ``shop/checkout-1``."""
    return f"{pod['metadata'].get('namespace', '?')}/{name_of(pod)}"
