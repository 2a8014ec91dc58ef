"""Set the number of replicas of a Deployment; heals a service that was scaled to zero or is too small for its load."""

from pydantic import Field

from tools import deployments
from tools.deployments import Name, Obj, Patch, Refused
from tools.kube import Kube
from tools.records import Plan, Record, Risk, Suggestion

RISK = Risk.MEDIUM
VERBS = (*deployments.BASE_VERBS, ("autoscaling", "horizontalpodautoscalers", "list"))
MOST = 1_000  # a slip of the finger, not a plan


class Params(Record):
    """Which Deployment, and how many replicas it shall have."""

    namespace: Name
    deployment: Name
    replicas: int = Field(ge=0, le=MOST)


async def plan(params: Params, kube: Kube) -> Plan:
    """Check that the number is ours to set, and show the change."""
    obj = await deployments.read(kube, params.namespace, params.deployment)
    deployments.refuse_gitops(obj)
    now = _replicas(obj)
    if now == params.replicas:
        raise Refused(f"{params.namespace}/{params.deployment} has {now} replicas already")
    await deployments.refuse_autoscaled(kube, obj)
    diff = await deployments.dry_run(kube, obj, _patch(obj, params.replicas))
    return deployments.make_plan(
        obj,
        line=f"Scale {params.namespace}/{params.deployment} from {now} to {params.replicas} replicas",
        diff=diff,
        undo=f"Scale back to {now} replicas.",
        precondition=_facts(obj),
    )


async def apply(params: Params, plan: Plan, kube: Kube, proposal_id: str) -> str:
    """Set the number once. It is written on the Deployment, not its /scale, which cannot carry the proposal's stamp."""
    obj = await deployments.read(kube, params.namespace, params.deployment)
    deployments.compare(plan.precondition, _facts(obj), obj)
    return await deployments.write(kube, obj, _patch(obj, params.replicas), proposal_id)


async def applied(params: Params, plan: Plan, kube: Kube, proposal_id: str) -> bool:  # noqa: ARG001  # the stamp tells
    """Whether this proposal's number was written."""
    return await deployments.applied(kube, params.namespace, params.deployment, proposal_id)


async def verify(params: Params, kube: Kube) -> tuple[bool | None, str]:
    """Whether the Deployment has that many available replicas."""
    obj = await deployments.read(kube, params.namespace, params.deployment)
    now = _replicas(obj)
    if now != params.replicas:
        return False, f"somebody set the number of replicas to {now} in the meantime"
    return await deployments.rolled_out(kube, params.namespace, params.deployment)


def undo(params: Params, plan: Plan) -> Suggestion | None:
    """Return the scaling back to the number before."""
    before = plan.precondition.get("replicas", "")
    if not before.isdigit():
        return None
    return Suggestion(
        action="scale",
        params={"namespace": params.namespace, "deployment": params.deployment, "replicas": int(before)},
        why=f"Puts the number of replicas back to {before}.",
    )


def _replicas(obj: Obj) -> int:
    wanted = obj["spec"].get("replicas")
    return 1 if wanted is None else int(wanted)


def _facts(obj: Obj) -> dict[str, str]:
    # What would run matters as much as how many: a rollout since the plan was shown is a reason to ask again.
    return deployments.facts(obj, "replicas", "template", "selector") | {"replicas": str(_replicas(obj))}


def _patch(obj: Obj, replicas: int) -> Patch:
    op = "replace" if "replicas" in obj["spec"] else "add"
    return [{"op": op, "path": "/spec/replicas", "value": replicas}]
