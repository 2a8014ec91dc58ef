"""The Bolt app with its listeners, and the Socket Mode connection that feeds it; bot/compose.py opens them."""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any

import aiohttp
import structlog
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.middleware.async_middleware import AsyncMiddleware
from slack_bolt.response import BoltResponse
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

import bot.listeners
from bot.blocks import answers
from bot.desk import Desk
from bot.identity import NotYou
from bot.listeners._request import user_of
from bot.webapi import call
from tools.errors import Permanent, Temporary, TocsinError
from tools.redact import redact
from tools.registry import plugins

WATCHDOG_S = 60.0
_log = structlog.get_logger(__name__)


def build_app(
    client: AsyncWebClient,
    signing_secret: str,
    desk: Desk,
    middleware: Iterable[AsyncMiddleware] = (),
    refused: Callable[[str, str, str], None] | None = None,
) -> AsyncApp:
    """Build the Bolt app with every listener of bot/listeners.

    *middleware* runs, in order, after the signature is checked and our own events are dropped, before any listener.
    *refused(door, reason, user)* hears of requests that a listener refused.
    `process_before_response`: Slack is answered when the work is durable, and no task is left behind at shutdown.
    """
    app = AsyncApp(
        name="tocsin",
        signing_secret=signing_secret,
        client=AsyncWebClient(
            base_url=client.base_url,
            session=client.session,
            proxy=client.proxy,
            timeout=client.timeout,
            retry_handlers=client.retry_handlers,
        ),
        authorize=_authorize_as(client),
        process_before_response=True,
    )
    for one in middleware:
        app.middleware(one)
    for module in plugins(bot.listeners).values():
        module.register(app, desk)

    async def on_error(
        error: Exception, body: dict[str, Any], respond: Callable[..., Awaitable[Any]], response: BoltResponse | None
    ) -> BoltResponse | None:
        if refused and isinstance(error, Permanent) and not isinstance(error, NotYou):  # the gate has counted its own
            refused("slack", "refused_request", user_of(body))
        return await answer_error(error, body, respond, response)

    app.error(on_error)
    return app


def _authorize_as(client: AsyncWebClient) -> Callable[[], Awaitable[AuthorizeResult]]:
    """Return the function that says who we are, asking Slack once.

    Bolt's own single-team authorization answers 200 when auth.test fails, which would lose the event; this raises, so
    Slack delivers it again.
    """
    known: list[AuthorizeResult] = []

    async def authorize() -> AuthorizeResult:
        if not known:
            answer: Any = await call(client.auth_test)
            known.append(AuthorizeResult.from_auth_test_response(auth_test_response=answer, bot_token=client.token))
        return known[0]

    return authorize


async def answer_error(
    error: Exception, body: dict[str, Any], respond: Callable[..., Awaitable[Any]], response: BoltResponse | None
) -> BoltResponse | None:
    """Tell the person what went wrong and what to do; an event gets no 200, so that Slack delivers it again."""
    sentence = _sentence(error)
    if "event" in body:
        return None
    if body.get("type") == "view_submission":
        first = next((block["block_id"] for block in body["view"]["blocks"] if block.get("type") == "input"), "")
        shown = {"response_action": "errors", "errors": {first: sentence}}
        return _ok(shown) if response is not None else None
    if "command" in body and response is not None:
        return _ok({"response_type": "ephemeral", "text": sentence})
    if body.get("response_url"):
        with suppress(aiohttp.ClientError, TimeoutError, SlackApiError):
            await respond(text=sentence, response_type="ephemeral", replace_original=False)
    return BoltResponse(status=200, body="") if response is not None else None


def _sentence(error: Exception) -> str:
    told = redact(str(error))
    if isinstance(error, Temporary):
        _log.warning("request_failed", error=told)
        return answers.failed(told)
    if isinstance(error, Permanent):
        _log.info("request_refused", error=told)
        return answers.refused(told)
    reference = uuid.uuid4().hex[:8]
    _log.error("request_broke", reference=reference, exc_info=error)
    return answers.failed(f"something broke on my side (reference {reference}).")


def _ok(body: dict[str, Any]) -> BoltResponse:
    return BoltResponse(status=200, body=json.dumps(body), headers={"content-type": "application/json"})


class SocketConnection:
    """One Socket Mode connection that stays alive: `open`, then `aclose`.

    Every *check_s* seconds a watchdog asks Slack (auth.test) and looks whether the client's own tasks still run: a
    socket that looks connected while its reader has died is replaced.
    """

    def __init__(self, app: AsyncApp, app_token: str, client: AsyncWebClient, check_s: float = WATCHDOG_S) -> None:
        self._app = app
        self._token = app_token
        self._client = client
        self._check_s = check_s
        self._handler: AsyncSocketModeHandler | None = None
        self._watch: asyncio.Task[None] | None = None
        self.replaced = 0

    async def open(self) -> None:
        """Connect; returns once connected."""
        await self._connect()
        self._watch = asyncio.create_task(self._watchdog(), name="slack-watchdog")

    async def aclose(self) -> None:
        """Stop watching and disconnect."""
        if self._watch:
            self._watch.cancel()
            with suppress(asyncio.CancelledError):
                await self._watch
        await self._disconnect()

    async def alive(self) -> bool:
        """Whether events can arrive: connected, and the tasks that read and work off the socket run."""
        if self._handler is None:
            return False
        client = self._handler.client
        tasks = (client.message_receiver, client.message_processor, client.current_session_monitor)
        return await client.is_connected() and all(task is not None and not task.done() for task in tasks)

    async def check(self) -> None:
        """Look once; replace a connection that is dead while Slack itself can be reached."""
        try:
            await call(self._client.auth_test)
        except TocsinError as error:
            _log.warning("slack_unreachable", error=str(error))
            return
        if not await self.alive():
            self.replaced += 1
            _log.warning("socket_replaced", times=self.replaced)
            await self._disconnect()
            await self._connect()

    async def _connect(self) -> None:
        self._handler = AsyncSocketModeHandler(self._app, self._token)
        await self._handler.connect_async()  # type: ignore[no-untyped-call]

    async def _disconnect(self) -> None:
        handler, self._handler = self._handler, None
        if handler is not None:
            await handler.close_async()  # type: ignore[no-untyped-call]

    async def _watchdog(self) -> None:
        while True:
            await asyncio.sleep(self._check_s)
            await self.check()
