"""The cache on a real redis-server that is stopped and started, and in memory: the same promises for both."""

import asyncio
import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tools.cache import Cache, MemoryCache, RedisCache, connect


class Server:
    """A redis-server on a socket of its own, without persistence."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        program = shutil.which("redis-server")
        assert program, "redis-server is not installed: apt-get install redis-server"
        command = [program, "--port", "0", "--unixsocket", str(self.socket), "--save", "", "--appendonly", "no"]
        self._process = await asyncio.to_thread(subprocess.Popen, command, stdout=subprocess.DEVNULL)
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_unix_connection(str(self.socket))
                    writer.close()
                    return
                await asyncio.sleep(0.02)

    async def kill(self) -> None:
        if self._process:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)
            self._process = None


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tocsin-test-") as made:
        yield Path(made)


@pytest.fixture
async def server(folder: Path) -> AsyncIterator[Server]:
    redis = Server(folder)
    await redis.start()
    yield redis
    await redis.kill()


@pytest.fixture(params=["memory", "redis"])
async def cache(request: pytest.FixtureRequest, server: Server) -> AsyncIterator[Cache]:
    made: Cache = MemoryCache() if request.param == "memory" else RedisCache(server.url, pause_s=0.05)
    yield made
    await made.aclose()


class Counting:
    """A slow look at something, counted."""

    def __init__(self) -> None:
        self.calls = 0

    async def make(self) -> bytes:
        self.calls += 1
        await asyncio.sleep(0.1)
        return b"value %d" % self.calls


async def test_values_come_back_until_they_expire(cache: Cache):
    assert await cache.get("k") is None
    await cache.set("k", b"\x00\xff", 60)
    assert await cache.get("k") == b"\x00\xff"
    await cache.set("k", b"short", 0.05)
    await asyncio.sleep(0.1)
    assert await cache.get("k") is None
    assert not cache.degraded


async def test_callers_at_once_share_one_call(cache: Cache):
    look = Counting()
    results = await asyncio.gather(*(cache.single_flight("k", 60, look.make) for _ in range(10)))
    assert (look.calls, set(results)) == (1, {b"value 1"})
    assert await cache.single_flight("k", 60, look.make) == b"value 1"


async def test_a_failed_call_reaches_everybody_and_is_not_kept(cache: Cache):
    look = Counting()

    async def fail() -> bytes:
        await look.make()
        raise LookupError

    results = await asyncio.gather(*(cache.single_flight("k", 60, fail) for _ in range(3)), return_exceptions=True)
    assert ([type(result) for result in results], look.calls) == ([LookupError] * 3, 1)
    assert await cache.single_flight("k", 60, look.make) == b"value 2"


async def test_a_cancelled_caller_does_not_take_the_others_down(cache: Cache):
    look = Counting()
    first = asyncio.create_task(cache.single_flight("k", 60, look.make))
    second = asyncio.create_task(cache.single_flight("k", 60, look.make))
    await asyncio.sleep(0.03)
    first.cancel()
    assert await second == b"value 1"


async def test_a_burst_passes_and_then_the_rate_holds(cache: Cache):
    waits = [await cache.allow("k", rate=3, per_s=60) for _ in range(5)]
    assert waits[:3] == [0.0, 0.0, 0.0]
    assert all(10 < wait <= 20 for wait in waits[3:])  # the next of three a minute; refusals take nothing
    assert await cache.allow("other", rate=3, per_s=60) == 0.0
    assert await cache.allow("single", rate=100, per_s=1000, burst=1) == 0.0
    assert await cache.allow("single", rate=100, per_s=1000, burst=1) > 0.0


async def test_waiting_as_told_is_enough(cache: Cache):
    await cache.allow("k", rate=10, per_s=1, burst=1)
    wait = await cache.allow("k", rate=10, per_s=1, burst=1)
    assert 0 < wait <= 0.1
    await asyncio.sleep(wait + 0.002)
    assert await cache.allow("k", rate=10, per_s=1, burst=1) == 0.0


async def test_a_hold_stops_everybody_and_ends_by_itself(cache: Cache):
    await cache.hold("k", 0.3)
    wait = await cache.allow("k", rate=100, per_s=1)
    assert 0 < wait <= 0.3
    assert await cache.allow("other", rate=100, per_s=1) == 0.0
    await asyncio.sleep(wait + 0.02)
    assert await cache.allow("k", rate=100, per_s=1) == 0.0


async def test_replicas_share_values_limits_and_flights(server: Server):
    one, two = RedisCache(server.url), RedisCache(server.url)
    look = Counting()
    await one.set("k", b"x", 60)
    assert await two.get("k") == b"x"
    taken = [await cache.allow("limit", rate=4, per_s=600) for cache in (one, two) * 4]
    assert taken.count(0.0) == 4
    results = await asyncio.gather(*(cache.single_flight("f", 60, look.make) for cache in (one, two) * 3))
    assert (look.calls, set(results)) == (1, {b"value 1"})
    await one.aclose()
    await two.aclose()


async def test_a_replica_that_dies_in_flight_holds_nobody_up_for_ever(server: Server):
    dead, alive = RedisCache(server.url), RedisCache(server.url)
    assert await dead._lock("k", "token", 0.2)
    look = Counting()
    assert await alive.single_flight("k", 60, look.make, wait_s=5) == b"value 1"
    await dead.aclose()
    await alive.aclose()


async def test_redis_goes_away_and_comes_back(server: Server):
    cache = RedisCache(server.url, pause_s=0.05)
    look = Counting()
    with capture_logs() as logs:
        await cache.set("k", b"before", 60)
        await server.kill()
        for _ in range(3):
            assert await cache.get("k") is None
        assert cache.degraded
        await cache.set("k", b"local", 60)
        assert await cache.get("k") == b"local"
        assert await cache.single_flight("f", 60, look.make) == b"value 1"
        assert [await cache.allow("l", rate=1, per_s=60) > 0 for _ in range(2)] == [False, True]
        await server.start()
        await asyncio.sleep(0.06)
        await cache.set("k", b"after", 60)
        assert await cache.get("k") == b"after"
        assert not cache.degraded
    told = [entry["event"] for entry in logs if entry["event"].startswith("cache.")]
    assert told == ["cache.degraded", "cache.recovered"]
    await cache.aclose()


async def test_a_redis_that_hangs_is_not_waited_for(folder: Path):
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            pass
        writer.close()

    path = str(folder / "mute.sock")
    async with await asyncio.start_unix_server(swallow, path):
        cache = RedisCache(f"unix://{path}")
        async with asyncio.timeout(5):
            assert await cache.get("k") is None
            assert cache.degraded
        await cache.aclose()


async def test_connect_picks_by_the_url(server: Server):
    assert isinstance(await connect(""), MemoryCache)
    shared = await connect(server.url)
    assert isinstance(shared, RedisCache)
    await shared.aclose()
