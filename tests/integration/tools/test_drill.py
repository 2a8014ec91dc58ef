"""Evidence and changes against the practice world over its real HTTP APIs: each drill's cause is found, and its fix heals."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

import tools.actions
import tools.evidence
from tools import run
from tools.deployments import TargetChanged
from tools.jaeger import Jaeger
from tools.kube import Forbidden, Kube
from tools.loki import Loki
from tools.prometheus import AlertRule, Prometheus
from tools.records import Alert, Finding, Scope
from tools.registry import plugins
from tools.sources import Sources

pytestmark = pytest.mark.slow
# ruff: noqa: ASYNC110  # the world is another process: its state is polled
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    log = (tmp_path_factory.mktemp("drill") / "log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "drill", "--port", "0"], cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True
    )
    assert process.stdout
    try:
        line = process.stdout.readline()
        assert line, Path(log.name).read_text()
        told = json.loads(line)
        yield told["env"] | {"url": told["url"]}
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()
        log.close()


@pytest.fixture
async def sources(world) -> AsyncIterator[Sources]:
    given = Sources(
        Prometheus(world["PROMETHEUS_URL"]),
        Loki(world["LOKI_URL"]),
        Kube(world["KUBECONFIG"]),
        traces=Jaeger(world["JAEGER_URL"]),
    )
    async with httpx.AsyncClient(base_url=world["url"], timeout=60) as client:
        (await client.post("/drill/reset")).raise_for_status()
    yield given
    for each in (given.prometheus, given.loki, given.kube, given.traces):
        await each.aclose()


@pytest.fixture
async def actor(world) -> AsyncIterator[Kube]:
    kube = Kube(world["TOCSIN_ACTOR_KUBECONFIG"])
    yield kube
    await kube.aclose()


async def firing(sources: Sources) -> list[tuple[AlertRule, dict[str, str]]]:
    rules = await sources.prometheus.rules()
    return [(rule, alert.labels) for rule in rules for alert in rule.alerts if alert.state == "firing"]


async def fire(world, sources: Sources, name: str) -> Scope:
    """Fire the scenario, wait for its alert, and return the scope an investigation would have."""
    async with httpx.AsyncClient(base_url=world["url"], timeout=60) as client:
        (await client.post("/drill/fire", json={"scenario": name})).raise_for_status()
    began = datetime.now(UTC)
    while not (alerts := await firing(sources)):
        await asyncio.sleep(0.2)
    await asyncio.sleep(2)
    rule, labels = alerts[0]
    alert = Alert(
        fingerprint="f", sender="alertmanager", name=rule.name, status="firing", service=labels["service"],
        namespace=labels["namespace"], labels=labels, starts_at=datetime.now(UTC) - timedelta(seconds=2),
    )  # fmt: skip
    return Scope(
        alert=alert, service=alert.service, namespace=alert.namespace, start=began - timedelta(minutes=30),
        end=datetime.now(UTC), logs_start=began - timedelta(minutes=5),
    )  # fmt: skip


async def found(sources: Sources, scope: Scope) -> dict[str, Finding]:
    seen = await asyncio.gather(*(plugin.collect(scope, sources) for plugin in plugins(tools.evidence).values()))
    assert [evidence.error for evidence in seen] == [""] * len(seen)
    # The newest of the best: the practice world remembers the drills before
    best = sorted((finding for evidence in seen for finding in evidence.findings), key=lambda f: (f.score, str(f.at)))
    return {finding.kind: finding for finding in best}


async def change(actor: Kube, action: str, **params: object) -> None:
    params = {"namespace": "shop"} | params
    module = plugins(tools.actions)[action]
    plan, _ = await run.plan_change(actor, action, params)
    typed = module.Params.model_validate(params)
    assert not await module.applied(typed, plan, actor, "P1")
    await module.apply(typed, plan, actor, "P1")
    assert await module.applied(typed, plan, actor, "P1")
    with pytest.raises(TargetChanged):
        await module.apply(typed, plan, actor, "P1")
    while (judged := (await run.verify_change(actor, action, params))[0]) is None:
        await asyncio.sleep(0.3)
    assert judged is True


async def recovered(sources: Sources) -> None:
    while await firing(sources):
        await asyncio.sleep(0.5)


async def test_a_healthy_world_has_nothing_telling(sources):
    now = datetime.now(UTC)
    alert = Alert(
        fingerprint="f", sender="s", name="HighErrorRate", status="resolved", service="frontend", starts_at=now
    )
    scope = Scope(
        alert=alert, service="frontend", namespace="shop", start=now - timedelta(minutes=30), end=now,
        logs_start=now - timedelta(minutes=5),
    )  # fmt: skip
    kinds = await found(sources, scope)
    assert [finding.statement for finding in kinds.values() if finding.score > 0.35] == []


async def test_bad_rollout(world, sources, actor):
    kinds = await found(sources, await fire(world, sources, "bad_rollout"))
    assert kinds["rollout"].data["what"] == "image"
    assert kinds["metric_shift"].data["signal"] == "errors"
    assert kinds["log_template"].data["new"] is True
    assert kinds["alert_value"].data["firing"] is True
    await change(actor, "rollout_undo", deployment=kinds["rollout"].data["deployment"])
    await recovered(sources)


async def test_oom_kill(world, sources, actor):
    kinds = await found(sources, await fire(world, sources, "oom_kill"))
    assert kinds["oom_killed"].data["limit"] == kinds["rollout"].data["after"]
    assert kinds["rollout"].data["what"] == "limits"
    await change(actor, "rollout_undo", deployment=kinds["rollout"].data["deployment"])
    await recovered(sources)


async def test_dependency_down(world, sources, actor):
    scope = await fire(world, sources, "dependency_down")
    kinds = await found(sources, scope)
    assert scope.service == "checkout"
    assert kinds["scaled_to_zero"].service == "payment"
    assert (kinds["scaled"].service, kinds["scaled"].data["to"]) == ("payment", 0)
    assert kinds["dependency_errors"].data["peer"] == "payment"
    assert kinds["log_template"].data["peer"] == "payment"
    await change(actor, "scale", deployment="payment", replicas=kinds["scaled"].data["from"])
    await recovered(sources)


async def test_restart_and_the_limits_of_each_identity(sources, actor):
    await change(actor, "rollout_restart", deployment="frontend")
    with pytest.raises(Forbidden):
        await run.plan_change(sources.kube, "rollout_restart", {"namespace": "shop", "deployment": "frontend"})
    for group, resource, verb in run.actor_verbs():
        kind, _, part = resource.partition("/")
        assert await actor.can_i(verb, group, kind, "shop", part), (verb, resource)
    assert not await sources.kube.can_i("patch", "apps", "deployments", "shop")
