"""Tocsin over HTTP: Slack's requests, the senders' webhooks, and what operators look at.

bot/compose.py builds it with `create_app` and serves it with uvicorn. What cannot be trusted is turned away with a 4xx,
a sentence and a count, before anything is parsed; what is accepted is in the inbox before the answer leaves.
"""

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bot import hooks
from bot.delivery import webhook_event_id
from bot.metrics import CONTENT_TYPE, Metrics
from bot.parsing import clean
from bot.sources import senders
from tools.errors import Temporary

MAX_BODY = 1024 * 1024  # bytes; a notification of 500 alerts is about 600 kB, Slack's requests stay below 100 kB
MAX_AGE_S = 300  # how old a Slack request may be: the figure Slack's documentation gives

Receive = Callable[[str, str, Any], Awaitable[bool]]
SlackHandler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Part:
    """One dependency's state: whether it works, in words, and whether Tocsin can serve without it."""

    ok: bool
    detail: str = ""
    required: bool = False


Ready = Callable[[], Awaitable[Mapping[str, Part]]]


def _uncounted(door: str, reason: str) -> None:
    """Stand in where nobody keeps refusals for the record (bot/refusals.py does)."""


@dataclass(frozen=True)
class Doors:
    """What the HTTP side is connected to.

    *receive(event_id, kind, payload)* returns once the payload is durable, False when that id was there already.
    *slack* is None in Socket Mode; *webhook_tokens* are secrets of single
    senders, *webhook_token* is that of the others; without either a webhook is closed. *now* is Unix time in seconds.
    """

    receive: Receive
    ready: Ready
    metrics: Metrics
    now: Callable[[], float]
    webhook_token: str = ""
    signing_secret: str = ""
    slack: SlackHandler | None = None
    webhook_tokens: Mapping[str, str] = field(default_factory=dict)
    refused: Callable[[str, str], None] = _uncounted


def create_app(doors: Doors) -> Starlette:
    """Make the ASGI application."""
    return Starlette(
        routes=[
            Route("/slack/events", partial(_slack, doors), methods=["POST"]),
            Route("/webhook/{sender}", partial(_webhook, doors), methods=["POST"]),
            Route("/healthz", _healthz),
            Route("/readyz", partial(_readyz, doors)),
            Route("/metrics", partial(_metrics, doors)),
        ],
        exception_handlers={HTTPException: _refusal},
    )


async def _slack(doors: Doors, request: Request) -> Response:
    if doors.slack is None:
        _refuse(
            doors, 404, "slack_off", "Slack is served over Socket Mode here; set TOCSIN_SLACK_MODE=http to change it."
        )
    body = await _body(doors, request)
    problem = _signature_problem(doors, request, body)
    if problem:
        _refuse(
            doors, 401, problem, "This request is not signed by Slack with this app's signing secret, or is too old."
        )
    try:
        text = body.decode()
        if request.headers.get("content-type", "").startswith("application/json"):
            json.loads(text)
    except (ValueError, RecursionError):
        _refuse(doors, 400, "bad_body", "The body is not what Slack sends.")

    async def replay() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return await doors.slack(Request(request.scope, replay))


def _signature_problem(doors: Doors, request: Request, body: bytes) -> str:
    """Return "" for a good signature, else the name of what is wrong with it."""
    timestamp = request.headers.get("x-slack-request-timestamp", "")
    signature = request.headers.get("x-slack-signature", "")
    if not timestamp or not signature:
        return "missing_signature"
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 16):
        return "bad_timestamp"
    if abs(doors.now() - int(timestamp)) > MAX_AGE_S:
        return "stale_timestamp"
    signed = b"v0:" + timestamp.encode() + b":" + body
    expected = "v0=" + hmac.new(doors.signing_secret.encode(), signed, hashlib.sha256).hexdigest()
    if not doors.signing_secret or not hmac.compare_digest(expected.encode(), signature.encode()):
        return "bad_signature"
    return ""


async def _webhook(doors: Doors, request: Request) -> Response:
    sender = str(request.path_params["sender"]).lower()
    if sender not in senders():
        _refuse(doors, 404, "unknown_sender", "No such sender; post to /webhook/generic what no reader has a name for.")
    body = await _proven(doors, request, sender)
    payload = _payload(doors, request, body)
    try:
        event_id = webhook_event_id(payload, sender, request.headers, doors.now())
        fresh = await doors.receive(event_id, "webhook", payload)
    except Temporary as error:
        seconds = str(max(1, round(error.delay)))
        raise HTTPException(
            503, "The notification could not be kept; send it again.", {"Retry-After": seconds}
        ) from error
    (doors.metrics.received if fresh else doors.metrics.duplicates).labels("webhook").inc()
    return JSONResponse({"accepted": fresh}, status_code=202 if fresh else 200)


async def _proven(doors: Doors, request: Request, sender: str) -> bytes:
    """Return the body of a request that proves whose it is; nothing is read before a header that could prove it is there."""
    secret = doors.webhook_tokens.get(sender) or doors.webhook_token
    if not secret:
        _refuse(doors, 401, "webhook_off", "This webhook is closed; set TOCSIN_WEBHOOK_TOKEN or TOCSIN_WEBHOOK_TOKENS.")
    read: list[bytes] = []

    async def body() -> bytes:
        if not read:
            read.append(await _body(doors, request))
        return read[0]

    wrong = await hooks.problem(sender, secret, request.headers, request.query_params, body, doors.now())
    if wrong:
        _refuse(
            doors, 401, wrong, f"Send Authorization: Bearer with the secret set for {sender}, or its own signature."
        )
    return await body()


def _payload(doors: Doors, request: Request, body: bytes) -> dict[str, Any]:
    try:
        if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            payload = clean(hooks.form(body.decode()))
        else:
            payload = clean(json.loads(body, parse_constant=_no_such_number))
    except (ValueError, RecursionError) as error:
        _refuse(doors, 400, "bad_json", f"The body is not JSON: {error}.")
    if isinstance(payload, list) and payload and all(isinstance(item, dict) for item in payload):
        payload = {"alerts": payload}
    if not isinstance(payload, dict):
        _refuse(doors, 400, "bad_json", "The body must be a JSON object or a list of objects.")
    return payload


def _no_such_number(word: str) -> NoReturn:
    msg = f"{word} is not a JSON number"
    raise ValueError(msg)


async def _body(doors: Doors, request: Request) -> bytes:
    """Read the body up to MAX_BODY, whatever Content-Length says."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY:
            _refuse(doors, 413, "too_large", f"The body is over {MAX_BODY} bytes; set max_alerts in the receiver.")
        chunks.append(chunk)
    return b"".join(chunks)


def _refuse(doors: Doors, status: int, reason: str, sentence: str) -> NoReturn:
    doors.metrics.rejected.labels(reason).inc()
    doors.refused("http", reason)
    raise HTTPException(status, sentence)


async def _refusal(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse({"error": getattr(error, "detail", "")}, status_code=status, headers=headers)


async def _healthz(_: Request) -> Response:
    return JSONResponse({"ok": True})


async def _readyz(doors: Doors, _: Request) -> Response:
    parts = await doors.ready()
    for name, part in parts.items():
        doors.metrics.up.labels(name).set(part.ok)
    ready = all(part.ok for part in parts.values() if part.required)
    states = {name: {"ok": part.ok, "detail": part.detail, "required": part.required} for name, part in parts.items()}
    return JSONResponse({"ready": ready, "parts": states}, status_code=200 if ready else 503)


async def _metrics(doors: Doors, _: Request) -> Response:
    return Response(doors.metrics.text(), headers={"Content-Type": CONTENT_TYPE})
