"""Put the pod template of an earlier revision of a Deployment back, as ``kubectl rollout undo`` does; heals bad releases."""

from tools import deployments
from tools.deployments import Name, Obj, Patch, Refused
from tools.kube import Kube
from tools.podspec import fingerprint, without_hash
from tools.records import Plan, Record, Risk, Suggestion
from tools.workloads import annotations_of, revision_of

RISK = Risk.MEDIUM
VERBS = deployments.BASE_VERBS
CAUSE = "kubernetes.io/change-cause"


class Params(Record):
    """Which Deployment; *to_revision* None means the revision before the current one."""

    namespace: Name
    deployment: Name
    to_revision: int | None = None


async def plan(params: Params, kube: Kube) -> Plan:
    """Find the earlier revision and show what would change."""
    obj = await deployments.read(kube, params.namespace, params.deployment)
    deployments.refuse_gitops(obj)
    deployments.refuse_paused(obj)
    sets = await deployments.replica_sets(kube, obj)
    target = _target(params, obj, sets)
    diff = await deployments.dry_run(kube, obj, _patch(obj, target))
    now, then = revision_of(sets[0]), revision_of(target)
    return deployments.make_plan(
        obj,
        line=f"Roll {params.namespace}/{params.deployment} back from revision {now} to revision {then}",
        diff=diff,
        undo=f"Roll forward to revision {now} again.",
        precondition=_facts(obj, target) | {"current_revision": str(now)},
    )


async def apply(params: Params, plan: Plan, kube: Kube, proposal_id: str) -> str:
    """Put the planned revision's template back, once."""
    obj = await deployments.read(kube, params.namespace, params.deployment)
    deployments.compare(plan.precondition, deployments.facts(obj), obj)
    wanted = plan.precondition.get("revision", "")
    sets = await deployments.replica_sets(kube, obj)
    target = next((rs for rs in sets if str(revision_of(rs)) == wanted), None)
    if target is None:
        raise deployments.TargetChanged(f"revision {wanted} of {params.namespace}/{params.deployment} is gone")
    deployments.compare(plan.precondition, _facts(obj, target), obj)
    return await deployments.write(kube, obj, _patch(obj, target), proposal_id)


async def applied(params: Params, plan: Plan, kube: Kube, proposal_id: str) -> bool:  # noqa: ARG001  # the stamp tells
    """Whether this proposal's rollback was written."""
    return await deployments.applied(kube, params.namespace, params.deployment, proposal_id)


async def verify(params: Params, kube: Kube) -> tuple[bool | None, str]:
    """Whether the rollback's rollout is complete."""
    return await deployments.rolled_out(kube, params.namespace, params.deployment)


def undo(params: Params, plan: Plan) -> Suggestion | None:
    """Return the roll forward to the revision that was current."""
    current = plan.precondition.get("current_revision", "")
    if not current.isdigit():
        return None
    return Suggestion(
        action="rollout_undo",
        params={"namespace": params.namespace, "deployment": params.deployment, "to_revision": int(current)},
        why=f"Brings revision {current} back, which the rollback replaced.",
    )


def _target(params: Params, obj: Obj, sets: list[Obj]) -> Obj:
    """Return the ReplicaSet whose template to put back."""
    name = f"{params.namespace}/{params.deployment}"
    current = fingerprint(without_hash(obj["spec"]["template"]))
    kept = ", ".join(str(revision_of(rs)) for rs in sets) or "none"
    if params.to_revision is not None:
        found = next((rs for rs in sets if revision_of(rs) == params.to_revision), None)
        if found is None:
            raise Refused(f"{name} has no revision {params.to_revision}; kept are {kept} (spec.revisionHistoryLimit)")
    elif len(sets) < 2:
        raise Refused(f"{name} has no earlier revision to go back to; kept are {kept} (spec.revisionHistoryLimit)")
    else:
        found = sets[1]
    if fingerprint(without_hash(found["spec"]["template"])) == current:
        raise Refused(f"{name} already runs the template of revision {revision_of(found)}")
    return found


def _facts(obj: Obj, target: Obj) -> dict[str, str]:
    return deployments.facts(obj) | {
        "revision": str(revision_of(target)),
        "template": fingerprint(without_hash(target["spec"]["template"])),
    }


def _patch(obj: Obj, target: Obj) -> Patch:
    changes: Patch = [{"op": "replace", "path": "/spec/template", "value": without_hash(target["spec"]["template"])}]
    cause = annotations_of(target).get(CAUSE)
    where = f"/metadata/annotations/{deployments.pointer(CAUSE)}"
    if cause and annotations_of(obj):  # kubectl carries the revision's change-cause along, too
        changes.append({"op": "add", "path": where, "value": cause})
    elif CAUSE in annotations_of(obj):
        changes.append({"op": "remove", "path": where})
    return changes
