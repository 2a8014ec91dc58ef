"""What every module of tools.actions keeps, on the practice cluster's API; a new file needs a sample below, and is then held."""

import copy
import inspect
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import ValidationError

import tools.actions
from bench.practice import SAMPLES, Practice, actor_kubeconfig
from bench.practice import practice as practice_cluster
from drill.cluster import kinds
from tests.unit.tools.fakes import kubeconfig, serve
from tools.deployments import MANAGER, PROPOSAL, TargetChanged, Unclear
from tools.errors import Permanent, TocsinError
from tools.kube import Kube
from tools.records import Plan, Record, Risk, Suggestion
from tools.registry import plugins
from tools.run import actor_verbs, plan_change, undo_change

PLUGINS = plugins(tools.actions)
EACH = pytest.mark.parametrize("name", PLUGINS)
SIGNATURES = {
    "plan": ["params", "kube"],
    "apply": ["params", "plan", "kube", "proposal_id"],
    "applied": ["params", "plan", "kube", "proposal_id"],
    "verify": ["params", "kube"],
    "undo": ["params", "plan"],
}


@pytest.fixture
async def practice() -> AsyncIterator[Practice]:
    async with practice_cluster() as made:
        yield made


@pytest.fixture
async def actor(practice, tmp_path) -> AsyncIterator[Kube]:
    kube = Kube(actor_kubeconfig(tmp_path, practice))
    yield kube
    await kube.aclose()


def disturb(practice: Practice, name: str) -> None:
    """Change, as somebody else, what the plan of the action relies on."""
    params = practice.params(name)
    if "deployment" in params:
        obj = practice.find("deployments", "shop", "checkout")
        obj["spec"]["template"]["spec"]["containers"][0]["image"] += "-other"
        return practice.change("deployments", obj)
    if "pod" in params or "job" in params:  # another object of the same name
        kind = kinds.PODS if "pod" in params else kinds.JOBS
        obj = copy.deepcopy(practice.cluster.store.delete(kind, "shop", params.get("pod") or params["job"]))
        del obj["metadata"]["uid"]
        practice.cluster.store.create(kind, obj)
        return None
    if "node" in params:
        node = practice.find("nodes", "", "worker-2")
        node["spec"]["unschedulable"] = not node["spec"].get("unschedulable")
        return practice.change("nodes", node)
    for plural, key, part, field, value in (
        ("cronjobs", "cronjob", "spec", "schedule", "1 1 * * *"),
        ("horizontalpodautoscalers", "autoscaler", "spec", "maxReplicas", 7),
        ("persistentvolumeclaims", "claim", "spec", "volumeName", "another"),
        ("configmaps", "configmap", "data", "currency", "USD"),
    ):
        if key in params:
            obj = practice.find(plural, "shop", params[key])
            obj[part][field] = value
            return practice.change(plural, obj)
    raise AssertionError(f"say how {name}'s target changes")


async def planned(practice: Practice, actor: Kube, name: str) -> tuple[Any, Any, Plan]:
    practice.arrange(name)
    module, given = PLUGINS[name], practice.params(name)
    plan, risk = await plan_change(actor, name, given)
    assert risk == module.RISK
    return module, module.Params.model_validate(given), plan


@EACH
def test_it_has_every_part_and_a_sample(name):
    module = PLUGINS[name]
    assert module.__doc__
    assert len(module.__doc__.partition("\n")[0]) <= 140
    assert isinstance(module.RISK, Risk)
    assert module.RISK > Risk.LOW
    assert module.VERBS
    assert all(len(verb) == 3 for verb in module.VERBS)
    assert set(module.VERBS) <= set(actor_verbs())
    assert name in SAMPLES
    for function, parameters in SIGNATURES.items():
        assert list(inspect.signature(getattr(module, function)).parameters) == parameters
    for function in ("plan", "apply", "applied", "verify"):
        assert inspect.iscoroutinefunction(getattr(module, function))


@EACH
def test_its_parameters_are_strict(name):
    params = PLUGINS[name].Params
    assert issubclass(params, Record)
    good = SAMPLES[name] | ({"pod": "a"} if "pod" in SAMPLES[name] else {})
    params.model_validate(good)
    with pytest.raises(ValidationError):
        params.model_validate(good | {"surprise": 1})
    with pytest.raises(ValidationError):
        params.model_validate({})
    for key in {"namespace", "deployment", "pod", "node", "cronjob", "job", "autoscaler", "claim", "configmap"} & set(
        good
    ):
        for odd in ("../secrets", "a/b", "", "a?b", "A", "x" * 300, "a\n"):
            with pytest.raises(ValidationError):
                params.model_validate(good | {key: odd})


@EACH
async def test_a_plan_writes_nothing(name, practice, actor):
    practice.arrange(name)
    before = practice.state()
    _, _, plan = await planned(practice, actor, name)
    assert practice.state() == before
    assert practice.writes() == []
    assert plan.line
    assert plan.diff
    assert plan.undo
    assert plan.precondition["uid"]


@EACH
async def test_its_whole_life_and_no_second_write(name, practice, actor):
    module, params, plan = await planned(practice, actor, name)
    assert await module.applied(params, plan, actor, "P") is False
    before = practice.state()
    assert await module.apply(params, plan, actor, "P")
    assert practice.state() != before
    writes = practice.writes()
    assert len(writes) == 1 if name != "drain_node" else len(writes) > 1
    assert all(f"fieldManager={MANAGER}" in call.query for call in writes if call.method != "DELETE")
    if name in {"delete_pod", "evict_pod", "job_delete"}:  # what is gone carries no stamp
        with pytest.raises(Unclear, match="nothing in the cluster says who"):
            await module.applied(params, plan, actor, "P")
    else:
        assert await module.applied(params, plan, actor, "P") is True
        assert PROPOSAL in practice.state()
    assert await module.applied(params, plan, actor, "Q") is False if found_stamp(name) else True
    after = practice.state()
    try:
        await module.apply(params, plan, actor, "P")
    except TargetChanged:
        pass
    else:
        assert name == "drain_node"  # taken up again, with nothing left to do
    assert practice.state() == after
    judged, why = await module.verify(params, actor)
    assert judged in {True, False, None}
    assert why
    undo = undo_change(name, params.model_dump(exclude_none=True), plan)
    assert isinstance(undo, Suggestion | None)
    if undo is not None:
        PLUGINS[undo.action].Params.model_validate(undo.params)
    elif not plan.undo.startswith("There is none"):
        assert name in {"rollout_restart", "drain_node"}


def found_stamp(name: str) -> bool:
    return name not in {"delete_pod", "evict_pod", "job_delete"}


@EACH
async def test_a_target_that_changed_is_not_written(name, practice, actor):
    module, params, plan = await planned(practice, actor, name)
    disturb(practice, name)
    before = practice.state()
    with pytest.raises(TargetChanged):
        await module.apply(params, plan, actor, "P")
    assert practice.state() == before


@EACH
async def test_it_needs_no_right_beyond_its_verbs(name, practice, actor):
    """Every request it makes is one its VERBS name (the deployed role is made of them)."""
    module, params, plan = await planned(practice, actor, name)
    await module.apply(params, plan, actor, "P")
    asked = {_right(call.method, call.path) for call in practice.calls}
    assert {right for right in asked if right} <= set(module.VERBS)


def _right(method: str, path: str) -> tuple[str, str, str] | None:
    parts = path.removeprefix("/kubernetes").strip("/").split("/")
    group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
    if rest[:1] == ["namespaces"]:
        rest = rest[2:]
    if not rest:
        return None  # discovery
    verb = {"POST": "create", "PATCH": "patch", "DELETE": "delete"}.get(method, "get" if len(rest) > 1 else "list")
    return group, "/".join([rest[0], *rest[2:]]), verb


@EACH
@pytest.mark.parametrize(
    "answer",
    [(500, {}), (403, {"message": "no"}), (404, {}), (200, b"<html>"), (200, {}), (200, {"metadata": 3, "spec": 4})],
)
async def test_a_failing_api_server_is_a_named_error(name, answer, tmp_path):
    with serve(lambda *_: answer) as url:
        kube = Kube(kubeconfig(tmp_path, url), timeout_s=2)
        sample = SAMPLES[name] | ({"pod": "a"} if "pod" in SAMPLES[name] else {})
        with pytest.raises(TocsinError):
            await plan_change(kube, name, sample)
        await kube.aclose()


@EACH
async def test_a_missing_target_is_said(name, practice, actor):
    given = practice.params(name)
    last = next(
        key
        for key in ("deployment", "pod", "node", "cronjob", "job", "autoscaler", "claim", "configmap")
        if key in given
    )
    with pytest.raises(Permanent, match=r"there is no .*gone"):
        await plan_change(actor, name, given | {last: "gone"})
