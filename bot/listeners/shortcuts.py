"""The message menu: "Diagnose this message". It works in threads too, where slash commands do not."""

from typing import Any

from slack_bolt.app.async_app import AsyncApp
from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.context.respond.async_respond import AsyncRespond

from bot.desk import Desk
from bot.listeners._request import channel_of, tell, user_of

DIAGNOSE_MESSAGE = "diagnose_message"


def register(app: AsyncApp, desk: Desk) -> None:
    """Take the message shortcut."""

    async def diagnose_message(ack: AsyncAck, body: dict[str, Any], respond: AsyncRespond) -> None:
        sentence = await desk.diagnose_message(
            channel_of(body), body.get("message") or {}, user_of(body), str(body.get("trigger_id") or "")
        )
        await ack()
        await tell(respond, sentence)

    app.shortcut({"callback_id": DIAGNOSE_MESSAGE, "type": "message_action"})(diagnose_message)
