"""Delete a failed Job with its pods; their logs go with them."""

from tools import jobs, targets
from tools.deployments import Name, Obj, refuse_gitops
from tools.kube import Kube, NotFound
from tools.records import Plan, Record, Risk, Suggestion

RISK = Risk.HIGH
VERBS = (("batch", "jobs", "get"), ("batch", "jobs", "delete"))
OPTIONS: Obj = {"propagationPolicy": "Background"}


class Params(Record):
    """Which Job."""

    namespace: Name
    job: Name


async def plan(params: Params, kube: Kube) -> Plan:
    """Check that the Job failed and may be deleted."""
    target = jobs.job(params.namespace, params.job)
    old = await targets.read(kube, target)
    refuse_gitops(old)
    jobs.refuse_unfailed(old, target.title)
    await targets.dry_delete(kube, target, old, OPTIONS)
    return targets.make_plan(
        target,
        line=f"Delete the failed Job {target.full_name} with its pods",
        diff=[f"- {target.title} ({jobs.outcome(old)})", "- its pods and their logs"],
        undo="There is none: a deleted Job and its logs do not come back.",
        precondition=jobs.facts(old),
    )


async def apply(params: Params, plan: Plan, kube: Kube, proposal_id: str) -> str:  # noqa: ARG001  # a deletion carries no stamp
    """Delete that very Job once."""
    return await targets.delete(kube, jobs.job(params.namespace, params.job), plan, jobs.facts, OPTIONS)


async def applied(params: Params, plan: Plan, kube: Kube, proposal_id: str) -> bool:  # noqa: ARG001  # a deletion carries no stamp
    """Whether the Job was deleted: False while that very Job stands, Unclear when it is gone or going."""
    return await targets.deleted(kube, jobs.job(params.namespace, params.job), plan)


async def verify(params: Params, kube: Kube) -> tuple[bool | None, str]:
    """Whether the Job is gone."""
    target = jobs.job(params.namespace, params.job)
    try:
        job = await targets.read(kube, target)
    except NotFound:
        return True, f"{target.title} is gone"
    if job["metadata"].get("deletionTimestamp"):
        return None, f"{target.title} is being deleted"
    return False, f"there is a {target.title}"


def undo(params: Params, plan: Plan) -> Suggestion | None:  # noqa: ARG001  # the signature every action has
    """Return None: a deleted Job does not come back."""
    return None
