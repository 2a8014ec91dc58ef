"""The durable writer: what arrives at once is kept with one statement, and acknowledged after its commit.

bot/intake.py's `receive` delegates here, for Slack and for webhooks. Postgres with synchronous commit takes a few
thousand rows a second one by one and many more in batches, so callers wait a few milliseconds for company. When the
database is slow or away they get Temporary: nothing is acknowledged, and the sender delivers again.
"""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from tools.errors import Permanent, Temporary, TocsinError
from tools.store import inbox
from tools.store.db import Connection, Database, clean

if TYPE_CHECKING:
    from tools.queue import Queue

log = structlog.get_logger()
READ_ONE, READ_MANY = "intake", "read_many"
GATHER_S = 0.002  # how long the first of a batch waits for others
MOST_ROWS = 100
MOST_CHARS = 4_000_000  # of one batch; a webhook is at most 1 MB
ROOM_ROWS = 2_000  # waiting; at the rate of a slow disk about a second of work
ROOM_CHARS = 64_000_000
PATIENCE_S = 2.5  # Slack waits 3 s
FLUSH_S = 8.0  # a statement that takes longer is given up, and its connection with it
FLUSHERS = 1  # more would split the company into smaller batches
READ_AT_ONCE = 4
JOB_ROWS = 50  # events of one reading job: few enough that replicas share a burst
MOST_ID = 500  # characters of an event id, as the table has it
_ENCODE = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":")
).encode  # dumps makes one each time


@dataclass(eq=False)
class _Waiting:
    """One event on its way in, and the caller who waits for it."""

    event_id: str
    kind: str
    text: str
    stored: "asyncio.Future[bool]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def settle(self, fresh: bool) -> None:
        if not self.stored.done():
            self.stored.set_result(fresh)

    def fail(self, error: TocsinError) -> None:
        if not self.stored.done():
            self.stored.set_exception(error)


class Inbox:
    """Keeps raw events in batches and defers their reading in the same transaction."""

    def __init__(self, db: Database, queue: "Queue", *, patience_s: float = PATIENCE_S, room: int = ROOM_ROWS) -> None:
        self._db = db
        self._queue = queue
        self._patience_s = patience_s
        self._room = room
        self._waiting: deque[_Waiting] = deque()
        self._chars = 0
        self._flushers: set[asyncio.Task[Any] | None] = set()

    async def receive(self, event_id: str, kind: str, payload: Mapping[str, Any]) -> bool:
        """Return once the event is durable; False when *event_id* was seen before.

        Raises Temporary when that takes longer than the patience, or too many wait: not kept for sure, so it must not be
        acknowledged. Raises Permanent for an id that no row can have.
        """
        if not 0 < len(event_id) <= MOST_ID:
            raise Permanent(f"An event id has 1 to {MOST_ID} characters, not {len(event_id)}.")
        text = packed(payload)
        if len(self._waiting) >= self._room or self._chars + len(text) > ROOM_CHARS:
            raise Temporary("Too many events wait to be kept; this one was not taken.", delay=2.0)
        one = _Waiting(clean(event_id), clean(kind), text)
        self._waiting.append(one)
        self._chars += len(text)
        self._start()
        try:
            async with asyncio.timeout(self._patience_s):
                return await one.stored
        except TimeoutError:
            raise Temporary(f"Postgres did not keep the event within {self._patience_s:g} s.", delay=2.0) from None

    def _start(self) -> None:
        if len(self._flushers) < FLUSHERS and (not self._flushers or len(self._waiting) >= MOST_ROWS):
            self._flushers.add(asyncio.get_running_loop().create_task(self._flush(), name="inbox"))

    async def _flush(self) -> None:
        try:
            while self._waiting:
                if len(self._waiting) < MOST_ROWS:
                    await asyncio.sleep(GATHER_S)
                batch = self._take()
                if batch:
                    await self._keep(batch)
        finally:  # here and not when the task is seen to be done: who comes in between would wait for nobody
            self._flushers.discard(asyncio.current_task())

    def _take(self) -> list[_Waiting]:
        """Take the next batch; a caller who has gone is left out. Sorted, so that two batches cannot deadlock."""
        batch: list[_Waiting] = []
        size = 0
        while (
            self._waiting and len(batch) < MOST_ROWS and (not batch or size + len(self._waiting[0].text) <= MOST_CHARS)
        ):
            one = self._waiting.popleft()
            self._chars -= len(one.text)
            if not one.stored.done():
                batch.append(one)
                size += len(one.text)
        return sorted(batch, key=lambda one: one.event_id)

    async def _keep(self, batch: Sequence[_Waiting]) -> None:
        """Store *batch* and tell its callers; where the database refuses it, each row stands for itself."""
        try:
            async with asyncio.timeout(FLUSH_S), self._db.transaction() as conn:
                fresh = await self._store(conn, batch)
        except TimeoutError:
            self._refuse(batch, Temporary(f"Postgres did not answer within {FLUSH_S:g} s.", delay=2.0))
        except Temporary as error:
            self._refuse(batch, error)
        except TocsinError as error:
            if len(batch) == 1:
                self._refuse(batch, error)
                return
            for one in batch:
                await self._keep([one])
        else:
            for one in batch:
                one.settle(one.event_id in fresh)
                fresh.discard(one.event_id)  # the same id twice in one batch: the second is the repetition

    async def _store(self, conn: Connection, batch: Sequence[_Waiting]) -> set[str]:
        fresh = await inbox.put_texts(conn, [(one.event_id, one.kind, one.text) for one in batch])
        new = [one.event_id for one in batch if one.event_id in fresh]
        new = list(dict.fromkeys(new))
        if len(new) == 1:
            await self._queue.defer(conn, READ_ONE, event_id=new[0])
        else:
            chunks = [{"event_ids": new[at : at + JOB_ROWS]} for at in range(0, len(new), JOB_ROWS)]
            await self._queue.defer_many(conn, READ_MANY, chunks)
        return fresh

    def _refuse(self, batch: Sequence[_Waiting], error: TocsinError) -> None:
        log.warning("inbox.refused", events=len(batch), error=str(error))
        for one in batch:
            one.fail(error)


Process = Callable[[str], Awaitable[None]]
ProcessMany = Callable[[Sequence[str]], Awaitable[list[str]]]


def reader(db: Database, queue: "Queue", process: Process, process_many: ProcessMany) -> Callable[..., Awaitable[None]]:
    """Return the job that reads a batch with *process_many*, and what that leaves with *process*, a few at once.

    Where the batch fails, each event is read alone; one that fails alone gets a job of its own.
    """

    async def read_many(event_ids: Sequence[str]) -> None:
        try:
            left = await process_many(event_ids)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is one event's, and the others are read
            log.warning("inbox.one_by_one", events=len(event_ids), error=str(error))
            left = list(event_ids)
        room = asyncio.Semaphore(READ_AT_ONCE)

        async def read(event_id: str) -> None:
            async with room:
                await process(event_id)

        ended = await asyncio.gather(*(read(event_id) for event_id in left), return_exceptions=True)
        again = [event_id for event_id, problem in zip(left, ended, strict=True) if problem is not None]
        if again:
            log.warning("inbox.again", events=len(again), error=str(next(one for one in ended if one is not None)))
            async with db.transaction() as conn:
                await queue.defer_many(conn, READ_ONE, [{"event_id": event_id} for event_id in again])

    return read_many


def packed(payload: Mapping[str, Any]) -> str:
    """Return *payload* as compact JSON that Postgres can hold; ValueError for NaN and infinities."""
    text = _ENCODE(payload)
    if "\\u0000" in text or not _is_utf8(text):  # rare, so the payload is walked only then
        text = _ENCODE(clean(payload))
    return text


def _is_utf8(text: str) -> bool:
    """Say whether *text* can be sent: a lone surrogate cannot."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
