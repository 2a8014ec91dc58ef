"""The batching writer on a real Postgres: one commit for many, a bad row alone, nothing acknowledged that is not kept."""

import asyncio
import math
from collections.abc import Sequence

import pytest

from bot.inbox import MOST_ID, Inbox, packed, reader
from tools.errors import Permanent, Temporary
from tools.queue import Queue
from tools.store import inbox
from tools.store.db import Database


@pytest.fixture
def queue(db: Database) -> Queue:
    return Queue(db)


async def rows(db: Database, query: str) -> list[dict[str, object]]:
    async with db.connection() as conn:
        return await (await conn.execute(query.encode())).fetchall()


async def test_a_burst_is_kept_in_few_transactions_with_a_job_for_each_event(db: Database, queue: Queue):
    writer = Inbox(db, queue)
    fresh = await asyncio.gather(*(writer.receive(f"e{number}", "webhook", {"n": number}) for number in range(250)))
    assert all(fresh)
    kept = await rows(db, "SELECT event_id, xmin::text AS tx FROM inbox")
    assert len(kept) == 250
    assert len({row["tx"] for row in kept}) <= 4
    jobs = await rows(db, "SELECT args, xmin::text AS tx FROM procrastinate_jobs")
    assert sorted(name for job in jobs for name in job["args"]["event_ids"]) == sorted(row["event_id"] for row in kept)
    assert {job["tx"] for job in jobs} == {row["tx"] for row in kept}


async def test_the_same_event_many_times_at_once_is_fresh_once(db: Database, queue: Queue):
    writers = Inbox(db, queue), Inbox(db, queue)
    fresh = await asyncio.gather(*(writer.receive("e", "webhook", {}) for writer in writers for _ in range(20)))
    assert fresh.count(True) == 1
    assert await rows(db, "SELECT event_id FROM inbox") == [{"event_id": "e"}]
    assert len(await rows(db, "SELECT id FROM procrastinate_jobs")) == 1


async def test_who_comes_at_the_moment_a_batch_is_done_is_kept_too(db: Database, queue: Queue):
    writer = Inbox(db, queue, patience_s=30.0)
    async with asyncio.timeout(25):
        assert [await writer.receive(f"e{number}", "webhook", {}) for number in range(20)] == [True] * 20


async def test_a_row_that_the_database_refuses_fails_alone(db: Database, queue: Queue):
    async with db.connection() as conn:
        await conn.execute(b"ALTER TABLE inbox ADD CHECK (kind <> 'bad')")
    writer = Inbox(db, queue)
    kinds = ["good"] * 20 + ["bad"] + ["good"] * 20
    told = await asyncio.gather(
        *(writer.receive(f"e{number}", kind, {}) for number, kind in enumerate(kinds)), return_exceptions=True
    )
    assert [one is True for one in told] == [kind == "good" for kind in kinds]
    assert isinstance(told[20], Permanent)
    assert len(await rows(db, "SELECT event_id FROM inbox")) == 40


async def test_a_slow_database_is_not_acknowledged_and_the_repetition_is_seen_to_be_one(db: Database, queue: Queue):
    writer = Inbox(db, queue, patience_s=0.1, room=3)
    async with db.transaction() as conn:
        await conn.execute(b"LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE")
        told = await asyncio.gather(*(writer.receive(f"e{n}", "webhook", {}) for n in range(9)), return_exceptions=True)
    assert [type(one) for one in told] == [Temporary] * 9
    again = [await Inbox(db, queue).receive(f"e{number}", "webhook", {}) for number in range(9)]
    assert True in again
    assert len(await rows(db, "SELECT event_id FROM inbox")) == 9


async def test_what_no_column_holds_is_turned_away_or_replaced(db: Database, queue: Queue):
    writer = Inbox(db, queue)
    for name in ("", "x" * (MOST_ID + 1)):
        with pytest.raises(Permanent):
            await writer.receive(name, "webhook", {})
    with pytest.raises(ValueError, match="JSON"):
        packed({"n": math.nan})
    assert await writer.receive("nul", "webhook", {"a\x00": ["b\ud800", "c\\u0000"]})
    async with db.connection() as conn:
        found = await inbox.get(conn, "nul")
    assert found is not None
    assert found.payload == {"a\ufffd": ["b\ufffd", "c\\u0000"]}


async def test_one_event_of_a_batch_that_fails_is_read_again_alone(db: Database, queue: Queue):
    seen = []

    async def process(event_id: str) -> None:
        seen.append(event_id)
        if event_id == "b":
            raise KeyError(event_id)

    async def process_many(event_ids: Sequence[str]) -> list[str]:
        raise ValueError(event_ids)

    await reader(db, queue, process, process_many)(event_ids=["a", "b", "c"])
    assert sorted(seen) == ["a", "b", "c"]
    jobs = await rows(db, "SELECT task_name, args FROM procrastinate_jobs")
    assert jobs == [{"task_name": "intake", "args": {"event_id": "b"}}]
