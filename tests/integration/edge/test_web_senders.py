"""Webhooks of every sender: who gets in by which proof, and that what is accepted was kept first."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from bot.hooks import problem, tokens_of
from bot.metrics import Metrics
from bot.sources import senders
from bot.web import Doors, Part, create_app

NOW = 1_763_900_000
BODY = json.dumps({"title": "disk full", "status": "firing"}).encode()


def standard(key: bytes, body: bytes, at: int = NOW, name: str = "msg_1") -> dict[str, str]:
    """Sign as https://www.standardwebhooks.com says."""
    mac = hmac.new(key, f"{name}.{at}.".encode() + body, hashlib.sha256).digest()
    signature = f"v1,AAAA v1,{base64.b64encode(mac).decode()}"
    return {"webhook-id": name, "webhook-timestamp": str(at), "webhook-signature": signature}


def sign(secret: str, body: bytes) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


async def post(path: str, body: bytes = BODY, at: int = NOW, **headers: str) -> tuple[int, dict[str, Any]]:
    kept: dict[str, Any] = {}

    async def receive(event_id: str, _kind: str, payload: Any) -> bool:
        kept[event_id] = payload
        return True

    async def ready() -> Mapping[str, Part]:
        return {}

    own = tokens_of("pagerduty=pd-secret, sentry=s-secret,grafana=g-secret,uptimerobot=u-secret")
    doors = Doors(receive, ready, Metrics(), lambda: at, "shared", webhook_tokens=own)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app(doors)), base_url="http://t") as client:
        answer = await client.post(path, content=body, headers={"content-type": "application/json"} | headers)
    return answer.status_code, kept


@pytest.mark.parametrize("sender", senders())
async def test_every_sender_has_a_door_that_is_closed_without_a_secret(sender: str) -> None:
    assert await post(f"/webhook/{sender}") == (401, {})
    assert await post(f"/webhook/{sender}?token=shared&token=pd-secret") == (401, {})


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/webhook/generic", {"authorization": "Bearer shared"}),
        ("/webhook/datadog", {"x-tocsin-token": "shared"}),
        ("/webhook/cloudwatch", {"authorization": "Basic c25zOnNoYXJlZA=="}),
        ("/webhook/uptimerobot?token=u-secret", {}),
        ("/webhook/pagerduty", {"x-pagerduty-signature": f"v1=00,v1={sign('pd-secret', BODY)}"}),
        ("/webhook/sentry", {"sentry-hook-signature": sign("s-secret", BODY)}),
        ("/webhook/generic", {"x-hub-signature-256": f"sha256={sign('shared', BODY)}"}),
        ("/webhook/generic", standard(b"shared", BODY)),
        ("/webhook/grafana", {"x-grafana-alerting-signature": sign("g-secret", BODY)}),
        (
            "/webhook/grafana",
            {
                "x-grafana-alerting-signature": sign("g-secret", f"{NOW}:".encode() + BODY),
                "x-grafana-alerting-signature-timestamp": str(NOW),
            },
        ),
    ],
)
async def test_a_proof_opens_the_door_and_the_event_is_kept(path: str, headers: dict[str, str]) -> None:
    status, kept = await post(path, **headers)
    assert status == 202
    (event_id,) = kept
    assert event_id.startswith(path.split("/")[2].split("?", maxsplit=1)[0] + ":")
    assert kept[event_id] == json.loads(BODY)


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/webhook/generic?token=shared", {}),
        ("/webhook/pagerduty", {"authorization": "Bearer shared"}),
        ("/webhook/pagerduty", {"x-pagerduty-signature": f"v1={sign('shared', BODY)}"}),
        ("/webhook/sentry", {"sentry-hook-signature": sign("s-secret", BODY + b" ")}),
        ("/webhook/datadog", {"sentry-hook-signature": sign("shared", BODY)}),
        ("/webhook/generic", {"x-hub-signature-256": f"sha256={sign('other', BODY)}"}),
        ("/webhook/datadog", {"x-hub-signature-256": f"sha256={sign('shared', BODY)}"}),
        ("/webhook/generic", standard(b"other", BODY)),
        ("/webhook/generic", standard(b"shared", BODY + b" ")),
        ("/webhook/generic", standard(b"shared", BODY, NOW - 301)),
        ("/webhook/generic", standard(b"shared", BODY) | {"webhook-id": "msg_2"}),
        ("/webhook/generic", standard(b"shared", BODY) | {"webhook-timestamp": "soon"}),
        ("/webhook/datadog", standard(b"shared", BODY)),
        ("/webhook/generic", {"authorization": "Basic %%%"}),
        (
            "/webhook/grafana",
            {
                "x-grafana-alerting-signature": sign("g-secret", f"{NOW - 301}:".encode() + BODY),
                "x-grafana-alerting-signature-timestamp": str(NOW - 301),
            },
        ),
    ],
)
async def test_a_wrong_proof_is_401(path: str, headers: dict[str, str]) -> None:
    assert await post(path, **headers) == (401, {})


async def test_bodies_other_than_an_object() -> None:
    bearer = {"authorization": "Bearer shared"}
    assert (await post("/webhook/generic", b"{", **bearer))[0] == 400
    assert (await post("/webhook/generic", b"7", **bearer))[0] == 400
    assert list((await post("/webhook/generic", b'[{"a": 1}]', **bearer))[1].values()) == [{"alerts": [{"a": 1}]}]
    form = bearer | {"content-type": "application/x-www-form-urlencoded"}
    assert list((await post("/webhook/generic", b"Name=Shop&Status=Down", **form))[1].values()) == [
        {"Name": "Shop", "Status": "Down"}
    ]


async def test_a_sender_that_is_not_known_is_404() -> None:
    assert (await post("/webhook/nobody", authorization="Bearer shared"))[0] == 404


async def test_a_body_without_a_time_is_another_notification_two_minutes_later_unless_its_sender_numbers_deliveries() -> (
    None
):
    bearer = {"authorization": "Bearer shared"}
    first = await post("/webhook/generic", **bearer)
    assert first == await post("/webhook/generic", at=NOW + 1, **bearer)
    assert first[1].keys() != (await post("/webhook/generic", at=NOW + 120, **bearer))[1].keys()
    numbered = bearer | {"Webhook-Id": "msg_1"}
    assert await post("/webhook/generic", **numbered) == await post("/webhook/generic", at=NOW + 120, **numbered)


@pytest.mark.parametrize(("secret", "wrong"), [("whsec_c2VjcmV0", ""), ("whsec_b3RoZXI=", "bad_webhook_signature")])
async def test_a_secret_as_standard_webhooks_write_it(secret: str, wrong: str) -> None:
    async def body() -> bytes:
        return BODY

    assert await problem("generic", secret, standard(b"secret", BODY), {}, body, NOW) == wrong
