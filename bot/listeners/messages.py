"""Events that bot/slack.py's middleware has already stored: nothing is left to do here but to say 200.

The inbox middleware writes the raw event to Postgres before any listener runs, and a durable job reads it. A listener
must still exist: an event that no listener takes is answered 404, and Slack would deliver it again.
"""

from slack_bolt.app.async_app import AsyncApp

from bot.desk import Desk

EVENTS = ("message", "app_mention")


def register(app: AsyncApp, desk: Desk) -> None:  # noqa: ARG001 - every listener file has this signature
    """Take the events that are handled from the inbox."""
    for name in EVENTS:
        app.event(name)(stored)


async def stored() -> None:
    """Do nothing: the event is in the inbox."""
