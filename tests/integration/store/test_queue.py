"""The queue on a real Postgres: nothing without a commit, one at a time per lock, tried again, rescued from dead workers."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tools.errors import Permanent, Temporary
from tools.queue import Queue, _priority
from tools.store.db import Connection, Database

DOOMED = """
import asyncio, sys
from tools.queue import Queue
from tools.store.db import Database

async def main():
    db = await Database.open(sys.argv[1])
    queue = Queue(db, heartbeat_s=0.2, stalled_s=1.0)
    async def work(n):
        print("started", flush=True)
        await asyncio.sleep(600)
    queue.task("work", work)
    await queue.run_worker(grace_s=float(sys.argv[2]))
asyncio.run(main())
"""


class Diary:
    """Remembers what a handler was called with, and lets a test wait for it."""

    def __init__(self) -> None:
        self.seen: list[object] = []
        self._more = asyncio.Event()

    async def note(self, n: object) -> None:
        self.seen.append(n)
        self._more.set()

    async def until(self, count: int) -> list[object]:
        async with asyncio.timeout(30):
            while len(self.seen) < count:
                self._more.clear()
                await self._more.wait()
        return self.seen


@contextlib.asynccontextmanager
async def working(queue: Queue, grace_s: float = 5.0) -> AsyncIterator[None]:
    worker = asyncio.create_task(queue.run_worker({"default": 5}, grace_s=grace_s))
    try:
        yield
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)


@pytest.fixture
def queue(db: Database) -> Queue:
    return Queue(db, heartbeat_s=0.2, stalled_s=1.0)


async def _defer(db: Database, queue: Queue, name: str, **options: object) -> bool:
    async with db.transaction() as conn:
        return await queue.defer(conn, name, **options)


async def _settled(queue: Queue) -> dict[str, float]:
    async with asyncio.timeout(30):
        while (counts := await queue.counts())["todo"] or counts["doing"]:  # noqa: ASYNC110 - the end is a row
            await asyncio.sleep(0.02)
    return counts


async def test_a_rolled_back_transaction_leaves_no_job(db: Database, queue: Queue):
    async def defer_and_fail() -> None:
        async with db.transaction() as conn:
            await queue.defer(conn, "note", n=1)
            raise LookupError

    with pytest.raises(LookupError):
        await defer_and_fail()
    assert (await queue.counts())["todo"] == 0


async def test_a_committed_job_runs_once_and_leaves_no_row(db: Database, queue: Queue):
    diary = Diary()
    queue.task("note", diary.note)
    async with working(queue):
        for n in range(5):
            await _defer(db, queue, "note", n=n)
        await diary.until(5)
        await _settled(queue)
    assert sorted(diary.seen) == list(range(5))
    async with db.connection() as conn:
        assert await (await conn.execute("SELECT 1 FROM procrastinate_jobs")).fetchone() is None


async def test_a_waiting_queueing_lock_admits_no_second_job_and_spares_the_transaction(db: Database, queue: Queue):
    async with db.transaction() as conn:
        assert await queue.defer(conn, "note", queueing_lock="q", n=1)
        assert not await queue.defer(conn, "note", queueing_lock="q", n=2)
        assert await queue.defer(conn, "note", n=3)
    assert (await queue.counts())["todo"] == 2


async def test_jobs_of_one_lock_run_one_at_a_time_in_order(db: Database, queue: Queue):
    running: list[int] = []
    most: list[int] = []
    diary = Diary()

    async def work(n: int) -> None:
        running.append(n)
        most.append(len(running))
        await asyncio.sleep(0.02)
        running.remove(n)
        await diary.note(n)

    queue.task("work", work)
    for n in range(6):
        await _defer(db, queue, "work", lock="incident:1", n=n)
    async with working(queue):
        assert await diary.until(6) == list(range(6))
    assert max(most) == 1


async def test_a_freed_lock_wakes_the_worker(db: Database):
    """A job defers its successor under its own lock: with the poll an hour away only a notification can start it."""
    queue = Queue(db, poll_s=3600)
    diary = Diary()

    async def chain(n: int) -> None:
        if n < 4:
            await _defer(db, queue, "chain", lock="incident:1", n=n + 1)
            await asyncio.sleep(0.05)
        await diary.note(n)

    queue.task("chain", chain)
    async with working(queue):
        await _defer(db, queue, "chain", lock="incident:1", n=0)
        assert await diary.until(5) == [0, 1, 2, 3, 4]


async def test_a_scheduled_job_does_not_hold_back_its_lock(db: Database, queue: Queue):
    diary = Diary()
    queue.task("note", diary.note)
    soon = datetime.now(UTC) + timedelta(seconds=1.5)
    await _defer(db, queue, "note", lock="k", at=soon, n="later")
    await _defer(db, queue, "note", lock="k", n="now")
    async with working(queue):
        assert await diary.until(1) == ["now"]
        assert await diary.until(2) == ["now", "later"]
    assert datetime.now(UTC) >= soon


async def test_temporary_is_tried_again_a_bug_thrice_and_permanent_never(db: Database, queue: Queue):
    diary = Diary()
    tries = {"temporary": 0, "permanent": 0, "bug": 0}

    async def fail(n: str) -> None:
        tries[n] += 1
        if n == "temporary" and tries[n] < 2:
            raise Temporary("not now", delay=0.01)
        if n == "permanent":
            raise Permanent("never")
        if n == "bug":
            raise ZeroDivisionError
        await diary.note(n)

    queue.task("fail", fail)
    for n in tries:
        await _defer(db, queue, "fail", n=n)
    async with working(queue):
        await diary.until(1)
        counts = await _settled(queue)
    assert tries == {"temporary": 2, "permanent": 1, "bug": 3}  # it may have been the process, not the job
    assert counts["failed"] == 2


async def test_a_retried_job_gives_way_to_a_newer_one_with_its_queueing_lock(db: Database, queue: Queue):
    """Without care procrastinate would leave the older one running for ever, and its lock taken."""
    diary = Diary()

    async def redraw(n: int) -> None:
        if n == 1:
            await _defer(db, queue, "redraw", lock="t", queueing_lock="q", n=2)
            raise Temporary("slack is away", delay=0.01)
        await diary.note(n)

    queue.task("redraw", redraw)
    await _defer(db, queue, "redraw", lock="t", queueing_lock="q", n=1)
    async with working(queue):
        assert await diary.until(1) == [2]
        await _settled(queue)


async def _started(dsn: str, grace_s: float) -> subprocess.Popen[bytes]:
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", DOOMED, dsn, str(grace_s)]
    worker = await asyncio.to_thread(subprocess.Popen, command, stdout=subprocess.PIPE, cwd=root)
    assert worker.stdout
    assert await asyncio.to_thread(worker.stdout.readline) == b"started\n"
    return worker


async def test_the_jobs_of_a_killed_worker_are_run_by_another(db: Database, queue: Queue):
    diary = Diary()
    queue.task("work", diary.note)
    await _defer(db, queue, "work", lock="incident:1", n=1)
    worker = await _started(db.dsn, 5)
    os.kill(worker.pid, signal.SIGKILL)
    await asyncio.to_thread(worker.wait)
    async with working(queue):
        assert await diary.until(1) == [1]
        await _settled(queue)


async def test_a_job_that_kills_its_workers_is_given_up(db: Database, queue: Queue):
    diary = Diary()
    queue.task("note", diary.note)
    await _defer(db, queue, "note", n=1)
    async with db.transaction() as conn:
        await conn.execute("UPDATE procrastinate_jobs SET status = 'doing', attempts = 10")
    async with working(queue):
        counts = await _settled(queue)
    assert (counts["failed"], diary.seen) == (1, [])


async def test_a_job_that_outlasts_the_grace_of_a_stopping_worker_is_put_back(db: Database, queue: Queue):
    begun = Diary()

    async def work(n: int) -> None:
        await begun.note(n)
        await asyncio.sleep(600)

    queue.task("work", work)
    await _defer(db, queue, "work", n=1)
    async with working(queue, grace_s=0.1):
        await begun.until(1)
    counts = await queue.counts()
    assert (counts["todo"], counts["doing"]) == (1, 0)


async def test_a_job_that_ends_within_the_grace_is_done(db: Database, queue: Queue):
    begun, ended = Diary(), Diary()

    async def work(n: int) -> None:
        await begun.note(n)
        await asyncio.sleep(0.2)
        await ended.note(n)

    queue.task("work", work)
    await _defer(db, queue, "work", n=1)
    async with working(queue, grace_s=20):
        await begun.until(1)
    assert ended.seen == [1]
    assert (await queue.counts())["todo"] == 0


async def test_the_worker_comes_back_when_its_connections_were_cut(db: Database, queue: Queue):
    diary = Diary()
    queue.task("note", diary.note)
    async with working(queue):
        await _defer(db, queue, "note", n=1)
        await diary.until(1)
        await _settled(queue)  # else the cut takes the end of the first job with it, and it is rightly done again
        async with db.connection() as conn:
            await conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name = 'tocsin queue'"
            )
        await _defer(db, queue, "note", n=2)
        assert await diary.until(2) == [1, 2]


async def test_the_drivers_own_error_reaches_the_store(db: Database, queue: Queue):
    async def defer_on_a_dead_connection(conn: Connection) -> None:
        await conn.close()
        await queue.defer(conn, "note", n=1)

    with pytest.raises(Temporary):
        async with db.connection() as conn:
            await defer_on_a_dead_connection(conn)


def test_later_is_lower():
    now = datetime(2026, 11, 23, tzinfo=UTC)
    assert _priority(None) == 0
    assert (
        -(2**31)
        < _priority(now + timedelta(days=365 * 50))
        < _priority(now + timedelta(seconds=1))
        < _priority(now)
        < 0
    )
