"""An event whose reading fails for good, on a real queue: marked with the reason, told once, counted, and read again when asked."""

import asyncio
import contextlib
from datetime import UTC, datetime

import pytest

from bot.inbox import READ_ONE, Inbox
from bot.leftovers import REASON, Leftovers, again, noted
from bot.lifecycle import Lifecycle
from bot.metrics import Metrics
from tools.errors import Temporary
from tools.queue import Queue
from tools.store import inbox

NOW = datetime(2026, 11, 24, 10, 5, tzinfo=UTC)
MESSAGE = {"type": "event_callback", "event": {"type": "message", "channel": "C0ALERTS", "ts": "100.1"}}


async def id_of(name):
    return "C0OPS" if name == "ops" else ""


@pytest.fixture
def queue(db):
    return Queue(db, heartbeat_s=0.2, stalled_s=1.0, poll_s=0.1)


@pytest.fixture
def metrics():
    return Metrics()


@pytest.fixture
def leftovers(db, queue, metrics):
    return Leftovers(Lifecycle(db, queue, lambda: NOW, 15.0), metrics, id_of, "ops")


async def rows(db, query):
    async with db.connection() as conn:
        return await (await conn.execute(query.encode())).fetchall()


async def said(db):
    found = await rows(db, "SELECT args FROM procrastinate_jobs WHERE task_name = 'say' ORDER BY id")
    return [(one["args"]["channel"], one["args"]["thread_ts"], one["args"]["text"]) for one in found]


async def state(db, event_id):
    async with db.connection() as conn:
        one = await inbox.get(conn, event_id)
    return one.state, one.error


@contextlib.asynccontextmanager
async def worker(queue):
    running = asyncio.create_task(queue.run_worker({"default": 2}, grace_s=1.0))
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def until(db, query):
    async with asyncio.timeout(30):
        while not await rows(db, query):  # noqa: ASYNC110 - what is waited for is a row
            await asyncio.sleep(0.05)


async def test_a_reading_that_fails_for_good_is_told_and_can_be_repeated(db, queue, metrics, leftovers):
    broken = True

    async def process(event_id):
        if broken:
            msg = "list index out of range"
            raise IndexError(msg)
        async with db.connection() as conn:
            await inbox.done(conn, event_id)

    queue.task(READ_ONE, noted(db, process))
    assert await Inbox(db, queue).receive("slack:e1", "slack_event", MESSAGE)
    await leftovers.look()
    assert await state(db, "slack:e1") == ("new", "")  # its job is still to come
    async with worker(queue):
        await until(db, "SELECT 1 FROM procrastinate_jobs WHERE status = 'failed'")
        assert await state(db, "slack:e1") == ("new", "IndexError: list index out of range")
        for _ in range(2):
            await leftovers.look()
        assert await state(db, "slack:e1") == ("failed", "IndexError: list index out of range")
        ((channel, ts, text),) = await said(db)
        assert (channel, ts) == ("C0ALERTS", "100.1")
        assert "list index out of range" in text
        assert "tocsin inbox --retry slack:e1" in text
        assert 'tocsin_given_up_total{kind="slack_event"} 1.0' in metrics.text().decode()
        broken = False
        assert await again(db, queue, ["slack:e1", "slack:nobody"]) == ["slack:e1"]
        await until(db, "SELECT 1 FROM inbox WHERE state = 'done'")
    await leftovers.look()
    assert await state(db, "slack:e1") == ("done", "")
    assert len(await said(db)) == 1


async def test_what_waits_or_is_settled_is_left_alone_and_what_has_no_job_is_not(db, queue, leftovers):
    writer = Inbox(db, queue)
    await asyncio.gather(*(writer.receive(f"generic:{n}", "webhook", {"n": n}) for n in range(4)))
    async with db.connection() as conn:
        await inbox.done(conn, "generic:0")
        await inbox.put(conn, "generic:lost", "webhook", {})
        await inbox.put(conn, "generic:lost too", "webhook", {})
    await leftovers.look()
    assert await state(db, "generic:1") == ("new", "")
    assert await state(db, "generic:0") == ("done", "")
    assert await state(db, "generic:lost") == ("failed", REASON)
    async with db.connection() as conn:
        await inbox.put(conn, "generic:later", "webhook", {})
    await leftovers.look()
    ((channel, ts, text),) = await said(db)  # of this hour once
    assert (channel, ts) == ("C0OPS", "")
    assert "and 1 others" in text
    async with db.connection() as conn:
        assert {one.event_id for one in await inbox.failures(conn)} == {
            "generic:lost",
            "generic:lost too",
            "generic:later",
        }


async def test_a_database_that_is_away_is_no_reason_to_keep(db):
    async def process(_event_id):
        raise Temporary

    async with db.connection() as conn:
        await inbox.put(conn, "generic:1", "webhook", {})
    with pytest.raises(Temporary):
        await noted(db, process)("generic:1")
    assert await state(db, "generic:1") == ("new", "")
