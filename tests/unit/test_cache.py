"""The in-process cache with a clock of the test's own."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from tools.cache import MemoryCache


class Clock:
    """A clock that is moved by hand; seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_the_least_recently_used_is_forgotten():
    cache = MemoryCache(Clock(), most_keys=2)
    await cache.set("a", b"a", 60)
    await cache.set("b", b"b", 60)
    await cache.get("a")
    await cache.set("c", b"c", 60)
    assert [await cache.get(key) for key in ("a", "b", "c")] == [b"a", None, b"c"]


async def test_a_value_expires_on_time():
    clock = Clock()
    cache = MemoryCache(clock)
    await cache.set("a", b"a", 10)
    clock.now += 9.9
    assert await cache.get("a") == b"a"
    clock.now += 0.1
    assert await cache.get("a") is None


@given(
    st.integers(1, 20),
    st.floats(0.1, 1000),
    st.integers(1, 20),
    st.lists(st.floats(0, 100), min_size=1, max_size=60),
)
def test_never_more_than_the_burst_and_the_rate(rate: int, per_s: float, burst: int, pauses: list[float]):
    async def run() -> None:
        clock = Clock()
        cache = MemoryCache(clock)
        passed: list[float] = []
        for pause in pauses:
            clock.now += pause
            wait = await cache.allow("k", rate, per_s, burst)
            if wait == 0.0:
                passed.append(clock.now)
            else:
                clock.now += wait
                assert await cache.allow("k", rate, per_s, burst) < 1e-6 * per_s
                passed.append(clock.now)
            for first in range(len(passed)):
                within = clock.now - passed[first]
                assert len(passed) - first <= burst + within * rate / per_s + 1e-3

    asyncio.run(run())
