"""What a person types becomes Slack's escaped text with mentions, and what they choose becomes Slack's state."""

import time

import pytest

from drill.slack.composed import compose
from drill.slack.content import blocks_of
from drill.slack.errors import RateLimitedError, SlackError
from drill.slack.limits import Limits
from drill.slack.manifest import Manifest, parse, shipped
from drill.slack.posts import signature
from drill.slack.state import RESPONSE_URL_USES, State
from drill.slack.values import missing, state_of, value_of


@pytest.fixture
def state():
    return State(time.time, Manifest(), live=lambda change: None, emit=lambda event: None)


def test_names_become_mentions_and_the_rest_is_escaped(state):
    said = compose(state, "@sam @oncall @here @nobody see #alerts <b> & `a<b` https://x.example/?a=1&b=2")
    assert said["text"] == (
        "<@U0SAM> <!subteam^S0ONCALL> <!here> @nobody see <#C0ALERTS|alerts> &lt;b&gt; &amp; `a&lt;b` "
        "<https://x.example/?a=1&b=2>"
    )
    kinds = [part["type"] for part in said["blocks"][0]["elements"][0]["elements"]]
    assert [kind for kind in kinds if kind != "text"] == ["user", "usergroup", "broadcast", "channel", "link"]
    assert blocks_of(said["blocks"])


def test_timestamps_rise_even_when_the_clock_stands_still():
    still = State(lambda: 1000.0, Manifest(), live=lambda change: None, emit=lambda event: None)
    stamps = [still.now_ts() for _ in range(3)]
    assert stamps == ["1000.000000", "1000.000001", "1000.000002"]


def test_a_trigger_works_once_and_for_three_seconds():
    now = [0.0]
    state = State(lambda: now[0], Manifest(), live=lambda change: None, emit=lambda event: None)
    first, late = state.trigger("U0DANA"), state.trigger("U0DANA")
    assert state.use_trigger(first) == "U0DANA"
    with pytest.raises(SlackError, match="exchanged_trigger_id"):
        state.use_trigger(first)
    with pytest.raises(SlackError, match="invalid_trigger_id"):
        state.use_trigger("nonsense")
    now[0] = 3.1
    with pytest.raises(SlackError, match="expired_trigger_id"):
        state.use_trigger(late)


def test_posts_to_one_channel_are_about_one_a_second_after_a_burst():
    now = [0.0]
    limits = Limits(lambda: now[0])
    for _ in range(5):
        limits.post("C1")
    with pytest.raises(RateLimitedError) as caught:
        limits.post("C1")
    assert caught.value.seconds == 1
    limits.post("C2")
    now[0] = 1.0
    limits.post("C1")


def test_the_signature_is_the_one_of_slacks_documentation():
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name="
        b"foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2F"
        b"hooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015."
        b"47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    signed = signature("8f742231b10e8888abcd99yyyzzz85a5", "1531420618", body)
    assert signed == "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"


OPTIONS = [{"text": {"type": "plain_text", "text": name}, "value": name} for name in ("a", "b")]


@pytest.mark.parametrize(
    ("element", "raw", "held"),
    [
        ({"type": "plain_text_input"}, "x", {"value": "x"}),
        ({"type": "plain_text_input"}, "", {"value": None}),
        ({"type": "static_select", "options": OPTIONS}, "b", {"selected_option": OPTIONS[1]}),
        ({"type": "static_select", "options": OPTIONS}, "forged", {"selected_option": None}),
        ({"type": "checkboxes", "options": OPTIONS}, ["a"], {"selected_options": OPTIONS[:1]}),
        ({"type": "users_select"}, "U0SAM", {"selected_user": "U0SAM"}),
        ({"type": "multi_channels_select"}, ["C0ALERTS"], {"selected_channels": ["C0ALERTS"]}),
        ({"type": "datepicker"}, "2026-11-23", {"selected_date": "2026-11-23"}),
    ],
)
def test_a_choice_has_slacks_shape(element, raw, held):
    assert value_of(element, raw) == {"type": element["type"], **held}


def test_an_empty_input_is_refused_before_the_app_hears_of_it():
    element = {"type": "plain_text_input", "action_id": "t", "min_length": 3}
    blocks = [
        {"type": "input", "block_id": "b", "element": element},
        {"type": "input", "block_id": "o", "element": element, "optional": True},
    ]
    assert list(missing(blocks, state_of(blocks, {}))) == ["b"]
    assert "at least 3" in missing(blocks, state_of(blocks, {"b": {"t": "xx"}}))["b"]
    assert missing(blocks, state_of(blocks, {"b": {"t": "xxx"}})) == {}


def test_a_response_url_is_made_for_five_uses(state):
    url = state.response_url("U0DANA", "C0ALERTS")
    assert state.responses[url.rpartition("/")[2]].uses == RESPONSE_URL_USES == 5


def test_the_app_is_installed_from_the_manifest_that_ships():
    manifest = shipped()
    assert [command.name for command in manifest.commands] == ["/diagnose", "/tocsin"]
    assert [(item.callback_id, item.kind) for item in manifest.shortcuts] == [("diagnose_message", "message")]
    assert "chat:write" in manifest.scopes
    assert "message.channels" in manifest.events
    assert parse({}) == Manifest((), (), (), (), messages_tab=False)
