"""HTTP mode: the same listeners behind a signature."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator

import httpx
import pytest
import uvicorn
from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from slack_sdk.signature import SignatureVerifier
from starlette.applications import Starlette
from starlette.routing import Route

from bot.slack import build_app
from bot.webapi import open_client
from tests.integration.bot_slack.conftest import Person, Slack
from tests.integration.bot_slack.test_listeners import FakeDesk

pytestmark = pytest.mark.slow


@contextlib.asynccontextmanager
async def served(slack: Slack, desk: FakeDesk, listening: socket.socket) -> AsyncIterator[None]:
    async with open_client(slack.workspace.bot_token, slack.api_url) as client:
        handler = AsyncSlackRequestHandler(build_app(client, slack.workspace.signing_secret, desk))
        web = Starlette(routes=[Route("/slack/events", handler.handle, methods=["POST"])])
        server = uvicorn.Server(uvicorn.Config(web, log_level="warning", lifespan="off"))
        task = asyncio.create_task(server.serve([listening]))
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.005)
        try:
            yield
        finally:
            server.should_exit = True
            await task


async def test_a_command_over_http_is_answered_and_a_forged_one_is_not() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/slack/events"
    slack, desk = Slack(events_url=url), FakeDesk()
    async with slack.running(), served(slack, desk, listening):
        dana = Person(slack, "U0DANA")
        await dana.do("say", channel="C0ALERTS", text="/diagnose checkout")
        await dana.http.aclose()
        assert "Looking at `checkout`" in slack.whispers()[0]
        body = "command=%2Fdiagnose&text=cart&user_id=U0DANA&channel_id=C0ALERTS&trigger_id=1"
        now = str(int(time.time()))
        old = str(int(time.time()) - 3600)
        forged = SignatureVerifier("another secret")
        right = SignatureVerifier(slack.workspace.signing_secret)
        async with httpx.AsyncClient() as http:
            for signer, at in ((forged, now), (right, old)):
                headers = {
                    "content-type": "application/x-www-form-urlencoded",
                    "x-slack-request-timestamp": at,
                    "x-slack-signature": str(signer.generate_signature(timestamp=at, body=body)),
                }
                answer = await http.post(url, content=body, headers=headers)
                assert answer.status_code == 401
    assert len(desk.asked) == 1
