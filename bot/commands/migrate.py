"""`tocsin migrate`: bring the schema up to date, or say what is pending."""

import asyncio
from pathlib import Path

import typer

from bot import compose
from bot.commands.start import begin
from bot.settings import Settings
from tools.store import migrate


def main(config: Path | None, *, check: bool, debug: bool) -> int:
    """Apply what is pending, or with *check* list it; return the exit code."""
    return asyncio.run(_main(begin(config, debug=debug), check=check))


async def _main(settings: Settings, *, check: bool) -> int:
    async with compose.database(settings) as dsn:
        names = await (migrate.pending(dsn) if check else migrate.migrate(dsn))
    for name in names:
        typer.echo(f"{'pending' if check else 'applied'} {name}")
    if not names:
        typer.echo("The schema is up to date.")
    return 1 if check and names else 0
