"""Events of the inbox that could not be taken in: the reason is kept, people are told, and they can be read again.

bot/jobs.py wraps the reading job in `noted`; bot/schedule.py's tick calls `Leftovers.look`; `tocsin inbox` lists and retries.
An event is given up when no job is left that would read it: its job failed for good, took its worker down too often, or is
gone. Whatever it was, the event stays in the inbox as failed, with the last error.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from types import TracebackType

import structlog

from bot.blocks.text import code, prose
from bot.inbox import READ_MANY, READ_ONE
from bot.lifecycle import Lifecycle
from bot.metrics import Metrics
from tools.errors import Temporary, TocsinError
from tools.queue import Queue
from tools.redact import redact
from tools.store import admission, inbox
from tools.store.db import Connection, Database
from tools.store.inbox import Received

log = structlog.get_logger()
REASON = "its reading was given up without a word: it failed or took its process down too often"
IN_THREADS = 5  # messages of one channel that are answered in their threads at one tick; more are only counted
Process = Callable[[str], Awaitable[None]]
IdOf = Callable[[str], Awaitable[str]]


def noted(db: Database, process: Process) -> Process:
    """Return *process* with the reason of a failure kept on the event, for when it is the last one."""

    async def run(event_id: str) -> None:
        async with AsyncExitStack() as stack:
            stack.push_async_exit(partial(_note, db, event_id))
            await process(event_id)

    return run


async def _note(
    db: Database, event_id: str, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
) -> None:
    if kind is None or not issubclass(kind, Exception) or issubclass(kind, Temporary):
        return
    said = str(error) if isinstance(error, TocsinError) else f"{kind.__name__}: {error}"
    async with db.connection() as conn:
        await inbox.troubled(conn, event_id, redact(said)[:1000])


@dataclass(frozen=True)
class Leftovers:
    """Finds what was given up; *id_of* turns the name of *default_channel* ("" = none) into Slack's id of it."""

    life: Lifecycle
    metrics: Metrics
    id_of: IdOf
    default_channel: str = ""

    async def look(self) -> None:
        """Mark what nobody will read any more, count it, and tell: in the message's thread, else in the default channel once an hour."""
        default = await self.id_of(self.default_channel)
        async with self.life.db.transaction() as conn:
            given_up = await inbox.give_up(conn, READ_ONE, READ_MANY, REASON)
            for channel, events in _by_channel(given_up, default).items():
                threads = [(one, _place(one)[1]) for one in events if _place(one)[1]][:IN_THREADS]
                for one, ts in threads:
                    await self._say(conn, channel, ts, f"given_up:{one.event_id}", _sentence(one))
                others = len(events) - len(threads)
                hour = f"{self.life.clock():%Y-%m-%d %H}"
                if others and await admission.begin_episode(conn, "given_up", f"{channel} {hour}", self.life.clock()):
                    await self._say(conn, channel, "", f"given_up:{channel}:{hour}", _summary(events))
        for one in given_up:
            log.error("inbox.given_up", event_id=one.event_id, error=one.error)
            self.metrics.given_up.labels(one.kind).inc()

    async def _say(self, conn: Connection, channel: str, ts: str, key: str, text: str) -> None:
        await self.life.queue.defer(conn, "say", lock=f"say:{key}", channel=channel, thread_ts=ts, key=key, text=text)


async def again(db: Database, queue: Queue, event_ids: list[str]) -> list[str]:
    """Let failed events be read again by whichever replica is up; return those that were failed."""
    found = []
    async with db.transaction() as conn:
        for event_id in event_ids:
            if await inbox.reopen(conn, event_id):
                await queue.defer(conn, READ_ONE, event_id=event_id)
                found.append(event_id)
    return found


def _by_channel(given_up: list[Received], default: str) -> dict[str, list[Received]]:
    """Group events by the channel that hears of them; where none can, nobody is told but the log and the metric."""
    found: dict[str, list[Received]] = defaultdict(list)
    for one in given_up:
        channel = _place(one)[0] or default
        if channel:
            found[channel].append(one)
    return found


def _place(one: Received) -> tuple[str, str]:
    """Return the channel and the thread of a Slack message, ("", "") for everything else."""
    event = one.payload.get("event") if isinstance(one.payload, Mapping) and one.kind == "slack_event" else None
    event = event if isinstance(event, Mapping) else {}
    return str(event.get("channel") or ""), str(event.get("thread_ts") or event.get("ts") or "")


def _sentence(one: Received) -> str:
    return (
        f":warning: I could not take this in. {prose(one.error)} It is kept: `tocsin inbox` lists it, and"
        f" {code('tocsin inbox --retry ' + one.event_id)} reads it again."
    )


def _summary(events: list[Received]) -> str:
    first, more = events[0], len(events) - 1
    return (
        f":warning: I could not take in a notification{f' and {more} others' if more else ''} ({code(first.event_id)}). {prose(first.error)}"
        " Nothing is lost: `tocsin inbox` lists them, `tocsin inbox --retry all` reads them again. I say this once an hour."
    )
