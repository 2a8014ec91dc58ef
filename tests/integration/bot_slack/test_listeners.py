"""What people do in Slack reaches the desk, durable before it is acknowledged, and they are told what came of it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.blocks.thread import desired
from bot.keep import Keep
from bot.metrics import Metrics
from bot.previews import Preview
from bot.silencing import BadField
from bot.slack import SocketConnection, build_app
from bot.story import Facts
from tests.integration.bot_slack.conftest import Fault, Person, Slack
from tests.unit.bot_slack import samples
from tests.unit.bot_slack.limits import check_view
from tools.errors import Permanent, Temporary
from tools.records import Case, TimelineEntry
from tools.store.decisions import Day, Decided
from tools.store.silences import Silence

pytestmark = pytest.mark.slow


class FakeDesk:
    """Writes down what it is asked; answers *sentence*, or raises *error*."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.sentence = ""
        self.error: Exception | None = None
        self.record: Case | None = samples.ended()

    def _take(self, *what: Any) -> str:
        self.asked.append(what)
        if self.error:
            raise self.error
        return self.sentence

    async def diagnose(self, service: str, channel: str, user: str, request_id: str, text: str = "") -> str:
        return self._take("diagnose", service, channel, user, bool(request_id), text)

    async def diagnose_message(self, channel: str, message: Mapping[str, object], user: str, request_id: str) -> str:
        return self._take("diagnose_message", channel, message["ts"], user, bool(request_id))

    async def press(
        self, decision: str, proposal_id: str, user: str, *, team: str, channel: str, thread: str = "", reason: str = ""
    ) -> str:
        return self._take(decision, proposal_id, user, team, channel, reason)

    async def postmortem(self, incident_id: int, user: str) -> str:
        return self._take("postmortem", incident_id, user)

    async def keep_lesson(
        self, incident_id: int, user: str, *, title: str, cause: str, solution: str, effectiveness: float
    ) -> str:
        return self._take("keep_lesson", incident_id, user, title, cause, solution, effectiveness)

    async def case(self, incident_id: int) -> Case | None:
        self._take("case", incident_id)
        return self.record

    async def open_cases(self, limit: int) -> Sequence[Case]:
        self._take("open_cases", limit)
        return [samples.diagnosed()]

    async def why(self, incident_id: int) -> list[TimelineEntry]:
        self._take("why", incident_id)
        return list(samples.ended().timeline) if incident_id == 12 else []

    async def decided(self, incident_id: int) -> Mapping[str, int]:
        return {"opened": 1, "repeated": 4}

    async def decided_about(self, name: str) -> Sequence[Decided]:
        self._take("decided_about", name)
        return []

    async def stats(self, days: int) -> Sequence[Day]:
        self._take("stats", days)
        return [Day(day=date(2026, 11, 23), alerts=12, incidents=1, reasons={"opened": 1, "repeated": 11})]

    async def silence(self, matchers: str, duration: str, comment: str, user: str, *, team: str, channel: str) -> str:
        return self._take("silence", matchers, duration, comment, user, team, channel) or "Silenced."

    async def silence_preview(self, matchers: str) -> Preview:
        if "=" not in matchers:
            raise BadField("matchers", "There is no matcher.")
        return Preview(12, {"Slow": 5})

    async def break_glass(self, incident_id: int, reason: str, user: str, *, team: str, channel: str) -> str:
        return self._take("break_glass", incident_id, reason, user, team, channel) or "The glass is broken."

    async def silences(self) -> Sequence[Silence]:
        self._take("silences")
        at = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
        return [Silence(id=4, matchers='a="b"', comment="c", created_by="U0DANA", created_at=at, ends_at=at)]

    async def expire_silence(self, silence_id: int, user: str, *, team: str, channel: str) -> str:
        return self._take("expire_silence", silence_id, user, team, channel) or "It is over."

    async def known_services(self) -> Sequence[str]:
        return ["cart", "checkout"]


class Bot:
    """The Bolt app under test, connected; *kept* is the inbox its middleware fills."""

    def __init__(self, slack: Slack, client: AsyncWebClient, desk: FakeDesk) -> None:
        self.kept: list[str] = []
        self.failures = 0
        self.app = build_app(client, slack.workspace.signing_secret, desk, [Keep(self.receive, Metrics())])
        self.connection = SocketConnection(self.app, slack.workspace.app_token, client)

    async def receive(self, event_id: str, kind: str, payload: Mapping[str, Any]) -> bool:
        if self.failures:
            self.failures -= 1
            raise Temporary("Postgres is away.")
        self.kept.append(event_id)
        return True


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk()


@pytest.fixture
async def bot(slack: Slack, client: AsyncWebClient, desk: FakeDesk) -> AsyncIterator[Bot]:
    made = Bot(slack, client, desk)
    await made.connection.open()
    await slack.workspace.connection()
    yield made
    await made.connection.aclose()


@pytest.fixture
async def card(client: AsyncWebClient, slack: Slack, bot: Bot) -> dict[str, dict[str, Any]]:
    """Everything an incident can show, posted; by its post's key."""
    rows = samples.row(10, 70, "postmortem_drafted", {"by": "U0DANA", "text": "x"})
    ended = samples.ended()
    posts = {
        post.key: post for post in desired(samples.proposed(), Facts(approvers={samples.PROPOSAL_ID: ("U0DANA",)}))
    }
    posts |= {
        post.key: post
        for post in desired(ended.model_copy(update={"timeline": (*ended.timeline, rows)}), Facts())
        if post.key in ("resolved", "postmortem")
    }
    for post in posts.values():
        metadata = {"event_type": "tocsin_post", "event_payload": {"key": post.key}}
        await client.chat_postMessage(channel="C0ALERTS", text=post.text, blocks=post.blocks, metadata=metadata)
    return slack.ours()


def lesson(view: dict[str, Any]) -> dict[str, Any]:
    """What somebody who changes every field sends."""
    half = view["blocks"][3]["element"]["options"][1]
    return {
        "title": {"title": "v2 breaks checkout"},
        "cause": {"cause": "the schema"},
        "solution": {"solution": "roll back"},
        "effectiveness": {"effectiveness": half["value"]},
    }


PROPOSAL = f"proposal:{samples.PROPOSAL_ID}"


@pytest.mark.parametrize("decision", ["approve", "reject"])
async def test_a_decision_reaches_the_desk_and_says_nothing_when_it_counts(
    slack: Slack, desk: FakeDesk, dana: Person, card: dict[str, Any], decision: str
) -> None:
    assert await dana.press(card[PROPOSAL], decision) == {}
    assert desk.asked == [(decision, samples.PROPOSAL_ID, "U0DANA", "T0DRILL", "C0ALERTS", "")]
    assert slack.whispers() == []


async def test_a_press_that_does_not_count_is_explained_to_the_presser_alone(
    slack: Slack, desk: FakeDesk, dana: Person, card: dict[str, Any]
) -> None:
    desk.sentence = "You may not decide this. <@U0SAM> may. <!channel>"
    await dana.press(card[PROPOSAL], "approve")
    assert slack.whispers() == ["You may not decide this. <@U0SAM> may. &lt;!channel>"]
    assert slack.whispers("U0SAM") == []


async def test_show_evidence_opens_the_exact_queries(slack: Slack, dana: Person, card: dict[str, Any]) -> None:
    assert await dana.press(card["card"], "show_evidence") == {}
    boot = (await dana.http.get("/drill/slack/boot", params={"user": "U0DANA"})).json()
    assert "http_requests_total" in str(boot["views"])


async def test_the_evidence_is_turned_page_by_page(
    slack: Slack, desk: FakeDesk, dana: Person, card: dict[str, Any]
) -> None:
    long = tuple(
        samples.EVIDENCE[1].model_copy(update={"id": f"E{number}", "body": f"piece {number}\n" + "x" * 4000})
        for number in range(9)
    )
    desk.record = samples.diagnosed().model_copy(update={"evidence": long})
    await dana.press(card["card"], "show_evidence")

    async def shown() -> dict[str, Any]:
        return (await dana.http.get("/drill/slack/boot", params={"user": "U0DANA"})).json()["views"][-1]

    async def turn(action: str) -> dict[str, Any]:
        view = await shown()
        block = next(block for block in view["blocks"] if block["type"] == "actions")
        await dana.do("press", view_id=view["id"], block_id=block["block_id"], action_id=action)
        return await shown()

    first = await shown()
    assert "Page 1 of" in str(first)
    second = await turn("evidence_later")
    assert "Page 2 of" in str(second)
    assert second["id"] == first["id"]
    assert "Page 1 of" in str(await turn("evidence_earlier"))


async def test_a_postmortem_is_asked_for(desk: FakeDesk, dana: Person, card: dict[str, Any]) -> None:
    await dana.press(card["resolved"], "postmortem")
    assert desk.asked == [("postmortem", 12, "U0DANA")]


async def test_a_lesson_is_edited_and_kept(slack: Slack, desk: FakeDesk, dana: Person, card: dict[str, Any]) -> None:
    await dana.press(card["postmortem"], "keep_lesson")
    boot = (await dana.http.get("/drill/slack/boot", params={"user": "U0DANA"})).json()
    view = boot["views"][-1]
    names = [block["block_id"] for block in view["blocks"]]
    assert names == ["title", "cause", "solution", "effectiveness"]
    answer = await dana.do("submit", view_id=view["id"], values=lesson(view))
    assert answer == {}
    assert desk.asked[-1] == ("keep_lesson", 12, "U0DANA", "v2 breaks checkout", "the schema", "roll back", 0.5)


async def test_a_lesson_that_cannot_be_kept_says_why_in_the_form(
    slack: Slack, desk: FakeDesk, dana: Person, card: dict[str, Any]
) -> None:
    await dana.press(card["postmortem"], "keep_lesson")
    view = (await dana.http.get("/drill/slack/boot", params={"user": "U0DANA"})).json()["views"][-1]
    desk.error = Temporary("Postgres is away.")
    answer = await dana.do("submit", view_id=view["id"], values=lesson(view))
    assert "Postgres is away." in answer["errors"]["title"]


async def shown_view(dana: Person) -> Any:
    return (await dana.http.get("/drill/slack/boot", params={"user": "U0DANA"})).json()["views"][-1]


async def test_a_silence_is_previewed_corrected_and_made(slack: Slack, desk: FakeDesk, dana: Person, bot: Bot) -> None:
    await dana.do("say", channel="C0ALERTS", text="/tocsin silence")
    view = await shown_view(dana)
    check_view({key: view[key] for key in ("type", "title", "submit", "close", "blocks", "private_metadata")})
    typed = {
        "matchers": {"matchers": "service=checkout"},
        "duration": {"duration": "90m"},
        "comment": {"comment": "deploy"},
    }
    block = next(block for block in view["blocks"] if block["type"] == "actions")
    press = {"view_id": view["id"], "block_id": block["block_id"], "action_id": "preview_silence", "values": typed}
    assert await dana.do("press", **press) == {}
    view = await shown_view(dana)
    assert "would have hidden 5 of the 12 alerts" in str(view["blocks"][-1])
    desk.error = BadField("duration", "Say for how long.")
    answer = await dana.do("submit", view_id=view["id"], values=typed)
    assert answer["errors"] == {"duration": "Say for how long."}
    desk.error = None
    assert await dana.do("submit", view_id=view["id"], values=typed) == {}
    assert desk.asked[-1] == ("silence", "service=checkout", "90m", "deploy", "U0DANA", "T0DRILL", "C0ALERTS")
    assert "Silenced." in str((await shown_view(dana))["blocks"])


async def test_a_preview_of_matchers_that_cannot_be_read_says_why(desk: FakeDesk, dana: Person, bot: Bot) -> None:
    await dana.do("say", channel="C0ALERTS", text="/tocsin silence")
    view = await shown_view(dana)
    block = next(block for block in view["blocks"] if block["type"] == "actions")
    typed = {"matchers": {"matchers": "checkout"}, "duration": {"duration": "2h"}, "comment": {"comment": ""}}
    press = {"view_id": view["id"], "block_id": block["block_id"], "action_id": "preview_silence", "values": typed}
    assert await dana.do("press", **press) == {}
    assert "There is no matcher." in str((await shown_view(dana))["blocks"][-1])


async def test_a_silence_is_ended_from_the_list(slack: Slack, desk: FakeDesk, dana: Person, bot: Bot) -> None:
    await dana.do("say", channel="C0ALERTS", text="/tocsin silences")
    ts, held = next(iter(slack.workspace.state.ephemerals.items()))
    block = held["message"]["blocks"][0]
    await dana.do("press", channel="C0ALERTS", ts=ts, block_id=block["block_id"], action_id="expire_silence")
    assert desk.asked[-1] == ("expire_silence", 4, "U0DANA", "T0DRILL", "C0ALERTS")


@pytest.mark.parametrize(
    ("typed", "asked", "said"),
    [
        ("/diagnose checkout", ("diagnose", "checkout", "C0ALERTS", "U0DANA", True, ""), "Looking at `checkout`"),
        (
            "/diagnose Checkout slow since noon",
            ("diagnose", "checkout", "C0ALERTS", "U0DANA", True, "Checkout slow since noon"),
            "Looking",
        ),
        (
            "/diagnose why is checkout slow?",
            ("diagnose", "checkout", "C0ALERTS", "U0DANA", True, "why is checkout slow?"),
            "Looking at `checkout`",
        ),
        ("/diagnose ghost anyway", ("diagnose", "ghost", "C0ALERTS", "U0DANA", True, ""), "Looking"),
        ("/diagnose", None, "I know: `cart`, `checkout`"),
        ("/diagnose chekout", None, "Did you mean `checkout`?"),
        ("/diagnose <!channel> anyway", None, "I do not know"),
        ("/tocsin", None, "What I can do"),
        ("/tocsin status", ("open_cases", 20), "1 open incident(s)"),
        ("/tocsin why 12", ("why", 12), "Incident 12: 9 rows"),
        ("/tocsin why 99", ("why", 99), "There is no incident `99`"),
        ("/tocsin why", None, "Which incident?"),
        ("/tocsin why twelve", ("decided_about", "twelve"), "decided about no alert called `twelve`"),
        ("/tocsin stats", ("stats", 7), "12 alerts in, 1 incidents out"),
        ("/tocsin silences", ("silences",), "1 silence(s) in force"),
        (
            '/tocsin silence service=checkout severity=~"warning|info" 2h deploy now',
            (
                "silence",
                'service="checkout" severity=~"warning|info"',
                "2h",
                "deploy now",
                "U0DANA",
                "T0DRILL",
                "C0ALERTS",
            ),
            "Silenced.",
        ),
        ("/tocsin silence 2h", None, "Begin with what to silence"),
        (
            "/tocsin break-glass #12 the shop is down",
            ("break_glass", 12, "the shop is down", "U0DANA", "T0DRILL", "C0ALERTS"),
            "The glass is broken.",
        ),
        ("/tocsin break-glass 12", ("break_glass", 12, "", "U0DANA", "T0DRILL", "C0ALERTS"), "The glass is broken."),
        ("/tocsin break-glass the shop is down", None, "Which incident, and why?"),
        ("/tocsin dance", None, "I do not know `dance`"),
    ],
)
async def test_commands(
    slack: Slack, desk: FakeDesk, dana: Person, bot: Bot, typed: str, asked: tuple[Any, ...] | None, said: str
) -> None:
    await dana.do("say", channel="C0ALERTS", text=typed)
    assert said in slack.whispers()[0]
    assert desk.asked == ([asked] if asked else [])


async def test_a_command_that_fails_says_what_to_do(slack: Slack, desk: FakeDesk, dana: Person, bot: Bot) -> None:
    desk.error = Temporary("Postgres is away.")
    await dana.do("say", channel="C0ALERTS", text="/diagnose checkout")
    assert "Postgres is away. Try again in a moment." in slack.whispers()[0]


async def test_a_broken_command_gives_a_reference_and_no_inner_words(
    slack: Slack, desk: FakeDesk, dana: Person, bot: Bot
) -> None:
    desk.error = KeyError("password=hunter2")
    await dana.do("say", channel="C0ALERTS", text="/diagnose checkout")
    assert "something broke on my side (reference" in slack.whispers()[0]
    assert "hunter2" not in slack.whispers()[0]


async def test_a_button_that_fails_says_what_to_do(
    slack: Slack, desk: FakeDesk, dana: Person, card: dict[str, Any]
) -> None:
    desk.error = Permanent("This proposal is gone.")
    assert await dana.press(card[PROPOSAL], "approve") == {}
    assert "This proposal is gone." in slack.whispers()[0]


async def test_evidence_of_an_incident_that_is_gone(
    slack: Slack, desk: FakeDesk, dana: Person, card: dict[str, Any]
) -> None:
    desk.record = None
    await dana.press(card["card"], "show_evidence")
    assert "There is no incident" in slack.whispers()[0]


async def test_a_message_is_read_from_its_menu(slack: Slack, desk: FakeDesk, dana: Person, bot: Bot) -> None:
    ts = await slack.alert()
    desk.sentence = "Looking."
    assert await dana.do("shortcut", callback_id="diagnose_message", channel="C0ALERTS", ts=ts) == {}
    assert desk.asked == [("diagnose_message", "C0ALERTS", ts, "U0DANA", True)]
    assert slack.whispers() == ["Looking."]


async def test_the_home_tab_shows_what_is_open(slack: Slack, dana: Person, bot: Bot) -> None:
    await dana.do("home")
    await slack.settled(lambda: "U0DANA" in slack.workspace.state.homes)
    boot = (await dana.http.get("/drill/slack/boot", params={"user": "U0DANA"})).json()
    assert "checkout fails since the rollout" in str(boot["home"])


async def test_an_event_is_delivered_again_until_it_is_kept(slack: Slack, dana: Person, bot: Bot) -> None:
    bot.failures = 1
    await dana.do("say", channel="C0ALERTS", text="hello @tocsin")
    await slack.settled(lambda: len(bot.kept) == 2)  # the message, and the mention in it
    await slack.workspace.delivery.settle()
    assert len(set(bot.kept)) == 2
    assert bot.failures == 0


async def test_an_event_that_comes_while_slack_does_not_know_us_is_not_lost(
    slack: Slack, client: AsyncWebClient, desk: FakeDesk, dana: Person
) -> None:
    slack.door.faults["auth.test"] = Fault(200, {"ok": False, "error": "fatal_error"})
    made = Bot(slack, client, desk)
    await made.connection.open()
    try:
        await slack.workspace.connection()
        await dana.do("say", channel="C0ALERTS", text="hello")
        await slack.settled(lambda: bool(made.kept))
        await slack.workspace.delivery.settle()
    finally:
        await made.connection.aclose()
    assert len(made.kept) == 1


async def test_a_socket_whose_reader_died_is_replaced(slack: Slack, dana: Person, bot: Bot) -> None:
    assert await bot.connection.alive()
    await bot.connection.check()
    assert bot.connection.replaced == 0
    handler = bot.connection._handler
    assert handler is not None
    receiver = handler.client.message_receiver
    assert receiver is not None
    receiver.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await receiver
    assert not await bot.connection.alive()
    await bot.connection.check()
    assert bot.connection.replaced == 1
    await slack.workspace.connection()
    await dana.do("say", channel="C0ALERTS", text="still there?")
    await slack.settled(lambda: bool(bot.kept))


async def test_slack_asking_to_reconnect_loses_nothing(slack: Slack, dana: Person, bot: Bot) -> None:
    await slack.workspace.disconnect_sockets()
    await slack.workspace.connection()
    await dana.do("say", channel="C0ALERTS", text="hello again")
    await slack.settled(lambda: bool(bot.kept))
