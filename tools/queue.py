"""Durable work: procrastinate on the store's Postgres, deferred in the transaction of the record that asks for it.

bot/compose.py registers handlers and runs a worker; bot/lifecycle.py defers. A handler may run twice (a worker that died
after doing the work, before saying so), so it begins by looking whether its step is done.

Five habits of procrastinate that this file works around, each with a test:
- a waiting job holds back every later job of its lock, even one scheduled for next hour or in back-off, so those get a
  lower priority until they are due;
- the next job of a lock is not looked for when the one before it ends, so workers are notified then;
- a refused queueing lock is an error inside the caller's transaction, so it happens in a savepoint;
- a waiting job with the queueing lock could start before the caller's commit and miss what it writes, so its row is held
  till then: workers skip a row that is held;
- a job cannot go back to waiting while its queueing lock is taken by a newer one, so then it ends: the newer does the work.
"""

import asyncio
import contextlib
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import procrastinate
import psycopg
import structlog
from procrastinate import exceptions, jobs, manager
from procrastinate.retry import BaseRetryStrategy, RetryDecision

from tools.errors import Permanent, Temporary
from tools.store.db import Connection, Database, queries

Handler = Callable[..., Awaitable[None]]

log = structlog.get_logger()
_SQL = queries("queue")
_GIVE_UP = 20  # tries of one job: with the longest pause of 60 s about a quarter of an hour
_DEADLY = 10  # tries after which a job that a worker died over is given up: it may be what kills them
_UNFORESEEN = 3  # tries after an error nobody foresaw: it may be the process, not the job
_RACES = 5
_LONGEST_PAUSE_S = 60.0
_PAUSE_S = 1.0  # before a worker that lost its database starts again
WORK, SLACK, INVESTIGATE = "default", "slack", "investigate"
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_KEEP_FAILED_HOURS = 7 * 24
_WAKE = "SELECT pg_notify('procrastinate_queue_v1#' || %(lane)s, %(message)s)"


class Queue:
    """Named handlers, durable jobs for them, and the worker that runs them.

    A worker says every *heartbeat_s* that it lives; the jobs of one silent for *stalled_s* are run again by any other.
    *poll_s* is how late a scheduled or retried job may start; every other is notified at once.
    """

    def __init__(self, db: Database, *, heartbeat_s: float = 5.0, stalled_s: float = 15.0, poll_s: float = 1.0) -> None:
        self._db = db
        self._heartbeat_s = heartbeat_s
        self._stalled_s = stalled_s
        self._poll_s = poll_s
        connector = procrastinate.PsycopgConnector(
            conninfo=db.dsn, min_size=1, max_size=10, kwargs={"application_name": "tocsin queue"}
        )
        self._app = procrastinate.App(connector=connector)
        self._app.job_manager = _Manager(connector)

    def task(self, name: str, handler: Handler, *, patient: bool = False, lane: str = WORK) -> None:
        """Register *handler* for jobs called *name*; it gets the job's arguments by keyword.

        Temporary is tried again (after its delay, doubling to 60 s; 20 times, or for ever when *patient*), Permanent fails
        at once, anything else at the third try; both are logged. Each *lane* has workers of its own, so that one that waits
        holds nobody else up.
        """
        self._app.task(name=name, queue=lane, retry=_Retry(patient=patient))(handler)

    async def defer(
        self,
        conn: Connection,
        name: str,
        *,
        lock: str = "",
        queueing_lock: str = "",
        at: datetime | None = None,
        **args: Any,
    ) -> bool:
        """Write a job for *name* in the caller's transaction: it exists when that commits, and only then.

        Jobs of one *lock* run one at a time, in order. While a job with *queueing_lock* waits to start, no second one is
        written and False is returned; the waiting one starts after the caller's commit, so it sees what that wrote.
        *at*: not before.
        """
        deferrer = self._app.configure_task(
            name,
            lock=lock or None,
            queueing_lock=queueing_lock or None,
            schedule_at=at,
            priority=_priority(at),
            connection=conn,
        )
        if not queueing_lock:
            with _plain():
                await deferrer.defer_async(**args)
            return True
        for _ in range(_RACES):
            if await (await conn.execute(_SQL["hold"], {"queueing_lock": queueing_lock})).fetchone():
                return False
            with contextlib.suppress(exceptions.AlreadyEnqueued), _plain():
                async with conn.transaction():
                    await deferrer.defer_async(**args)
                return True
        raise Temporary(f"Jobs of {queueing_lock} came and went {_RACES} times while one was looked for.")

    async def defer_many(self, conn: Connection, name: str, batch: Sequence[dict[str, Any]]) -> None:
        """Write one job for each dict of arguments, in one statement of the caller's transaction."""
        if batch:
            with _plain():
                await self._app.configure_task(name, connection=conn).batch_defer_async(*batch)

    async def run_worker(self, rooms: Mapping[str, int] | None = None, grace_s: float = 15.0) -> None:
        """Run jobs until cancelled; then the running ones get *grace_s* seconds, after which they are put back.

        *rooms* says how many jobs of each lane run at once. A database that goes away is waited for.
        """
        while True:
            with _logged("worker"):
                async with self._app.open_async():
                    rescue = asyncio.create_task(self._look_after_jobs(), name="queue rescue")
                    try:
                        async with _together() as lanes:
                            for lane, room in (rooms or {WORK: 10}).items():
                                lanes.append(asyncio.create_task(self._run_lane(lane, room, grace_s), name=lane))
                    finally:
                        rescue.cancel()
                        await asyncio.gather(rescue, return_exceptions=True)
            await asyncio.sleep(_PAUSE_S)

    async def _run_lane(self, lane: str, room: int, grace_s: float) -> None:
        await self._app.run_worker_async(
            queues=[lane],
            concurrency=room,
            fetch_job_polling_interval=self._poll_s,
            shutdown_graceful_timeout=grace_s,
            delete_jobs="successful",
            install_signal_handlers=False,
            update_heartbeat_interval=self._heartbeat_s,
            stalled_worker_timeout=self._stalled_s,
        )

    async def counts(self) -> dict[str, float]:
        """Return how many jobs wait ("todo"), run ("doing"), "failed", and the age of the oldest due one ("oldest_s")."""
        async with self._db.connection() as conn:
            rows = await (await conn.execute(_SQL["counts"])).fetchall()
            oldest = await (await conn.execute(_SQL["oldest"])).fetchone()
        found = {row["status"]: float(row["n"]) for row in rows}
        return {"todo": 0.0, "doing": 0.0, "failed": 0.0, **found, "oldest_s": oldest["seconds"] if oldest else 0.0}

    async def _look_after_jobs(self) -> None:
        """Put back the jobs of dead workers, and raise scheduled jobs that are due to the others' priority."""
        rounds = 0
        while True:
            with _logged("rescue"):
                await self._rescue()
                async with self._db.connection() as conn:
                    await conn.execute(_SQL["raise_due"])
                if rounds % 1000 == 0:
                    await self._app.job_manager.delete_old_jobs(nb_hours=_KEEP_FAILED_HOURS, include_failed=True)
                rounds += 1
            await asyncio.sleep(self._heartbeat_s)

    async def _rescue(self) -> None:
        manage = self._app.job_manager
        for job in await manage.get_stalled_jobs(seconds_since_heartbeat=self._stalled_s):
            if job.attempts >= _DEADLY + (_GIVE_UP if job.queue == SLACK else 0):
                log.error("job.given_up", name=job.task_name, args=job.task_kwargs, workers_lost=job.attempts)
                await manage.finish_job(job, jobs.Status.FAILED, delete_job=False)
            else:
                log.warning("job.rescued", name=job.task_name, args=job.task_kwargs, worker=job.worker_id)
                await manage.retry_job(job)


class _Retry(BaseRetryStrategy):
    """Which failed jobs are tried again, and when; a *patient* one is never given up for a Temporary."""

    def __init__(self, *, patient: bool = False) -> None:
        self._patient = patient

    def get_retry_decision(self, *, exception: BaseException, job: jobs.Job) -> RetryDecision | None:
        if isinstance(exception, asyncio.CancelledError):  # the worker is shutting down
            return RetryDecision(retry_at=datetime.now(UTC))
        if job.attempts + 1 >= self._tries(exception):  # attempts counts those before this one
            return None
        delay = exception.delay if isinstance(exception, Temporary) else 0.0
        pause = min(_LONGEST_PAUSE_S, max(delay, 2.0 ** min(job.attempts, 6)))
        log.warning("job.retried", name=job.task_name, args=job.task_kwargs, error=str(exception), pause_s=pause)
        when = datetime.now(UTC) + timedelta(seconds=pause)
        return RetryDecision(retry_at=when, priority=_priority(when))

    def _tries(self, exception: BaseException) -> float:
        if isinstance(exception, Temporary):
            return math.inf if self._patient else _GIVE_UP
        return 0 if isinstance(exception, Permanent) else _UNFORESEEN


class _Manager(manager.JobManager):
    """procrastinate's job manager, which frees locks at once and strands no job whose queueing lock was taken meanwhile."""

    async def retry_job(self, job: jobs.Job, *args: Any, **kwargs: Any) -> None:
        try:
            await super().retry_job(job, *args, **kwargs)
        except exceptions.UniqueViolation:
            log.info("job.replaced", name=job.task_name, args=job.task_kwargs)
            await super().finish_job(job, jobs.Status.ABORTED, delete_job=False)
        await self._wake(job)

    async def finish_job(self, job: jobs.Job, status: jobs.Status, delete_job: bool) -> None:
        await super().finish_job(job, status, delete_job)
        await self._wake(job)

    async def _wake(self, job: jobs.Job) -> None:
        if job.lock:
            message = json.dumps({"type": "job_inserted", "job_id": job.id})
            await self.connector.execute_query_async(_WAKE, lane=job.queue, message=message)


def _priority(at: datetime | None) -> int:
    """Return 0 for now, else the lower the later: seconds since 2026, negative (a 32-bit integer lasts to 2094)."""
    return -max(1, int((at - _EPOCH).total_seconds())) if at else 0


@contextlib.contextmanager
def _plain() -> Iterator[None]:
    """Let the driver's own error through, which Database translates."""
    try:
        yield
    except exceptions.AlreadyEnqueued:
        raise
    except exceptions.ConnectorException as error:
        raise error.__cause__ or error from None


@contextlib.asynccontextmanager
async def _together() -> AsyncIterator[list[asyncio.Task[None]]]:
    """Wait for the tasks put into the list: when one ends, or we are cancelled, the others are cancelled and awaited."""
    tasks: list[asyncio.Task[None]] = []
    try:
        yield tasks
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for problem in ended:
        if isinstance(problem, Exception):
            raise problem


@contextlib.contextmanager
def _logged(what: str) -> Iterator[None]:
    """Log a failing database and go on; it is asked again."""
    try:
        yield
    except (exceptions.ProcrastinateException, psycopg.Error, Temporary) as error:
        log.warning("queue.interrupted", what=what, error=str(error.__cause__ or error))
