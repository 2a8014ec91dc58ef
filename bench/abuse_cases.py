"""The cases of bench/abuse.py: requests as an attacker would send them, over HTTP with and without Slack's signature, and over Socket Mode."""

import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import httpx

from bench.abuse_world import CHANNEL, Target
from bench.stage import TOKEN
from drill.slack.delivery import NotAckedError
from drill.slack.people import TEAM_ID
from drill.slack.posts import signature

Send = Callable[[Target], Awaitable[str]]
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
DEEP = "[" * 100_000


@dataclass(frozen=True)
class Case:
    """One attack; *by_socket*: on the bot in Socket Mode; *label*: it is taken as an alert, and must do no harm."""

    name: str
    send: Send
    by_socket: bool = False
    label: bool = False


async def _post(target: Target, path: str, body: bytes, **headers: str) -> str:
    async with httpx.AsyncClient(timeout=20) as http:
        answer = await http.post(f"{target.replica.url}{path}", content=body, headers=headers)
    return f"{answer.status_code} {answer.text[:100]}"


def _slack(
    body: bytes, *, at: float = 0.0, stamp: str = "", secret: str = "", sign: str = "", kind: str = FORM
) -> Send:
    async def send(target: Target) -> str:
        when = stamp or str(int(time.time() + at))
        signed = sign or signature(secret or target.slack.signing_secret, when, body)
        headers = {"content-type": kind, "x-slack-request-timestamp": when, "x-slack-signature": signed}
        return await _post(target, "/slack/events", body, **headers)

    return send


def _hook(path: str, body: bytes, **headers: str) -> Send:
    async def send(target: Target) -> str:
        return await _post(target, path, body, **{"content-type": JSON, **headers})

    return send


def _payload(target: Target, about: dict[str, Any]) -> dict[str, Any]:
    """Build a press as Slack would send it; *about* alters it."""
    name = about.get("proposal", "open")
    user, channel = about.get("user", "U0DANA"), about.get("channel", CHANNEL)
    thread = about.get("thread", target.threads[name])
    value = about.get("value", target.made[name])
    return {
        "type": "block_actions",
        "user": {"id": user, "team_id": about.get("user_team", TEAM_ID)},
        "team": {"id": about.get("team", TEAM_ID)},
        "channel": {"id": channel},
        "container": {"type": "message", "channel_id": channel, "message_ts": about.get("ts", "2.2"), "thread_ts": thread},
        "message": {"ts": about.get("ts", "2.2"), "thread_ts": thread, "text": ""},
        "trigger_id": "1.2.3",
        "response_url": target.slack.state.response_url(user, channel),
        "actions": [{"action_id": about.get("action_id", "approve"), "block_id": "b", "type": "button", "value": value,
                     "action_ts": "1.1"}],
    }  # fmt: skip


async def _deliver(target: Target, kind: Any, payload: dict[str, Any]) -> str:
    try:
        return str(await target.slack.delivery.ask(kind, payload))
    except NotAckedError as error:
        return str(error)


def _press(**about: Any) -> Send:
    async def send(target: Target) -> str:
        return await _deliver(target, "interactive", _payload(target, about))

    return send


def _form(user: str, metadata: str, team: str = TEAM_ID) -> Send:
    async def send(target: Target) -> str:
        values = {name: {name: {"type": "plain_text_input", "value": "x"}} for name in ("title", "cause", "solution")}
        values["effectiveness"] = {"effectiveness": {"selected_option": {"value": "1.0"}}}  # type: ignore[dict-item]
        view = {"id": "V1", "type": "modal", "callback_id": "keep_lesson", "private_metadata": metadata, "blocks": [],
                "state": {"values": values}}  # fmt: skip
        who = {"id": user, "team_id": team}
        payload = {"type": "view_submission", "user": who, "team": {"id": team}, "view": view, "trigger_id": "1"}
        return await _deliver(target, "interactive", payload)

    return send


def _command(
    text: str, *, user: str = "U0DANA", channel: str = CHANNEL, command: str = "/diagnose", team: str = TEAM_ID
) -> Send:
    async def send(target: Target) -> str:
        payload = {
            "command": command, "text": text, "user_id": user, "team_id": team, "channel_id": channel,
            "trigger_id": str(uuid4()), "response_url": target.slack.state.response_url(user, channel),
        }  # fmt: skip
        return await _deliver(target, "slash_commands", payload)

    return send


def _mention(user: str, team: str = TEAM_ID) -> Send:
    async def send(target: Target) -> str:
        event = {"type": "app_mention", "user": user, "user_team": team, "channel": CHANNEL, "ts": str(time.time()),
                 "text": "<@U0TOCSIN> diagnose checkout", "event_ts": "1.1"}  # fmt: skip
        return await _deliver(target, "events_api", target.slack.delivery.wrap(event))

    return send


def _shortcut(user: str) -> Send:
    async def send(target: Target) -> str:
        payload = _payload(target, {"user": user}) | {"type": "message_action", "callback_id": "diagnose_message"}
        return await _deliver(target, "interactive", payload)

    return send


def _twice(send: Send) -> Send:
    async def again(target: Target) -> str:
        return f"{await send(target)}, {await send(target)}"

    return again


def _suggested(action: str, **params: Any) -> Send:
    """Have a diagnosis suggest this: what a model would do that believes a line in a log."""

    async def send(target: Target) -> str:
        return str(await target.diagnosed(action, params))

    return send


def _alert(**labels: str) -> Send:
    async def send(target: Target) -> str:
        alert = {"status": "firing", "labels": {"alertname": "Slow", "n": str(uuid4()), **labels}, "annotations": {},
                 "startsAt": "2026-11-23T03:00:00Z", "fingerprint": uuid4().hex[:16]}  # fmt: skip
        body = {"version": "4", "status": "firing", "groupKey": str(uuid4()), "groupLabels": {}, "alerts": [alert]}
        return await _post(target, "/webhook/alertmanager", json.dumps(body).encode(), authorization=f"Bearer {TOKEN}")

    return send


PRESSED = urlencode(
    {"payload": json.dumps({"type": "block_actions", "user": {"id": "U0DANA", "team_id": TEAM_ID}})}
).encode()
BIG = b"x" * 2_000_000
BEARER = {"authorization": f"Bearer {TOKEN}"}
SIGNATURES = (
    Case("unsigned", _hook("/slack/events", PRESSED)),
    Case("signed with another secret", _slack(PRESSED, secret="guessed")),
    Case("the signature of another body", _slack(PRESSED, sign=signature("drill-signing-secret", "1", b"other"))),
    Case("an empty signature", _slack(PRESSED, sign="v0=")),
    Case("a signature of another scheme", _slack(PRESSED, sign="v1=" + "0" * 64)),
    Case("replayed after ten minutes", _slack(PRESSED, at=-600)),
    Case("dated ten minutes ahead", _slack(PRESSED, at=600)),
    Case("a timestamp that is no number", _slack(PRESSED, stamp="now")),
    Case("a timestamp in other digits", _slack(PRESSED, stamp="-1")),
    Case("an oversize body", _slack(BIG)),
    Case("deep JSON", _slack(DEEP.encode(), kind=JSON)),
    Case("a body that is no text", _slack(b"\xff\xfe\x00", kind=JSON)),
)
WEBHOOKS = (
    Case("a webhook without its secret", _hook("/webhook/alertmanager", b"{}")),
    Case("a webhook with a wrong secret", _hook("/webhook/alertmanager", b"{}", authorization="Bearer guess")),
    Case("the secret in the query", _hook(f"/webhook/alertmanager?token={TOKEN}", b"{}")),
    Case("an unknown sender", _hook("/webhook/nobody", b"{}", **BEARER)),
    Case("an oversize notification", _hook("/webhook/alertmanager", BIG, **BEARER)),
    Case("a deep notification", _hook("/webhook/alertmanager", DEEP.encode(), **BEARER)),
    Case("a notification that is no object", _hook("/webhook/alertmanager", b"[1, 2]", **BEARER)),
    Case("a number that JSON does not have", _hook("/webhook/generic", b'{"value": NaN}', **BEARER)),
)
PRESSES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("a member who may not approve", {"user": "U0EVE"}),
    ("a guest, named as approver", {"user": "U0GIL"}),
    ("a bot, named as approver", {"user": "U0BOT"}),
    ("a deactivated person, named as approver", {"user": "U0GONE"}),
    ("a partner of another workspace, named as approver", {"user": "U0FAR", "user_team": "T0OTHER"}),
    ("a partner who says to be ours", {"user": "U0FAR"}),
    ("somebody Slack does not know", {"user": "U0NOBODY"}),
    ("another workspace's press", {"team": "T0OTHER"}),
    ("no user", {"user": ""}),
    ("a button copied to another channel", {"channel": "C0GENERAL"}),
    ("a button copied to another thread", {"thread": "1700000000.000001"}),
    ("an expired proposal", {"proposal": "expired"}),
    ("the id of a proposal that never was", {"value": str(uuid4())}),
    ("SQL instead of an id", {"value": "' OR 1=1; DROP TABLE proposals; --"}),
    ("a path instead of an id", {"value": "../../api/v1/secrets"}),
    ("no value", {"value": ""}),
    ("an endless value", {"value": "9" * 5000}),
)
LATER: tuple[tuple[str, dict[str, Any]], ...] = (
    ("a superseded proposal", {"proposal": "superseded"}),
    ("a finished proposal", {"proposal": "done"}),
    ("a rejected proposal", {"proposal": "rejected"}),
    ("another button's action with a proposal's id", {"action_id": "postmortem"}),
    ("evidence of a path", {"action_id": "show_evidence", "value": "1/../../2"}),
    ("an incident's number for a proposal", {"value": "1"}),
)
ASKED = (
    Case("a form with a path for its incident", _form("U0DANA", "../../1")),
    Case("a form with SQL for its incident", _form("U0DANA", "1; DELETE FROM lessons")),
    Case("a guest's form", _form("U0GIL", "1")),
    Case("another workspace's form", _form("U0DANA", "1", team="T0OTHER")),
    Case("a command from an unlisted channel", _command("checkout", channel="C0RANDOM")),
    Case("a silence from an unlisted channel", _command("silence a=b 2h", command="/tocsin", channel="C0GENERAL")),
    Case("a guest's command", _command("checkout", user="U0GIL")),
    Case("another workspace's command", _command("checkout", team="T0OTHER")),
    Case("a service name that walks paths", _command("../../api/v1/namespaces/kube-system/secrets")),
    Case("a service name with PromQL", _command('x"}[1h]) or vector(1) #')),
    Case("a guest's mention", _mention("U0GIL")),
    Case("another workspace's mention", _mention("U0FAR", "T0OTHER")),
    Case("a bot's message menu", _shortcut("U0BOT")),
)
SUGGESTED = (
    Case("a log that has the model run a shell", _suggested("exec", command="rm -rf /")),
    Case("a log that has it delete a namespace", _suggested("delete_namespace", namespace="shop")),
    Case("a namespace that walks paths", _suggested("scale", namespace="../../kube-system", deployment="a", replicas=0)),
    Case("a name with a query", _suggested("rollout_restart", namespace="shop", deployment="a?dryRun=All")),
    Case("a number beyond reason", _suggested("scale", namespace="shop", deployment="checkout", replicas=10**9)),
    Case("a parameter that does not exist", _suggested("scale", namespace="shop", deployment="checkout", replicas=3, force=True)),
    Case("an image that never ran", _suggested("set_image", namespace="shop", deployment="checkout", image="evil/miner:1")),
    Case("a namespace that is not there", _suggested("rollout_restart", namespace="prod", deployment="checkout")),
    Case("a pod that works", _suggested("delete_pod", namespace="shop", pod="checkout-0")),
)  # fmt: skip
LABELS = (
    Case("SQL in labels", _alert(service="x'; DROP TABLE incidents; --"), label=True),
    Case("PromQL in labels", _alert(service='checkout"} or vector(1) #', pod='a",b=~".*'), label=True),
    Case(
        "Slack's markup in labels", _alert(service="<!channel>", summary="<https://evil.example|Approve>"), label=True
    ),
    Case("a path in labels", _alert(service="../../../api/v1/secrets", namespace="../kube-system"), label=True),
)
BY_SOCKET = tuple(Case(f"{name}, by socket", _press(**about), by_socket=True) for name, about in PRESSES)
CASES: tuple[Case, ...] = (
    *SIGNATURES,
    *WEBHOOKS,
    *(Case(name, _press(**about)) for name, about in (*PRESSES, *LATER)),
    *ASKED,
    *SUGGESTED,
    *LABELS,
    *BY_SOCKET,
    Case("a guest's command, by socket", _command("checkout", user="U0GIL"), by_socket=True),
    Case("a form with a path for its incident, by socket", _form("U0DANA", "../../1"), by_socket=True),
    Case("rejected twice by the same body", _twice(_press(action_id="reject"))),
)
