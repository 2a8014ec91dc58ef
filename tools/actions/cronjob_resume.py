"""Resume a suspended CronJob: it starts Jobs by its schedule again (one missed may start at once)."""

from tools import jobs, targets
from tools.deployments import Name, Obj, Refused, refuse_gitops
from tools.kube import Kube
from tools.records import Plan, Record, Risk, Suggestion

RISK = Risk.MEDIUM
VERBS = (("batch", "cronjobs", "get"), ("batch", "cronjobs", "patch"))
PATCH: Obj = {"spec": {"suspend": False}}


class Params(Record):
    """Which CronJob."""

    namespace: Name
    cronjob: Name


async def plan(params: Params, kube: Kube) -> Plan:
    """Check that there is something to do, and show it."""
    target, cron = await jobs.read_cron(kube, params.namespace, params.cronjob)
    refuse_gitops(cron)
    if not jobs.suspended(cron):
        raise Refused(f"{target.title} is not suspended")
    return targets.make_plan(
        target,
        line=f"Resume {target.full_name} ({targets.spec_of(cron).get('schedule', '?')}); a missed run may start at once",
        diff=await targets.dry_run(kube, target, cron, PATCH, "spec"),
        undo="Suspend the CronJob again; a Job started until then goes on.",
        precondition=jobs.cron_facts(cron),
    )


async def apply(params: Params, plan: Plan, kube: Kube, proposal_id: str) -> str:
    """Write it once."""
    target, _ = await jobs.read_cron(kube, params.namespace, params.cronjob)
    return await targets.write(kube, target, plan, jobs.cron_facts, PATCH, proposal_id)


async def applied(params: Params, plan: Plan, kube: Kube, proposal_id: str) -> bool:  # noqa: ARG001  # the stamp tells
    """Whether this proposal's change was written."""
    target, _ = await jobs.read_cron(kube, params.namespace, params.cronjob)
    return await targets.applied(kube, target, proposal_id)


async def verify(params: Params, kube: Kube) -> tuple[bool | None, str]:
    """Whether it is so still."""
    _, cron = await jobs.read_cron(kube, params.namespace, params.cronjob)
    return (
        (True, "the CronJob is active")
        if not jobs.suspended(cron)
        else (False, "somebody suspended the CronJob again in the meantime")
    )


def undo(params: Params, plan: Plan) -> Suggestion | None:  # noqa: ARG001  # the signature every action has
    """Return the opposite change."""
    return Suggestion(
        action="cronjob_suspend", params=params.model_dump(), why="Keeps the CronJob from starting Jobs again."
    )
