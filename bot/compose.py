"""The composition root: Settings in, a running Tocsin out. The only module that names the concrete classes.

`tocsin run` and `tocsin demo` call `serve`; `tocsin diagnose` calls `investigator`.
"""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from agents.coordinator import investigate, warm
from agents.ports import Investigation, Progress
from bot import toolbox
from bot.base import Base
from bot.money import left_today
from bot.settings import Settings
from tools import imports
from tools.cache import connect
from tools.errors import Temporary
from tools.records import Alert
from tools.store import embedded, migrate
from tools.store.db import Database
from tools.store.knowledge import KnowledgeStore

if TYPE_CHECKING:
    from bot.service import Service

log = structlog.get_logger()
DATABASE_PAUSE_S = 2.0


def now() -> datetime:
    """Return the wall clock in UTC."""
    return datetime.now(UTC)


@asynccontextmanager
async def database(settings: Settings) -> AsyncIterator[str]:
    """Yield the address of the database: DATABASE_URL, or an embedded Postgres in the data folder."""
    given = settings.database_url.get_secret_value()
    if given:
        yield given
        return
    server = await embedded.start(settings.data_dir)
    try:
        yield server.dsn
    finally:
        await server.stop()


@asynccontextmanager
async def base(settings: Settings, *, patient: bool = False) -> AsyncIterator[Base]:
    """Open the store (migrated), the cache, knowledge and the read-only clients; close them at the end.

    A *patient* caller waits for a database that does not answer; for others it raises Temporary.
    """
    async with AsyncExitStack() as stack:
        dsn = await stack.enter_async_context(database(settings))
        db = await _migrated(dsn, patient=patient)
        stack.push_async_callback(db.aclose)
        cache = await connect(settings.redis_url.get_secret_value())
        stack.push_async_callback(cache.aclose)
        knowledge = KnowledgeStore(db, _embedder(settings))
        folder = settings.policy.knowledge.runbooks
        if folder:
            await knowledge.sync_runbooks(Path(folder))
        views = toolbox.views_of(settings, now)
        yield Base(settings, db, cache, knowledge, views.main, views)


async def _migrated(dsn: str, *, patient: bool) -> Database:
    while True:
        try:
            for name in await migrate.migrate(dsn):
                log.info("migrated", migration=name)
            return await Database.open(dsn)
        except Temporary as error:
            if not patient:
                raise
            log.warning("waiting_for_postgres", error=str(error), again_in_s=DATABASE_PAUSE_S)
        await asyncio.sleep(DATABASE_PAUSE_S)


def _embedder(settings: Settings) -> Callable[[list[str]], Awaitable[list[list[float]]]] | None:
    if not settings.embeddings_configured:
        return None
    from agents.embed import embedder

    return embedder(settings.embedding_base_url, settings.embedding_api_key, settings.embedding_model)


def investigator(parts: Base) -> Callable[[Alert, Progress], Awaitable[Investigation]]:
    """Return `investigate` with everything but the alert bound."""
    settings = parts.settings
    tools, blind = toolbox.bound_tools(parts.views)
    warming = threading.Thread(target=imports.alone, args=(warm,), name="warm", daemon=True)
    if settings.model_configured:  # 1.7 s of imports, paid now and not by the first alert
        warming.start()
    model, actions = toolbox.model_of(settings), toolbox.action_specs()
    limits, services = toolbox.limits_of(settings.policy), toolbox.services_of(settings.policy)

    async def run(alert: Alert, progress: Progress) -> Investigation:
        if warming.is_alive():  # this thread must not import the library while that one does
            await asyncio.to_thread(warming.join)
        unpaid = await left_today(parts.db, settings.policy.caps.model_usd_per_day, now())
        return await investigate(
            alert.model_copy(update={"cluster": parts.views.clusters.said_by(alert)}),
            tools=tools,
            knowledge=parts.knowledge,
            model=None if unpaid else model,
            clock=now,
            progress=progress,
            limits=limits,
            services=services,
            actions=actions,
            blind=[*blind, unpaid] if unpaid else blind,
        )

    return run


async def serve(settings: Settings, ready: Callable[[], None] = lambda: None) -> None:
    """Run Tocsin until SIGTERM or SIGINT, then drain: no new work, at most 20 s for what is under way.

    *ready* is called once, when events can be handled.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        async with AsyncExitStack() as stack:
            opening = asyncio.create_task(_opened(stack, settings), name="open")
            waiter = asyncio.create_task(stop.wait(), name="stop")
            await asyncio.wait({opening, waiter}, return_when=asyncio.FIRST_COMPLETED)
            waiter.cancel()
            if stop.is_set():  # told to stop while Postgres or Slack was waited for
                opening.cancel()
                await asyncio.gather(opening, return_exceptions=True)
            else:
                await (await opening).run(stop, ready)
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


async def _opened(stack: AsyncExitStack, settings: Settings) -> "Service":
    from bot.service import Service

    parts = await stack.enter_async_context(base(settings, patient=True))
    return await stack.enter_async_context(Service.opened(parts, investigator(parts)))
