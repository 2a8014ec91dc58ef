"""Set the minimum or maximum replicas of a HorizontalPodAutoscaler; heals a service that is held too small or too big."""

from typing import Self

from pydantic import Field, model_validator

from tools import targets
from tools.deployments import Name, Obj, refuse_gitops
from tools.kube import Kube, NotFound
from tools.records import Plan, Record, Risk, Suggestion
from tools.targets import Target

RISK = Risk.MEDIUM
VERBS = (("autoscaling", "horizontalpodautoscalers", "get"), ("autoscaling", "horizontalpodautoscalers", "patch"))
MOST = 1_000  # a slip of the finger, not a plan


class Params(Record):
    """Which autoscaler, and the bounds to set (absent stays)."""

    namespace: Name
    autoscaler: Name
    min_replicas: int | None = Field(default=None, ge=1, le=MOST)
    max_replicas: int | None = Field(default=None, ge=1, le=MOST)

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.min_replicas is None and self.max_replicas is None:
            message = "say min_replicas or max_replicas"
            raise ValueError(message)
        return self


async def plan(params: Params, kube: Kube) -> Plan:
    """Check the bounds with the API server, and show the change."""
    target, obj = await _read(params, kube)
    refuse_gitops(obj)
    of = targets.spec_of(obj).get("scaleTargetRef") or {}
    what = ", ".join(f"{key} {value}" for key, value in _patch(params)["spec"].items())
    return targets.make_plan(
        target,
        line=f"Set {target.full_name}, which scales {of.get('kind', '?')} {of.get('name', '?')}, to {what}",
        diff=await targets.dry_run(kube, target, obj, _patch(params), "spec"),
        undo="Set the bounds back to what they were.",
        precondition=_facts(obj),
    )


async def apply(params: Params, plan: Plan, kube: Kube, proposal_id: str) -> str:
    """Set the bounds once."""
    target, _ = await _read(params, kube)
    return await targets.write(kube, target, plan, _facts, _patch(params), proposal_id)


async def applied(params: Params, plan: Plan, kube: Kube, proposal_id: str) -> bool:  # noqa: ARG001  # the stamp tells
    """Whether this proposal's bounds were written."""
    target, _ = await _read(params, kube)
    return await targets.applied(kube, target, proposal_id)


async def verify(params: Params, kube: Kube) -> tuple[bool | None, str]:
    """Whether the autoscaler keeps within the bounds."""
    _, obj = await _read(params, kube)
    spec = targets.spec_of(obj)
    if any(spec.get(key) != value for key, value in _patch(params)["spec"].items()):
        return False, "somebody set other bounds in the meantime"
    least, most = int(spec.get("minReplicas") or 1), int(spec.get("maxReplicas") or 0)
    now = targets.status_of(obj).get("currentReplicas")
    if now is None or not least <= int(now) <= most:
        return None, f"{now if now is not None else 'no'} replicas; the bounds are {least} to {most}"
    return True, f"{now} replicas, within {least} to {most}"


def undo(params: Params, plan: Plan) -> Suggestion | None:
    """Return the bounds before."""
    least, most = plan.precondition.get("minReplicas", ""), plan.precondition.get("maxReplicas", "")
    if not (least.isdigit() and most.isdigit()):
        return None
    fields = {"namespace": params.namespace, "autoscaler": params.autoscaler}
    bounds = {"min_replicas": int(least), "max_replicas": int(most)}
    return Suggestion(action="hpa_bounds", params=fields | bounds, why=f"Puts the bounds back to {least} and {most}.")


async def _read(params: Params, kube: Kube) -> tuple[Target, Obj]:
    """Read it through autoscaling/v2 or, before Kubernetes 1.23, v1; the two bounds are the same in both."""
    for version in ("v2", "v1"):
        base = f"/apis/autoscaling/{version}"
        name = "horizontalpodautoscalers"
        target = Target("HorizontalPodAutoscaler", base, name, params.namespace, params.autoscaler)
        try:
            return target, await targets.read(kube, target)
        except NotFound:
            continue
    raise NotFound(f"there is no {target.title}")


def _facts(obj: Obj) -> dict[str, str]:
    spec = targets.spec_of(obj)
    of = spec.get("scaleTargetRef") or {}
    bounds = {"minReplicas": str(spec.get("minReplicas") or 1), "maxReplicas": str(spec.get("maxReplicas", ""))}
    return {"uid": targets.uid_of(obj), "scales": f"{of.get('kind', '')} {of.get('name', '')}"} | bounds


def _patch(params: Params) -> Obj:
    bounds = {"minReplicas": params.min_replicas, "maxReplicas": params.max_replicas}
    return {"spec": {key: value for key, value in bounds.items() if value is not None}}
