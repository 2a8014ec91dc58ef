"""How events, commands and interactions reach the app: the wrapper, the three-second deadline, the retries.

workspace.py wires it to a Transport: socket.py (Socket Mode) or posts.py (HTTP mode).
"""

import asyncio
import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from drill.slack import people
from drill.slack.errors import JsonDict
from drill.slack.state import State

log = logging.getLogger(__name__)

ACK_SECONDS = 3.0  # https://docs.slack.dev/apis/events-api: answer within three seconds
RETRY_AFTER = (0.0, 60.0, 300.0)  # nearly at once, after a minute, after five

Kind = Literal["events_api", "slash_commands", "interactive"]


class NotAckedError(Exception):
    """The app did not take the payload; the message is Slack's reason, such as ``timeout`` or ``http_error``."""


@dataclass(frozen=True)
class Attempt:
    """Which try this is; *number* 0 is the first, *reason* says why the one before failed."""

    number: int = 0
    reason: str = ""


class Transport(Protocol):
    """One way to hand the app a payload and hear its acknowledgement."""

    async def send(self, kind: Kind, payload: JsonDict, attempt: Attempt, seconds: float) -> JsonDict | None:
        """Deliver and return what the app put into its acknowledgement; raises NotAckedError."""
        ...


class Delivery:
    """Delivers in the background with retries (events) or once with an answer (commands and interactions)."""

    def __init__(
        self,
        state: State,
        transport: Transport,
        ack_seconds: float = ACK_SECONDS,
        retry_after: Sequence[float] = RETRY_AFTER,
    ) -> None:
        self.state = state
        self.transport = transport
        self.ack_seconds = ack_seconds
        self.retry_after = tuple(retry_after)
        self._tasks: set[asyncio.Task[None]] = set()

    def wrap(self, event: JsonDict) -> JsonDict:
        """Return *event* in Slack's event_callback envelope."""
        return {
            "token": self.state.verification_token,
            "team_id": people.TEAM_ID,
            "context_team_id": people.TEAM_ID,
            "context_enterprise_id": None,
            "api_app_id": people.APP_ID,
            "event": event,
            "type": "event_callback",
            "event_id": f"Ev{secrets.token_hex(5).upper()}",
            "event_time": int(float(event.get("event_ts") or self.state.clock())),
            "authorizations": [
                {
                    "enterprise_id": None,
                    "team_id": people.TEAM_ID,
                    "user_id": people.BOT_USER,
                    "is_bot": True,
                    "is_enterprise_install": False,
                }
            ],
            "is_ext_shared_channel": False,
            "event_context": f"4-{secrets.token_urlsafe(24)}",
        }

    def emit(self, event: JsonDict) -> None:
        """Deliver *event* in the background if the app subscribed to it and may see it."""
        for one in self._subscribed(event):
            task = asyncio.get_running_loop().create_task(self._deliver(self.wrap(one)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _subscribed(self, event: JsonDict) -> list[JsonDict]:
        kind, events = event["type"], self.state.manifest.events
        channel = event.get("channel") or event.get("item", {}).get("channel")
        if channel and people.BOT_USER not in self.state.channels[channel].members:
            return []
        if kind != "message":
            return [event] if kind in events else []
        wanted = {"channel": "message.channels", "group": "message.groups", "im": "message.im"}
        out = [event] if wanted[event["channel_type"]] in events else []
        if self._mentions(event):
            out.append({**event, "type": "app_mention"})
        return out

    def _mentions(self, event: JsonDict) -> bool:
        by_bot = "bot_id" in event or "subtype" in event or event["channel_type"] == "im"
        return not by_bot and "app_mention" in self.state.manifest.events and f"<@{people.BOT_USER}>" in event["text"]

    async def _deliver(self, payload: JsonDict) -> None:
        attempt = Attempt()
        for delay in (*self.retry_after, None):
            try:
                await self.transport.send("events_api", payload, attempt, self.ack_seconds)
            except NotAckedError as error:
                if delay is None:
                    log.warning("event %s was given up: %s", payload["event_id"], error)
                    return
                attempt = Attempt(attempt.number + 1, str(error))
                await asyncio.sleep(delay)
            else:
                return

    async def ask(self, kind: Kind, payload: JsonDict) -> JsonDict | None:
        """Deliver a command or an interaction once and return the app's answer; raises NotAckedError."""
        return await self.transport.send(kind, payload, Attempt(), self.ack_seconds)

    async def settle(self) -> None:
        """Wait until nothing is under way (tests)."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def stop(self) -> None:
        """Give up every delivery under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
