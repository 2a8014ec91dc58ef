"""What happens by the clock alone: proposals expire, jobs of a dead process are taken over.

An in-process APScheduler ticker; the work itself is claimed in Postgres, so any number of replicas may tick.
"""

from collections.abc import Awaitable, Callable

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

log = structlog.get_logger()
Tick = Callable[[], Awaitable[None]]


def guarded(name: str, tick: Tick) -> Tick:
    """Wrap a tick so that a failing one is logged and the next one comes all the same."""

    async def run() -> None:
        try:
            await tick()
        except Exception as error:  # noqa: BLE001  # the scheduler wrapper: one bad tick must not end the clock
            log.warning("tick_failed", tick=name, error=str(error))

    return run


def scheduler(ticks: dict[str, tuple[float, Tick]]) -> AsyncIOScheduler:
    """Return a scheduler, not yet started, that runs each tick every so many seconds and never twice at once."""
    clock = AsyncIOScheduler(timezone="UTC")
    for name, (seconds, tick) in ticks.items():
        clock.add_job(
            guarded(name, tick),
            "interval",
            seconds=seconds,
            id=name,
            max_instances=1,
            coalesce=True,
            misfire_grace_time=30,
        )
    return clock
