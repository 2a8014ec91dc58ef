"""The buttons of an incident's thread. A button carries an id; what it means is decided from the record."""

from collections.abc import Awaitable, Callable
from typing import Any, Literal

from slack_bolt.app.async_app import AsyncApp
from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.context.respond.async_respond import AsyncRespond
from slack_sdk.web.async_client import AsyncWebClient

from bot.blocks import answers, evidence, postmortem
from bot.desk import Desk
from bot.listeners._request import channel_of, incident_number, page_number, pressed, team_of, tell, thread_of, user_of
from bot.webapi import call
from tools.errors import Permanent
from tools.records import Case

Press = Callable[..., Awaitable[None]]


def register(app: AsyncApp, desk: Desk) -> None:
    """Take every button that bot/blocks draws."""
    app.action("approve")(_decide(desk, "approve"))
    app.action("reject")(_decide(desk, "reject"))
    app.action("show_evidence")(_open(desk, evidence.view))
    for action in evidence.TURN:
        app.action(action)(_turn(desk))
    app.action(postmortem.KEEP_LESSON)(_open(desk, postmortem.form))
    app.action("postmortem")(_draft(desk))


def _decide(desk: Desk, decision: Literal["approve", "reject"]) -> Press:
    async def decide(ack: AsyncAck, body: dict[str, Any], respond: AsyncRespond) -> None:
        sentence = await desk.press(
            decision, pressed(body), user_of(body), team=team_of(body), channel=channel_of(body), thread=thread_of(body)
        )
        await ack()
        await tell(respond, sentence)

    return decide


def _open(desk: Desk, draw: Callable[[Case], dict[str, Any]]) -> Press:
    async def show(ack: AsyncAck, body: dict[str, Any], client: AsyncWebClient) -> None:
        number = incident_number(pressed(body))
        case = await desk.case(number)
        if case is None:
            raise Permanent(answers.no_incident(str(number)))
        await call(client.views_open, trigger_id=body["trigger_id"], view=draw(case))
        await ack()

    return show


def _turn(desk: Desk) -> Press:
    async def turn(ack: AsyncAck, body: dict[str, Any], client: AsyncWebClient) -> None:
        shown = body.get("view") or {}
        number = incident_number(str(shown.get("private_metadata") or ""))
        case = await desk.case(number)
        if case is None:
            raise Permanent(answers.no_incident(str(number)))
        page = evidence.view(case, page_number(pressed(body)))
        await call(client.views_update, view_id=shown["id"], hash=shown.get("hash"), view=page)
        await ack()

    return turn


def _draft(desk: Desk) -> Press:
    async def draft(ack: AsyncAck, body: dict[str, Any], respond: AsyncRespond) -> None:
        sentence = await desk.postmortem(incident_number(pressed(body)), user_of(body))
        await ack()
        await tell(respond, sentence)

    return draft
