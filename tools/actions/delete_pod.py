"""Delete one stuck pod (crash looping, image not pulled, Terminating for too long) that a controller makes again."""

from datetime import UTC, datetime

from tools import pods, targets
from tools.deployments import Name, Obj, Refused
from tools.kube import Kube, NotFound
from tools.records import Plan, Record, Risk, Suggestion

RISK = Risk.HIGH
VERBS = (("", "pods", "get"), ("", "pods", "delete"))


class Params(Record):
    """Which pod; *force* removes one that is Terminating past its grace period without waiting for its node."""

    namespace: Name
    pod: Name
    force: bool = False


async def plan(params: Params, kube: Kube) -> Plan:
    """Check that the pod is stuck and would be made again."""
    target = pods.target(params.namespace, params.pod)
    pod = await targets.read(kube, target)
    pods.refuse_unmanaged(pod, target.title)
    why = pods.stuck(pod, datetime.now(UTC))
    if not why:
        raise Refused(f"{target.title} is not stuck: deleting a pod that works is not for here")
    _refuse_force(params, pod, why, target.title)
    await targets.dry_delete(kube, target, pod, _options(params))
    return targets.make_plan(
        target,
        line=f"Delete {target.full_name}, which is stuck: {why}"
        + (" (without its node's word)" if params.force else ""),
        diff=[f"- {target.title} ({why})", f"+ a new pod, made by {pods.owner(pod)}"],
        undo="There is none: a deleted pod does not come back, its controller makes a new one.",
        precondition=_facts(pod),
    )


async def apply(params: Params, plan: Plan, kube: Kube, proposal_id: str) -> str:  # noqa: ARG001  # a deletion carries no stamp
    """Delete that very pod once, if it is still stuck."""
    target = pods.target(params.namespace, params.pod)
    return await targets.delete(kube, target, plan, _facts, _options(params))


async def applied(params: Params, plan: Plan, kube: Kube, proposal_id: str) -> bool:  # noqa: ARG001  # a deletion carries no stamp
    """Whether the pod was deleted: False while that very pod stands, Unclear when it is gone or going."""
    return await targets.deleted(kube, pods.target(params.namespace, params.pod), plan)


async def verify(params: Params, kube: Kube) -> tuple[bool | None, str]:
    """Whether the stuck pod is gone."""
    target = pods.target(params.namespace, params.pod)
    try:
        pod = await targets.read(kube, target)
    except NotFound:
        return True, f"{target.title} is gone"
    if pod["metadata"].get("deletionTimestamp"):
        return None, f"{target.title} is still terminating"
    why = pods.stuck(pod, datetime.now(UTC))
    return (None, f"a pod of that name is stuck: {why}") if why else (True, "a pod of that name runs again")


def undo(params: Params, plan: Plan) -> Suggestion | None:  # noqa: ARG001  # the signature every action has
    """Return None: a deleted pod does not come back."""
    return None


def _facts(pod: Obj) -> dict[str, str]:
    stuck = bool(pods.stuck(pod, datetime.now(UTC)))
    going = bool(pod["metadata"].get("deletionTimestamp"))
    return {"uid": targets.uid_of(pod), "stuck": str(stuck).lower(), "terminating": str(going).lower()}


def _options(params: Params) -> Obj:
    return {"gracePeriodSeconds": 0} if params.force else {}


def _refuse_force(params: Params, pod: Obj, why: str, title: str) -> None:
    going = bool(pod["metadata"].get("deletionTimestamp"))
    if going and not params.force:
        raise Refused(f"{title} is {why}: it is deleted already; only force takes it away")
    if params.force and not going:
        raise Refused(f"{title} is not terminating: force is not needed")
    if params.force and pods.controller(pod).get("kind") == "StatefulSet":
        raise Refused(
            f"{title} belongs to a StatefulSet: taken away by force it could run twice; make sure its node is off, by hand"
        )
