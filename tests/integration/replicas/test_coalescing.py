"""Many events, few redraws, and none of them lost: a waiting redraw covers an event only if it starts after its commit."""

import asyncio

import pytest

from tools.queue import Queue
from tools.store.db import Database

LOCK = {"lock": "thread:1", "queueing_lock": "thread:1"}


@pytest.fixture
def queue(db: Database) -> Queue:
    return Queue(db, poll_s=0.05)


async def number(db: Database) -> int:
    async with db.connection() as conn:
        row = await (await conn.execute(b"SELECT last FROM drawing")).fetchone()
    return int(row["last"]) if row else 0


async def test_a_waiting_redraw_cannot_start_before_the_commit_it_covers(db: Database, queue: Queue):
    async with db.connection() as conn:
        await conn.execute(b"CREATE TABLE drawing (last int)")
        await conn.execute(b"INSERT INTO drawing VALUES (1)")
    drawn: list[int] = []

    async def redraw() -> None:
        drawn.append(await number(db))

    queue.task("redraw", redraw)
    async with db.transaction() as conn:
        assert await queue.defer(conn, "redraw", **LOCK)
    async with db.transaction() as conn:
        await conn.execute(b"UPDATE drawing SET last = 2")
        assert not await queue.defer(conn, "redraw", **LOCK)
        worker = asyncio.create_task(queue.run_worker())
        await asyncio.sleep(1.0)  # long enough for a worker to take a job that it may take
        assert drawn == []
    try:
        async with asyncio.timeout(20):
            while not drawn:  # noqa: ASYNC110 - the worker is what is waited for
                await asyncio.sleep(0.02)
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
    assert drawn == [2]


async def test_under_a_stream_of_events_the_last_one_is_drawn_and_most_are_drawn_together(db: Database, queue: Queue):
    async with db.connection() as conn:
        await conn.execute(b"CREATE TABLE drawing (last int)")
        await conn.execute(b"INSERT INTO drawing VALUES (0)")
    drawn: list[int] = []

    async def redraw() -> None:
        seen = await number(db)
        await asyncio.sleep(0.05)  # Slack takes its time
        drawn.append(seen)

    queue.task("redraw", redraw)
    worker = asyncio.create_task(queue.run_worker())
    try:
        for _ in range(200):
            async with db.transaction() as conn:
                await conn.execute(b"UPDATE drawing SET last = last + 1")
                await queue.defer(conn, "redraw", **LOCK)
        async with asyncio.timeout(30):
            while (await queue.counts())["todo"] or (await queue.counts())["doing"]:  # noqa: ASYNC110 - the end is a row
                await asyncio.sleep(0.02)
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
    assert drawn[-1] == 200
    assert drawn == sorted(drawn)
    assert len(drawn) < 150
