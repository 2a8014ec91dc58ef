"""The served side of bench/intake.py, in a process of its own: an empty Bolt listener, or Tocsin's durable intake.

`python -m bench.intake_served KIND MODE ADDRESS DSN`, run by bench/intake.py: KIND empty or durable, MODE http (ADDRESS is
a port) or socket (ADDRESS is Slack's API). Both kinds have the same Bolt app (signature, authorization, message
events), the same uvicorn and the same Socket Mode client.
"""

import asyncio
import sys
import time
from typing import Any

from slack_bolt.app.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.web.async_client import AsyncWebClient

SECRET = "bench"


def make_app(address: str) -> AsyncApp:
    """Return the Bolt app of both sides, without listeners."""
    client = AsyncWebClient(base_url=address)

    async def authorize() -> AuthorizeResult:
        return AuthorizeResult(
            enterprise_id=None, team_id="T1", bot_user_id="U0BOT", bot_id="B0BOT", bot_token="xoxb-b"
        )

    return AsyncApp(signing_secret=SECRET, client=client, authorize=authorize, process_before_response=True)


async def serve(kind: str, mode: str, address: str, dsn: str) -> None:
    """Serve until killed."""
    app = make_app(address if mode == "socket" else "http://127.0.0.1:1/")
    if kind == "durable":
        receive = await _writer(dsn)
        _keep(app, receive)
    else:
        receive = None
        app.event("message")(_nothing)
    if mode == "http":
        await _serve_http(app, int(address), receive)
    else:
        await _serve_socket(app)


async def _nothing() -> None:
    pass


def _keep(app: AsyncApp, receive: Any) -> None:
    from bot.keep import Keep
    from bot.metrics import Metrics

    app.middleware(Keep(receive, Metrics()))


async def _writer(dsn: str) -> Any:
    from bot.inbox import Inbox
    from tools.queue import Queue
    from tools.store.db import Database

    db = await Database.open(dsn)
    return Inbox(db, Queue(db)).receive


async def _serve_http(app: AsyncApp, port: int, receive: Any) -> None:
    import uvicorn
    from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
    from starlette.applications import Starlette
    from starlette.routing import Route

    handler = AsyncSlackRequestHandler(app)
    web = _doors(handler, receive) if receive else Starlette(
        routes=[Route("/slack/events", handler.handle, methods=["POST"])]
    )  # fmt: skip
    config = uvicorn.Config(web, port=port, log_config=None, access_log=False, lifespan="off")
    await uvicorn.Server(config).serve()


def _doors(handler: Any, receive: Any) -> Any:
    """Return Tocsin's whole HTTP side."""
    from bot.metrics import Metrics
    from bot.web import Doors, create_app

    async def ready() -> dict[str, Any]:
        return {}

    doors = Doors(
        receive=receive,
        ready=ready,
        metrics=Metrics(),
        now=time.time,
        signing_secret=SECRET,
        slack=handler.handle,
    )
    return create_app(doors)


async def _serve_socket(app: AsyncApp) -> None:
    from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler

    await AsyncSocketModeHandler(app, "xapp-b").connect_async()  # type: ignore[no-untyped-call]
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:5]))
