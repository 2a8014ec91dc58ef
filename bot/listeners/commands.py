"""Slash commands: /diagnose and /tocsin. Slack does not offer them inside threads; the message menu works there."""

import re
from typing import Any

from slack_bolt.app.async_app import AsyncApp
from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.context.async_context import AsyncBoltContext
from slack_sdk.web.async_client import AsyncWebClient

from bot.blocks import answers, silence, stats
from bot.blocks.kit import Post, fit
from bot.blocks.text import quiet
from bot.desk import Desk
from bot.listeners._request import incident_number, workspace_url
from bot.silencing import split
from bot.webapi import call

MAX_OPEN = 20
DAYS = 7
INSIST = "anyway"
SERVICE = re.compile(r"[a-z0-9][a-z0-9._/-]{0,99}")


def register(app: AsyncApp, desk: Desk) -> None:
    """Take /diagnose and /tocsin."""

    async def diagnose(ack: AsyncAck, command: dict[str, Any]) -> None:
        await ack(text=await _diagnose(desk, command), response_type="ephemeral")

    async def tocsin(ack: AsyncAck, command: dict[str, Any], context: AsyncBoltContext, client: AsyncWebClient) -> None:
        text = str(command.get("text") or "").strip()
        if text == "silence":
            shown = silence.form(str(command.get("channel_id") or ""))
            await call(client.views_open, trigger_id=command["trigger_id"], view=shown)
            await ack()
            return
        answer = await _tocsin(desk, text, command, workspace_url(context))
        if isinstance(answer, str):
            await ack(text=answer, response_type="ephemeral")
        else:
            await ack(text=answer.text, blocks=answer.blocks, response_type="ephemeral")

    app.command("/diagnose")(diagnose)
    app.command("/tocsin")(tocsin)


async def _diagnose(desk: Desk, command: dict[str, Any]) -> str:
    words = str(command.get("text") or "").split()
    known = await desk.known_services()
    if not words:
        return answers.services(known)
    plain = [word.strip("`'\",?!").lower() for word in words]
    service = next((word for word in plain if word in known), plain[0])  # "/diagnose why is checkout slow"
    insists = INSIST in words[1:2] or not known
    if service not in known and not (insists and SERVICE.fullmatch(service)):
        return answers.unknown_service(service, known)
    sentence = await desk.diagnose(
        service,
        str(command["channel_id"]),
        str(command["user_id"]),
        str(command["trigger_id"]),
        " ".join(words) if set(words[1:]) - {INSIST} else "",
    )
    return quiet(sentence) or answers.looking(service)


async def _tocsin(desk: Desk, text: str, command: dict[str, Any], home_url: str) -> str | Post:  # noqa: PLR0911  # one return for each command
    match text.split():
        case [] | ["help"]:
            return answers.HELP
        case ["status"]:
            return answers.status(await desk.open_cases(MAX_OPEN), home_url)
        case ["why"]:
            return answers.why_usage()
        case ["why", *_]:
            return await _why(desk, text.removeprefix("why").strip())
        case ["break-glass", number, *_] if number.removeprefix("#").isdigit():
            user, team, channel = (str(command.get(name) or "") for name in ("user_id", "team_id", "channel_id"))
            why = text.removeprefix("break-glass").strip().removeprefix(number).strip()
            return quiet(await desk.break_glass(incident_number(number), why, user, team=team, channel=channel))
        case ["break-glass", *_]:
            return answers.break_glass_usage()
        case ["stats"]:
            return stats.stats(await desk.stats(DAYS))
        case ["silences"]:
            return silence.listing(await desk.silences())
        case ["silence", *_]:
            matchers, duration, comment = split(text.removeprefix("silence").strip())
            user, team, channel = (str(command.get(name) or "") for name in ("user_id", "team_id", "channel_id"))
            return quiet(await desk.silence(matchers, duration, comment, user, team=team, channel=channel))
        case _:
            return answers.unknown_command(text)


async def _why(desk: Desk, what: str) -> str | Post:
    """Answer for an incident's number, else for the name of an alert, which may have become no incident."""
    if not what.removeprefix("#").isdigit():
        return stats.decided(what, await desk.decided_about(what))
    entries = await desk.why(incident_number(what))
    if not entries:
        return answers.no_incident(what)
    told = answers.why(incident_number(what), entries)
    counts = stats.about_incident(await desk.decided(incident_number(what)))
    return told._replace(blocks=fit([*told.blocks, *counts]))
