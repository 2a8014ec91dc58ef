"""`tocsin audit`: verify the hash chain of the record, and export it."""

import asyncio
import re
import sys
from pathlib import Path
from typing import TextIO

import typer

from bot.commands.start import begin, store
from bot.settings import Settings
from tools.errors import Permanent
from tools.store import events
from tools.store.events import Head, Verdict

_ANCHOR = re.compile(r"(?<![0-9])(?P<seq>[0-9]{1,18}):(?P<hash>[0-9a-f]{64})(?![0-9a-f])")


def verify(config: Path | None, file: Path | None, anchor: str, *, debug: bool) -> int:
    """Print what is wrong with the record, or with an exported *file*; return the exit code (1: something is)."""
    kept = _anchor(anchor)
    verdict = _verify_file(file, kept) if file else asyncio.run(_verify_store(begin(config, debug=debug), kept))
    for problem in verdict.problems:
        typer.echo(problem, err=True)
    end = f"ends at {verdict.head.seq}:{verdict.head.hash}" if verdict.rows else "is empty"
    typer.echo(f"{verdict.rows} rows, {'sound' if verdict.sound else 'NOT sound'}; the chain {end}")
    return 0 if verdict.sound else 1


def export(config: Path | None, file: Path | None, *, debug: bool) -> None:
    """Write the record as JSON lines to *file*, or to standard output."""
    settings = begin(config, debug=debug)
    if file is None:
        asyncio.run(_export(settings, sys.stdout))
        return
    try:
        with file.open("w", encoding="utf-8") as out:
            asyncio.run(_export(settings, out))
    except OSError as error:
        raise Permanent(f"{file} cannot be written: {error.strerror}") from error


def _anchor(text: str) -> Head | None:
    if not text:
        return None
    found = _ANCHOR.search(text)
    if not found:
        raise Permanent(
            f'--anchor "{text[:80]}" holds no SEQ:HASH; copy it from an earlier `tocsin audit verify`, or the whole daily message'
        )
    return Head(seq=int(found["seq"]), hash=found["hash"])


def _verify_file(file: Path, anchor: Head | None) -> Verdict:
    try:
        with file.open(encoding="utf-8") as lines:
            return events.verify_lines(lines, anchor)
    except (OSError, UnicodeDecodeError) as error:
        raise Permanent(f"{file} cannot be read: {error}") from error


async def _verify_store(settings: Settings, anchor: Head | None) -> Verdict:
    async with store(settings) as db, db.connection() as conn:
        return await events.verify(conn, anchor)


async def _export(settings: Settings, out: TextIO) -> None:
    async with store(settings) as db, db.connection() as conn:
        async for line in events.export(conn):
            out.write(line)
