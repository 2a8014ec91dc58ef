"""The Web API through Slack's own client: answers, refusals, limits, files, webhooks."""

import asyncio

import httpx
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.web.async_client import AsyncWebClient

from drill.slack.manifest import SCOPES

pytestmark = pytest.mark.slow


@pytest.fixture
async def workspace(start):
    return await start()


@pytest.fixture
def client(workspace):
    return AsyncWebClient(token=workspace.bot_token, base_url=f"{workspace.base_url}/api/")


async def refusal(call):
    with pytest.raises(SlackApiError) as caught:
        await call
    return caught.value.response


async def test_the_app_learns_who_it_is_and_what_it_may(client):
    told = await client.auth_test()
    assert (told["user_id"], told["bot_id"], told["team_id"]) == ("U0TOCSIN", "B0TOCSIN", "T0DRILL")
    assert set(told.headers["x-oauth-scopes"].split(",")) == set(SCOPES)
    assert (await client.team_info())["team"]["id"] == "T0DRILL"
    assert (await client.bots_info(bot="B0ALERTM"))["bot"]["app_id"] == "A0ALERTM"
    assert (await client.users_info(user="U0GIL"))["user"]["is_restricted"]
    assert (await client.usergroups_users_list(usergroup="S0ONCALL"))["users"] == ["U0DANA", "U0SAM"]


async def test_tokens_and_scopes_are_judged(start):
    workspace = await start(scopes=("chat:write",))
    base = f"{workspace.base_url}/api/"
    assert (await refusal(AsyncWebClient(token="xoxb-no", base_url=base).auth_test()))["error"] == "invalid_auth"
    assert (await refusal(AsyncWebClient(base_url=base).auth_test()))["error"] == "not_authed"
    own = AsyncWebClient(token=workspace.bot_token, base_url=base)
    told = await refusal(own.users_info(user="U0DANA"))
    assert (told["error"], told["needed"], told["provided"]) == ("missing_scope", "users:read", "chat:write")
    wrong = own.api_call("apps.connections.open")
    assert (await refusal(wrong))["error"] == "not_allowed_token_type"
    assert (await refusal(own.api_call("chat.nonsense")))["error"] == "unknown_method"


async def test_conversations_are_listed_in_pages_and_the_bot_knows_where_it_is(client):
    first = await client.conversations_list(limit=3)
    rest = await client.conversations_list(limit=3, cursor=first["response_metadata"]["next_cursor"])
    names = {channel["name"]: channel["is_member"] for channel in [*first["channels"], *rest["channels"]]}
    assert names == {"alerts": True, "incidents": True, "general": True, "random": False}
    assert (await refusal(client.chat_postMessage(channel="#random", text="x")))["error"] == "not_in_channel"
    await client.conversations_join(channel="C0RANDOM")
    await client.chat_postMessage(channel="#random", text="x")
    assert (await client.conversations_open(users="U0SAM"))["channel"]["id"] == "D0SAM"
    assert "U0GIL" in (await client.conversations_members(channel="C0GENERAL"))["members"]


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"channel": "C0NONE", "text": "x"}, "channel_not_found"),
        ({"text": ""}, "no_text"),
        ({"text": "x" * 40_001}, "msg_too_long"),
        ({"text": "x", "blocks": "{"}, "invalid_blocks_format"),
        ({"text": "x", "blocks": [{"type": "nonsense"}]}, "invalid_blocks"),
        ({"markdown_text": "x", "text": "x"}, "markdown_text_conflict"),
        ({"markdown_text": "x" * 12_001}, "msg_too_long"),
        ({"text": "x", "attachments": [{}] * 101}, "too_many_attachments"),
        ({"text": "x", "thread_ts": "1.000000"}, "thread_not_found"),
        ({"text": "x", "metadata": {"event_type": 1}}, "invalid_metadata_schema"),
    ],
)
async def test_a_post_is_refused_as_slack_refuses_it(client, said, error):
    assert (await refusal(client.api_call("chat.postMessage", json={"channel": "C0ALERTS", **said})))["error"] == error


async def test_invalid_blocks_name_the_path(client):
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}]
    told = await refusal(client.chat_postMessage(channel="C0ALERTS", text="x", blocks=blocks))
    problem = "must be less than 3001 characters [json-pointer:/blocks/0/text/text]"
    assert told["errors"] == [problem]
    assert told["response_metadata"]["messages"] == [f"[ERROR] {problem}"]


async def test_a_message_is_changed_read_with_its_metadata_and_deleted(client, workspace):
    metadata = {"event_type": "incident", "event_payload": {"id": 7}}
    sent = await client.chat_postMessage(channel="C0ALERTS", text="one", metadata=metadata, unfurl_links=False)
    ts = sent["ts"]
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "two"}}]
    await client.chat_update(channel="C0ALERTS", ts=ts, text="two", blocks=blocks)
    (seen,) = (await client.conversations_history(channel="C0ALERTS", include_all_metadata=True))["messages"]
    assert (seen["text"], seen["metadata"], seen["blocks"][0]["text"]["text"]) == ("two", metadata, "two")
    (bare,) = (await client.conversations_history(channel="C0ALERTS"))["messages"]
    assert "metadata" not in bare
    link = (await client.chat_getPermalink(channel="C0ALERTS", message_ts=ts))["permalink"]
    assert link == f"{workspace.base_url}/archives/C0ALERTS/p{ts.replace('.', '')}"
    long = client.chat_update(channel="C0ALERTS", ts=ts, text="x" * 4001)
    assert (await refusal(long))["error"] == "msg_too_long"
    await client.chat_delete(channel="C0ALERTS", ts=ts)
    gone = client.chat_update(channel="C0ALERTS", ts=ts, text="three")
    assert (await refusal(gone))["error"] == "message_not_found"
    theirs = await workspace.post_incoming("C0ALERTS", {"text": "x"})
    other = client.chat_update(channel="C0ALERTS", ts=theirs, text="mine now")
    assert (await refusal(other))["error"] == "cant_update_message"


async def test_an_ephemeral_message_is_for_one_member(client):
    assert (await client.chat_postEphemeral(channel="C0ALERTS", user="U0EVE", text="no"))["message_ts"]
    stranger = client.chat_postEphemeral(channel="C0ALERTS", user="U0GIL", text="no")
    assert (await refusal(stranger))["error"] == "user_not_in_channel"


async def test_too_many_posts_are_held_back_and_the_clients_handler_waits(client):
    told = None
    for number in range(30):
        try:
            await client.chat_postMessage(channel="C0ALERTS", text=str(number))
        except SlackApiError as error:
            told = error.response
            break
    assert told is not None
    assert (told.status_code, told["error"], told.headers["Retry-After"]) == (429, "ratelimited", "1")
    client.retry_handlers.append(AsyncRateLimitErrorRetryHandler(max_retry_count=3))
    assert (await client.chat_postMessage(channel="C0ALERTS", text="patient"))["ok"]


async def test_an_image_is_uploaded_and_shown(client, workspace):
    png = b"\x89PNG\r\n\x1a\n" + b"\0" * 32
    root = await client.chat_postMessage(channel="C0ALERTS", text="root")
    done = await client.files_upload_v2(
        content=png, filename="chart.png", title="Chart", alt_txt="errors", channel="C0ALERTS", thread_ts=root["ts"]
    )
    url = done["files"][0]["url_private"]
    async with httpx.AsyncClient() as http:
        got = await http.get(url)
    assert (got.content, got.headers["content-type"]) == (png, "image/png")
    shared = (await client.conversations_replies(channel="C0ALERTS", ts=root["ts"]))["messages"][-1]
    assert shared["files"][0]["alt_txt"] == "errors"


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("", {"text": "x"}, 200, "ok"),
        ("", {"text": ""}, 400, "no_text"),
        ("", "{", 400, "invalid_payload"),
        ("", {"text": "x", "channel": "#none"}, 404, "channel_not_found"),
        ("", {"blocks": [{"type": "nonsense"}]}, 400, "invalid_blocks"),
        ("x", {"text": "x"}, 404, "no_service"),
    ],
)
async def test_the_incoming_webhook_answers_in_plain_text(workspace, path, body, status, words):
    sent = {"content": body} if isinstance(body, str) else {"json": body}
    async with httpx.AsyncClient() as http:
        answer = await http.post(workspace.webhook_url + path, **sent)
    assert (answer.status_code, answer.text) == (status, words)


async def test_a_response_url_ends_after_five_uses(workspace):
    url = workspace.state.response_url("U0DANA", "C0ALERTS")
    async with httpx.AsyncClient() as http:
        answers = [await http.post(url, json={"text": str(number)}) for number in range(6)]
        assert (await http.post(url.replace("/T0", "/T0") + "x", json={"text": "x"})).text == "expired_url"
    assert [answer.text for answer in answers] == ["ok"] * 5 + ["used_url"]


async def test_another_site_may_not_act_for_a_person(workspace):
    said = {"do": "say", "user": "U0DANA", "channel": "C0ALERTS", "text": "x"}
    async with httpx.AsyncClient(base_url=workspace.base_url) as http:
        foreign = await http.post("/drill/slack/act", json=said, headers={"origin": "https://evil.example"})
        own = await http.post("/drill/slack/act", json=said, headers={"origin": workspace.base_url})
    assert (foreign.status_code, own.status_code) == (403, 200)


async def test_a_page_that_comes_back_gets_what_it_missed(workspace):
    feed = workspace.feed
    await workspace.post_incoming("C0ALERTS", {"text": "one"})
    since = feed.seq
    await workspace.post_incoming("C0ALERTS", {"text": "two"})
    async with asyncio.timeout(10):
        change = await anext(feed.follow(since, "U0DANA"))
    assert change["message"]["text"] == "two"
    workspace.reset()
    async with asyncio.timeout(10):
        assert (await anext(feed.follow(feed.seq + 5, "U0DANA")))["kind"] == "reload"
