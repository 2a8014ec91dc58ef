"""The practice Slack on a real port, with a door in front of it that tests can make fail; and people who act in it."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import uvicorn
from slack_sdk.web.async_client import AsyncWebClient
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.webapi import open_client
from drill.slack import Workspace


@dataclass
class Fault:
    """What happens to the next call of a method: *after* it was done, or instead of it; *times* often."""

    status: int = 500
    body: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    after: bool = False
    times: int = 1


class Door:
    """Passes requests on to Slack; counts Web API calls and makes the chosen ones fail."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.calls: list[str] = []
        self.faults: dict[str, Fault] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope.get("path", "").removeprefix("/api/")
        if scope["type"] == "http" and scope["path"].startswith("/api/"):
            self.calls.append(method)
        fault = self.faults.get(method)
        if scope["type"] != "http" or fault is None or fault.times == 0:
            await self.app(scope, receive, send)
            return
        fault.times -= 1
        if fault.after:
            await self.app(scope, receive, _drop)
        body = b"oops" if fault.body is None else json.dumps(fault.body).encode()
        kind = "text/html" if fault.body is None else "application/json"
        headers = {"content-type": kind, **fault.headers}.items()
        raw = [(name.encode(), value.encode()) for name, value in headers]
        await send({"type": "http.response.start", "status": fault.status, "headers": raw})
        await send({"type": "http.response.body", "body": body})

    def writes(self) -> list[str]:
        return [call for call in self.calls if call in ("chat.postMessage", "chat.update", "reactions.add")]


async def _drop(message: Message) -> None:
    """Throw Slack's answer away."""


class Slack:
    """One practice workspace, its door, and what tests ask of it."""

    def __init__(self, events_url: str | None = None) -> None:
        self.workspace = Workspace(retry_after=(0.0, 0.0), events_url=events_url)
        self.door = Door(Starlette(routes=self.workspace.routes()))
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}"
        self.api_url = f"{self.url}/api/"
        self.workspace.base_url = self.url
        config = uvicorn.Config(
            self.door, log_level="warning", lifespan="off", timeout_graceful_shutdown=1, ws="websockets-sansio"
        )
        self.server = uvicorn.Server(config)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.server.serve([self.listening]))
        while not self.server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.005)
        try:
            yield
        finally:
            await self.workspace.stop()
            self.server.should_exit = True
            await task

    def messages(self, channel: str = "C0ALERTS") -> list[dict[str, Any]]:
        return list(self.workspace.state.messages[channel].values())

    def ours(self, channel: str = "C0ALERTS") -> dict[str, dict[str, Any]]:
        """Our messages by key; a key that was posted twice is an error."""
        found: dict[str, dict[str, Any]] = {}
        for message in self.messages(channel):
            if message.get("metadata", {}).get("event_type") == "tocsin_post":
                key = message["metadata"]["event_payload"]["key"]
                assert key not in found, f"{key} was posted twice"
                found[key] = message
        return found

    async def alert(self) -> str:
        return await self.workspace.post_incoming(
            "C0ALERTS", {"attachments": [{"title": "[FIRING:1] CheckoutHighErrors"}]}
        )

    def whispers(self, user: str = "U0DANA") -> list[str]:
        held = self.workspace.state.ephemerals.values()
        return [item["message"]["text"] for item in held if item["user"] == user]

    async def settled(self, seen: Callable[[], bool]) -> None:
        """Wait until *seen*; the test's own time limit ends it otherwise."""
        while not seen():  # noqa: ASYNC110 - what is waited for is in another program
            await asyncio.sleep(0.01)


class Person:
    """Somebody at the page: sends what its JavaScript sends."""

    def __init__(self, slack: Slack, user: str) -> None:
        self.user = user
        self.http = httpx.AsyncClient(base_url=slack.url, timeout=20)

    async def do(self, do: str, **what: Any) -> Any:
        answer = await self.http.post("/drill/slack/act", json={"do": do, "user": self.user, **what})
        return answer.json()

    async def press(self, message: dict[str, Any], action_id: str, channel: str = "C0ALERTS") -> Any:
        block = next(
            block
            for block in message["blocks"]
            for element in block.get("elements", [])
            if element.get("action_id") == action_id
        )
        return await self.do(
            "press", channel=channel, ts=message["ts"], block_id=block["block_id"], action_id=action_id
        )


@pytest.fixture
async def slack() -> AsyncIterator[Slack]:
    made = Slack()
    async with made.running():
        yield made


@pytest.fixture
async def client(slack: Slack) -> AsyncIterator[AsyncWebClient]:
    async with open_client(slack.workspace.bot_token, slack.api_url) as opened:
        yield opened


@pytest.fixture
async def dana(slack: Slack) -> AsyncIterator[Person]:
    person = Person(slack, "U0DANA")
    yield person
    await person.http.aclose()
