"""Addresses that apps post to without a token: incoming webhooks and response URLs, with Slack's plain-text answers."""

import json
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from drill.slack import content, messages, people
from drill.slack.errors import JsonDict, RateLimitedError, SlackError
from drill.slack.limits import Limits
from drill.slack.state import ResponseUrl, State

_STATUS = {"no_service": 404, "channel_not_found": 404, "channel_is_archived": 410, "invalid_token": 403}
HOOK_AUTHOR = {
    "subtype": "bot_message",
    "bot_id": people.HOOK_BOT_ID,
    "app_id": people.HOOK_APP_ID,
    "team": people.TEAM_ID,
}


def _said(args: JsonDict) -> JsonDict:
    said = content.read(args)
    if content.empty(said):
        raise SlackError("no_text")
    return said


def post_incoming(state: State, channel: str, payload: JsonDict) -> str:
    """Post what an incoming webhook was given and return the message's ts; raises SlackError.

    An attachment of title and fallback alone, Alertmanager's default message, is a message with an empty text.
    """
    found = state.channel(channel or payload.get("channel") or people.HOOK_CHANNEL)
    author: JsonDict = {**HOOK_AUTHOR, "username": str(payload.get("username") or people.HOOK_NAME)}
    icons = {"emoji": str(payload["icon_emoji"])} if payload.get("icon_emoji") else {}
    if icons:
        author["icons"] = icons
    sent = messages.post(state, found.id, _said(payload), author, thread_ts=payload.get("thread_ts"))
    return str(sent["ts"])


async def payload_of(request: Request) -> JsonDict:
    """Read a webhook's body: JSON, or a form whose ``payload`` is JSON; raises invalid_payload."""
    body = (await request.body()).decode("utf-8", "replace")
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        body = parse_qs(body).get("payload", [""])[0]
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise SlackError("invalid_payload") from error
    if not isinstance(payload, dict):
        raise SlackError("invalid_payload")
    return payload


def reply_to_command(state: State, user: str, channel: str, answer: JsonDict, thread_ts: str = "") -> None:
    """Show the app's answer to a command: to everybody (in_channel) or, by default, to *user* alone."""
    said = content.read(answer)
    if content.empty(said):
        return
    author = messages.bot_author(answer)
    if answer.get("response_type") == "in_channel":
        messages.post(state, channel, said, author, thread_ts=thread_ts)
    else:
        messages.whisper(state, channel, user, said, author, thread_ts=thread_ts)


def _respond(state: State, found: ResponseUrl, answer: JsonDict) -> None:
    if content.truthy(answer.get("delete_original")):
        _delete_original(state, found)
        return
    said = _said(answer)
    if content.truthy(answer.get("replace_original")) and found.message_ts:
        _replace_original(state, found, said)
        return
    thread = str(answer.get("thread_ts") or "")
    reply_to_command(state, found.user, found.channel, answer, thread or found.thread_ts)


def _delete_original(state: State, found: ResponseUrl) -> None:
    if found.ephemeral:
        messages.unwhisper(state, found.message_ts)
        return
    original = _own(state, found)
    messages.delete(state, found.channel, original)


def _own(state: State, found: ResponseUrl) -> JsonDict:
    original = state.find(found.channel, found.message_ts)
    if original is None or original.get("bot_id") != people.BOT_ID:
        raise SlackError("message_not_found")
    return original


def _replace_original(state: State, found: ResponseUrl, said: JsonDict) -> None:
    fresh: dict[str, Any] = {"blocks": [], "attachments": [], **said}
    if not found.ephemeral:
        messages.edit(state, found.channel, _own(state, found), fresh, people.BOT_USER)
        return
    held = state.ephemerals.get(found.message_ts)
    if held is None:
        raise SlackError("message_not_found")
    held["message"] |= fresh
    shown = messages.public(held["message"])
    state.live({"kind": "ephemeral", "for": held["user"], "channel": held["channel"], "message": shown})


def routes(state: State, limits: Limits) -> list[Route]:
    """Return the routes of the incoming webhook and of the response URLs."""

    async def incoming(request: Request) -> Response:
        if request.url.path != people.HOOK_PATH:
            return PlainTextResponse("no_service", 404)
        try:
            limits.take("incoming webhook", 10, 1)
            post_incoming(state, "", await payload_of(request))
        except RateLimitedError as limit:
            return PlainTextResponse("rate_limited", 429, {"Retry-After": str(limit.seconds)})
        except SlackError as refusal:
            return PlainTextResponse(refusal.code, _STATUS.get(refusal.code, 400))
        return PlainTextResponse("ok")

    async def response(request: Request) -> Response:
        found = state.responses.get(request.path_params["secret"])
        if found is None or state.clock() > found.expires:
            return PlainTextResponse("expired_url", 404)
        if found.uses <= 0:
            return PlainTextResponse("used_url", 404)
        try:
            _respond(state, found, await payload_of(request))
        except SlackError as refusal:
            return PlainTextResponse(refusal.code, _STATUS.get(refusal.code, 400))
        found.uses -= 1
        return PlainTextResponse("ok")

    return [
        Route("/services/{rest:path}", incoming, methods=["POST"]),
        Route("/actions/{team}/{secret}", response, methods=["POST"]),
    ]
