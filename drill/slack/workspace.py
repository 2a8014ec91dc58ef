"""The composition root of the practice Slack; drill.app mounts its routes, tests drive it."""

import asyncio
import time
from collections.abc import Callable, Sequence

from starlette.routing import BaseRoute, WebSocketRoute

from drill.slack import webhooks
from drill.slack.api import Api
from drill.slack.delivery import ACK_SECONDS, RETRY_AFTER, Delivery, Transport
from drill.slack.errors import JsonDict
from drill.slack.interact import People
from drill.slack.limits import Limits
from drill.slack.live import Feed, Page
from drill.slack.manifest import Manifest, shipped
from drill.slack.people import HOOK_PATH
from drill.slack.posts import Posts
from drill.slack.socket import Sockets
from drill.slack.state import State


class Workspace:
    """One practice Slack workspace with the app Tocsin installed.

    *events_url* makes it HTTP mode: events, commands and interactions are POSTed there; otherwise Socket Mode.
    *clock* gives epoch seconds; *ack_seconds*, *retry_after* and *limit_scale* are Slack's own unless a test says so.
    *manifest* is what the app declared: the checkout's own unless told otherwise.
    Set `base_url` (no trailing slash) once the address is known, before the first request.
    """

    def __init__(
        self,
        *,
        base_url: str = "",
        events_url: str | None = None,
        clock: Callable[[], float] = time.time,
        manifest: Manifest | None = None,
        scopes: tuple[str, ...] = (),
        ack_seconds: float = ACK_SECONDS,
        retry_after: Sequence[float] = RETRY_AFTER,
        limit_scale: float = 1.0,
    ) -> None:
        self.feed = Feed()
        self.state = State(clock, manifest or shipped(), self.feed.add, self._emit, base_url=base_url, scopes=scopes)
        self.limits = Limits(clock, limit_scale)
        self.sockets = Sockets(self.state)
        self.posts = Posts(self.state, events_url) if events_url else None
        transport: Transport = self.posts or self.sockets
        self.delivery = Delivery(self.state, transport, ack_seconds, retry_after)
        self.people = People(self.state, self.delivery)

    def _emit(self, event: JsonDict) -> None:
        self.delivery.emit(event)

    @property
    def base_url(self) -> str:
        """The address that this Slack is reached at, such as ``http://127.0.0.1:8080``."""
        return self.state.base_url

    @base_url.setter
    def base_url(self, url: str) -> None:
        self.state.base_url = url.rstrip("/")

    @property
    def bot_token(self) -> str:
        """The installed app's bot token."""
        return self.state.bot_token

    @property
    def app_token(self) -> str:
        """The app-level token for Socket Mode."""
        return self.state.app_token

    @property
    def signing_secret(self) -> str:
        """The secret that HTTP mode signs with."""
        return self.state.signing_secret

    @property
    def webhook_url(self) -> str:
        """The incoming webhook that Alertmanager posts to."""
        return self.base_url + HOOK_PATH

    @property
    def connected(self) -> int:
        """How many Socket Mode connections are open."""
        return len(self.sockets.open)

    def routes(self) -> list[BaseRoute]:
        """Return every route of this Slack: Web API, socket, webhooks and the page."""
        return [
            *Api(self.state, self.limits, self.sockets.ticket).routes(),
            WebSocketRoute("/socket", self.sockets.serve),
            *webhooks.routes(self.state, self.limits),
            *Page(self.state, self.feed, self.people).routes(),
        ]

    async def post_incoming(self, channel: str, payload: JsonDict) -> str:
        """Post what an incoming webhook would; returns the ts, raises SlackError."""
        return webhooks.post_incoming(self.state, channel, payload)

    async def disconnect_sockets(self, reason: str = "refresh_requested") -> None:
        """Ask every Socket Mode client to reconnect, as Slack does every few hours."""
        await self.sockets.disconnect(reason)

    async def connection(self) -> None:
        """Wait until at least one Socket Mode connection is open."""
        while not self.sockets.open:
            await self.sockets.changed.wait()

    def reset(self) -> None:
        """Empty the workspace; open pages reload themselves."""
        self.state.clear()
        self.limits.clear()
        self.feed.add({"kind": "reload"})

    async def start(self) -> None:
        """Nothing to warm up; here so that drill.app treats both halves of the world alike."""
        await asyncio.sleep(0)

    async def stop(self) -> None:
        """End deliveries, sockets and page streams."""
        self.feed.close()
        await self.delivery.stop()
        await self.sockets.disconnect("link_disabled")
        if self.posts is not None:
            await self.posts.aclose()
