"""The whole practice world on one port: the Slack half and the systems half, mounted in one Starlette app."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from drill.control import Control
from drill.world import World

HOOK_PATH = "/services/T0DRILL/B0DRILL/secret"


class SlackHalf(Protocol):
    """What the app needs of drill.slack.Workspace."""

    base_url: str

    def routes(self) -> list[BaseRoute]:
        """Web API, socket, webhooks and page."""
        ...

    async def start(self) -> None:
        """Begin."""
        ...

    async def stop(self) -> None:
        """End deliveries and sockets."""
        ...


class NoSlack:
    """Stands in where only the systems half is wanted: accepts incoming webhooks and keeps them."""

    def __init__(self) -> None:
        self.base_url = ""
        self.posted: list[object] = []

    def routes(self) -> list[BaseRoute]:
        """Return the webhook, and what it got."""
        return [Route(HOOK_PATH, self._hook, methods=["POST"])]

    async def _hook(self, request: Request) -> Response:
        self.posted.append(await request.json())
        return PlainTextResponse("ok")

    async def start(self) -> None:
        """Nothing to do."""

    async def stop(self) -> None:
        """Nothing to do."""


def build(world: World, slack: SlackHalf) -> Starlette:
    """Return the app; both halves start and stop with it."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await slack.start()
        await world.start()
        try:
            yield
        finally:
            await world.stop()
            await slack.stop()

    return Starlette(routes=[*Control(world).routes(), *world.routes(), *slack.routes()], lifespan=lifespan)
