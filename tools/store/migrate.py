"""Bring a database's schema up to date: plain SQL files, forward only, each applied once and never edited.

Called by bot/__main__.py (`run`, `demo`, `migrate`, `doctor`) and by the tests' template database.
"""

import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
from psycopg.rows import dict_row

from tools.errors import Permanent
from tools.store.db import Connection, queries, translated

FOLDER = Path(__file__).resolve().parents[2] / "migrations"
"""Beside tools/, in a checkout as in the wheel."""

_SQL = queries("migrate")
_NAME = re.compile(r"\d{4}_[a-z0-9_]+\.sql")


class HistoryEdited(Permanent):
    """The migration files do not agree with what was applied to this database."""


class Migration:
    """One file: its name, its text and the sha256 of that text with Unix line ends."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.text = path.read_bytes().replace(b"\r\n", b"\n")
        self.sha256 = hashlib.sha256(self.text).hexdigest()


def read(folder: Path = FOLDER) -> list[Migration]:
    """Return the migrations of *folder* in order; raise HistoryEdited for a misnamed file or a number used twice."""
    found = [Migration(path) for path in sorted(folder.glob("*.sql"))]
    if not found:
        raise HistoryEdited(f"No migrations in {folder}. Reinstall Tocsin, or check the checkout.")
    numbers: dict[str, str] = {}
    for migration in found:
        if not _NAME.fullmatch(migration.name):
            raise HistoryEdited(f"{folder / migration.name}: rename it to NNNN_what_it_does.sql (a-z, 0-9, _).")
        number = migration.name[:4]
        if number in numbers:
            raise HistoryEdited(
                f"{folder / migration.name} has the number of {numbers[number]}. Rename the one not applied anywhere yet."
            )
        numbers[number] = migration.name
    return found


async def migrate(dsn: str, folder: Path = FOLDER) -> list[str]:
    """Apply what is pending and return the names applied; HistoryEdited before anything runs when the past was changed.

    Each file is one transaction. Runners started together wait for each other and apply each file once.
    """
    migrations = read(folder)
    async with _connect(dsn) as conn:
        await conn.execute(_SQL["lock"])  # held by the session: freed when it ends, however it ends
        await conn.execute(_SQL["create_table"])
        todo = _pending(migrations, await _applied(conn), folder)
        for migration in todo:
            try:
                async with conn.transaction():
                    await conn.execute(migration.text)
                    await conn.execute(_SQL["record"], {"name": migration.name, "sha256": migration.sha256})
            except psycopg.Error as error:
                raise Permanent(
                    f"{folder / migration.name} failed and was rolled back; earlier ones stay applied: {error}"
                ) from error
    return [migration.name for migration in todo]


async def pending(dsn: str, folder: Path = FOLDER) -> list[str]:
    """Return the names that `migrate` would apply, changing nothing; raise HistoryEdited as it would."""
    migrations = read(folder)
    async with _connect(dsn) as conn:
        exists = await (await conn.execute(_SQL["exists"])).fetchone()
        applied = await _applied(conn) if exists and exists["found"] else {}
    return [migration.name for migration in _pending(migrations, applied, folder)]


def _pending(migrations: list[Migration], applied: dict[str, str], folder: Path) -> list[Migration]:
    present = {migration.name: migration for migration in migrations}
    for name, sha256 in applied.items():
        if name not in present:
            raise HistoryEdited(
                f"{folder / name} was applied to this database and is missing. Restore it from version control, or run "
                "the newer Tocsin that brought it."
            )
        if present[name].sha256 != sha256:
            raise HistoryEdited(
                f"{folder / name} was edited after it was applied (sha256 {present[name].sha256[:12]}, applied "
                f"{sha256[:12]}). Restore it from version control and put the change into a new migration."
            )
    newest = max(applied, default="")
    todo = [migration for migration in migrations if migration.name not in applied]
    for migration in todo:
        if migration.name < newest:
            raise HistoryEdited(
                f"{folder / migration.name} comes before {newest}, which is already applied. Rename it to a number "
                f"above {newest[:4]}."
            )
    return todo


async def _applied(conn: Connection) -> dict[str, str]:
    rows = await (await conn.execute(_SQL["applied"])).fetchall()
    return {row["name"]: row["sha256"] for row in rows}


@asynccontextmanager
async def _connect(dsn: str) -> AsyncIterator[Connection]:
    with translated():
        conn = await psycopg.AsyncConnection.connect(
            dsn, autocommit=True, row_factory=dict_row, connect_timeout=10, application_name="tocsin migrate"
        )
        async with conn:
            yield conn
