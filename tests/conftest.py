"""Fixtures for every test: one real Postgres for the session, one fresh migrated database for each test that asks."""

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg import sql

from tools.store import embedded
from tools.store.db import Database
from tools.store.migrate import migrate

# A slow machine is no failure: no test here asserts on time.
settings.register_profile(
    "tocsin", parent=settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tocsin")

# Nothing here survives a crash of the machine, and nothing has to.
_UNSAFE_AND_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
_numbers = itertools.count()


def _database(dsn: str, name: str) -> str:
    return dsn.replace("/tocsin?", f"/{name}?")


@pytest.fixture(scope="session")
def pg_server() -> Iterator[str]:
    """Start one embedded server; yield the address of its database ``tocsin``, which is migrated: the template."""
    folder = Path(tempfile.mkdtemp(prefix="tocsin-test-"))
    server = asyncio.run(embedded.start(folder, _UNSAFE_AND_FAST))
    try:
        asyncio.run(migrate(server.dsn))
        yield server.dsn
    finally:
        asyncio.run(server.stop())
        shutil.rmtree(folder, ignore_errors=True)


def _fresh(server: str, template: str) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    admin = _database(server, "postgres")
    with psycopg.connect(admin, autocommit=True) as conn:
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        conn.execute(create.format(sql.Identifier(name), sql.Identifier(template)))
    try:
        yield _database(server, name)
    finally:
        with psycopg.connect(admin, autocommit=True) as conn:
            conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def pg_dsn(pg_server: str) -> Iterator[str]:
    """Return the address of a fresh, migrated database."""
    yield from _fresh(pg_server, "tocsin")


@pytest.fixture
def empty_dsn(pg_server: str) -> Iterator[str]:
    """Return the address of a fresh database without a schema."""
    yield from _fresh(pg_server, "template1")


@pytest.fixture
async def db(pg_dsn: str) -> AsyncIterator[Database]:
    """Open a fresh, migrated database."""
    database = await Database.open(pg_dsn)
    try:
        yield database
    finally:
        await database.aclose()
