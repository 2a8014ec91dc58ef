"""Restart all pods of a Deployment, one rollout, as ``kubectl rollout restart`` does; heals stuck processes, not bad releases."""

from datetime import UTC, datetime

from tools import deployments
from tools.deployments import Name, Obj, Patch
from tools.kube import Kube
from tools.podspec import RESTARTED
from tools.records import Plan, Record, Risk, Suggestion

RISK = Risk.MEDIUM
VERBS = deployments.BASE_VERBS


class Params(Record):
    """Which Deployment."""

    namespace: Name
    deployment: Name


async def plan(params: Params, kube: Kube) -> Plan:
    """Check that the Deployment can be restarted, and show it."""
    obj = await deployments.read(kube, params.namespace, params.deployment)
    deployments.refuse_gitops(obj)
    deployments.refuse_paused(obj)
    wanted = obj["spec"].get("replicas", 1)
    if wanted == 0:
        raise deployments.Refused(f"{params.namespace}/{params.deployment} has no pod to restart: it is scaled to zero")
    await deployments.dry_run(kube, obj, _patch(obj))
    return deployments.make_plan(
        obj,
        line=f"Restart the {wanted} pods of {params.namespace}/{params.deployment}, a few at a time",
        diff=[f"+ spec.template.metadata.annotations.{RESTARTED}: (the moment of the restart)"],
        undo="Nothing to undo: the pods come back as they were.",
        precondition=deployments.facts(obj),
    )


async def apply(params: Params, plan: Plan, kube: Kube, proposal_id: str) -> str:
    """Restart once."""
    obj = await deployments.read(kube, params.namespace, params.deployment)
    deployments.compare(plan.precondition, deployments.facts(obj), obj)
    return await deployments.write(kube, obj, _patch(obj), proposal_id)


async def applied(params: Params, plan: Plan, kube: Kube, proposal_id: str) -> bool:  # noqa: ARG001  # the stamp tells
    """Whether this proposal's restart was written."""
    return await deployments.applied(kube, params.namespace, params.deployment, proposal_id)


async def verify(params: Params, kube: Kube) -> tuple[bool | None, str]:
    """Whether all pods were replaced and are available."""
    return await deployments.rolled_out(kube, params.namespace, params.deployment)


def undo(params: Params, plan: Plan) -> Suggestion | None:  # noqa: ARG001  # the signature every action has
    """Return None: a restart has no opposite."""
    return None


def _patch(obj: Obj) -> Patch:
    # The clock is read here: the annotation must differ from the last restart's, whenever this one comes to be made.
    return deployments.template_patch(obj, RESTARTED, deployments.stamp(datetime.now(UTC)))
