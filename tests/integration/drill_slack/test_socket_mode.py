"""A real Bolt app in Socket Mode against the practice Slack."""

import asyncio

import httpx
import pytest
from tests.integration.drill_slack.conftest import bolt, socket_mode

pytestmark = pytest.mark.slow


async def test_a_message_reaches_the_app_and_its_answer_the_thread(start, dana):
    workspace = await start()
    app = bolt(workspace)
    heard = asyncio.Queue()

    @app.event("message")
    async def on_message(event, say):
        await heard.put(event)
        await say(text="looking", thread_ts=event["ts"])

    async with socket_mode(workspace, app):
        await dana(workspace).do("say", channel="C0ALERTS", text="is @tocsin here? <b>")
        event = await asyncio.wait_for(heard.get(), 10)
        assert event["channel"] == "C0ALERTS"
        assert event["user"] == "U0DANA"
        assert event["text"] == "is <@U0TOCSIN> here? &lt;b&gt;"
        await workspace.delivery.settle()
        replies = await app.client.conversations_replies(channel="C0ALERTS", ts=event["ts"])
        while len(replies["messages"]) < 2:
            replies = await app.client.conversations_replies(channel="C0ALERTS", ts=event["ts"])
        root, reply = replies["messages"]
        assert root["reply_count"] == 1
        assert (reply["text"], reply["bot_id"], reply["app_id"]) == ("looking", "B0TOCSIN", "A0TOCSIN")
