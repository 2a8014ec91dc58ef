"""The HTTP side with a real Bolt app behind it: what gets in, what is turned away, and what is counted."""

import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult

from bot.delivery import webhook_event_id
from bot.metrics import Metrics
from bot.web import MAX_BODY, Doors, Part, create_app
from tools.errors import Temporary

NOW = int(time.time())  # Bolt checks a request's age against the wall clock too
SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
CAPTURE = Path(__file__).parents[2] / "payloads" / "alertmanager_webhook_firing.json"


@dataclass
class Inbox:
    """Keeps what a real inbox keeps, by event id."""

    kept: dict[str, Any] = field(default_factory=dict)
    down: bool = False

    async def receive(self, event_id: str, kind: str, payload: Any) -> bool:
        if self.down:
            msg = "no database"
            raise Temporary(msg, delay=7)
        json.dumps(payload, allow_nan=False).encode()
        assert "\x00" not in json.dumps(payload, ensure_ascii=False)
        fresh = event_id not in self.kept
        self.kept.setdefault(event_id, (kind, payload))
        return fresh


@dataclass
class World:
    inbox: Inbox
    metrics: Metrics
    parts: dict[str, Part]
    heard: list[str]
    client: httpx.AsyncClient

    def count(self, line: str) -> float:
        return sum(float(row.split()[-1]) for row in self.metrics.text().decode().splitlines() if row.startswith(line))

    async def slack(self, body: bytes, *, age: int = 0, secret: str = SECRET, **headers: str) -> httpx.Response:
        stamp = str(NOW - age)
        signature = "v0=" + hmac.new(secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
        own = {"x-slack-request-timestamp": stamp, "x-slack-signature": signature, "content-type": "application/json"}
        return await self.client.post("/slack/events", content=body, headers=own | headers)


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(
        "slack_sdk.signature.Clock.now", lambda _: NOW
    )  # Bolt checks the age against the wall clock too
    heard: list[str] = []

    async def authorize() -> AuthorizeResult:
        return AuthorizeResult(enterprise_id=None, team_id="T1", bot_token="xoxb-1", bot_id="B1", bot_user_id="UBOT")

    app = AsyncApp(signing_secret=SECRET, authorize=authorize, process_before_response=True)

    @app.event("message")
    async def on_message(event: dict[str, Any]) -> None:
        heard.append(event["text"])

    inbox, metrics, parts = (
        Inbox(),
        Metrics(),
        {"postgres": Part(ok=True, required=True), "redis": Part(ok=False, detail="away")},
    )

    async def ready() -> dict[str, Part]:
        return parts

    doors = Doors(
        inbox.receive, ready, metrics, lambda: NOW, "hook-secret", SECRET, AsyncSlackRequestHandler(app).handle
    )
    transport = httpx.ASGITransport(create_app(doors))
    async with httpx.AsyncClient(transport=transport, base_url="http://tocsin") as client:
        yield World(inbox, metrics, parts, heard, client)


HOOK = {"authorization": "Bearer hook-secret"}
EVENT = json.dumps(
    {
        "type": "event_callback",
        "team_id": "T1",
        "event_id": "Ev1",
        "event": {"type": "message", "text": "hi", "user": "U1", "channel": "C1", "ts": "1"},
    }
).encode()


async def test_a_signed_event_reaches_bolt(world: World) -> None:
    answer = await world.slack(EVENT)
    assert answer.status_code == 200
    assert world.heard == ["hi"]


async def test_url_verification_is_answered(world: World) -> None:
    answer = await world.slack(b'{"type": "url_verification", "challenge": "c1", "token": "t"}')
    assert answer.json() == {"challenge": "c1"}


@pytest.mark.parametrize(
    ("age", "secret", "headers", "reason"),
    [
        (0, "wrong", {}, "bad_signature"),
        (301, SECRET, {}, "stale_timestamp"),
        (-301, SECRET, {}, "stale_timestamp"),
        (0, SECRET, {"x-slack-signature": ""}, "missing_signature"),
        (0, SECRET, {"x-slack-request-timestamp": ""}, "missing_signature"),
        (0, SECRET, {"x-slack-request-timestamp": "soon"}, "bad_timestamp"),
        (0, SECRET, {"x-slack-request-timestamp": "9" * 400}, "bad_timestamp"),
        (0, SECRET, {"x-slack-signature": "v0=zz"}, "bad_signature"),
    ],
)
async def test_an_unproven_request_is_401_and_counted(
    world: World, age: int, secret: str, headers: dict[str, str], reason: str
) -> None:
    answer = await world.slack(EVENT, age=age, secret=secret, **headers)
    assert answer.status_code == 401
    assert "not signed by Slack" in answer.json()["error"]
    assert world.count(f'tocsin_rejected_requests_total{{reason="{reason}"}}') == 1
    assert world.heard == []


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[" * 100_000])
async def test_a_signed_body_that_is_no_json_is_400(world: World, body: bytes) -> None:
    assert (await world.slack(body)).status_code == 400


async def test_no_slack_over_http_in_socket_mode(world: World) -> None:
    async def ready() -> dict[str, Part]:
        return {}

    closed = create_app(Doors(world.inbox.receive, ready, world.metrics, lambda: NOW))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(closed), base_url="http://tocsin") as client:
        assert (await client.post("/slack/events", content=EVENT)).status_code == 404
        assert (await client.post("/webhook/alertmanager", json={}, headers=HOOK)).status_code == 401
        assert (
            await client.post("/webhook/alertmanager", json={}, headers={"authorization": "Bearer "})
        ).status_code == 401


async def test_a_notification_is_kept_once(world: World) -> None:
    payload = json.loads(CAPTURE.read_text())["body"]
    first = await world.client.post("/webhook/alertmanager", json=payload, headers=HOOK)
    again = await world.client.post("/webhook/alertmanager", content=json.dumps(payload, indent=3), headers=HOOK)
    assert (first.status_code, again.status_code) == (202, 200)
    assert list(world.inbox.kept) == [webhook_event_id(payload)]
    assert world.inbox.kept[webhook_event_id(payload)] == ("webhook", payload)
    assert world.count('tocsin_received_total{kind="webhook"}') == 1
    assert world.count('tocsin_duplicates_total{kind="webhook"}') == 1


async def test_the_same_alert_firing_again_later_is_another_event(world: World) -> None:
    payload = json.loads(CAPTURE.read_text())["body"]
    ids = [webhook_event_id(payload)]
    payload["alerts"][0]["startsAt"] = "2026-11-23T19:42:23.972Z"
    ids.append(webhook_event_id(payload))
    payload["alerts"][0]["status"] = "resolved"
    ids.append(webhook_event_id(payload))
    assert len(set(ids)) == 3


@pytest.mark.parametrize(
    "header",
    [{}, {"authorization": "Bearer nope"}, {"authorization": "hook-secret"}, {"authorization": "Basic hook-secret"}],
)
async def test_a_notification_without_the_token_is_401_and_counted(world: World, header: dict[str, str]) -> None:
    answer = await world.client.post("/webhook/alertmanager", json={"alerts": []}, headers=header)
    assert answer.status_code == 401
    assert world.inbox.kept == {}
    assert world.count('tocsin_rejected_requests_total{reason="bad_webhook_token"}') == 1


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"3", b'{"a": NaN}', b"\xff", b'{"a":' * 90_000])
async def test_bad_json_is_400_with_a_sentence_and_never_5xx(world: World, body: bytes) -> None:
    answer = await world.client.post("/webhook/alertmanager", content=body, headers=HOOK)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert world.count('tocsin_rejected_requests_total{reason="bad_json"}') == 1


async def test_a_body_over_the_cap_is_413_even_when_its_length_is_not_told(world: World) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(MAX_BODY // 65536 + 1):
            yield b" " * 65536

    answer = await world.client.post("/webhook/alertmanager", content=chunks(), headers=HOOK)
    assert answer.status_code == 413


async def test_an_inbox_that_is_away_asks_alertmanager_to_come_back(world: World) -> None:
    world.inbox.down = True
    answer = await world.client.post("/webhook/alertmanager", json={"alerts": []}, headers=HOOK)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(
    body=st.binary(max_size=60)
    | st.dictionaries(st.text(max_size=5), st.text(max_size=9) | st.none()).map(lambda d: json.dumps(d).encode())
)
async def test_no_body_brings_the_server_down(world: World, body: bytes) -> None:
    answer = await world.client.post("/webhook/alertmanager", content=body, headers=HOOK)
    assert answer.status_code in (200, 202, 400)


async def test_health_readiness_and_metrics(world: World) -> None:
    assert (await world.client.get("/healthz")).json() == {"ok": True}
    ready = await world.client.get("/readyz")
    assert (ready.status_code, ready.json()["parts"]["redis"]["detail"]) == (200, "away")
    world.parts["postgres"] = Part(ok=False, detail="refused", required=True)
    assert (await world.client.get("/readyz")).status_code == 503
    metrics = await world.client.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'tocsin_up{part="postgres"} 0.0' in metrics.text


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/slack/events", 405), ("GET", "/nothing", 404)])
async def test_other_requests(world: World, method: str, path: str, status: int) -> None:
    assert (await world.client.request(method, path)).status_code == status
