"""Pause the rollouts of a Deployment, as ``kubectl rollout pause`` does; stops a bad release from spreading further."""

from tools import deployments
from tools.deployments import Name, Patch, Refused
from tools.kube import Kube
from tools.records import Plan, Record, Risk, Suggestion

RISK = Risk.MEDIUM
VERBS = deployments.BASE_VERBS
PATCH: Patch = [{"op": "add", "path": "/spec/paused", "value": True}]


class Params(Record):
    """Which Deployment."""

    namespace: Name
    deployment: Name


async def plan(params: Params, kube: Kube) -> Plan:
    """Check that there is something to do, and show it."""
    obj = await deployments.read(kube, params.namespace, params.deployment)
    deployments.refuse_gitops(obj)
    if obj["spec"].get("paused"):
        raise Refused(f"rollouts of {params.namespace}/{params.deployment} are paused already")
    diff = await deployments.dry_run(kube, obj, PATCH)
    return deployments.make_plan(
        obj,
        line=f"Pause the rollouts of {params.namespace}/{params.deployment}; the pods it has now stay as they are",
        diff=diff,
        undo="Resume the rollouts.",
        precondition=deployments.facts(obj),
    )


async def apply(params: Params, plan: Plan, kube: Kube, proposal_id: str) -> str:
    """Write it once."""
    obj = await deployments.read(kube, params.namespace, params.deployment)
    deployments.compare(plan.precondition, deployments.facts(obj), obj)
    return await deployments.write(kube, obj, PATCH, proposal_id)


async def applied(params: Params, plan: Plan, kube: Kube, proposal_id: str) -> bool:  # noqa: ARG001  # the stamp tells
    """Whether this proposal's change was written."""
    return await deployments.applied(kube, params.namespace, params.deployment, proposal_id)


async def verify(params: Params, kube: Kube) -> tuple[bool | None, str]:
    """Whether rollouts are paused still."""
    obj = await deployments.read(kube, params.namespace, params.deployment)
    if obj["spec"].get("paused"):
        return True, "rollouts are paused"
    return False, "somebody resumed the rollouts in the meantime"


def undo(params: Params, plan: Plan) -> Suggestion | None:  # noqa: ARG001  # the signature every action has
    """Return the opposite change."""
    return Suggestion(action="rollout_resume", params=params.model_dump(), why="Lets the rollouts go on.")
