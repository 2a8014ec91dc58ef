"""Slack's messages and mentions, kept before they are acknowledged: the middleware that bot/service.py puts into the Bolt app.

A durable job reads what was kept, so no listener has to run: the answer leaves as soon as the event is committed. A
failure here is no acknowledgement, and Slack delivers again.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from slack_bolt.middleware.async_middleware import AsyncMiddleware
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse

from bot.metrics import Metrics

KEPT_EVENTS = frozenset({"message", "app_mention"})
Receive = Callable[[str, str, Mapping[str, Any]], Awaitable[bool]]


class Keep(AsyncMiddleware):
    """Keeps with *receive(event_id, kind, payload)*, which returns after the commit: True for an event never seen before.

    A class and not a function: Bolt then does not build the forty arguments that a function might ask for.
    """

    def __init__(self, receive: Receive, metrics: Metrics) -> None:
        self._receive = receive
        self._fresh = metrics.received.labels("slack_event")
        self._repeated = metrics.duplicates.labels("slack_event")

    async def async_process(
        self,
        *,
        req: AsyncBoltRequest,
        resp: BoltResponse,
        next: Callable[[], Awaitable[BoltResponse]],  # noqa: A002 - Bolt calls it so
    ) -> BoltResponse:
        """Keep an event and acknowledge it; let everything else go on to the listeners."""
        body = req.body
        event = body.get("event")
        if body.get("type") != "event_callback" or not event or event.get("type") not in KEPT_EVENTS:
            await next()
            return resp
        kept = {key: value for key, value in body.items() if key != "token"}
        fresh = await self._receive(f"slack:{body['event_id']}", "slack_event", kept)
        (self._fresh if fresh else self._repeated).inc()
        return BoltResponse(status=200, body="")
