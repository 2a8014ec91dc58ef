"""Resume the paused rollouts of a Deployment, as ``kubectl rollout resume`` does; a waiting change rolls out at once."""

from tools import deployments
from tools.deployments import Name, Patch, Refused
from tools.kube import Kube
from tools.records import Plan, Record, Risk, Suggestion

RISK = Risk.MEDIUM
VERBS = deployments.BASE_VERBS
PATCH: Patch = [{"op": "remove", "path": "/spec/paused"}]


class Params(Record):
    """Which Deployment."""

    namespace: Name
    deployment: Name


async def plan(params: Params, kube: Kube) -> Plan:
    """Check that there is something to do, and show it."""
    obj = await deployments.read(kube, params.namespace, params.deployment)
    deployments.refuse_gitops(obj)
    if not obj["spec"].get("paused"):
        raise Refused(f"rollouts of {params.namespace}/{params.deployment} are not paused")
    diff = await deployments.dry_run(kube, obj, PATCH)
    return deployments.make_plan(
        obj,
        line=f"Resume the rollouts of {params.namespace}/{params.deployment}; what was changed meanwhile rolls out at once",
        diff=diff,
        undo="Pause the rollouts again; pods replaced until then stay replaced.",
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
    """Whether rollouts go on and what was waiting is rolled out."""
    obj = await deployments.read(kube, params.namespace, params.deployment)
    if obj["spec"].get("paused"):
        return False, "somebody paused the rollouts again in the meantime"
    return await deployments.rolled_out(kube, params.namespace, params.deployment)


def undo(params: Params, plan: Plan) -> Suggestion | None:  # noqa: ARG001  # the signature every action has
    """Return the opposite change."""
    return Suggestion(action="rollout_pause", params=params.model_dump(), why="Stops the rollouts again.")
