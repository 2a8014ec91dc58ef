"""Reading the parts of Slack requests that several listeners share."""

from collections.abc import Mapping
from typing import Any

from slack_bolt.context.async_context import AsyncBoltContext
from slack_bolt.context.respond.async_respond import AsyncRespond

from bot.blocks.text import quiet
from tools.errors import Permanent


def pressed(body: Mapping[str, Any]) -> str:
    """Return the id that the pressed button carries; raise Permanent when it carries none."""
    actions = body.get("actions") or [{}]
    value = str(actions[0].get("value") or "")
    if not value or len(value) > 200 or not value.isprintable():
        raise Permanent("This button no longer works: it names nothing. Use the newest message in the thread.")
    return value


def incident_number(text: str) -> int:
    """Return an incident's number, as a button carries it or a person types it; raise Permanent when it is none."""
    number = text.strip().removeprefix("#")
    if not (number.isascii() and number.isdigit() and len(number) <= 18):
        raise Permanent("That is not an incident's number. It is on the incident's card, for example 12.")
    return int(number)


def page_number(text: str) -> int:
    """Return the page that a button turns to, 0 for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 6 else 0


def user_of(body: Mapping[str, Any]) -> str:
    """Return who made the request."""
    return str((body.get("user") or {}).get("id") or body.get("user_id") or "")


def team_of(body: Mapping[str, Any]) -> str:
    """Return the workspace of who made the request."""
    person = body.get("user") or {}
    return str(person.get("team_id") or (body.get("team") or {}).get("id") or body.get("team_id") or "")


def channel_of(body: Mapping[str, Any]) -> str:
    """Return where the request was made; "" outside a channel."""
    channel = (body.get("channel") or {}).get("id") or (body.get("container") or {}).get("channel_id")
    return str(channel or body.get("channel_id") or "")


def thread_of(body: Mapping[str, Any]) -> str:
    """Return the thread of the message that a button is on: its root's ts, "" outside a message."""
    on = body.get("container") or {}
    return str(on.get("thread_ts") or (body.get("message") or {}).get("thread_ts") or on.get("message_ts") or "")


def workspace_url(context: AsyncBoltContext) -> str:
    """Return the workspace's address, "" when Slack did not tell."""
    return (context.authorize_result.url if context.authorize_result else "") or ""


async def tell(respond: AsyncRespond, sentence: str) -> None:
    """Show *sentence* to the person who asked, and to nobody else; "" says nothing."""
    if sentence:
        await respond(text=quiet(sentence), response_type="ephemeral", replace_original=False)
