"""`tocsin inbox`: what could not be read or taken in, why, and how it is read again."""

import asyncio
import json
import re
from pathlib import Path

import typer

from bot.commands.start import begin, store
from bot.leftovers import again
from bot.settings import Settings
from tools.errors import Permanent
from tools.queue import Queue
from tools.store import inbox
from tools.store.inbox import Received

ALL = 10_000
_CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]+"
)  # what came from outside must not drive a terminal


def listed(config: Path | None, limit: int, *, as_json: bool, debug: bool) -> None:
    """Print the failed events, the latest first."""
    found = asyncio.run(_failures(begin(config, debug=debug), limit))
    if as_json:
        typer.echo(json.dumps([one.model_dump(mode="json") for one in found], ensure_ascii=False, indent=2))
    elif not found:
        typer.echo("nothing failed")
    for one in () if as_json else found:
        typer.echo(_CONTROL.sub(" ", f"{one.event_id}  {one.received_at:%Y-%m-%d %H:%M:%S}Z  {one.kind}  {one.error}"))


def retry(config: Path | None, event_id: str, *, debug: bool) -> None:
    """Have *event_id*, or all that failed, read again."""
    number = asyncio.run(_retry(begin(config, debug=debug), event_id))
    typer.echo(f"{number} to be read again by the next `tocsin run` that is free")


async def _failures(settings: Settings, limit: int) -> list[Received]:
    async with store(settings) as db, db.connection() as conn:
        return await inbox.failures(conn, limit)


async def _retry(settings: Settings, event_id: str) -> int:
    async with store(settings) as db:
        wanted = [event_id]
        if event_id == "all":
            async with db.connection() as conn:
                wanted = [one.event_id for one in await inbox.failures(conn, ALL)]
        done = await again(db, Queue(db), wanted)
    if not done and event_id != "all":
        raise Permanent(f"no failed event is called {event_id[:200]}; `tocsin inbox` lists them")
    return len(done)
