"""What changes to Jobs and CronJobs share: reading them, whether a Job failed, and a fresh Job made from a failed one.

Called by cronjob_suspend, cronjob_resume, job_rerun and job_delete of tools.actions.
"""

import hashlib

from tools import targets
from tools.deployments import PROPOSAL, Obj, Refused, copied
from tools.kube import Kube, NotFound
from tools.podspec import fingerprint
from tools.targets import Target

BATCH = "/apis/batch/v1"
RERUN_OF = "tocsin.dev/rerun-of"
# What the Job controller wrote for the old Job's own pods
_OWN = ("controller-uid", "job-name", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name")
_COPIED = (
    "parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "backoffLimitPerIndex", "maxFailedIndexes",
    "completionMode", "podFailurePolicy", "podReplacementPolicy", "ttlSecondsAfterFinished", "template",
)  # fmt: skip


async def read_cron(kube: Kube, namespace: str, name: str) -> tuple[Target, Obj]:
    """Read a CronJob through batch/v1 or, before Kubernetes 1.21, v1beta1; `suspend` is the same in both."""
    target = Target("CronJob", BATCH, "cronjobs", namespace, name)
    try:
        return target, await targets.read(kube, target)
    except NotFound:
        if not await _serves_only_beta(kube):
            raise
    target = Target("CronJob", "/apis/batch/v1beta1", "cronjobs", namespace, name)
    return target, await targets.read(kube, target)


async def _serves_only_beta(kube: Kube) -> bool:
    for version in ("v1", "v1beta1"):
        try:
            resources = (await kube.get(f"/apis/batch/{version}")).get("resources") or []
        except NotFound:
            continue
        if any(row.get("name") == "cronjobs" for row in resources if isinstance(row, dict)):
            return version == "v1beta1"
    raise Refused("this cluster's API has no CronJob, neither in batch/v1 nor in batch/v1beta1")


def job(namespace: str, name: str) -> Target:
    """Return a Job as a target."""
    return Target("Job", BATCH, "jobs", namespace, name)


def suspended(cron: Obj) -> bool:
    """Whether a CronJob starts no new Jobs."""
    return bool(targets.spec_of(cron).get("suspend"))


def cron_facts(cron: Obj) -> dict[str, str]:
    """Return what must still be so: the same CronJob, schedule and state."""
    spec = targets.spec_of(cron)
    return {
        "uid": targets.uid_of(cron),
        "suspended": str(suspended(cron)).lower(),
        "schedule": str(spec.get("schedule", "")),
    }


def outcome(obj: Obj) -> str:
    """Return ``Complete`` or ``Failed`` (with its reason), "" while a Job still runs."""
    for each in targets.status_of(obj).get("conditions") or []:
        if each.get("status") == "True" and each.get("type") in {"Complete", "Failed"}:
            return f"{each['type']} {each.get('reason') or ''}".strip()
    return ""


def failed(obj: Obj) -> bool:
    """Whether the Job has failed for good."""
    return outcome(obj).startswith("Failed")


def facts(obj: Obj) -> dict[str, str]:
    """Return what must still be so: the same Job, failed, with the same template."""
    template = targets.spec_of(obj).get("template") or {}
    return {"uid": targets.uid_of(obj), "outcome": outcome(obj), "template": fingerprint(template)}


def refuse_unfailed(obj: Obj, title: str) -> None:
    """Raise Refused unless the Job has failed."""
    if not failed(obj):
        raise Refused(f"{title} has not failed: it is {outcome(obj) or 'still running'}")


def rerun_name(name: str, proposal_id: str) -> str:
    """Return the new Job's name: the same for the same proposal, so that it cannot be created twice (63 characters at most)."""
    return f"{name[:45].rstrip('-.')}-rerun-{hashlib.sha256(proposal_id.encode()).hexdigest()[:10]}"


def rerun_label(name: str) -> str:
    """Return the label value that finds the reruns of a Job; a longer name than a label takes is hashed."""
    return name if len(name) <= 63 else f"sha256-{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def fresh(old: Obj, proposal_id: str) -> Obj:
    """Return a new Job with the failed one's template, stamped; the controller's own labels and selector left out."""
    meta, spec = old["metadata"], targets.spec_of(old)
    made = copied({key: spec[key] for key in _COPIED if key in spec})
    template_meta = made.get("template", {}).get("metadata") or {}
    for own in _OWN:
        (template_meta.get("labels") or {}).pop(own, None)
    labels = {key: value for key, value in (meta.get("labels") or {}).items() if key not in _OWN}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": rerun_name(str(meta["name"]), proposal_id),
            "namespace": meta["namespace"],
            "labels": labels | {RERUN_OF: rerun_label(str(meta["name"]))},
            "annotations": {PROPOSAL: proposal_id},
        },
        "spec": made,
    }
