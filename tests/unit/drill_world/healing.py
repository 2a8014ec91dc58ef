"""What heals a drill, written to the practice cluster as Tocsin's typed changes write it; used by the scenario tests."""

from collections.abc import Mapping

from drill.cluster import kinds
from drill.cluster.objects import Kind, Obj, clone
from drill.scenarios.model import Remedy, Scenario
from drill.world import World


def heal(world: World, scenario: Scenario) -> None:
    """Do the right thing: the typed change where there is one, else what the person does; nothing where nothing is to be done."""
    if scenario.right:
        change(world, scenario.right)
    world.drills.apply(scenario.person)


def change(world: World, remedy: Remedy) -> None:
    """Write one typed change."""
    params, store = remedy.params, world.cluster.store
    kind, name = _target(params)
    fresh = clone(store.get(kind, str(params["namespace"]), name))
    if remedy.action == "scale":
        fresh["spec"]["replicas"] = params["replicas"]
    elif remedy.action == "rollout_restart":
        template = fresh["spec"]["template"]
        template.setdefault("metadata", {}).setdefault("annotations", {})["kubectl.kubernetes.io/restartedAt"] = "now"
    elif remedy.action == "rollout_undo":
        fresh["spec"]["template"] = _previous(world, fresh)
    elif remedy.action == "set_resources":
        resources = fresh["spec"]["template"]["spec"]["containers"][0]["resources"]
        resources.setdefault("limits", {})["cpu"] = params["cpu_limit"]
    elif remedy.action == "configmap_key_restore":
        fresh["data"][params["key"]] = params["value"]
    elif remedy.action == "pvc_expand":
        fresh["spec"]["resources"]["requests"]["storage"] = params["size"]
    elif remedy.action == "hpa_bounds":
        fresh["spec"]["maxReplicas"] = params["max_replicas"]
    else:
        raise AssertionError(remedy.action)
    store.update(kind, fresh)


def _target(params: Mapping[str, str | int]) -> tuple[Kind, str]:
    known = {
        "deployment": kinds.DEPLOYMENTS,
        "configmap": kinds.CONFIGMAPS,
        "claim": kinds.CLAIMS,
        "autoscaler": kinds.HPAS,
    }
    return next((kind, str(params[key])) for key, kind in known.items() if key in params)


def _previous(world: World, deployment: Obj) -> Obj:
    meta = deployment["metadata"]
    sets = [rs for rs in world.cluster.store.list(kinds.REPLICASETS, meta["namespace"])
            if any(ref["uid"] == meta["uid"] for ref in rs["metadata"]["ownerReferences"])]  # fmt: skip
    sets.sort(key=lambda rs: int(rs["metadata"]["annotations"]["deployment.kubernetes.io/revision"]))
    template = clone(sets[-2]["spec"]["template"])
    template["metadata"]["labels"].pop("pod-template-hash")
    return template
