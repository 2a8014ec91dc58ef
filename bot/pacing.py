"""Slack's limits on its Web API methods, kept by all replicas together; bot/webapi.py puts it under every client's connections.

A turn is taken before a call leaves, from the cache that replicas share; what Slack itself says (429 with Retry-After) is heeded by
all of them. Without Redis each process keeps the limits for itself. chat.postMessage and chat.update have turns of their own
(bot/posting.py): there waiting must lead to a fresh look at the record.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import aiohttp

# Calls a minute of each tier: https://docs.slack.dev/apis/web-api/rate-limits. Some methods are "special", several hundred.
TIERS = {1: 1.0, 2: 20.0, 3: 50.0, 4: 100.0, 5: 600.0}
# The tiers that the methods' own pages give, of those called here; any other is taken to be of tier 3.
METHODS = {
    "auth.test": 5,
    "chat.delete": 3,
    "chat.getPermalink": 5,
    "chat.postEphemeral": 4,
    "conversations.history": 3,
    "conversations.list": 2,
    "conversations.members": 4,
    "conversations.replies": 3,
    "files.completeUploadExternal": 4,
    "files.getUploadURLExternal": 4,
    "files.info": 4,
    "reactions.add": 3,
    "usergroups.list": 2,
    "usergroups.users.list": 2,
    "users.conversations": 3,
    "users.info": 4,
    "users.list": 2,
    "views.open": 4,
    "views.publish": 4,
    "views.push": 4,
    "views.update": 4,
}
DEFAULT_TIER = 3
APART = frozenset({"chat.postMessage", "chat.update", "apps.connections.open", "api.test"})
PATIENCE_S = 5.0  # of a job's call; a longer wait is a job's that comes again
IN_PERSON_S = (
    1.5  # of a call that somebody waits for: Slack gives 3 s for the answer, and a form's trigger lives as long
)
IN_PERSON = ("views.", "users.info", "usergroups.")
RETRY_AFTER_S = 30.0  # where Slack does not say
TRIES = 3


class Limiter(Protocol):
    """The part of tools.cache.Cache that is needed here and in bot/posting.py."""

    async def allow(self, key: str, rate: float, per_s: float, burst: float | None = None) -> float:
        """Take one of *rate* calls per *per_s* seconds: 0.0 when taken, else seconds until it is worth asking again."""
        ...

    async def hold(self, key: str, seconds: float) -> None:
        """Let nobody take a call of *key* for so long."""
        ...


class TurnError(aiohttp.ClientError):
    """A turn is too far off to be waited for; nothing was sent. *delay*: seconds until it is worth asking again."""

    def __init__(self, method: str, delay: float) -> None:
        super().__init__(f"{method} was called as often as Slack allows; its next turn is in {delay:.0f} s")
        self.delay = delay


@dataclass(frozen=True)
class Pace:
    """A middleware of aiohttp sessions; *scale* multiplies every allowance (tests use less than 1)."""

    limiter: Limiter
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    scale: float = 1.0

    async def __call__(self, request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        """Send a call of the Web API when its turn has come, and again where Slack wants a wait that is short enough."""
        method = _method_of(request)
        if not method or method in APART:
            return await send(request)
        until = time.monotonic() + (IN_PERSON_S if method.startswith(IN_PERSON) else PATIENCE_S)
        for attempt in range(1, TRIES + 1):
            await self._turn(method, until)
            answer = await send(request)
            if answer.status != 429:
                break
            asked = _seconds(answer.headers.get("Retry-After", ""))
            await self.limiter.hold(_key(method), asked)
            if attempt == TRIES or time.monotonic() + asked > until:
                break  # the caller hears of it as Slack said it
            answer.release()
        return answer

    async def _turn(self, method: str, until: float) -> None:
        rate = TIERS[METHODS.get(method, DEFAULT_TIER)] * self.scale
        while (wait := await self.limiter.allow(_key(method), rate, 60.0, max(1.0, rate))) > 0:
            if time.monotonic() + wait > until:
                raise TurnError(method, wait)
            await self.sleep(wait)


def _method_of(request: aiohttp.ClientRequest) -> str:
    """Return "conversations.replies" of .../api/conversations.replies, "" for an address that is no method's (an upload)."""
    before, _, name = request.url.path.rpartition("/")
    return name if before.endswith("/api") and "." in name else ""


def _key(method: str) -> str:
    return f"slack:{method}"


def _seconds(text: str) -> float:
    return float(text) if text.isascii() and text.isdigit() else RETRY_AFTER_S
