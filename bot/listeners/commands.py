"""Slash commands: /diagnose and /tocsin. Slack does not offer them inside threads; the message menu works there."""

import re
from typing import Any

from slack_bolt.app.async_app import AsyncApp
from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.context.async_context import AsyncBoltContext

from bot.blocks import answers
from bot.blocks.kit import Post
from bot.blocks.text import quiet
from bot.desk import Desk
from bot.listeners._request import incident_number, workspace_url

MAX_OPEN = 20
INSIST = "anyway"
SERVICE = re.compile(r"[a-z0-9][a-z0-9._/-]{0,99}")


def register(app: AsyncApp, desk: Desk) -> None:
    """Take /diagnose and /tocsin."""

    async def diagnose(ack: AsyncAck, command: dict[str, Any]) -> None:
        await ack(text=await _diagnose(desk, command), response_type="ephemeral")

    async def tocsin(ack: AsyncAck, command: dict[str, Any], context: AsyncBoltContext) -> None:
        answer = await _tocsin(desk, str(command.get("text") or ""), workspace_url(context))
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
    service = words[0].strip("`'\"").lower()
    insists = INSIST in words[1:2] or not known
    if service not in known and not (insists and SERVICE.fullmatch(service)):
        return answers.unknown_service(service, known)
    sentence = await desk.diagnose(
        service, str(command["channel_id"]), str(command["user_id"]), str(command["trigger_id"])
    )
    return quiet(sentence) or answers.looking(service)


async def _tocsin(desk: Desk, text: str, home_url: str) -> str | Post:
    match text.split():
        case [] | ["help"]:
            return answers.HELP
        case ["status"]:
            return answers.status(await desk.open_cases(MAX_OPEN), home_url)
        case ["why"]:
            return answers.why_usage()
        case ["why", number]:
            entries = await desk.why(incident_number(number))
            return answers.why(incident_number(number), entries) if entries else answers.no_incident(number)
        case _:
            return answers.unknown_command(text)
