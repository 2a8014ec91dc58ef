"""Cordon a node: no new pod is put on it, what runs there stays."""

from tools import nodes, targets
from tools.deployments import Name, Refused
from tools.kube import Kube
from tools.records import Plan, Record, Risk, Suggestion

RISK = Risk.MEDIUM
CLUSTER = True  # its rights are the cluster's, not a namespace's
VERBS = (("", "nodes", "get"), ("", "nodes", "list"), ("", "nodes", "patch"))


class Params(Record):
    """Which node."""

    node: Name


async def plan(params: Params, kube: Kube) -> Plan:
    """Check that other nodes take pods, and show the change."""
    target = nodes.target(params.node)
    node = await targets.read(kube, target)
    if nodes.cordoned(node):
        raise Refused(f"{target.title} is cordoned already")
    await nodes.refuse_last(kube, params.node)
    return targets.make_plan(
        target,
        line=f"Cordon node {params.node}: no new pod is put on it",
        diff=await targets.dry_run(kube, target, node, nodes.patch(unschedulable=True), "spec"),
        undo="Uncordon the node.",
        precondition=nodes.facts(node),
    )


async def apply(params: Params, plan: Plan, kube: Kube, proposal_id: str) -> str:
    """Cordon once."""
    change = nodes.patch(unschedulable=True)
    return await targets.write(kube, nodes.target(params.node), plan, nodes.facts, change, proposal_id)


async def applied(params: Params, plan: Plan, kube: Kube, proposal_id: str) -> bool:  # noqa: ARG001  # the stamp tells
    """Whether this proposal's cordon was written."""
    return await targets.applied(kube, nodes.target(params.node), proposal_id)


async def verify(params: Params, kube: Kube) -> tuple[bool | None, str]:
    """Whether the node is cordoned still."""
    if nodes.cordoned(await targets.read(kube, nodes.target(params.node))):
        return True, "the node takes no new pods"
    return False, "somebody uncordoned the node in the meantime"


def undo(params: Params, plan: Plan) -> Suggestion | None:  # noqa: ARG001  # the signature every action has
    """Return the uncordon."""
    return Suggestion(action="uncordon", params=params.model_dump(), why="Lets new pods onto the node again.")
