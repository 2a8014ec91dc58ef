"""Every change of tools/actions on a real API server: planned, refused to the reader, made once, verified and taken back."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

import tools.actions
from tests.cluster.place import Place
from tests.cluster.run import Run
from tests.cluster.samples import SAMPLES, WAIT_S, Maker
from tools.deployments import Unclear
from tools.errors import Permanent
from tools.kube import Forbidden, Kube
from tools.records import Plan
from tools.registry import plugins
from tools.run import plan_change, undo_change, verify_change

PLUGINS = plugins(tools.actions)
ENDS = {"delete_pod", "evict_pod", "job_delete"}  # what is gone carries no mark


@pytest.fixture
async def actor(cluster: Place, tmp_path) -> AsyncIterator[Kube]:
    kube = Kube(cluster.actor.kubeconfig(tmp_path / "actor", cluster.namespace), timeout_s=20)
    yield kube
    await kube.aclose()


@pytest.fixture
async def reader(cluster: Place, tmp_path) -> AsyncIterator[Kube]:
    kube = Kube(cluster.reader.kubeconfig(tmp_path / "reader", cluster.namespace), timeout_s=20)
    yield kube
    await kube.aclose()


def missing(module: Any, place: Place) -> str:
    """Which API of the change's rights the server has in no version, "" for none."""
    known = ("v1", "v2", "v1beta1", "v2beta2")
    wanted = {(group, resource) for group, resource, _ in module.VERBS}
    return ", ".join(
        f"{resource} of {group}" for group, resource in sorted(wanted) if not place.serves(group, resource, *known)
    )


async def everything(place: Place) -> dict[str, Any]:
    """What must not change by a plan, by kind and name: specs, data and metadata as people see them."""
    found = {}
    versions = {
        "cronjobs": place.serves("batch", "cronjobs", "v1", "v1beta1"),
        "horizontalpodautoscalers": place.serves("autoscaling", "horizontalpodautoscalers", "v2", "v1"),
    }
    paths = (
        f"/apis/batch/{versions['cronjobs']}/{{}}cronjobs",
        f"/apis/autoscaling/{versions['horizontalpodautoscalers']}/{{}}horizontalpodautoscalers",
        "/apis/apps/v1/{}deployments",
        "/api/v1/{}configmaps",
        "/apis/batch/v1/{}jobs",
        "/api/v1/{}persistentvolumeclaims",
    )
    for path in paths:
        where = path.format(f"namespaces/{place.namespace}/")
        for obj in place.admin.must(place.admin.get(where))["items"]:
            meta = obj["metadata"]
            found[where, meta["name"]] = (obj.get("spec"), obj.get("data"), meta.get("annotations"), meta["uid"])
    for name in place.nodes:
        node = place.admin.must(place.admin.get(f"/api/v1/nodes/{name}"))
        found["nodes", name] = (node["spec"].get("unschedulable"), None, node["metadata"].get("annotations"), "")
    pods = place.admin.must(place.admin.get(f"/api/v1/namespaces/{place.namespace}/pods"))["items"]
    found["pods", ""] = sorted(pod["metadata"]["uid"] for pod in pods if not pod["metadata"].get("deletionTimestamp"))
    return found


async def verified(kube: Kube, name: str, params: dict[str, Any], *, fails: bool = False) -> str:
    end, why = time.monotonic() + WAIT_S, ""
    while time.monotonic() < end:
        judged, why = await verify_change(kube, name, params)
        if judged is not None:
            assert judged is not fails, why
            return why
        await asyncio.sleep(0.1)
    raise AssertionError(f"{name} was not verified within {WAIT_S:g} s: {why}")


async def applied(module: Any, params: Any, plan: Plan, kube: Kube, proposal: str) -> bool | None:
    try:
        return bool(await module.applied(params, plan, kube, proposal))
    except Unclear:
        return None


@pytest.mark.parametrize("name", PLUGINS)
async def test_a_change(name: str, cluster: Place, run: Run, actor: Kube, reader: Kube) -> None:
    module = PLUGINS[name]
    lacking = missing(module, cluster)
    if lacking:
        run.skipped[name] = f"{cluster.version} has no {lacking}"
        pytest.skip(run.skipped[name])
    assert name in SAMPLES, f"{name} needs a sample in tests/cluster/samples.py"
    maker = Maker(cluster, name)
    given = SAMPLES[name](maker)
    params = module.Params.model_validate(given)

    before, proposal = await everything(cluster), f"{name}-once"
    plan, _ = await plan_change(actor, name, given)
    assert await everything(cluster) == before, "a plan leaves nothing"
    assert await applied(module, params, plan, actor, proposal) is not True
    if cluster.guarded:
        with pytest.raises(Forbidden):
            await module.apply(params, plan, reader, proposal)
        assert await everything(cluster) == before, "the reader changes nothing"

    assert await module.apply(params, plan, actor, proposal)
    assert await applied(module, params, plan, actor, proposal) is (None if name in ENDS else True)
    assert await applied(module, params, plan, actor, "another") is not True
    after = await everything(cluster)
    assert after != before
    await _not_twice(name, plan, actor, cluster, params)
    if name == "pvc_expand":
        maker.grow()
    await verified(actor, name, given, fails=name == "job_rerun" and not cluster.stand_in)
    await _taken_back(name, module, given, plan, actor, maker)
    run.changes.append(name)


async def _not_twice(name: str, plan: Plan, actor: Kube, cluster: Place, params: Any) -> None:
    """Called again, it writes nothing; a rollout's pods come and go meanwhile, so they are left aside."""
    before = {key: value for key, value in (await everything(cluster)).items() if key != ("pods", "")}
    try:
        await PLUGINS[name].apply(params, plan, actor, f"{name}-once")
    except Permanent:  # TargetChanged, or that there is nothing left
        pass
    else:
        assert name == "drain_node"  # taken up again, with nothing left to do
    again = {key: value for key, value in (await everything(cluster)).items() if key != ("pods", "")}
    assert again == before


async def _taken_back(name: str, module: Any, given: dict[str, Any], plan: Plan, actor: Kube, maker: Maker) -> None:
    undo = undo_change(name, given, plan)
    if undo is None:
        assert "none" in plan.undo.lower() or name == "rollout_restart", plan.undo
        return
    back, _ = await plan_change(actor, undo.action, undo.params)
    other = PLUGINS[undo.action]
    assert await other.apply(other.Params.model_validate(undo.params), back, actor, f"{name}-back")
    await verified(actor, undo.action, dict(undo.params))
    whole = name != "drain_node"  # its pods stay where they went
    again = await _planned_again(
        actor, name, given, plan, whole=whole
    )  # the change can be made anew: the state before is back
    assert _shown(again, whole=whole) == _shown(plan, whole=whole)


def _shown(plan: Plan, *, whole: bool) -> str:
    return plan.diff if whole else plan.diff.splitlines()[0]


async def _planned_again(actor: Kube, name: str, given: dict[str, Any], before: Plan, *, whole: bool) -> Plan:
    """Plan anew, until controllers have taken away what they had put there (the taint of a cordoned node)."""
    end = time.monotonic() + WAIT_S
    again, _ = await plan_change(actor, name, given)
    while _shown(again, whole=whole) != _shown(before, whole=whole) and time.monotonic() < end:
        await asyncio.sleep(0.2)
        again, _ = await plan_change(actor, name, given)
    return again
