"""The silence form with its preview, and the Expire buttons of the list; `/tocsin silence` itself is in commands.py."""

from typing import Any

from slack_bolt.app.async_app import AsyncApp
from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.context.respond.async_respond import AsyncRespond
from slack_sdk.web.async_client import AsyncWebClient

from bot.blocks import silence
from bot.blocks.text import prose, quiet
from bot.desk import Desk
from bot.listeners._request import channel_of, incident_number, pressed, team_of, tell, user_of
from bot.silencing import BadField
from bot.webapi import call


def register(app: AsyncApp, desk: Desk) -> None:
    """Take the form, its Preview button, and Expire."""

    async def preview(ack: AsyncAck, body: dict[str, Any], client: AsyncWebClient) -> None:
        view = body["view"]
        try:
            said = silence.previewed(await desk.silence_preview(_typed(view, "matchers")))
        except BadField as error:
            said = f":warning: {prose(str(error), 500)}"
        typed = {name: _typed(view, name) for name in silence.FIELDS}
        shown = silence.form(str(view.get("private_metadata") or ""), said, typed)
        await call(client.views_update, view_id=view["id"], hash=view.get("hash"), view=shown)
        await ack()

    async def submit(ack: AsyncAck, body: dict[str, Any], view: dict[str, Any]) -> None:
        try:
            sentence = await desk.silence(
                _typed(view, "matchers"),
                _typed(view, "duration"),
                _typed(view, "comment"),
                user_of(body),
                team=team_of(body),
                channel=str(view.get("private_metadata") or ""),
            )
        except BadField as error:
            await ack(response_action="errors", errors={error.field: str(error)})
            return
        await ack(response_action="update", view=silence.done(quiet(sentence)))

    async def expire(ack: AsyncAck, body: dict[str, Any], respond: AsyncRespond) -> None:
        number = incident_number(pressed(body))
        sentence = await desk.expire_silence(number, user_of(body), team=team_of(body), channel=channel_of(body))
        await ack()
        await tell(respond, sentence)

    app.action(silence.PREVIEW)(preview)
    app.action(silence.EXPIRE)(expire)
    app.view(silence.FORM)(submit)


def _typed(view: dict[str, Any], name: str) -> str:
    return str(view["state"]["values"][name][name].get("value") or "").strip()
