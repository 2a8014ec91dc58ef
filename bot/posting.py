"""Sending an incident's messages to Slack: posting, updating and finding them, at the pace Slack allows; for bot/thread.py."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from bot.blocks.kit import Post
from bot.pacing import Limiter
from bot.webapi import REFUSED_LAYOUT, SlackBusy, SlackRefused, call

EVENT_TYPE = "tocsin_post"
# https://docs.slack.dev/apis/web-api/rate-limits: one message per second per channel, short bursts allowed.
MESSAGES_PER_S = 1.0
BURST = 3.0
UPDATES_PER_MIN = 50.0  # chat.update is of tier 3
UPDATES_BURST = 20.0
UPDATE = "slack:chat.update"
CHARTS = ("data_visualization", "image")
_log = structlog.get_logger(__name__)


class WaitedError(Exception):
    """A turn was waited for; what was read before is old by now."""


class ChartRefused(SlackRefused):
    """Slack refused a message that has a chart, of the block type *kind*; nothing was posted."""

    def __init__(self, refused: SlackRefused, kind: str) -> None:
        super().__init__(str(refused), refused.code)
        self.kind = kind


class Poster:
    """One connection to Slack that every message of ours goes through."""

    def __init__(
        self, client: AsyncWebClient, cache: Limiter, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self.client = AsyncWebClient(  # without the handler that waits by itself: all replicas shall wait
            token=client.token,
            base_url=client.base_url,
            session=client.session,
            proxy=client.proxy,
            timeout=client.timeout,
            retry_handlers=[],
        )
        self._cache = cache
        self._sleep = sleep

    async def post(self, channel: str, thread_ts: str, post: Post, payload: dict[str, object]) -> tuple[str, str]:
        """Post and return (channel id, ts); a layout that Slack refuses is posted as plain text instead.

        Raises ChartRefused where it may be the chart that Slack refuses.
        """
        await self._take_turn(channel)
        message: dict[str, Any] = {
            "channel": channel,
            "text": post.text,
            "metadata": {"event_type": EVENT_TYPE, "event_payload": payload},
            "unfurl_links": False,
            "unfurl_media": False,
        }
        if thread_ts:
            message |= {"thread_ts": thread_ts, "reply_broadcast": post.broadcast}
        try:
            answer = await self._heeding(f"slack:{channel}", self.client.chat_postMessage, message, post.blocks)
        except SlackRefused as error:
            if error.code not in REFUSED_LAYOUT:
                raise
            _blame_chart(error, post)
            _log.error("layout_refused", key=post.key, code=error.code, detail=str(error))
            answer = await self._heeding(f"slack:{channel}", self.client.chat_postMessage, message, None)
        return str(answer["channel"]), str(answer["ts"])

    async def update(self, channel: str, ts: str, post: Post, payload: dict[str, object]) -> None:
        """Make the message at *ts* show *post*; one that a person removed stays removed. Raises ChartRefused like `post`."""
        message: dict[str, Any] = {
            "channel": channel,
            "ts": ts,
            "text": post.text,
            "metadata": {"event_type": EVENT_TYPE, "event_payload": payload},
        }
        try:
            await self._heeding(UPDATE, self.client.chat_update, message, post.blocks)
        except SlackRefused as error:
            if error.code in REFUSED_LAYOUT:
                _blame_chart(error, post)
                _log.error("layout_refused", key=post.key, code=error.code, detail=str(error))
                await self._heeding(UPDATE, self.client.chat_update, message, [])
            elif error.code == "message_not_found":
                _log.warning("post_deleted", **payload)  # a person removed it: leave it so
            else:
                raise

    async def find(self, channel: str, thread_ts: str, payload: dict[str, object], oldest: str = "0") -> str:
        """Return the ts of the message with this metadata, "" when Slack has none.

        Without a thread, the channel's messages since *oldest* are searched, one page of them.
        """
        cursor = ""
        while True:
            page: dict[str, Any] = {"channel": channel, "include_all_metadata": True, "limit": 200, "cursor": cursor}
            if thread_ts:
                answer = await call(self.client.conversations_replies, **page, ts=thread_ts)
            else:
                answer = await call(self.client.conversations_history, **page, oldest=oldest)
            for message in answer.get("messages") or ():
                metadata = message.get("metadata") or {}
                if metadata.get("event_type") == EVENT_TYPE and metadata.get("event_payload") == payload:
                    return str(message["ts"])
            cursor = (answer.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor or not thread_ts:
                return ""

    async def _heeding(
        self, key: str, method: Callable[..., Awaitable[Any]], message: Mapping[str, Any], blocks: Any
    ) -> Mapping[str, Any]:
        """Call *method*; when Slack asks to slow down, every replica does, for as long as it asks."""
        try:
            return await call(method, **message, blocks=blocks)
        except SlackBusy as busy:
            await self._cache.hold(key, busy.delay)
            raise

    async def take_update(self, turns: set[str]) -> None:
        """Take one of the workspace's updates; raises WaitedError, with the turn in *turns*, when it took a while."""
        if UPDATE in turns:
            turns.discard(UPDATE)
            return
        waited = False
        while (wait := await self._cache.allow(UPDATE, UPDATES_PER_MIN, 60.0, UPDATES_BURST)) > 0:
            waited = True
            await self._sleep(wait)
        if waited:
            turns.add(UPDATE)
            raise WaitedError

    async def _take_turn(self, channel: str) -> None:
        while (wait := await self._cache.allow(f"slack:{channel}", MESSAGES_PER_S, 1.0, BURST)) > 0:
            await self._sleep(wait)


def _blame_chart(refused: SlackRefused, post: Post) -> None:
    """Raise ChartRefused when *post* has a chart: it is the part that a workspace may not know."""
    kind = next((block["type"] for block in post.blocks if block["type"] in CHARTS), "")
    if kind:
        raise ChartRefused(refused, kind) from refused
