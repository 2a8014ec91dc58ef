"""The end of the record is posted once a day, by one of two replicas, and shows a history that was rewritten later."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from bot.anchor import Anchor
from bot.commands import audit
from bot.lifecycle import Lifecycle
from bot.metrics import Metrics
from bot.refusals import Refusals
from tests.integration.store.samples import opened
from tools.errors import Permanent
from tools.queue import Queue
from tools.store import events
from tools.store.db import Database


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


async def _id_of(name: str) -> str:
    return "C0AUDIT" if name == "audit" else ""


def anchor(db: Database, clock: Clock, channel: str = "audit") -> Anchor:
    return Anchor(Lifecycle(db, Queue(db), clock, 1.0), channel, _id_of)


async def posted(db: Database) -> list[str]:
    async with db.connection() as conn:
        query = b"SELECT args ->> 'text' AS text FROM procrastinate_jobs WHERE task_name = 'say' ORDER BY id"
        return [row["text"] for row in await (await conn.execute(query)).fetchall()]


@pytest.fixture
async def clock(db: Database) -> Clock:
    incident = await opened(db)
    made = Clock()
    async with db.transaction() as conn:
        for number in range(3):
            await events.append(conn, incident, "noted", "U1", {"n": number}, made.now)
    return made


async def test_two_replicas_post_once_a_day(db: Database, clock: Clock):
    replicas = [anchor(db, clock) for _ in range(2)]
    await asyncio.gather(*(replica.tick() for replica in replicas * 3))
    assert len(await posted(db)) == 1
    clock.now += timedelta(hours=20)  # still the same day
    await replicas[0].tick()
    assert len(await posted(db)) == 1
    clock.now += timedelta(hours=1)
    await asyncio.gather(*(replica.tick() for replica in replicas))
    assert len(await posted(db)) == 2
    async with db.connection() as conn:
        assert (await events.verify(conn)).sound


@pytest.mark.parametrize("channel", ["", "nowhere"])
async def test_without_a_channel_nothing_is_posted(db: Database, clock: Clock, channel: str):
    await anchor(db, clock, channel).tick()
    assert await posted(db) == []


async def test_the_message_shows_a_rewritten_history_in_an_export(db: Database, clock: Clock, tmp_path):
    await anchor(db, clock).tick()
    (message,) = await posted(db)
    async with db.connection() as conn:
        lines = [line async for line in events.export(conn)]
    sound, other, short = (tmp_path / name for name in ("sound", "other", "short"))
    sound.write_text("".join(lines))
    short.write_text("".join(lines[:2]))
    before = datetime(2026, 11, 22, tzinfo=UTC)
    rewritten, last = [], ""
    for line in lines:  # a whole new chain, sound in itself
        entry = events.TimelineEntry.model_validate_json(line).model_copy(update={"at": before, "prev_hash": last})
        last = events.digest(entry)
        rewritten.append(entry.model_copy(update={"hash": last}).model_dump_json() + "\n")
    other.write_text("".join(rewritten))
    assert audit.verify(None, sound, message, debug=False) == 0
    assert audit.verify(None, other, "", debug=False) == 0
    assert audit.verify(None, other, message, debug=False) == 1
    assert audit.verify(None, short, message, debug=False) == 1
    with pytest.raises(Permanent, match="no SEQ:HASH"):
        audit.verify(None, sound, "yesterday's", debug=False)


async def test_refusals_are_summed_up_on_the_record(db: Database, clock: Clock):
    refusals = Refusals(Lifecycle(db, Queue(db), clock, 1.0), Metrics())
    for number in range(1000):
        refusals.note("http", "bad_signature")
        if number == 0:
            await refusals.write()
    await refusals.write()
    clock.now += timedelta(minutes=6)
    refusals.note("slack", "guest", "U0GIL")
    await asyncio.gather(refusals.write(), refusals.write())
    await refusals.write(everything=True)
    async with db.connection() as conn:
        rows = [(row.actor, row.body) for row in await events.timeline(conn, 0)]
        assert (await events.verify(conn)).sound
    assert rows == [
        ("tocsin", {"door": "http", "reason": "bad_signature", "times": 1}),
        ("tocsin", {"door": "http", "reason": "bad_signature", "times": 999}),
        ("U0GIL", {"door": "slack", "reason": "guest", "times": 1}),
    ]


async def test_a_flood_of_kinds_is_one_row_more(db: Database, clock: Clock):
    refusals = Refusals(Lifecycle(db, Queue(db), clock, 1.0), Metrics())
    for number in range(5000):
        refusals.note("slack", "unknown_user", f"U{number}")
    await refusals.write()
    async with db.connection() as conn:
        rows = await events.timeline(conn, 0)
    assert len(rows) == 201
    assert sum(row.body["times"] for row in rows) == 5000
