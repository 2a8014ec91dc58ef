"""A real Bolt app that Slack POSTs to: signatures, the challenge, retries, deadlines."""

import asyncio

import pytest
from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tests.integration.drill_slack.conftest import Served, bolt, last, whispers

pytestmark = pytest.mark.slow


class Bot:
    """The app's own web server; *seen* keeps the headers of what Slack sent."""

    def __init__(self) -> None:
        self.seen = []
        self.handler = None
        self.served = Served(Starlette(routes=[Route("/slack/events", self.take, methods=["POST"])]))
        self.url = f"{self.served.url}/slack/events"

    async def take(self, request: Request) -> Response:
        self.seen.append(dict(request.headers))
        if self.handler is None:
            return PlainTextResponse("not ready", 503)
        return await self.handler.handle(request)


@pytest.fixture
async def bot():
    made = Bot()
    await made.served.start()
    yield made
    await made.served.stop()


async def test_event_command_and_button_arrive_signed(start, dana, bot):
    workspace = await start(events_url=bot.url)
    app = bolt(workspace)
    bot.handler = AsyncSlackRequestHandler(app)
    heard = asyncio.Queue()

    @app.event("message")
    async def on_message(event):
        await heard.put(event["text"])

    @app.command("/diagnose")
    async def diagnose(ack, command):
        await ack(response_type="in_channel", text=f"looking at {command['text']}")

    @app.action("go")
    async def go(ack, body):
        await ack()
        await heard.put(body["actions"][0]["value"])

    person = dana(workspace)
    await person.do("say", channel="C0ALERTS", text="hello")
    assert await asyncio.wait_for(heard.get(), 10) == "hello"
    assert workspace.posts.verified
    assert "x-slack-retry-num" not in bot.seen[-1]
    await person.do("say", channel="C0ALERTS", text="/diagnose cart")
    assert last(workspace, "C0ALERTS")["text"] == "looking at cart"
    button = {"type": "button", "action_id": "go", "text": {"type": "plain_text", "text": "Go"}, "value": "7"}
    blocks = [{"type": "actions", "block_id": "b", "elements": [button]}]
    sent = await app.client.chat_postMessage(channel="C0ALERTS", text="?", blocks=blocks)
    await person.do("press", channel="C0ALERTS", ts=sent["ts"], block_id="b", action_id="go")
    assert await asyncio.wait_for(heard.get(), 10) == "7"


async def test_an_app_with_another_signing_secret_hears_nothing(start, dana, bot):
    workspace = await start(events_url=bot.url, retry_after=(0.0,))
    workspace.posts.verified = True
    app = bolt(workspace)
    bot.handler = AsyncSlackRequestHandler(app)
    heard = []

    @app.event("message")
    async def on_message(event):
        heard.append(event)

    workspace.state.signing_secret = "another"
    await dana(workspace).do("say", channel="C0ALERTS", text="hello")
    await workspace.delivery.settle()
    assert heard == []
    assert [headers.get("x-slack-retry-num") for headers in bot.seen] == [None, "1"]
    assert bot.seen[1]["x-slack-retry-reason"] == "http_error"


async def test_a_server_that_is_away_gets_the_event_later(start, dana, bot):
    workspace = await start(events_url=bot.url, retry_after=(0.0, 0.0, 0.0))
    app = bolt(workspace)
    heard = asyncio.Queue()

    @app.event("message")
    async def on_message(body):
        await heard.put(body["event_id"])

    person = dana(workspace)
    bot.handler = None
    workspace.delivery.retry_after = (0.0,)
    await person.do("say", channel="C0ALERTS", text="lost")
    await workspace.delivery.settle()
    bot.handler = AsyncSlackRequestHandler(app)
    await person.do("say", channel="C0ALERTS", text="heard")
    assert await asyncio.wait_for(heard.get(), 10)


async def test_a_command_acknowledged_late_shows_operation_timeout(start, dana, bot):
    workspace = await start(events_url=bot.url, ack_seconds=0.3)
    workspace.posts.verified = True
    app = bolt(workspace)
    bot.handler = AsyncSlackRequestHandler(app)
    release = asyncio.Event()

    @app.command("/diagnose")
    async def slow(ack):
        await release.wait()
        await ack()

    await dana(workspace).do("say", channel="C0ALERTS", text="/diagnose")
    release.set()
    assert whispers(workspace)[-1]["text"] == '/diagnose failed with the error "operation_timeout"'
