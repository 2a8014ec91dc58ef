"""Silences that people make in Slack: who may, what would be hidden, until when; bot/operations.py calls it for the desk."""

import re
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from bot.blocks.silence import announced, ended
from bot.channels import Channels
from bot.lifecycle import Lifecycle
from bot.matchers import EXAMPLE, Matcher, Misread, all_hold, parse, take, written
from bot.policy import Policy
from bot.previews import Preview
from tools.store import decisions, silences
from tools.store.db import Connection
from tools.store.silences import Silence

Members = Callable[[str], Awaitable[frozenset[str]]]
PREVIEW = timedelta(hours=24)
_DURATION = re.compile(r"(?:(\d{1,4})w)?(?:(\d{1,4})d)?(?:(\d{1,4})h)?(?:(\d{1,5})m)?")


class BadField(Misread):
    """A field of the silence form cannot be used; *field* is its name."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def duration_of(text: str, most: timedelta) -> timedelta:
    """Read `90m`, `2h`, `1h30m`, `1d`; raise BadField when it is none, or longer than *most*."""
    match = _DURATION.fullmatch(text.strip().lower().replace(" ", ""))
    weeks, days, hours, minutes = (int(part or 0) for part in match.groups()) if match else (0, 0, 0, 0)
    length = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes)
    if not length:
        raise BadField("duration", "Say for how long, for example 90m, 2h, 1h30m or 1d.")
    if length > most:
        hours_most = most.total_seconds() / 3600
        raise BadField("duration", f"A silence lasts {hours_most:g} h at most (silences.max_hours).")
    return length


def split(text: str) -> tuple[str, str, str]:
    """Split `service=checkout 2h deploy` into matchers, duration and comment; raise Misread for broken matchers."""
    matchers, rest = take(text)
    if not matchers:
        raise Misread(f"Begin with what to silence: `/tocsin silence {EXAMPLE} 2h why`.")
    duration, _, comment = rest.partition(" ")
    return written(matchers), duration, comment.strip()


@dataclass(frozen=True)
class Silencer:
    """Makes, lists and ends silences; *members* expands a Slack user group, *team* is our workspace."""

    life: Lifecycle
    policy: Policy
    channels: Channels
    members: Members
    team: str

    async def preview(self, text: str) -> Preview:
        """Say which alerts of the last 24 h these matchers would have hidden; raise BadField."""
        matchers = _parsed(text)
        async with self.life.db.connection() as conn:
            heard = await decisions.heard(conn, self.life.clock() - PREVIEW)
        hidden: Counter[str] = Counter()
        for one in heard:
            if all_hold(matchers, one.labels):
                hidden[one.name] += one.n
        return Preview(sum(one.n for one in heard), dict(hidden.most_common()))

    async def add(self, text: str, duration: str, comment: str, user: str, *, team: str, channel: str) -> str:
        """Keep a silence and tell the channel; raise BadField. The sentence is for the person."""
        matchers = _parsed(text)
        length = duration_of(duration, timedelta(hours=self.policy.silences.max_hours))
        no = await self._refusal(matchers, user, team)
        if no:
            raise BadField("matchers", no)
        preview, now = await self.preview(text), self.life.clock()
        where = channel if await self.channels.watched(channel) else ""
        where = where or await self.channels.id_of(self.policy.channels.default)
        async with self.life.db.transaction() as conn:
            made = await silences.add(conn, written(matchers), comment[:500], user, now, now + length)
            await self._say(conn, where, f"silence:{made.id}", announced(made, preview))
        return announced(made, preview)

    async def active(self) -> list[Silence]:
        """List the silences in force."""
        async with self.life.db.connection() as conn:
            return await silences.active(conn, self.life.clock())

    async def expire(self, silence_id: int, user: str, *, team: str, channel: str) -> str:
        """End a silence now; its maker, and whoever might have made it, may. The sentence says why not, or that it is done."""
        async with self.life.db.connection() as conn:
            found = await silences.get(conn, silence_id)
        if found is None:
            return f"There is no silence {silence_id}."
        if user != found.created_by or team != self.team:
            no = await self._refusal(parse(found.matchers), user, team)
            if no:
                return no
        where = channel if await self.channels.watched(channel) else ""
        where = where or await self.channels.id_of(self.policy.channels.default)
        async with self.life.db.transaction() as conn:
            if not await silences.expire(conn, silence_id, user, self.life.clock()):
                return f"Silence {silence_id} is over already."
            await self._say(conn, where, f"silence-ended:{silence_id}", ended(found, user))
        return f"Silence {silence_id} is over."

    async def _refusal(self, matchers: tuple[Matcher, ...], user: str, team: str) -> str:
        """Say why *user* may not silence this, "" when they may. Raises Temporary when Slack does not tell who is in a group."""
        if not user or team != self.team:
            return "Only people of this workspace may silence alerts here."
        if self.policy.silences.who == "anyone":
            return ""
        services = [one.value for one in matchers if one.name == "service" and one.op == "="]
        named = self.policy.approvers_of(services[0] if services else "")
        for entry in named:
            if user in (await self.members(entry) if entry.startswith("S") else {entry}):
                return ""
        may = ", ".join(f"<!subteam^{entry}>" if entry.startswith("S") else f"<@{entry}>" for entry in named)
        remedy = f"{may} may." if may else "Name approvers in tocsin.yaml, or set silences.who to anyone."
        return f"You may not silence that. {remedy} Nothing was silenced."

    async def _say(self, conn: Connection, channel: str, key: str, text: str) -> None:
        if channel:
            lock = f"say:{key}"
            await self.life.queue.defer(conn, "say", lock=lock, channel=channel, thread_ts="", key=key, text=text)


def _parsed(text: str) -> tuple[Matcher, ...]:
    try:
        return parse(text)
    except Misread as error:
        raise BadField("matchers", str(error)) from error
