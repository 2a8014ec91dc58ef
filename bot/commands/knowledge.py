"""`tocsin knowledge`: read runbooks in, and search them and the lessons."""

import asyncio
import json
from pathlib import Path

import typer

from bot import compose
from bot.commands.start import begin
from bot.settings import Settings
from tools.errors import Permanent


def sync(config: Path | None, folder: Path | None, *, debug: bool) -> None:
    """Read *folder* (else the policy's) into the store and print what changed."""
    settings = begin(config, debug=debug)
    named = folder or (Path(settings.policy.knowledge.runbooks) if settings.policy.knowledge.runbooks else None)
    if named is None:
        raise Permanent("No folder: name one, or set knowledge.runbooks in tocsin.yaml")
    if not named.is_dir():
        raise Permanent(f"{named} is not a folder; name one that holds Markdown files")
    asyncio.run(_sync(settings, named))


def search(config: Path | None, text: str, service: str, limit: int, *, as_json: bool, debug: bool) -> None:
    """Print the best passages for *text*, best first."""
    asyncio.run(_search(begin(config, debug=debug), text, service, limit, as_json=as_json))


async def _sync(settings: Settings, folder: Path) -> None:
    async with compose.base(settings) as parts:
        done = await parts.knowledge.sync_runbooks(folder)
        for name in done.unreadable:
            typer.echo(f"cannot be read: {name}", err=True)
        typer.echo(
            f"{done.added} added, {done.changed} changed, {done.removed} removed, {done.unchanged} unchanged; "
            f"search is {parts.knowledge.mode}"
        )


async def _search(settings: Settings, text: str, service: str, limit: int, *, as_json: bool) -> None:
    async with compose.base(settings) as parts:
        found = await parts.knowledge.recall(text, service, "", limit)
        mode = parts.knowledge.mode
    if as_json:
        typer.echo(json.dumps([item.model_dump(mode="json") for item in found], indent=2, ensure_ascii=False))
        return
    for number, item in enumerate(found, 1):
        typer.echo(f"{number}. {item.title} ({item.kind} {item.id}, {item.score:.3f} by {item.how})")
        typer.echo(f"   {' '.join(item.text.split())[:200]}")
    typer.echo(f"{len(found)} found; search is {mode}")
