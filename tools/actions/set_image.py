"""Set a container's image to one that ran before in that Deployment; heals a bad image when the rest shall stay."""

from typing import Annotated

from pydantic import Field

from tools import containers, deployments
from tools.containers import ContainerName
from tools.deployments import Name, Obj, Patch, Refused
from tools.kube import Kube
from tools.records import Plan, Record, Risk, Suggestion
from tools.workloads import revision_of

RISK = Risk.MEDIUM
VERBS = deployments.BASE_VERBS
Image = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,511}$")]


class Params(Record):
    """Which Deployment and container ("" for the only one), and the whole image reference, with tag or digest."""

    namespace: Name
    deployment: Name
    container: ContainerName = ""
    image: Image


async def plan(params: Params, kube: Kube) -> Plan:
    """Check that the image ran before, and show the change."""
    obj = await deployments.read(kube, params.namespace, params.deployment)
    deployments.refuse_gitops(obj)
    deployments.refuse_paused(obj)
    place, container = containers.find(obj, params.container)
    before = str(container.get("image", ""))
    if before == params.image:
        raise Refused(f"{params.namespace}/{params.deployment} runs {params.image} already")
    revision = await _revision(params, kube, obj, str(container["name"]))
    diff = await deployments.dry_run(kube, obj, _patch(place, params.image))
    return deployments.make_plan(
        obj,
        line=f"Set container {container['name']} of {params.namespace}/{params.deployment} to {params.image}, as in revision {revision}",
        diff=diff,
        undo=f"Set the image back to {before}.",
        precondition=deployments.facts(obj) | {"image": before},
    )


async def apply(params: Params, plan: Plan, kube: Kube, proposal_id: str) -> str:
    """Set the image once."""
    obj = await deployments.read(kube, params.namespace, params.deployment)
    deployments.compare(plan.precondition, deployments.facts(obj), obj)
    place, container = containers.find(obj, params.container)
    try:
        await _revision(params, kube, obj, str(container["name"]))
    except Refused as exc:
        raise deployments.TargetChanged(str(exc)) from exc
    return await deployments.write(kube, obj, _patch(place, params.image), proposal_id)


async def applied(params: Params, plan: Plan, kube: Kube, proposal_id: str) -> bool:  # noqa: ARG001  # the stamp tells
    """Whether this proposal's image was written."""
    return await deployments.applied(kube, params.namespace, params.deployment, proposal_id)


async def verify(params: Params, kube: Kube) -> tuple[bool | None, str]:
    """Whether all pods run that image and are available."""
    obj = await deployments.read(kube, params.namespace, params.deployment)
    _, container = containers.find(obj, params.container)
    if container.get("image") != params.image:
        return False, f"somebody set the image to {container.get('image')} in the meantime"
    return await deployments.rolled_out(kube, params.namespace, params.deployment)


def undo(params: Params, plan: Plan) -> Suggestion | None:
    """Return the image before, which ran before by now."""
    before = plan.precondition.get("image", "")
    if not before:
        return None
    fields = params.model_dump() | {"image": before}
    return Suggestion(action="set_image", params=fields, why=f"Puts the image back to {before}.")


async def _revision(params: Params, kube: Kube, obj: Obj, container: str) -> int:
    """Return the newest kept revision that ran the image in that container; Refused when none did."""
    sets = await deployments.replica_sets(kube, obj)
    ran = {}
    for replica_set in reversed(sets):
        for each in replica_set["spec"]["template"]["spec"].get("containers") or []:
            if each.get("name") == container:
                ran[str(each.get("image"))] = revision_of(replica_set)
    if params.image not in ran:
        raise Refused(
            f"{params.image} did not run in {params.namespace}/{params.deployment} as far back as its ReplicaSets go; "
            f"these did: {', '.join(ran) or 'none'}"
        )
    return ran[params.image]


def _patch(place: int, image: str) -> Patch:
    return [{"op": "replace", "path": f"/spec/template/spec/containers/{place}/image", "value": image}]
