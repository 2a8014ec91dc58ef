"""What every command does first: read the settings, set up logging; and how a command reaches the database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from bot import compose, log
from bot.settings import Settings, from_environment
from tools.store import migrate
from tools.store.db import Database


def begin(config: Path | None, *, debug: bool, need_slack: bool = False, quiet: bool = True) -> Settings:
    """Return the settings, with logging set up: *quiet* commands only log warnings, since they print what they find."""
    settings = from_environment(config, need_slack=need_slack)
    level = "debug" if debug else "warning" if quiet and settings.log_level == "info" else settings.log_level
    log.configure(level, settings.log_format)
    for note in settings.notes:
        structlog.get_logger().warning("setting_ignored", note=note)
    return settings


@asynccontextmanager
async def store(settings: Settings) -> AsyncIterator[Database]:
    """Open the database, migrated."""
    async with compose.database(settings) as dsn:
        await migrate.migrate(dsn)
        db = await Database.open(dsn, max_size=2)
        try:
            yield db
        finally:
            await db.aclose()
