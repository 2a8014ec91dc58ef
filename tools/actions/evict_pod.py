"""Evict one pod, its PodDisruptionBudget respected; its controller makes a new one, likely on another node."""

from tools import pods, targets
from tools.deployments import Name, Obj, Refused, TargetChanged
from tools.kube import Kube, NotFound
from tools.records import Plan, Record, Risk, Suggestion

RISK = Risk.HIGH
VERBS = (("", "pods", "get"), ("", "pods/eviction", "create"))


class Params(Record):
    """Which pod."""

    namespace: Name
    pod: Name


async def plan(params: Params, kube: Kube) -> Plan:
    """Ask the API server, without evicting, whether it would."""
    target = pods.target(params.namespace, params.pod)
    pod = await targets.read(kube, target)
    pods.refuse_unmanaged(pod, target.title)
    if pod["metadata"].get("deletionTimestamp"):
        raise Refused(f"{target.title} is terminating already")
    await pods.evict(kube, pod, await pods.eviction_version(kube), dry_run=True)
    node = str(targets.spec_of(pod).get("nodeName") or "no node")
    return targets.make_plan(
        target,
        line=f"Evict {target.full_name} from {node}",
        diff=[f"- {target.title} on {node}", f"+ a new pod, made by {pods.owner(pod)}"],
        undo="There is none: an evicted pod does not come back, its controller makes a new one.",
        precondition=_facts(pod),
    )


async def apply(params: Params, plan: Plan, kube: Kube, proposal_id: str) -> str:  # noqa: ARG001  # an eviction carries no stamp
    """Evict that very pod once; Refused with the server's reason when a PodDisruptionBudget forbids it now."""
    target = pods.target(params.namespace, params.pod)
    pod = await targets.read_planned(kube, target)
    targets.compare(plan.precondition, _facts(pod), target)
    version = await pods.eviction_version(kube)
    if not await pods.evict(kube, pod, version, dry_run=False):
        raise TargetChanged(f"{target.title} is gone already")
    return f"{target.title} evicted"


async def applied(params: Params, plan: Plan, kube: Kube, proposal_id: str) -> bool:  # noqa: ARG001  # an eviction carries no stamp
    """Whether the pod was evicted: False while that very pod stands, Unclear when it is gone or going."""
    return await targets.deleted(kube, pods.target(params.namespace, params.pod), plan)


async def verify(params: Params, kube: Kube) -> tuple[bool | None, str]:
    """Whether the pod is gone (or, of a StatefulSet, runs anew)."""
    target = pods.target(params.namespace, params.pod)
    try:
        pod = await targets.read(kube, target)
    except NotFound:
        return True, f"{target.title} is gone"
    if pod["metadata"].get("deletionTimestamp"):
        return None, f"{target.title} is still terminating"
    if pods.controller(pod).get("kind") == "StatefulSet":
        return None, "a pod of that name is there; whether it is the new one is not known here"
    return False, f"{target.title} is still there"


def undo(params: Params, plan: Plan) -> Suggestion | None:  # noqa: ARG001  # the signature every action has
    """Return None: an evicted pod does not come back."""
    return None


def _facts(pod: Obj) -> dict[str, str]:
    node = str(targets.spec_of(pod).get("nodeName") or "")
    going = bool(pod["metadata"].get("deletionTimestamp"))
    return {"uid": targets.uid_of(pod), "node": node, "terminating": str(going).lower()}
