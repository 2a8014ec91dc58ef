"""Brings an incident's Slack thread up to date with its record; the redraw job calls it, as often as it likes.

Idempotent: what is already shown is not sent again, and a message whose posting was cut short is looked for in the
thread by its metadata before it is posted a second time. One redraw per incident at a time (the job's lock).
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from bot.blocks.home import thread_link
from bot.blocks.kit import Post, fallback, key_of, section
from bot.blocks.text import quiet
from bot.blocks.thread import ROOT, desired, root
from bot.story import Facts
from bot.webapi import REFUSED_LAYOUT, SlackBusy, SlackRefused, call
from tools.errors import Permanent, TocsinError
from tools.records import Case, Proposal
from tools.store import incidents, posts
from tools.store.db import Database

EVENT_TYPE = "tocsin_post"
# https://docs.slack.dev/apis/web-api/rate-limits: one message per second per channel, short bursts allowed.
MESSAGES_PER_S = 1.0
BURST = 3.0
UPDATES_PER_MIN = 50.0  # chat.update is of tier 3
UPDATES_BURST = 20.0
UPDATE = "slack:chat.update"
CLOCK_SKEW_S = 300
SAY_AGAIN_S = 3600  # a job that says something is not retried for longer
_log = structlog.get_logger(__name__)


class Limiter(Protocol):
    """The part of tools.cache.Cache that is needed here."""

    async def allow(self, key: str, rate: float, per_s: float, burst: float | None = None) -> float:
        """Take one of *rate* calls per *per_s* seconds: 0.0 when taken, else seconds until it is worth asking again."""
        ...

    async def hold(self, key: str, seconds: float) -> None:
        """Let nobody take a call of *key* for so long."""
        ...


class _WaitedError(Exception):
    """A turn was waited for; what was read before is old by now."""


class Thread:
    """Draws incidents into Slack.

    *deciders* names who may decide a proposal: the owners of what it changes. *default_channel* is where an incident
    without a channel goes ("" = nowhere).
    """

    def __init__(
        self,
        client: AsyncWebClient,
        db: Database,
        cache: Limiter,
        *,
        deciders: Callable[[Proposal], Iterable[str]],
        default_channel: str = "",
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._client = AsyncWebClient(  # without the handler that waits by itself: all replicas shall wait
            token=client.token,
            base_url=client.base_url,
            session=client.session,
            proxy=client.proxy,
            timeout=client.timeout,
            retry_handlers=[],
        )
        self._db = db
        self._cache = cache
        self._deciders = deciders
        self._default_channel = default_channel
        self._sleep = sleep
        self._workspace_url: str | None = None

    async def redraw(self, incident_id: int) -> None:
        """Make the thread show what the record says now.

        Raises Temporary when Slack or Postgres did not answer (call again), Permanent when Slack refuses the channel.
        """
        turns: set[str] = set()
        while True:
            try:
                return await self._draw(incident_id, turns)
            except _WaitedError:
                continue  # with the turn in hand and a fresh look: one update instead of many

    async def _draw(self, incident_id: int, turns: set[str]) -> None:
        async with self._db.connection() as conn:
            case = await incidents.case(conn, incident_id)
        if not case.incident.thread_ts:
            rooted = await self._start_thread(case)
            if rooted is None:
                _log.warning("thread_nowhere", incident=incident_id, remedy="set channels.default in tocsin.yaml")
                return
            case = rooted
        facts = await self._facts(case)
        async with self._db.connection() as conn:
            known = {row.key: row for row in await posts.list_for(conn, incident_id)}
        for post in desired(case, facts):
            await self._show(case, post, known.get(post.key), turns)
        await self._react(case, known)

    async def say(self, channel: str, thread_ts: str, key: str, text: str) -> None:
        """Post one sentence that belongs to no incident's record, once per *key*.

        *text* is mrkdwn of ours; a broadcast mention that slipped into it is defused.
        """
        payload: dict[str, object] = {"incident_id": 0, "key": key}
        if not await self._find(channel, thread_ts, payload, str(int(time.time()) - SAY_AGAIN_S)):
            said = quiet(text)
            await self._post(channel, thread_ts, Post(key, fallback(said), [section(said)]), payload)

    async def _start_thread(self, case: Case) -> Case | None:
        channel = case.incident.channel or self._default_channel
        if not channel:
            return None
        post = root(case)
        incident_id = case.incident.id
        row, mine = await self._begin(incident_id, ROOT, channel)
        since = str(int(case.incident.opened_at.timestamp()) - CLOCK_SKEW_S)
        found = "" if mine else (row.ts or await self._find(row.channel, "", _payload(case, ROOT), since))
        if not found:
            channel, found = await self._post_claimed(case, post, row.channel, "")
        async with self._db.transaction() as conn:
            await posts.posted(conn, incident_id, ROOT, found, _hash(post))
            await incidents.set_thread(conn, incident_id, channel, found)
            return await incidents.case(conn, incident_id)

    async def _show(self, case: Case, post: Post, known: posts.Post | None, turns: set[str]) -> None:
        incident_id = case.incident.id
        shown = _hash(post)
        if known and known.state == "posted" and known.content_hash == shown:
            return
        row, mine = (known, False) if known else await self._begin(incident_id, post.key, case.incident.channel)
        if row.state == "posted":
            await self._take_update(turns)
            await self._update(case, row, post)
        else:
            found = "" if mine else await self._find(row.channel, case.incident.thread_ts, _payload(case, post.key))
            if found:
                row = row.model_copy(update={"ts": found})
                await self._update(case, row, post)
            else:
                _, ts = await self._post_claimed(case, post, row.channel, case.incident.thread_ts)
                row = row.model_copy(update={"ts": ts})
        async with self._db.connection() as conn:
            await posts.posted(conn, incident_id, post.key, row.ts, shown)

    async def _begin(self, incident_id: int, key: str, channel: str) -> tuple[posts.Post, bool]:
        async with self._db.connection() as conn:
            return await posts.begin(conn, incident_id, key, channel)

    async def _post_claimed(self, case: Case, post: Post, channel: str, thread_ts: str) -> tuple[str, str]:
        try:
            return await self._post(channel, thread_ts, post, _payload(case, post.key))
        except (SlackRefused, SlackBusy):
            async with self._db.connection() as conn:  # surely not posted, so nothing to look for next time
                await posts.forget(conn, case.incident.id, post.key)
            raise

    async def _post(self, channel: str, thread_ts: str, post: Post, payload: dict[str, object]) -> tuple[str, str]:
        """Post and return (channel id, ts); a layout that Slack refuses is posted as plain text instead."""
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
            answer = await self._heeding(f"slack:{channel}", self._client.chat_postMessage, message, post.blocks)
        except SlackRefused as error:
            if error.code not in REFUSED_LAYOUT:
                raise
            _log.error("layout_refused", key=post.key, code=error.code, detail=str(error))
            answer = await call(self._client.chat_postMessage, **message)
        return str(answer["channel"]), str(answer["ts"])

    async def _update(self, case: Case, row: posts.Post, post: Post) -> None:
        message: dict[str, Any] = {
            "channel": row.channel,
            "ts": row.ts,
            "text": post.text,
            "metadata": {"event_type": EVENT_TYPE, "event_payload": _payload(case, post.key)},
        }
        try:
            await self._heeding(UPDATE, self._client.chat_update, message, post.blocks)
        except SlackRefused as error:
            if error.code in REFUSED_LAYOUT:
                _log.error("layout_refused", key=post.key, code=error.code, detail=str(error))
                await call(self._client.chat_update, **message, blocks=[])
            elif error.code == "message_not_found":
                _log.warning(
                    "post_deleted", key=post.key, incident=case.incident.id
                )  # a person removed it: leave it so
            else:
                raise

    async def _find(self, channel: str, thread_ts: str, payload: dict[str, object], oldest: str = "0") -> str:
        """Return the ts of the message with this metadata, "" when Slack has none.

        Without a thread, the channel's messages since *oldest* are searched, one page of them.
        """
        cursor = ""
        while True:
            page: dict[str, Any] = {"channel": channel, "include_all_metadata": True, "limit": 200, "cursor": cursor}
            if thread_ts:
                answer = await call(self._client.conversations_replies, **page, ts=thread_ts)
            else:
                answer = await call(self._client.conversations_history, **page, oldest=oldest)
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

    async def _take_update(self, turns: set[str]) -> None:
        """Take one of the workspace's updates; raises _WaitedError, with the turn in *turns*, when it took a while."""
        if UPDATE in turns:
            turns.discard(UPDATE)
            return
        waited = False
        while (wait := await self._cache.allow(UPDATE, UPDATES_PER_MIN, 60.0, UPDATES_BURST)) > 0:
            waited = True
            await self._sleep(wait)
        if waited:
            turns.add(UPDATE)
            raise _WaitedError

    async def _take_turn(self, channel: str) -> None:
        while (wait := await self._cache.allow(f"slack:{channel}", MESSAGES_PER_S, 1.0, BURST)) > 0:
            await self._sleep(wait)

    async def _facts(self, case: Case) -> Facts:
        threads: dict[int, str] = {}
        recalled = case.diagnosis.recalled if case.diagnosis else ()
        earlier = {one.incident_id for one in recalled if one.incident_id and not one.link}
        if earlier:
            url = await self._workspace()
            async with self._db.connection() as conn:
                for incident_id in sorted(earlier):
                    try:
                        found = await incidents.get(conn, incident_id)
                    except Permanent:
                        continue  # the lesson outlived its incident's row
                    threads[incident_id] = thread_link(url, found.channel, found.thread_ts)
        return Facts(approvers={one.id: tuple(self._deciders(one)) for one in case.proposals}, threads=threads)

    async def _workspace(self) -> str:
        if self._workspace_url is None:
            try:
                answer = await call(self._client.auth_test)
            except TocsinError as error:
                _log.info("workspace_unknown", reason=str(error))
                return ""  # the card comes without links to earlier threads; the next redraw asks again
            self._workspace_url = str(answer.get("url") or "")
        return self._workspace_url

    async def _react(self, case: Case, known: Mapping[str, posts.Post]) -> None:
        """Mark the alert's own message, so that a look at the channel says where it stands; best effort."""
        names = ["eyes"] + (["white_check_mark"] if case.incident.state == "resolved" else [])
        for name in names:
            key = f"reaction:{name}"
            if key in known and known[key].state == "posted":
                continue
            await self._begin(case.incident.id, key, case.incident.channel)
            try:
                await call(
                    self._client.reactions_add,
                    channel=case.incident.channel,
                    name=name,
                    timestamp=case.incident.thread_ts,
                )
            except TocsinError as error:
                _log.info("reaction_skipped", incident=case.incident.id, name=name, reason=str(error))
            async with self._db.connection() as conn:
                await posts.posted(conn, case.incident.id, key, case.incident.thread_ts, "")


def _payload(case: Case, key: str) -> dict[str, object]:
    return {"incident_id": case.incident.id, "key": key}


def _hash(post: Post) -> str:
    return hashlib.sha256(key_of([post.text, post.blocks]).encode()).hexdigest()
