"""The doctor: what it says about parts that work, that are wrong, and that are away."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse, PlainTextResponse

from bot.doctor import PARTS, clusters, examine, models, monitoring, policies, stores, workspace
from bot.doctor.check import Check
from bot.settings import Settings, load

ROOT = Path(__file__).parents[3]
AWAY = "http://127.0.0.1:9"
ApiServer = Callable[[set[tuple[str, str, str]]], str]
Endpoint = Callable[[Any], str]


def states(checks: list[Check]) -> dict[str, str]:
    return {check.name: check.state for check in checks}


def told(checks: list[Check], name: str) -> str:
    return " | ".join(f"{check.says} -> {check.remedy}" for check in checks if check.name == name)


def policy(tmp_path: Path, text: str, **environ: str) -> Settings:
    (tmp_path / "tocsin.yaml").write_text(text)
    return load(environ, tmp_path / "tocsin.yaml")


async def test_every_part_speaks_and_says_what_to_do(tmp_path: Path) -> None:
    checks = await examine(load({"HOME": str(tmp_path)}))
    assert {
        "slack": "fail",
        "prometheus": "off",
        "loki": "off",
        "model": "off",
        "redis": "off",
        "postgres": "ok",
    }.items() <= states(checks).items()
    assert all(check.says and (check.remedy or check.state == "ok") for check in checks)
    assert not list(tmp_path.rglob("PG_VERSION")), "the doctor makes no database"  # noqa: ASYNC240 - nothing else runs


async def test_what_is_away_fails_with_the_variable_to_check(tmp_path: Path) -> None:
    settings = load(
        {
            "HOME": str(tmp_path),
            "PROMETHEUS_URL": AWAY,
            "LOKI_URL": AWAY,
            "ALERTMANAGER_URL": AWAY,
            "DATABASE_URL": "postgresql://u:pw-secret@127.0.0.1:9/x",
            "REDIS_URL": "redis://127.0.0.1:9",
            "SLACK_BOT_TOKEN": "xoxb-1",
            "SLACK_APP_TOKEN": "xapp-1",
            "SLACK_API_URL": AWAY,
            "KUBECONFIG": str(tmp_path / "none"),
            "TOCSIN_ACTOR_KUBECONFIG": str(tmp_path / "none"),
            "OPENAI_BASE_URL": AWAY,
            "OPENAI_MODEL": "m",
            "OPENAI_EMBEDDING_MODEL": "e",
        }
    )
    checks = await examine(settings)
    assert {name for name, state in states(checks).items() if state == "fail"} == {
        *(
            "slack",
            "slack events",
            "postgres",
            "prometheus",
            "loki",
            "alertmanager",
            "kubernetes reader",
            "kubernetes actor",
            "model",
            "embeddings",
        ),
    }
    assert states(checks)["redis"] == "warn"
    for name, variable in (
        ("postgres", "DATABASE_URL"),
        ("prometheus", "PROMETHEUS_URL"),
        ("loki", "LOKI_URL"),
        ("model", "OPENAI_BASE_URL"),
    ):
        assert variable in told(checks, name)
    assert "pw-secret" not in str(checks)


async def test_a_part_that_hangs_fails_alone(tmp_path: Path, serve: Callable[..., str]) -> None:
    import asyncio

    from starlette.applications import Starlette
    from starlette.routing import Route

    async def hang(_: object) -> PlainTextResponse:
        await asyncio.sleep(3)
        return PlainTextResponse("late")

    url = serve(Starlette(routes=[Route("/{rest:path}", hang)]))
    checks = await examine(load({"HOME": str(tmp_path), "LOKI_URL": url}), deadline_s=1.0)
    assert states(checks)["loki"] == "fail"
    assert "no answer within 1 s" in told(checks, "loki")
    assert states(checks)["policy"] == "ok"


async def test_postgres_of_ones_own(pg_dsn: str, empty_dsn: str) -> None:
    good = await stores.postgres(load({"DATABASE_URL": pg_dsn}))
    assert states(good) == dict.fromkeys(("postgres", "postgres vector", "postgres pg_trgm", "postgres schema"), "ok")
    empty = await stores.postgres(load({"DATABASE_URL": empty_dsn}))
    assert states(empty) == {
        "postgres": "ok",
        **dict.fromkeys(("postgres vector", "postgres pg_trgm", "postgres schema"), "warn"),
    }
    assert "tocsin migrate" in told(empty, "postgres schema")


async def test_the_reader_reads_and_the_actor_has_exactly_its_verbs(tmp_path: Path, api_server: ApiServer) -> None:
    reader, actor = api_server(set(clusters.READS)), api_server(set(clusters.needed()))
    settings = policy(
        tmp_path, "services: {checkout: {namespace: shop}}", KUBECONFIG=reader, TOCSIN_ACTOR_KUBECONFIG=actor
    )
    assert states(await clusters.reader(settings)) == {"kubernetes reader": "ok"}
    assert states(await clusters.actor(settings)) == {"kubernetes actor": "ok"}


async def test_missing_and_excess_rights_are_named(tmp_path: Path, api_server: ApiServer) -> None:
    reader = api_server({*clusters.READS[1:], ("", "secrets", "get"), ("apps", "deployments", "patch")})
    actor = api_server({("apps", "deployments", "patch"), ("", "pods/exec", "create")})
    settings = policy(tmp_path, "", KUBECONFIG=reader, TOCSIN_ACTOR_KUBECONFIG=actor)
    found = await clusters.reader(settings)
    assert [check.state for check in found] == ["fail", "warn"]
    assert "may not list deployments" in told(found, "kubernetes reader")
    assert "may also get secrets, patch deployments" in told(found, "kubernetes reader")
    found = await clusters.actor(settings)
    assert [check.state for check in found] == ["fail", "warn"]
    assert "get deployments" in told(found, "kubernetes actor")
    assert "may also create pods/exec" in told(found, "kubernetes actor")


async def test_one_identity_for_both_is_warned_about(api_server: ApiServer) -> None:
    both = api_server({*clusters.READS, *clusters.needed()})
    settings = load({"KUBECONFIG": both, "TOCSIN_ACTOR_KUBECONFIG": both})
    assert "patch deployments" in told(await clusters.reader(settings), "kubernetes reader")
    assert "what reads can also change" in told(await clusters.actor(settings), "kubernetes actor")


def completion(*calls: tuple[str, str]) -> dict[str, Any]:
    made = [{"id": "1", "type": "function", "function": {"name": name, "arguments": given}} for name, given in calls]
    message = {"role": "assistant", "content": None if made else "green", "tool_calls": made or None}
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
    }


@pytest.mark.parametrize(
    ("answer", "state", "word"),
    [
        (completion(("report", '{"colour": "green"}')), "ok", "calls tools"),
        (completion(), "warn", "did not call the tool"),
        (completion(("report", "{}")), "warn", "did not call the tool"),
        (completion(("report", "{")), "fail", "not a chat completion"),
        ({"choices": []}, "fail", "not a chat completion"),
        ([], "fail", "m at"),
        (PlainTextResponse("<html>"), "fail", "m at"),
        (JSONResponse({"error": {"message": "Incorrect API key"}}, 401), "fail", "Incorrect API key"),
        (JSONResponse({"error": {"message": "no such model"}}, 404), "fail", "no such model"),
    ],
)
async def test_the_model_is_asked_once_with_a_tool(endpoint: Endpoint, answer: Any, state: str, word: str) -> None:
    settings = load({"OPENAI_BASE_URL": endpoint(answer), "OPENAI_MODEL": "m"})
    (check,) = await models.model(settings)
    assert (check.state, word in check.says) == (state, True), check


async def test_embeddings_are_measured(endpoint: Endpoint) -> None:
    vectors = {
        "object": "list",
        "model": "e",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2, 0.3]}],
    }
    settings = load({"OPENAI_BASE_URL": endpoint(vectors), "OPENAI_EMBEDDING_MODEL": "e"})
    assert told(await models.embeddings(settings), "embeddings").endswith("3 dimensions -> ")
    broken = load({"OPENAI_BASE_URL": endpoint({"data": []}), "OPENAI_EMBEDDING_MODEL": "e"})
    assert states(await models.embeddings(broken)) == {"embeddings": "fail"}


@pytest.mark.parametrize(
    ("text", "environ", "word"),
    [
        ("", {}, "nobody can approve a change: there is no rule"),
        ("services: {a: , b: }\napprovers: {services: {a: [U11]}}", {}, "services.b: nobody can approve"),
        ("approvers: {default: [U11]}", {}, "a CRITICAL change takes two different people and it names 1"),
        ("changes: {rules: [{name: r, changes: [scal], approvers: [U11]}]}", {}, 'did you mean "scale"'),
        ("approvers: {default: [U11]}", {}, "no alert can arrive"),
        ("approvers: {default: [U11]}", {"TOCSIN_WEBHOOK_TOKEN": "t"}, "has no channel to be posted in"),
        ("", {"TOCSIN_WEBHOK_TOKEN": "t"}, "did you mean TOCSIN_WEBHOOK_TOKEN"),
    ],
)
async def test_what_policy_leaves_open(tmp_path: Path, text: str, environ: dict[str, str], word: str) -> None:
    checks = await policies.examine(policy(tmp_path, text, **environ))
    assert any(word in check.says and check.state == "warn" for check in checks), checks


async def test_a_whole_policy_is_fine(tmp_path: Path) -> None:
    whole = policy(tmp_path, "channels: {watch: [alerts]}\napprovers: {default: [U11, U12]}")
    assert states(await policies.examine(whole)) == {"policy": "ok"}


@pytest.mark.slow
async def test_the_practice_workspace_and_its_monitoring_are_fine(practice: dict[str, str]) -> None:
    settings = load(practice, ROOT / "drill" / "tocsin.yaml")
    slack = await workspace.examine(settings)
    assert set(states(slack)) == {"slack", "slack scopes", "slack events", "slack channels", "slack approvers"}
    assert set(states(slack).values()) == {"ok"}, slack
    for part in (monitoring.prometheus, monitoring.loki, clusters.reader):
        checks = await part(settings)
        assert {check.state for check in checks} == {"ok"}, checks


@pytest.mark.slow
async def test_what_is_wrong_in_slack_is_named(practice: dict[str, str], tmp_path: Path) -> None:
    bad = {**practice, "SLACK_BOT_TOKEN": "xoxb-wrong", "SLACK_APP_TOKEN": "xapp-wrong"}
    wrong = await workspace.examine(load(bad))
    assert states(wrong) == {"slack": "fail", "slack events": "fail"}
    assert "invalid_auth" in told(wrong, "slack")
    text = "channels: {watch: [alerts, nowhere]}\napprovers: {default: [S0NOBODY]}"
    named = await workspace.examine(policy(tmp_path, text, **practice))
    assert "nowhere" in told(named, "slack channels")
    assert "S0NOBODY" in told(named, "slack approvers")


def test_the_command_prints_json_and_fails_when_something_fails(tmp_path: Path) -> None:
    env = {key: value for key, value in os.environ.items() if not key.startswith(("TOCSIN_", "SLACK_", "OPENAI_"))}
    done = subprocess.run(
        [sys.executable, "-m", "bot", "doctor", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=env | {"HOME": str(tmp_path)},
    )
    found = json.loads(done.stdout)
    assert done.returncode == 1, done.stderr
    assert {"name", "state", "says", "remedy"} == set(found[0])
    assert {item["name"] for item in found} >= set(PARTS) - {"embeddings"}
