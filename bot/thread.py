"""Brings an incident's Slack thread up to date with its record; the redraw job calls it, as often as it likes.

Idempotent: what is already shown is not sent again, and a message whose posting was cut short is looked for in the
thread by its metadata before it is posted a second time. One redraw per incident at a time (the job's lock).
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from bot.blocks.home import thread_link
from bot.blocks.kit import Post, fallback, key_of, section
from bot.blocks.text import quiet
from bot.blocks.thread import ROOT, desired, root
from bot.pacing import Limiter
from bot.pictures import Pictures
from bot.posting import ChartRefused, Poster, WaitedError
from bot.story import Facts
from bot.webapi import SlackBusy, SlackRefused, call
from tools.errors import Permanent, Temporary, TocsinError
from tools.records import Case, Proposal
from tools.store import incidents, posts
from tools.store.db import Database

CLOCK_SKEW_S = 300
SAY_AGAIN_S = 3600  # a job that says something is not retried for longer
_log = structlog.get_logger(__name__)


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
        self._poster = Poster(client, cache, sleep)
        self._client = self._poster.client
        self._pictures = Pictures(self._client, db, sleep)
        self._db = db
        self._deciders = deciders
        self._default_channel = default_channel
        self._workspace_url: str | None = None

    async def redraw(self, incident_id: int) -> None:
        """Make the thread show what the record says now.

        Raises Temporary when Slack or Postgres did not answer (call again), Permanent when Slack refuses the channel.
        """
        turns: set[str] = set()
        while True:
            try:
                return await self._draw(incident_id, turns)
            except WaitedError:
                continue  # with the turn in hand and a fresh look: one update instead of many
            except ChartRefused as refused:
                await self._pictures.refused(incident_id, refused)  # each refusal leaves one way less to show it

    async def _draw(self, incident_id: int, turns: set[str]) -> None:
        async with self._db.connection() as conn:
            case = await incidents.case(conn, incident_id)
        if not case.incident.thread_ts:
            rooted = await self._start_thread(case)
            if rooted is None:
                _log.warning("thread_nowhere", incident=incident_id, remedy="set channels.default in tocsin.yaml")
                return
            case = rooted
        facts, owed = await self._facts(case)
        async with self._db.connection() as conn:
            known = {row.key: row for row in await posts.list_for(conn, incident_id)}
        for post in desired(case, facts):
            await self._show(case, post, known.get(post.key), turns)
        await self._react(case, known)
        if owed is not None:
            raise owed  # the card stands without its chart; the job comes again for it

    async def say(self, channel: str, thread_ts: str, key: str, text: str) -> None:
        """Post one sentence that belongs to no incident's record, once per *key*.

        *text* is mrkdwn of ours; a broadcast mention that slipped into it is defused.
        """
        payload: dict[str, object] = {"incident_id": 0, "key": key}
        if not await self._poster.find(channel, thread_ts, payload, str(int(time.time()) - SAY_AGAIN_S)):
            said = quiet(text)
            await self._poster.post(channel, thread_ts, Post(key, fallback(said), [section(said)]), payload)

    async def _start_thread(self, case: Case) -> Case | None:
        channel = case.incident.channel or self._default_channel
        if not channel:
            return None
        post = root(case)
        incident_id = case.incident.id
        row, mine = await self._begin(incident_id, ROOT, channel)
        since = str(int(case.incident.opened_at.timestamp()) - CLOCK_SKEW_S)
        found = "" if mine else (row.ts or await self._poster.find(row.channel, "", _payload(case, ROOT), since))
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
            await self._poster.take_update(turns)
            await self._poster.update(row.channel, row.ts, post, _payload(case, post.key))
        else:
            found = (
                "" if mine else await self._poster.find(row.channel, case.incident.thread_ts, _payload(case, post.key))
            )
            if found:
                row = row.model_copy(update={"ts": found})
                await self._poster.update(row.channel, row.ts, post, _payload(case, post.key))
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
            return await self._poster.post(channel, thread_ts, post, _payload(case, post.key))
        except (SlackRefused, SlackBusy):
            async with self._db.connection() as conn:  # surely not posted, so nothing to look for next time
                await posts.forget(conn, case.incident.id, post.key)
            raise

    async def _facts(self, case: Case) -> tuple[Facts, Temporary | None]:
        """Return what the thread shows beside the record, and why its chart is still owed, if it is."""
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
        drawn, owed = await self._pictures.shown(case)
        approvers = {one.id: tuple(self._deciders(one)) for one in case.proposals}
        return Facts(approvers=approvers, threads=threads, chart=drawn), owed

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
