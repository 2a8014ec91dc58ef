"""A real Bolt app in Socket Mode against the practice Slack."""

import asyncio

import httpx
import pytest
from slack_sdk.errors import SlackApiError

from drill.slack.manifest import Manifest, Shortcut
from tests.integration.drill_slack.conftest import bolt, last, socket_mode, whispers

pytestmark = pytest.mark.slow

PLAIN = {"type": "plain_text", "text": "Go"}
BUTTON = {
    "type": "actions",
    "block_id": "b",
    "elements": [{"type": "button", "action_id": "go", "text": PLAIN, "value": "7"}],
}
MODAL = {
    "type": "modal",
    "callback_id": "form",
    "title": PLAIN,
    "submit": PLAIN,
    "private_metadata": "kept",
    "blocks": [
        {"type": "input", "block_id": "svc", "label": PLAIN, "element": {"type": "plain_text_input", "action_id": "v"}}
    ],
}


async def test_a_message_reaches_the_app_and_its_answer_the_thread(start, dana):
    workspace = await start()
    app = bolt(workspace)
    heard, answered = asyncio.Queue(), asyncio.Event()

    @app.event("message")
    async def on_message(event, say):
        await say(text="looking", thread_ts=event["ts"])
        await heard.put(event)
        answered.set()

    async with socket_mode(workspace, app):
        await dana(workspace).do("say", channel="C0ALERTS", text="is @sam here? <b>")
        event = await asyncio.wait_for(heard.get(), 10)
        assert (event["channel"], event["user"], event["channel_type"]) == ("C0ALERTS", "U0DANA", "channel")
        assert event["text"] == "is <@U0SAM> here? &lt;b&gt;"
        root, reply = (await app.client.conversations_replies(channel="C0ALERTS", ts=event["ts"]))["messages"]
        assert root["reply_count"] == 1
        assert (reply["text"], reply["bot_id"], reply["app_id"]) == ("looking", "B0TOCSIN", "A0TOCSIN")
        await workspace.delivery.settle()
        assert heard.empty()  # the app's own reply came back as an event, which Bolt dropped


async def test_a_mention_comes_as_a_message_and_as_an_app_mention(start, dana):
    workspace = await start()
    app = bolt(workspace)
    heard = asyncio.Queue()
    for kind in ("message", "app_mention"):

        @app.event(kind)
        async def on_event(event):
            await heard.put(event["type"])

    async with socket_mode(workspace, app):
        await dana(workspace).do("say", channel="C0ALERTS", text="@tocsin look")
        assert {await asyncio.wait_for(heard.get(), 10) for _ in range(2)} == {"message", "app_mention"}


async def test_alertmanagers_own_message_comes_as_a_bot_message_with_empty_text(start):
    workspace = await start()
    app = bolt(workspace)
    heard = asyncio.Queue()

    @app.event("message")
    async def on_message(event):
        await heard.put(event)

    attachment = {"title": "[FIRING:1] Down (a b)", "title_link": "http://am/", "text": "", "color": "danger"}
    async with socket_mode(workspace, app), httpx.AsyncClient() as client:
        body = {"channel": "#alerts", "username": "Alertmanager", "attachments": [attachment]}
        answer = await client.post(workspace.webhook_url, json=body)
        assert answer.text == "ok"
        event = await asyncio.wait_for(heard.get(), 10)
        assert (event["subtype"], event["text"], event["bot_id"]) == ("bot_message", "", "B0ALERTM")
        assert event["attachments"] == [{"id": 1, **attachment}]


async def test_a_button_brings_its_message_and_can_replace_it(start, dana):
    workspace = await start()
    app = bolt(workspace)
    heard = asyncio.Queue()

    @app.action("go")
    async def on_go(ack, body, respond):
        await ack()
        await respond(text="done", replace_original=True)
        await heard.put(body)

    async with socket_mode(workspace, app):
        sent = await app.client.chat_postMessage(channel="#alerts", text="?", blocks=[BUTTON])
        pressed = {"channel": "C0ALERTS", "ts": sent["ts"], "block_id": "b", "action_id": "go"}
        assert await dana(workspace).do("press", **pressed) == {}
        body = await asyncio.wait_for(heard.get(), 10)
        assert body["actions"][0]["value"] == "7"
        assert body["user"]["id"] == "U0DANA"
        assert body["container"] == {
            "type": "message", "message_ts": sent["ts"], "channel_id": "C0ALERTS", "is_ephemeral": False
        }  # fmt: skip
        assert body["message"]["ts"] == sent["ts"]
        now = last(workspace, "C0ALERTS")
        assert now["text"] == "done"
        assert "blocks" not in now


async def test_a_command_is_answered_and_refused_in_threads(start, dana):
    workspace = await start()
    app = bolt(workspace)

    @app.command("/diagnose")
    async def diagnose(ack, command):
        await ack(f"looking at {command['text']} in {command['channel_name']}")

    async with socket_mode(workspace, app):
        person = dana(workspace)
        await person.do("say", channel="C0ALERTS", text="/diagnose checkout")
        assert whispers(workspace)[-1]["text"] == "looking at checkout in alerts"
        await person.do("say", channel="C0ALERTS", text="/nonsense")
        assert "not a valid command" in whispers(workspace)[-1]["text"]
        sent = await app.client.chat_postMessage(channel="C0ALERTS", text="root")
        await person.do("say", channel="C0ALERTS", text="/diagnose", thread_ts=sent["ts"])
        assert "not supported in threads" in whispers(workspace)[-1]["text"]


async def test_a_command_nobody_answers_fails_visibly(start, dana):
    workspace = await start(ack_seconds=0.2)
    await dana(workspace).do("say", channel="C0ALERTS", text="/diagnose")
    assert whispers(workspace)[-1]["text"] == '/diagnose failed with the error "dispatch_failed"'
    app = bolt(workspace)
    release = asyncio.Event()

    @app.command("/diagnose")
    async def slow(ack):
        await release.wait()
        await ack()

    async with socket_mode(workspace, app):
        await dana(workspace).do("say", channel="C0ALERTS", text="/diagnose")
        assert whispers(workspace)[-1]["text"] == '/diagnose failed with the error "operation_timeout"'
        release.set()


async def test_a_modal_is_opened_checked_and_closed(start, dana):
    workspace = await start()
    app = bolt(workspace)
    heard = asyncio.Queue()

    @app.command("/diagnose")
    async def diagnose(ack, body, client):
        await ack()
        opened = await client.views_open(trigger_id=body["trigger_id"], view=MODAL)
        try:
            await client.views_open(trigger_id=body["trigger_id"], view=MODAL)
        except SlackApiError as error:
            await heard.put((opened["view"]["id"], error.response["error"]))

    @app.view("form")
    async def form(ack, view):
        value = view["state"]["values"]["svc"]["v"]["value"]
        if value == "nope":
            await ack(response_action="errors", errors={"svc": "unknown service"})
        else:
            await ack()
            await heard.put((value, view["private_metadata"]))

    async with socket_mode(workspace, app):
        person = dana(workspace)
        await person.do("say", channel="C0ALERTS", text="/diagnose")
        view_id, again = await asyncio.wait_for(heard.get(), 10)
        assert again == "exchanged_trigger_id"
        required = {"errors": {"svc": "Please complete this required field."}}
        assert await person.do("submit", view_id=view_id, values={}) == required
        refused = await person.do("submit", view_id=view_id, values={"svc": {"v": "nope"}})
        assert refused == {"errors": {"svc": "unknown service"}}
        assert await person.do("submit", view_id=view_id, values={"svc": {"v": "checkout"}}) == {}
        assert await asyncio.wait_for(heard.get(), 10) == ("checkout", "kept")
        assert workspace.state.views == {}


async def test_shortcuts_and_the_home_tab(start, dana):
    shortcuts = (Shortcut("this", "This", "message"), Shortcut("any", "Any", "global"))
    workspace = await start(manifest=Manifest(shortcuts=shortcuts))
    app = bolt(workspace)
    heard = asyncio.Queue()

    @app.shortcut("this")
    @app.shortcut("any")
    async def used(ack, shortcut):
        await ack()
        await heard.put(shortcut)

    @app.event("app_home_opened")
    async def home(event, client):
        view = await client.views_publish(user_id=event["user"], view={"type": "home", "blocks": [BUTTON]})
        await heard.put(view["view"]["id"])

    async with socket_mode(workspace, app):
        person = dana(workspace)
        sent = await app.client.chat_postMessage(channel="C0ALERTS", text="look")
        await person.do("shortcut", callback_id="this", channel="C0ALERTS", ts=sent["ts"])
        of_message = await asyncio.wait_for(heard.get(), 10)
        assert (of_message["type"], of_message["message"]["text"]) == ("message_action", "look")
        await person.do("shortcut", callback_id="any")
        assert (await asyncio.wait_for(heard.get(), 10))["type"] == "shortcut"
        await person.do("home")
        assert workspace.state.homes["U0DANA"] == await asyncio.wait_for(heard.get(), 10)


async def test_reactions_of_people_reach_the_app_and_its_own_count(start, dana):
    workspace = await start()
    app = bolt(workspace)
    heard = asyncio.Queue()

    @app.event("reaction_added")
    async def reacted(event):
        await heard.put(event)

    async with socket_mode(workspace, app):
        sent = await app.client.chat_postMessage(channel="C0ALERTS", text="look")
        await dana(workspace).do("react", channel="C0ALERTS", ts=sent["ts"], name="eyes")
        event = await asyncio.wait_for(heard.get(), 10)
        assert (event["reaction"], event["user"], event["item"]["ts"]) == ("eyes", "U0DANA", sent["ts"])
        where = {"channel": "C0ALERTS", "timestamp": sent["ts"], "name": "eyes"}
        await app.client.reactions_add(**where)
        with pytest.raises(SlackApiError, match="already_reacted"):
            await app.client.reactions_add(**where)
        await app.client.reactions_remove(**where)
        with pytest.raises(SlackApiError, match="no_reaction"):
            await app.client.reactions_remove(**where)


async def test_an_event_that_is_acknowledged_late_comes_again_with_the_same_id(start, dana):
    workspace = await start(ack_seconds=0.3, retry_after=(0.0, 0.0))
    app = bolt(workspace)
    ids = []

    @app.middleware
    async def first_time_slow(body, next):  # noqa: A002 - Bolt's name for it
        ids.append(body["event_id"])
        if len(ids) == 1:
            raise RuntimeError("the inbox is away")
        await next()

    @app.event("message")
    async def on_message():
        pass

    async with socket_mode(workspace, app):
        await dana(workspace).do("say", channel="C0ALERTS", text="hello")
        await workspace.delivery.settle()
        assert len(ids) == 2
        assert len(set(ids)) == 1


async def test_after_a_disconnect_the_app_reconnects_and_hears_again(start, dana):
    workspace = await start()
    app = bolt(workspace)
    heard = asyncio.Queue()

    @app.event("message")
    async def on_message(event):
        await heard.put(event["text"])

    async with socket_mode(workspace, app):
        await workspace.disconnect_sockets()
        await workspace.connection()
        await dana(workspace).do("say", channel="C0ALERTS", text="still there?")
        assert await asyncio.wait_for(heard.get(), 10) == "still there?"


async def test_two_connections_share_the_events(start, dana):
    workspace = await start()
    apps = [bolt(workspace), bolt(workspace)]
    heard = asyncio.Queue()

    def listen(app, number):
        @app.event("message")
        async def on_message(event):
            await heard.put((number, event["text"]))

    for number, app in enumerate(apps):
        listen(app, number)

    async with socket_mode(workspace, apps[0]), socket_mode(workspace, apps[1]):
        assert workspace.connected == 2
        for text in ("one", "two"):
            await dana(workspace).do("say", channel="C0ALERTS", text=text)
        got = [await asyncio.wait_for(heard.get(), 10) for _ in range(2)]
        assert {number for number, _ in got} == {0, 1}
        assert {text for _, text in got} == {"one", "two"}
