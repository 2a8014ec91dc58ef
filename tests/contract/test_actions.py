"""What every module of tools.actions keeps: dropping a file in brings it under these tests."""

import inspect

import pytest
from pydantic import ValidationError

import tools.actions
from tests.unit.tools.fakes import FakeCluster, add_service, kubeconfig, serve, template
from tools.errors import Permanent, TocsinError
from tools.kube import Kube
from tools.records import Plan, Record, Risk, Suggestion
from tools.registry import plugins
from tools.run import actor_verbs, plan_change

PLUGINS = plugins(tools.actions)
EACH = pytest.mark.parametrize("name", PLUGINS)
# Extra parameters beyond namespace and deployment, so that each action has something to do on the sample below.
MORE: dict[str, dict[str, object]] = {"scale": {"replicas": 5}}
SIGNATURES = {
    "plan": ["params", "kube"],
    "apply": ["params", "plan", "kube", "proposal_id"],
    "applied": ["params", "kube", "proposal_id"],
    "verify": ["params", "kube"],
    "undo": ["params", "plan"],
}


@EACH
def test_it_has_every_part(name):
    module = PLUGINS[name]
    assert module.__doc__
    assert isinstance(module.RISK, Risk)
    assert module.RISK > Risk.LOW
    assert module.VERBS
    assert all(len(verb) == 3 for verb in module.VERBS)
    assert set(module.VERBS) <= set(actor_verbs())
    for function, parameters in SIGNATURES.items():
        assert list(inspect.signature(getattr(module, function)).parameters) == parameters
    for function in ("plan", "apply", "applied", "verify"):
        assert inspect.iscoroutinefunction(getattr(module, function))


@EACH
def test_its_parameters_are_strict(name):
    params = PLUGINS[name].Params
    assert issubclass(params, Record)
    good = {"namespace": "shop", "deployment": "checkout"} | MORE.get(name, {})
    params.model_validate(good)
    with pytest.raises(ValidationError):
        params.model_validate(good | {"surprise": 1})
    with pytest.raises(ValidationError):
        params.model_validate({})
    for odd in ("../secrets", "a/b", "", "a?b", "A", "x" * 300, "a\n"):
        with pytest.raises(ValidationError):
            params.model_validate(good | {"namespace": odd})
        with pytest.raises(ValidationError):
            params.model_validate(good | {"deployment": odd})


@EACH
async def test_its_whole_life_on_a_healthy_deployment(name, tmp_path):
    cluster = FakeCluster()
    add_service(cluster, "checkout", [template("checkout", "a:1"), template("checkout", "a:2")])
    module = PLUGINS[name]
    params = module.Params.model_validate({"namespace": "shop", "deployment": "checkout"} | MORE.get(name, {}))
    with serve(cluster) as url:
        kube = Kube(kubeconfig(tmp_path, url), timeout_s=2)
        plan, risk = await plan_change(kube, name, params.model_dump(exclude_none=True))
        assert isinstance(plan, Plan)
        assert plan.line
        assert plan.diff
        assert plan.undo
        assert plan.precondition
        assert risk == module.RISK
        assert cluster.writes == [], "a plan must not write"
        assert await module.applied(params, kube, "P") is False
        assert await module.apply(params, plan, kube, "P")
        assert len(cluster.writes) == 1
        assert await module.applied(params, kube, "P") is True
        judged, why = await module.verify(params, kube)
        assert judged in {True, False, None}
        assert why
        assert isinstance(module.undo(params, plan), Suggestion | None)
        await kube.aclose()


@EACH
@pytest.mark.parametrize(
    "answer",
    [(500, {}), (403, {"message": "no"}), (404, {}), (200, b"<html>"), (200, {}), (200, {"metadata": 3, "spec": 4})],
)
async def test_a_failing_api_server_is_a_named_error(name, answer, tmp_path):
    with serve(lambda *_: answer) as url:
        kube = Kube(kubeconfig(tmp_path, url), timeout_s=2)
        with pytest.raises(TocsinError):
            await plan_change(kube, name, {"namespace": "shop", "deployment": "checkout"} | MORE.get(name, {}))
        await kube.aclose()


@EACH
async def test_a_missing_deployment_is_said(name, tmp_path):
    with serve(FakeCluster()) as url:
        kube = Kube(kubeconfig(tmp_path, url))
        with pytest.raises(Permanent, match="no Deployment shop/gone"):
            await plan_change(kube, name, {"namespace": "shop", "deployment": "gone"} | MORE.get(name, {}))
        await kube.aclose()
