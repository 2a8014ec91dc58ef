"""Uncordon a node: new pods may be put on it again."""

from tools import nodes, targets
from tools.deployments import Name, Refused
from tools.kube import Kube
from tools.records import Plan, Record, Risk, Suggestion

RISK = Risk.MEDIUM
CLUSTER = True  # its rights are the cluster's, not a namespace's
VERBS = (("", "nodes", "get"), ("", "nodes", "patch"))


class Params(Record):
    """Which node."""

    node: Name


async def plan(params: Params, kube: Kube) -> Plan:
    """Check that the node is cordoned, and show the change."""
    target = nodes.target(params.node)
    node = await targets.read(kube, target)
    if not nodes.cordoned(node):
        raise Refused(f"{target.title} is not cordoned")
    return targets.make_plan(
        target,
        line=f"Uncordon node {params.node}: new pods may be put on it"
        + ("" if nodes.ready(node) else "; it is NotReady"),
        diff=await targets.dry_run(kube, target, node, nodes.patch(unschedulable=False), "spec"),
        undo="Cordon the node again; pods put there until then stay.",
        precondition=nodes.facts(node),
    )


async def apply(params: Params, plan: Plan, kube: Kube, proposal_id: str) -> str:
    """Uncordon once."""
    change = nodes.patch(unschedulable=False)
    return await targets.write(kube, nodes.target(params.node), plan, nodes.facts, change, proposal_id)


async def applied(params: Params, plan: Plan, kube: Kube, proposal_id: str) -> bool:  # noqa: ARG001  # the stamp tells
    """Whether this proposal's uncordon was written."""
    return await targets.applied(kube, nodes.target(params.node), proposal_id)


async def verify(params: Params, kube: Kube) -> tuple[bool | None, str]:
    """Whether the node takes pods."""
    node = await targets.read(kube, nodes.target(params.node))
    if nodes.cordoned(node):
        return False, "somebody cordoned the node again in the meantime"
    return (True, "the node takes new pods") if nodes.ready(node) else (None, "the node is open but not ready")


def undo(params: Params, plan: Plan) -> Suggestion | None:  # noqa: ARG001  # the signature every action has
    """Return the cordon."""
    return Suggestion(action="cordon", params=params.model_dump(), why="Keeps new pods off the node again.")
