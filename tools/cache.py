"""Short-lived shared values and limits: Redis for many replicas, the process's own memory for one. Never the truth.

bot/compose.py opens it (`connect`), evidence tools and Slack posting use it. Losing everything in it costs work, not data: when
Redis is away, each replica limits and remembers for itself until it is back, `degraded` is true, and one warning says so.
"""

import asyncio
import contextlib
import math
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

import structlog

Make = Callable[[], Awaitable[bytes]]

log = structlog.get_logger()
_PREFIX = "tocsin:"
_MOST_KEYS = 10_000
_TIMEOUT_S = 0.5  # a cache slower than that is worth less than none
_PAUSE_S = 5.0  # how long Redis is left alone after a failure
_POLL_S = 0.05

# GCRA (the "leaky bucket as a meter" of ITU-T I.371) on the server's clock, so replicas need not agree on theirs.
# KEYS[1]: the theoretical arrival time in us; ARGV: us per call, how many us of calls may come at once. Returns us to wait.
_ALLOW = """
local held = redis.call('PTTL', KEYS[2])
if held > 0 then return held * 1000 end
local now = redis.call('TIME')
now = now[1] * 1000000 + now[2]
local each, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local tat = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local wait = tat + each - burst - now
if wait > 1 then return math.ceil(wait) end
redis.call('SET', KEYS[1], string.format('%.0f', tat + each), 'PX', math.ceil((tat + each - now) / 1000) + 1)
return 0
"""
_UNLOCK = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


class Cache(Protocol):
    """What the rest of Tocsin knows of a cache."""

    @property
    def degraded(self) -> bool:
        """Whether the shared store is away and this process is on its own."""
        ...

    async def get(self, key: str) -> bytes | None:
        """Return the value, or None when it was never set, has expired or was lost."""
        ...

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        """Remember *value* for *ttl_s* seconds at most."""
        ...

    async def single_flight(self, key: str, ttl_s: float, make: Make, wait_s: float = 10.0) -> bytes:
        """Return the value of *key*, calling *make* where it is missing.

        Callers at the same moment share one call, across replicas as far as *wait_s* seconds of patience go; its exception
        reaches those of the same process.
        """
        ...

    async def allow(self, key: str, rate: float, per_s: float, burst: float | None = None) -> float:
        """Take one of *rate* calls per *per_s* seconds: 0.0 when it was taken, else seconds until it is worth asking again.

        *burst* calls (by default *rate*) may come at once after a quiet time.
        """
        ...

    async def hold(self, key: str, seconds: float) -> None:
        """Let nobody's `allow` take a call of *key* for so long: the other side asked for it (Retry-After)."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


async def connect(url: str) -> Cache:
    """Return a Redis cache for *url*, or the process's own when it is empty; an unreachable Redis is not an error."""
    return RedisCache(url) if url else MemoryCache()


class _Flights:
    """Calls in the air in this process, by key."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[bytes]] = {}

    async def share(self, key: str, start: Make) -> bytes:
        """Join the call for *key*, or start it; a caller that is cancelled does not take it down for the others."""
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.ensure_future(start())
            task.add_done_callback(lambda done: self._landed(key, done))
        return await asyncio.shield(task)

    def _landed(self, key: str, task: asyncio.Task[bytes]) -> None:
        del self._tasks[key]
        if not task.cancelled():
            task.exception()  # seen, also when every caller has gone


class MemoryCache:
    """The cache of one process; *clock* returns seconds that never go back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, most_keys: int = _MOST_KEYS) -> None:
        self._clock = clock
        self._most = most_keys
        self._values: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self._arrivals: OrderedDict[str, float] = OrderedDict()
        self._held: dict[str, float] = {}
        self._flights = _Flights()

    @property
    def degraded(self) -> bool:
        """Never: there is nothing shared to lose."""
        return False

    async def get(self, key: str) -> bytes | None:
        """See Cache."""
        expires, value = self._values.get(key, (-math.inf, b""))
        if expires > self._clock():
            self._values.move_to_end(key)
            return value
        self._values.pop(key, None)
        return None

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        """See Cache; past *most_keys* the one not used for longest is forgotten."""
        self._values[key] = (self._clock() + ttl_s, value)
        self._values.move_to_end(key)
        if len(self._values) > self._most:
            self._values.popitem(last=False)

    async def single_flight(self, key: str, ttl_s: float, make: Make, wait_s: float = 10.0) -> bytes:  # noqa: ARG002 - Cache
        """See Cache."""

        async def fly() -> bytes:
            value = await make()
            await self.set(key, value, ttl_s)
            return value

        found = await self.get(key)
        return found if found is not None else await self._flights.share(key, fly)

    async def allow(self, key: str, rate: float, per_s: float, burst: float | None = None) -> float:
        """See Cache."""
        now, each = self._clock(), per_s / rate
        held = self._held.get(key, now) - now
        if held > 0:
            return held
        self._held.pop(key, None)
        arrival = max(self._arrivals.get(key, now), now)
        wait = arrival + each - (rate if burst is None else burst) * each - now
        if wait > 1e-9:  # rounding of sums must not refuse the last call of a burst
            return wait
        self._arrivals[key] = arrival + each
        self._arrivals.move_to_end(key)
        if len(self._arrivals) > self._most:
            self._arrivals.popitem(last=False)
        return 0.0

    async def hold(self, key: str, seconds: float) -> None:
        """See Cache."""
        self._held[key] = max(self._held.get(key, 0.0), self._clock() + seconds)

    async def aclose(self) -> None:
        """See Cache."""


class RedisCache:
    """A cache that all replicas share; falls back to a MemoryCache and returns by itself."""

    def __init__(self, url: str, pause_s: float = _PAUSE_S) -> None:
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        self._redis: Any = Redis.from_url(
            url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S, retry=Retry(NoBackoff(), 1)
        )
        self._allow = self._redis.register_script(_ALLOW)
        self._unlock = self._redis.register_script(_UNLOCK)
        self._local = MemoryCache()
        self._flights = _Flights()
        self._pause_s = pause_s
        self._away_until = 0.0
        self._degraded = False

    @property
    def degraded(self) -> bool:
        """Whether the last word from Redis was a failure."""
        return self._degraded

    async def get(self, key: str) -> bytes | None:
        """See Cache."""
        async with self._shared() as there:
            if there:
                found: bytes | None = await self._redis.get(_PREFIX + key)
                return found
        return await self._local.get(key)

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        """See Cache."""
        async with self._shared() as there:
            if there:
                await self._redis.set(_PREFIX + key, value, px=max(1, int(ttl_s * 1000)))
                return
        await self._local.set(key, value, ttl_s)

    async def single_flight(self, key: str, ttl_s: float, make: Make, wait_s: float = 10.0) -> bytes:
        """See Cache."""
        found = await self.get(key)
        if found is not None:
            return found
        return await self._flights.share(key, lambda: self._fly(key, ttl_s, make, wait_s))

    async def _fly(self, key: str, ttl_s: float, make: Make, wait_s: float) -> bytes:
        token = secrets.token_hex(8)
        deadline = time.monotonic() + wait_s
        while not await self._lock(key, token, wait_s) and time.monotonic() < deadline:
            await asyncio.sleep(_POLL_S)
            found = await self.get(key)
            if found is not None:
                return found
        try:
            value = await make()
            await self.set(key, value, ttl_s)
        finally:
            async with self._shared() as there:
                if there:
                    await self._unlock(keys=[f"{_PREFIX}lock:{key}"], args=[token])
        return value

    async def _lock(self, key: str, token: str, wait_s: float) -> bool:
        async with self._shared() as there:
            if there:
                taken = await self._redis.set(f"{_PREFIX}lock:{key}", token, nx=True, px=max(1, int(wait_s * 1000)))
                return bool(taken)
        return True

    async def allow(self, key: str, rate: float, per_s: float, burst: float | None = None) -> float:
        """See Cache."""
        async with self._shared() as there:
            if there:
                each = 1e6 * per_s / rate
                arguments = [each, (rate if burst is None else burst) * each]
                return (
                    float(await self._allow(keys=[f"{_PREFIX}rate:{key}", f"{_PREFIX}hold:{key}"], args=arguments))
                    / 1e6
                )
        return await self._local.allow(key, rate, per_s, burst)

    async def hold(self, key: str, seconds: float) -> None:
        """See Cache; kept locally too, for when Redis goes away meanwhile."""
        await self._local.hold(key, seconds)
        async with self._shared() as there:
            if there:
                await self._redis.set(f"{_PREFIX}hold:{key}", b"", px=max(1, int(seconds * 1000)))

    async def aclose(self) -> None:
        """See Cache."""
        await self._redis.aclose()

    @contextlib.asynccontextmanager
    async def _shared(self) -> AsyncIterator[bool]:
        """Yield whether Redis may be asked; a failure inside is noted and swallowed, so the caller goes on locally."""
        from redis.exceptions import RedisError

        if time.monotonic() < self._away_until:
            yield False
            return
        try:
            yield True
        except (RedisError, OSError, TimeoutError) as error:
            self._away_until = time.monotonic() + self._pause_s
            if not self._degraded:
                log.warning("cache.degraded", error=f"{type(error).__name__}: {error}", retry_s=self._pause_s)
            self._degraded = True
        else:
            if self._degraded:
                log.info("cache.recovered")
            self._degraded = False
