"""The connection pool, the loader of named queries, and the one place where driver errors become ours.

Opened once by bot/compose.py; every function of tools/store takes a connection that `Database` lent.
"""

import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Self

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import Json
from psycopg_pool import AsyncConnectionPool

from tools.errors import Permanent, Temporary

Connection = psycopg.AsyncConnection[DictRow]

_HEADER = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_NOT_TEXT = re.compile("[\x00\ud800-\udfff]")


class StoreRefused(Permanent):
    """The database refused a statement."""


class NotFound(Permanent):
    """There is no such row."""


@cache
def queries(noun: str) -> dict[str, bytes]:
    """Read ``<noun>.sql`` beside this file: the text under each ``-- name: x`` header, by name."""
    text = (Path(__file__).parent / f"{noun}.sql").read_text(encoding="utf-8")
    parts = _HEADER.split(text)[1:]
    found = {name: body.strip().encode() for name, body in zip(parts[::2], parts[1::2], strict=True)}
    if len(found) * 2 != len(parts):
        raise Permanent(f"{noun}.sql names a query twice")
    return found


@contextmanager
def translated() -> Iterator[None]:
    """Turn driver errors into Temporary (lost connection, deadlock, timeout, full pool) or StoreRefused."""
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise Temporary(f"Postgres did not answer as usual: {error}. It is tried again.") from error
    except psycopg.Error as error:
        hint = f" ({error.diag.message_hint})" if error.diag.message_hint else ""
        raise StoreRefused(f"Postgres refused: {error}{hint}") from error


def clean(value: Any) -> Any:
    """Replace what Postgres text cannot hold (NUL, lone surrogates) in *value*, at any depth."""
    if isinstance(value, str):
        return _NOT_TEXT.sub("\ufffd", value)
    if isinstance(value, dict):
        return {clean(key): clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(item) for item in value]
    return value


def as_json(value: Any) -> Json:
    """Wrap JSON-like *value* for a json column, cleaned; NaN and infinities raise ValueError."""
    return Json(value, dumps=to_json)


def to_json(value: Any) -> str:
    """Return cleaned, compact JSON of *value*; NaN and infinities raise ValueError."""
    return json.dumps(clean(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))


async def _configure(conn: psycopg.AsyncConnection[Any]) -> None:
    await conn.execute("SET TIME ZONE 'UTC'")


class Database:
    """A pool of Postgres connections; rows are dicts, times are UTC."""

    def __init__(self, dsn: str, pool: AsyncConnectionPool[Connection]) -> None:
        self.dsn = dsn
        self._pool = pool

    @classmethod
    async def open(cls, dsn: str, max_size: int = 10, timeout_s: float = 10.0) -> Self:
        """Connect to *dsn*; raise Temporary when no connection is had within *timeout_s* seconds."""
        pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            dsn,
            connection_class=psycopg.AsyncConnection[DictRow],
            kwargs={"row_factory": dict_row, "autocommit": True, "application_name": "tocsin"},
            min_size=1,
            max_size=max_size,
            timeout=timeout_s,
            configure=_configure,
            check=AsyncConnectionPool.check_connection,
            open=False,
        )
        with translated():
            try:
                await pool.open(wait=True, timeout=timeout_s)
            except psycopg.Error:
                await pool.close()
                raise
        return cls(dsn, pool)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection on which every statement commits by itself."""
        with translated():
            async with self._pool.connection() as conn:
                yield conn

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a connection inside one transaction: committed at the end, rolled back by an exception."""
        with translated():
            async with self._pool.connection() as conn, conn.transaction():
                yield conn

    async def aclose(self) -> None:
        """Give every connection back; *connection* must not be called afterwards."""
        await self._pool.close()
