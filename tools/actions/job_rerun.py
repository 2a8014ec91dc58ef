"""Run a failed Job again, as a new Job with the same template; the failed one stays for its logs."""

from tools import jobs, targets
from tools.deployments import Name, TargetChanged, marked, refuse_gitops
from tools.kube import Conflict, Kube, NotFound
from tools.records import Plan, Record, Risk, Suggestion
from tools.workloads import items

RISK = Risk.MEDIUM
VERBS = (("batch", "jobs", "get"), ("batch", "jobs", "list"), ("batch", "jobs", "create"))


class Params(Record):
    """Which Job."""

    namespace: Name
    job: Name


async def plan(params: Params, kube: Kube) -> Plan:
    """Check that the Job failed, and let the API server check the new one."""
    target = jobs.job(params.namespace, params.job)
    old = await targets.read(kube, target)
    refuse_gitops(old)
    jobs.refuse_unfailed(old, target.title)
    await kube.post(_collection(params), jobs.fresh(old, "dry-run"), dry_run=True)
    images = [c.get("image", "?") for c in old["spec"]["template"].get("spec", {}).get("containers") or []]
    return targets.make_plan(
        target,
        line=f"Run {target.full_name} again as a new Job; the failed one ({jobs.outcome(old)}) stays",
        diff=[f"+ Job {params.namespace}/{jobs.rerun_name(params.job, '')[:-10]}… with {', '.join(images)}"],
        undo="There is none: what the Job does while it runs cannot be taken back.",
        precondition=jobs.facts(old),
    )


async def apply(params: Params, plan: Plan, kube: Kube, proposal_id: str) -> str:
    """Create the new Job; its name follows from the proposal, so the API server itself refuses a second one."""
    target = jobs.job(params.namespace, params.job)
    old = await targets.read_planned(kube, target)
    targets.compare(plan.precondition, jobs.facts(old), target)
    body = jobs.fresh(old, proposal_id)
    name = body["metadata"]["name"]
    try:
        await kube.post(_collection(params), body, dry_run=False)
    except Conflict as exc:
        raise TargetChanged(f"Job {params.namespace}/{name} exists already; nothing was created") from exc
    return f"Job {params.namespace}/{name} created"


async def applied(params: Params, plan: Plan, kube: Kube, proposal_id: str) -> bool:  # noqa: ARG001  # the stamp tells
    """Whether this proposal's Job was created."""
    made = jobs.job(params.namespace, jobs.rerun_name(params.job, proposal_id))
    try:
        return marked(await targets.read(kube, made), proposal_id)
    except NotFound:
        return False


async def verify(params: Params, kube: Kube) -> tuple[bool | None, str]:
    """Whether the newest rerun is complete."""
    where = _collection(params)
    label = f"{jobs.RERUN_OF}={jobs.rerun_label(params.job)}"
    runs = items(await kube.get(where, {"labelSelector": label}), where)
    if not runs:
        return None, "no rerun is to be seen (it may be cleaned up already)"
    newest = max(runs, key=lambda job: str(job["metadata"].get("creationTimestamp", "")))
    outcome = jobs.outcome(newest)
    verdict = None if not outcome else not jobs.failed(newest)
    return verdict, f"Job {newest['metadata'].get('name')} is {outcome or 'running'}"


def undo(params: Params, plan: Plan) -> Suggestion | None:  # noqa: ARG001  # the signature every action has
    """Return None: what a Job did stays done."""
    return None


def _collection(params: Params) -> str:
    return f"{jobs.BATCH}/namespaces/{params.namespace}/jobs"
