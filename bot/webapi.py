"""The Slack Web API in our two error words; bot/thread.py, the listeners and bot/slack.py call through it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.pacing import Limiter, Pace, TurnError
from tools.cache import MemoryCache
from tools.errors import Permanent, Temporary, TocsinError

TIMEOUT_S = 10.0
# Slack did not take the blocks; the words alone may still do.
REFUSED_LAYOUT = frozenset(
    {"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long", "invalid_attachments"}
)
_LIMITED = frozenset({"ratelimited", "rate_limited"})
# Slack cannot say whether it did it; asking again later is right for reads, and for posts after a look.
_UNSURE = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout"})


class SlackRefused(Permanent):
    """Slack refused a call; *code* is its error code."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class SlackBusy(Temporary):
    """Slack asked us to slow down; nothing was done."""


async def call(method: Callable[..., Awaitable[Any]], **arguments: Any) -> Mapping[str, Any]:
    """Call a Web API method.

    Raises SlackRefused (nothing was done), SlackBusy (nothing was done, come again after its delay) or another
    Temporary (it may have been done: look before doing it again).
    """
    name = getattr(method, "__name__", "method")
    try:
        answer = await method(**arguments)
    except SlackApiError as error:
        raise _translated(name, error) from error
    except TurnError as error:
        raise SlackBusy(f"{error}.", delay=error.delay) from error
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Temporary(f"Slack did not answer {name}: {type(error).__name__} {error}".rstrip(), delay=2.0) from error
    data: Mapping[str, Any] = answer.data
    return data


def error_code(error: SlackApiError) -> str:
    """Return Slack's error code, "" when the answer was not Slack's JSON."""
    data = getattr(error.response, "data", None)
    return str(data.get("error", "")) if isinstance(data, dict) else ""


def _translated(name: str, error: SlackApiError) -> TocsinError:
    code = error_code(error)
    status = getattr(error.response, "status_code", 0)
    if code in _LIMITED or status == 429:
        headers = {key.lower(): value for key, value in dict(getattr(error.response, "headers", {}) or {}).items()}
        after = str(headers.get("retry-after", "30"))
        return SlackBusy(f"Slack limits {name}.", delay=float(after) if after.isdigit() else 30.0)
    if not code or code in _UNSURE or status >= 500:
        return Temporary(f"Slack answered {name} with {status} {code}".rstrip(), delay=2.0)
    data = error.response.data if isinstance(error.response.data, dict) else {}
    detail = "; ".join(str(one) for one in (data.get("response_metadata") or {}).get("messages") or ())
    needed = f" (needs the scope {data['needed']})" if data.get("needed") else ""
    return SlackRefused(f"Slack refused {name}: {code}{needed} {detail}".rstrip(), code)


@asynccontextmanager
async def open_client(token: str, api_url: str, limiter: Limiter | None = None) -> AsyncIterator[AsyncWebClient]:
    """Yield a Web API client over one connection pool; so has every other client that is made with its session.

    Calls keep Slack's limits, those of all replicas with the same *limiter* together (bot/pacing.py). A call whose answer was
    lost is not repeated: that may post twice, and is for callers who can look first.
    """
    timeout, pace = aiohttp.ClientTimeout(total=TIMEOUT_S), Pace(limiter or MemoryCache())
    async with aiohttp.ClientSession(timeout=timeout, middlewares=(pace,)) as session:
        client = AsyncWebClient(
            token=token,
            base_url=api_url,
            session=session,
            retry_handlers=[],
        )
        if urlsplit(api_url).hostname in ("127.0.0.1", "localhost", "::1"):
            client.proxy = None
        yield client
