"""Set CPU and memory requests or limits of one container of a Deployment; heals OOM kills and CPU throttling."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from tools import containers, deployments
from tools.containers import ContainerName
from tools.deployments import Name, Obj, Patch
from tools.kube import Kube
from tools.records import Plan, Record, Risk, Suggestion

RISK = Risk.MEDIUM
VERBS = deployments.BASE_VERBS
NONE = "none"
Amount = Annotated[str, Field(pattern=r"^([0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?|none)$", max_length=20)]
FIELDS = (("requests", "cpu"), ("requests", "memory"), ("limits", "cpu"), ("limits", "memory"))


class Params(Record):
    """Which container ("" for the only one), and the amounts to set ("250m", "512Mi"; "none" removes; absent stays)."""

    namespace: Name
    deployment: Name
    container: ContainerName = ""
    cpu_request: Amount | None = None
    memory_request: Amount | None = None
    cpu_limit: Amount | None = None
    memory_limit: Amount | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not _wanted(self):
            message = "say at least one of cpu_request, memory_request, cpu_limit, memory_limit"
            raise ValueError(message)
        return self


async def plan(params: Params, kube: Kube) -> Plan:
    """Check the amounts with the API server, and show the change."""
    obj = await deployments.read(kube, params.namespace, params.deployment)
    deployments.refuse_gitops(obj)
    deployments.refuse_paused(obj)
    place, container = containers.find(obj, params.container)
    diff = await deployments.dry_run(kube, obj, _patch(params, place, container))
    what = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in _wanted(params).items())
    return deployments.make_plan(
        obj,
        line=f"Set container {container['name']} of {params.namespace}/{params.deployment} to {what}; its pods are replaced",
        diff=diff,
        undo="Set the amounts back to what they were.",
        precondition=deployments.facts(obj) | _before(params, container),
    )


async def apply(params: Params, plan: Plan, kube: Kube, proposal_id: str) -> str:
    """Set the amounts once."""
    obj = await deployments.read(kube, params.namespace, params.deployment)
    deployments.compare(plan.precondition, deployments.facts(obj), obj)
    place, container = containers.find(obj, params.container)
    return await deployments.write(kube, obj, _patch(params, place, container), proposal_id)


async def applied(params: Params, plan: Plan, kube: Kube, proposal_id: str) -> bool:  # noqa: ARG001  # the stamp tells
    """Whether this proposal's amounts were written."""
    return await deployments.applied(kube, params.namespace, params.deployment, proposal_id)


async def verify(params: Params, kube: Kube) -> tuple[bool | None, str]:
    """Whether all pods were replaced by ones with these amounts and are available."""
    obj = await deployments.read(kube, params.namespace, params.deployment)
    _, container = containers.find(obj, params.container)
    now, wanted = _before(params, container), _wanted(params)
    if now != wanted:
        return False, f"somebody set other amounts in the meantime: {now}"
    return await deployments.rolled_out(kube, params.namespace, params.deployment)


def undo(params: Params, plan: Plan) -> Suggestion | None:
    """Return the amounts that were there before."""
    before = {name: plan.precondition[name] for name in _wanted(params) if name in plan.precondition}
    kept = {"namespace": params.namespace, "deployment": params.deployment, "container": params.container}
    if not before:
        return None
    return Suggestion(action="set_resources", params=kept | before, why="Puts requests and limits back.")


def _wanted(params: Params) -> dict[str, str]:
    named = {f"{resource}_{part[:-1]}" for part, resource in FIELDS}
    return {name: str(getattr(params, name)) for name in sorted(named) if getattr(params, name) is not None}


def _before(params: Params, container: Obj) -> dict[str, str]:
    resources = container.get("resources") or {}
    found = {f"{res}_{part[:-1]}": str((resources.get(part) or {}).get(res, NONE)) for part, res in FIELDS}
    return {name: found[name] for name in _wanted(params)}


def _patch(params: Params, place: int, container: Obj) -> Patch:
    resources: Obj = deployments.copied(container.get("resources") or {})
    wanted = _wanted(params)
    for part, resource in FIELDS:
        value = wanted.get(f"{resource}_{part[:-1]}")
        if value == NONE:
            (resources.get(part) or {}).pop(resource, None)
        elif value is not None:
            resources[part] = (resources.get(part) or {}) | {resource: value}
    return [{"op": "add", "path": f"/spec/template/spec/containers/{place}/resources", "value": resources}]
