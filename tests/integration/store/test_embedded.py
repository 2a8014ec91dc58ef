"""The embedded server's life: kept data, shared use, kill -9 of either side, odd folders. Each test starts servers."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tools.errors import Permanent
from tools.store import embedded

pytestmark = pytest.mark.slow
QUICK = {"fsync": "off"}
USER = """
import asyncio, pathlib, sys, time
from tools.store import embedded
asyncio.run(embedded.start(pathlib.Path(sys.argv[1]), {"fsync": "off"}))
print("up", flush=True)
time.sleep(600)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tocsin-test-") as made:
        yield Path(made)


def _postmaster(folder: Path) -> int:
    return int(next(folder.glob("pg*/postmaster.pid")).read_text().split()[0])


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


async def _until_gone(pid: int) -> None:
    async with asyncio.timeout(30):
        while _alive(pid):  # noqa: ASYNC110 - another process's end has no event
            await asyncio.sleep(0.05)


async def _ask(dsn: str, query: str) -> object:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
        cursor = await conn.execute(query.encode())
        return (await cursor.fetchone()) if cursor.description else None


def _start_elsewhere(folder: Path) -> subprocess.Popen[bytes]:
    user = subprocess.Popen([sys.executable, "-c", USER, str(folder)], stdout=subprocess.PIPE)
    assert user.stdout
    assert user.stdout.readline() == b"up\n"
    return user


async def test_data_survives_a_stop_and_the_server_is_gone_after_it(folder: Path):
    server = await embedded.start(folder, QUICK)
    await _ask(server.dsn, "CREATE TABLE kept AS SELECT 7 AS n")
    pid = _postmaster(folder)
    await server.stop()
    await server.stop()
    assert not _alive(pid)
    again = await embedded.start(folder, QUICK)
    try:
        assert await _ask(again.dsn, "SELECT n FROM kept") == (7,)
        assert await _ask(again.dsn, "SHOW listen_addresses") == ("",)
    finally:
        await again.stop()


async def test_a_killed_server_is_recovered(folder: Path):
    server = await embedded.start(folder, QUICK)
    await _ask(server.dsn, "CREATE TABLE kept AS SELECT 7 AS n")
    os.kill(_postmaster(folder), signal.SIGKILL)
    again = await embedded.start(folder, QUICK)
    try:
        assert await _ask(again.dsn, "SELECT n FROM kept") == (7,)
    finally:
        await again.stop()
        await server.stop()


async def test_a_stale_pid_that_now_belongs_to_another_process_does_not_matter(folder: Path):
    server = await embedded.start(folder, QUICK)
    pid_file = next(folder.glob("pg*/postmaster.pid"))  # noqa: ASYNC240
    kept = pid_file.read_text()
    await server.stop()
    pid_file.write_text(kept.replace(kept.split()[0], str(os.getpid()), 1))
    again = await embedded.start(folder, QUICK)
    try:
        assert await _ask(again.dsn, "SELECT 1") == (1,)
    finally:
        await again.stop()


async def test_processes_share_a_server_and_the_last_one_stops_it_even_by_kill(folder: Path):
    first = await asyncio.to_thread(_start_elsewhere, folder)
    server = await embedded.start(folder, QUICK)
    pid = _postmaster(folder)
    first.kill()
    first.wait()
    assert await _ask(server.dsn, "SELECT 1") == (1,)
    second = await asyncio.to_thread(_start_elsewhere, folder)
    await server.stop()
    assert _alive(pid)
    second.kill()
    second.wait()
    await _until_gone(pid)


async def test_starts_at_once_on_a_new_folder_share_one_server(folder: Path):
    servers = await asyncio.gather(*(embedded.start(folder, QUICK) for _ in range(3)))
    try:
        assert len({server.dsn for server in servers}) == 1
    finally:
        for server in servers:
            await server.stop()
    assert not list(folder.glob("pg*/postmaster.pid"))  # noqa: ASYNC240


async def test_a_half_made_folder_is_made_again(folder: Path):
    (folder / "pg18.new").mkdir(parents=True)
    (folder / "pg18.new" / "PG_VERSION").write_text("18")
    server = await embedded.start(folder, QUICK)
    await server.stop()


async def test_a_path_too_long_for_a_socket_works(folder: Path):
    deep = folder / ("long" * 20) / ("longer" * 10)
    server = await embedded.start(deep, QUICK)
    try:
        assert await _ask(server.dsn, "SELECT 1") == (1,)
        assert await _ask(server.dsn, "SELECT current_database()") == ("tocsin",)
    finally:
        await server.stop()


async def test_a_folder_of_another_postgres_is_refused(folder: Path):
    (folder / "pg15").mkdir()
    (folder / "pg15" / "PG_VERSION").write_text("15")
    with pytest.raises(Permanent, match="was made by another PostgreSQL"):
        await embedded.start(folder, QUICK)


async def test_a_file_in_place_of_the_folder_is_refused(folder: Path):
    (folder / "data").write_text("")
    with pytest.raises(Permanent, match=r"cannot be used: .* Set TOCSIN_DATA_DIR"):
        await embedded.start(folder / "data", QUICK)
