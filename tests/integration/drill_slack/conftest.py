"""The practice Slack on a real port for these tests, and a real Bolt app that talks to it."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
import uvicorn
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient
from starlette.applications import Starlette

from drill.slack import Workspace
from drill.slack.manifest import Manifest


class Served:
    """An ASGI application on a loopback port."""

    def __init__(self, app: Any) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}"
        config = uvicorn.Config(
            app, log_level="warning", lifespan="off", timeout_graceful_shutdown=1, ws="websockets-sansio"
        )
        self.server = uvicorn.Server(config)
        self.task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.task = asyncio.create_task(self.server.serve([self.listening]))
        while not self.server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        self.server.should_exit = True
        if self.task is not None:
            await self.task


Start = Callable[..., Awaitable[Workspace]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start workspaces; each keyword goes to Workspace."""
    async with contextlib.AsyncExitStack() as stack:

        async def begin(**options: Any) -> Workspace:
            workspace = Workspace(**{"manifest": Manifest(), "retry_after": (0.0, 0.0), **options})
            served = Served(Starlette(routes=workspace.routes()))
            workspace.base_url = served.url
            await served.start()
            stack.push_async_callback(served.stop)
            stack.push_async_callback(workspace.stop)
            return workspace

        yield begin


class Person:
    """Somebody at the page: sends what its JavaScript sends."""

    def __init__(self, workspace: Workspace, user: str = "U0DANA") -> None:
        self.user = user
        self.client = httpx.AsyncClient(base_url=workspace.base_url, timeout=20)

    async def do(self, do: str, **what: Any) -> Any:
        answer = await self.client.post("/drill/slack/act", json={"do": do, "user": self.user, **what})
        return answer.json()


@pytest.fixture
async def dana(start: Start) -> AsyncIterator[Callable[[Workspace], Person]]:
    """Make people; their connections are closed at the end."""
    people: list[Person] = []

    def make(workspace: Workspace, user: str = "U0DANA") -> Person:
        people.append(Person(workspace, user))
        return people[-1]

    yield make
    for person in people:
        await person.client.aclose()


def bolt(workspace: Workspace, **options: Any) -> AsyncApp:
    """Return a real Bolt app that knows nothing of the drill but its address and secrets."""
    client = AsyncWebClient(token=workspace.bot_token, base_url=f"{workspace.base_url}/api/")
    return AsyncApp(client=client, signing_secret=workspace.signing_secret, **options)


@contextlib.asynccontextmanager
async def socket_mode(workspace: Workspace, app: AsyncApp) -> AsyncIterator[AsyncSocketModeHandler]:
    """Connect *app* over Socket Mode for the duration."""
    handler = AsyncSocketModeHandler(app, workspace.app_token, ping_interval=1)
    handler.client.web_client.base_url = f"{workspace.base_url}/api/"
    await handler.connect_async()
    await workspace.connection()
    try:
        yield handler
    finally:
        await handler.close_async()


def last(workspace: Workspace, channel: str) -> Any:
    """Return the newest message of *channel*."""
    return list(workspace.state.messages[channel].values())[-1]


def whispers(workspace: Workspace) -> list[Any]:
    """Return every ephemeral message still shown."""
    return [held["message"] for held in workspace.state.ephemerals.values()]
