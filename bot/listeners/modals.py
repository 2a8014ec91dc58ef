"""Forms that people send: keeping the lesson of an incident."""

from typing import Any

from slack_bolt.app.async_app import AsyncApp
from slack_bolt.context.ack.async_ack import AsyncAck

from bot.blocks.postmortem import KEEP_LESSON, kept
from bot.blocks.text import quiet
from bot.desk import Desk
from bot.listeners._request import incident_number, user_of


def register(app: AsyncApp, desk: Desk) -> None:
    """Take the lesson form."""

    async def keep_lesson(ack: AsyncAck, body: dict[str, Any], view: dict[str, Any]) -> None:
        sentence = await desk.keep_lesson(
            incident_number(str(view.get("private_metadata") or "")),
            user_of(body),
            title=_typed(view, "title"),
            cause=_typed(view, "cause"),
            solution=_typed(view, "solution"),
            effectiveness=_effectiveness(view),
        )
        if sentence:
            await ack(response_action="update", view=kept(quiet(sentence)))
        else:
            await ack()

    app.view(KEEP_LESSON)(keep_lesson)


def _typed(view: dict[str, Any], name: str) -> str:
    return str(view["state"]["values"][name][name].get("value") or "").strip()


def _effectiveness(view: dict[str, Any]) -> float:
    chosen = view["state"]["values"]["effectiveness"]["effectiveness"].get("selected_option") or {}
    return min(max(float(chosen.get("value") or 0.5), 0.0), 1.0)
