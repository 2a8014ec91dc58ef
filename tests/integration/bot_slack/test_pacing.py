"""Slack's method limits, kept by two replicas together over a real Redis, and by each for itself without one."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.pacing import Limiter, Pace
from bot.webapi import SlackBusy, SlackRefused, call, open_client
from tests.integration.bot_slack.conftest import Fault, Slack
from tests.integration.test_cache import Server
from tools.cache import MemoryCache, RedisCache

pytestmark = pytest.mark.slow


@pytest.fixture
async def redis() -> AsyncIterator[Server]:
    with tempfile.TemporaryDirectory(prefix="tocsin-test-") as folder:
        server = Server(Path(folder))
        await server.start()
        yield server
        await server.kill()


@contextlib.asynccontextmanager
async def replicas(slack: Slack, *limiters: Limiter) -> AsyncIterator[list[AsyncWebClient]]:
    async with contextlib.AsyncExitStack() as stack:
        token = slack.workspace.bot_token
        yield [await stack.enter_async_context(open_client(token, slack.api_url, one)) for one in limiters]


async def lookups(client: AsyncWebClient, number: int) -> list[str]:
    """List the channels so often, at once; say what became of each call."""

    async def one() -> str:
        try:
            await call(client.conversations_list)
        except SlackBusy as busy:
            return "limited by Slack" if "Slack limits" in str(busy) else "held back"
        return "done"

    return await asyncio.gather(*(one() for _ in range(number)))


async def test_two_replicas_call_a_method_as_often_as_slack_allows_one_workspace(slack: Slack, redis: Server) -> None:
    shared = RedisCache(redis.url), RedisCache(redis.url)
    async with replicas(slack, *shared) as (one, two):
        told = await asyncio.gather(lookups(one, 15), lookups(two, 15))
    outcomes = [outcome for some in told for outcome in some]
    assert outcomes.count("limited by Slack") == 0
    assert 20 <= outcomes.count("done") <= 23  # tier 2: 20 a minute, and what the patience of 5 s adds
    assert "held back" in outcomes
    for cache in shared:
        await cache.aclose()


async def test_alone_each_would_have_been_refused(slack: Slack) -> None:
    async with replicas(slack, MemoryCache(), MemoryCache()) as (one, two):
        told = await asyncio.gather(lookups(one, 15), lookups(two, 15))
    assert [outcome for some in told for outcome in some].count("limited by Slack") > 0


async def test_what_slack_says_to_one_replica_the_other_heeds(slack: Slack, redis: Server) -> None:
    shared = RedisCache(redis.url), RedisCache(redis.url)
    slack.door.faults["users.info"] = Fault(429, {"ok": False, "error": "ratelimited"}, {"retry-after": "30"})
    async with replicas(slack, *shared) as (one, two):
        with pytest.raises(SlackBusy, match="Slack limits") as first:
            await call(one.users_info, user="U0DANA")
        asked = slack.door.calls.count("users.info")
        with pytest.raises(SlackBusy, match="next turn") as second:
            await call(two.users_info, user="U0DANA")
        assert slack.door.calls.count("users.info") == asked == 1  # the second was not sent
        assert first.value.delay == 30
        assert 25 < second.value.delay <= 30
        assert (await call(two.conversations_list))["ok"]  # another method has its own limit
    for cache in shared:
        await cache.aclose()


async def test_a_short_wait_is_waited_for_and_the_call_made_again(slack: Slack) -> None:
    slack.door.faults["conversations.list"] = Fault(429, {"ok": False, "error": "ratelimited"}, {"retry-after": "1"})
    async with replicas(slack, MemoryCache()) as (client,):
        assert (await call(client.conversations_list))["ok"]
    assert slack.door.calls == ["conversations.list"] * 2


async def test_without_redis_each_process_keeps_the_limit_for_itself(slack: Slack, redis: Server) -> None:
    cache = RedisCache(redis.url)
    await redis.kill()
    async with replicas(slack, cache) as (client,):
        outcomes = await lookups(client, 30)
    assert cache.degraded
    assert outcomes.count("limited by Slack") == 0
    assert "held back" in outcomes
    await cache.aclose()


async def test_a_client_that_bolt_or_the_poster_makes_of_the_session_is_paced_too(slack: Slack) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await asyncio.sleep(0)

    pace = Pace(MemoryCache(), sleep, scale=0.05)  # users.info: 5 a minute
    async with aiohttp.ClientSession(middlewares=(pace,)) as session:
        made = AsyncWebClient(
            slack.workspace.bot_token, base_url=slack.api_url, session=session, proxy=None, retry_handlers=[]
        )
        for _ in range(5):
            await call(made.users_info, user="U0DANA")
        with pytest.raises(SlackBusy):
            await call(made.users_info, user="U0DANA")
        with pytest.raises(SlackRefused):  # not paced here but by bot/posting.py
            await call(made.chat_postMessage, channel="C0NOBODY", text="hi")
    assert slack.door.calls.count("users.info") == 5


def test_the_tiers_are_those_of_the_practice_slack() -> None:
    """Both were written from Slack's documentation; where they differ, one misread it."""
    from bot.pacing import DEFAULT_TIER, METHODS
    from drill.slack.methods import METHODS as THEIRS

    common = [name for name in METHODS if name in THEIRS]
    assert len(common) > 10
    assert {name: THEIRS[name].tier for name in common} == {name: METHODS.get(name, DEFAULT_TIER) for name in common}
