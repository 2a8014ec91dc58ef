"""The thread is a view of the record: drawn once, brought up to date, never posted twice."""

import asyncio
from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.thread import Thread
from bot.webapi import SlackBusy, SlackRefused
from tests.integration.bot_slack.conftest import Fault, Slack
from tests.unit.bot_slack import samples
from tools.cache import MemoryCache
from tools.errors import Temporary
from tools.records import Proposal
from tools.signals import chart
from tools.store import events, evidence, incidents, posts, proposals
from tools.store.db import Database

pytestmark = pytest.mark.slow


class Record:
    """Writes the record of one incident as the lifecycle would."""

    def __init__(self, db: Database, incident_id: int) -> None:
        self.db = db
        self.id = incident_id

    async def add(self, kind: str, body: dict[str, Any], seconds: float = 2, actor: str = "tocsin") -> None:
        async with self.db.transaction() as conn:
            await events.append(conn, self.id, kind, actor, body, samples.at(seconds))

    async def diagnosed(self) -> None:
        async with self.db.transaction() as conn:
            await evidence.save(conn, self.id, samples.EVIDENCE)
        await self.add("diagnosed", {"diagnosis": samples.DIAGNOSIS.model_dump(mode="json")}, 4)

    async def charted(self, *, flapping: bool = False) -> None:
        """A diagnosis whose evidence has a telling series; one that crosses its threshold more often than 20 points can show."""
        times = [samples.at(15.0 * number).timestamp() for number in range(-100, 4)]
        values = [0.4 if number > 100 or (flapping and number % 2) else 0.002 for number in range(104)]
        drawn = chart("CheckoutHighErrors", times, values, unit="ratio", threshold=0.05, onset=samples.at(0))
        async with self.db.transaction() as conn:
            await evidence.save(conn, self.id, [samples.EVIDENCE[1].model_copy(update={"chart": drawn})])
        await self.add("diagnosed", {"diagnosis": samples.DIAGNOSIS.model_dump(mode="json")}, 4)

    async def proposed(self) -> None:
        async with self.db.transaction() as conn:
            await proposals.insert(conn, samples.PROPOSAL.model_copy(update={"incident_id": self.id}))
        await self.add("proposed", {"proposal_id": samples.PROPOSAL_ID, "line": samples.PROPOSAL.plan.line}, 5)

    async def state(self, name: str) -> None:
        async with self.db.transaction() as conn:
            await incidents.save_state(conn, self.id, {"state": name}, samples.at(60) if name == "resolved" else None)


async def opened(db: Database, channel: str = "", ts: str = "") -> Record:
    async with db.transaction() as conn:
        incident, _ = await incidents.open_or_join(conn, "g", samples.ALERT, channel, ts, samples.at(1))
        await events.append(
            conn, incident.id, "opened", "tocsin", {"alert": samples.ALERT.model_dump(mode="json")}, samples.at(1)
        )
    return Record(db, incident.id)


def deciders(proposal: Proposal) -> tuple[str, ...]:
    return ("U0DANA",) if proposal.params["deployment"] == "checkout" else ()


@pytest.fixture
def thread(client: AsyncWebClient, db: Database) -> Thread:
    return Thread(client, db, MemoryCache(), deciders=deciders, default_channel="C0INCIDENTS")


async def test_a_record_is_drawn_into_the_alerts_thread_once(slack: Slack, db: Database, thread: Thread) -> None:
    ts = await slack.alert()
    record = await opened(db, "C0ALERTS", ts)
    await thread.redraw(record.id)
    card = slack.ours()["card"]
    assert card["thread_ts"] == ts
    assert "Looking at checkout" in card["text"]
    done = slack.door.writes()
    await thread.redraw(record.id)
    assert slack.door.writes() == done


async def test_a_changed_record_edits_the_card_and_adds_what_is_new(slack: Slack, db: Database, thread: Thread) -> None:
    record = await opened(db, "C0ALERTS", await slack.alert())
    await thread.redraw(record.id)
    before = slack.ours()["card"]["ts"]
    await record.diagnosed()
    await record.proposed()
    await thread.redraw(record.id)
    ours = slack.ours()
    assert ours["card"]["ts"] == before
    assert "checkout fails since the rollout" in ours["card"]["text"]
    assert "May approve: <@U0DANA>." in str(ours[f"proposal:{samples.PROPOSAL_ID}"]["blocks"])
    assert [element["action_id"] for element in ours[f"proposal:{samples.PROPOSAL_ID}"]["blocks"][-1]["elements"]] == [
        "approve",
        "reject",
    ]


async def test_an_incident_without_a_message_gets_a_thread_of_its_own(
    slack: Slack, db: Database, thread: Thread
) -> None:
    record = await opened(db)
    await thread.redraw(record.id)
    ours = slack.ours("C0INCIDENTS")
    assert ours["card"]["thread_ts"] == ours["root"]["ts"]
    async with db.connection() as conn:
        incident = await incidents.get(conn, record.id)
    assert (incident.channel, incident.thread_ts) == ("C0INCIDENTS", ours["root"]["ts"])


@pytest.mark.parametrize("channel", ["C0ALERTS", ""])
async def test_a_post_whose_answer_was_lost_is_found_again(
    slack: Slack, db: Database, thread: Thread, channel: str
) -> None:
    record = await opened(db, channel, await slack.alert() if channel else "")
    slack.door.faults["chat.postMessage"] = Fault(after=True)
    with pytest.raises(Temporary):
        await thread.redraw(record.id)
    await thread.redraw(record.id)
    ours = slack.ours(channel or "C0INCIDENTS")  # fails when a key is there twice
    assert set(ours) == ({"card"} if channel else {"root", "card"})


async def test_a_post_that_never_arrived_is_posted_again(slack: Slack, db: Database, thread: Thread) -> None:
    record = await opened(db, "C0ALERTS", await slack.alert())
    slack.door.faults["chat.postMessage"] = Fault(after=False)
    with pytest.raises(Temporary):
        await thread.redraw(record.id)
    assert slack.ours() == {}
    await thread.redraw(record.id)
    assert set(slack.ours()) == {"card"}


async def test_a_crash_between_post_and_record_shows_the_newest_state(
    slack: Slack, db: Database, thread: Thread
) -> None:
    record = await opened(db, "C0ALERTS", await slack.alert())
    slack.door.faults["chat.postMessage"] = Fault(after=True)
    with pytest.raises(Temporary):
        await thread.redraw(record.id)
    await record.diagnosed()
    await thread.redraw(record.id)
    assert "checkout fails since the rollout" in slack.ours()["card"]["text"]


async def test_a_rate_limit_is_waited_out_by_every_replica(slack: Slack, db: Database, client: AsyncWebClient) -> None:
    shared, slept = MemoryCache(), []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await asyncio.sleep(seconds)

    one, two = (
        Thread(client, db, shared, deciders=deciders, default_channel="C0INCIDENTS", sleep=sleep) for _ in range(2)
    )
    record = await opened(db, "C0ALERTS", await slack.alert())
    slack.door.faults["chat.postMessage"] = Fault(429, {"ok": False, "error": "ratelimited"}, {"retry-after": "1"})
    with pytest.raises(SlackBusy):  # the job comes again
        await one.redraw(record.id)
    await two.redraw(record.id)
    assert set(slack.ours()) == {"card"}
    assert sum(slept) == pytest.approx(1, abs=0.5)


async def test_updates_wait_for_their_turn_and_then_show_the_newest(
    slack: Slack, db: Database, client: AsyncWebClient
) -> None:
    cache = MemoryCache()
    record = await opened(db, "C0ALERTS", await slack.alert())

    async def meanwhile(_: float) -> None:
        if not waited:
            waited.append(1)
            await record.diagnosed()
        await asyncio.sleep(0.05)

    waited: list[int] = []
    thread = Thread(client, db, cache, deciders=deciders, default_channel="C0INCIDENTS", sleep=meanwhile)
    await thread.redraw(record.id)
    await record.add("observed", {"line": "checkout answers errors.", "evidence_id": "E1"}, 3)
    await cache.hold("slack:chat.update", 0.1)
    await thread.redraw(record.id)
    assert waited == [1]
    assert "checkout fails since the rollout" in slack.ours()["card"]["text"]
    assert slack.door.writes().count("chat.update") == 1


async def test_blocks_that_slack_refuses_become_plain_words(slack: Slack, db: Database, thread: Thread) -> None:
    record = await opened(db, "C0ALERTS", await slack.alert())
    refusal = {"ok": False, "error": "msg_blocks_too_long"}
    slack.door.faults = {"chat.postMessage": Fault(200, refusal), "chat.update": Fault(200, refusal)}
    await thread.redraw(record.id)
    assert "Looking at checkout" in slack.ours()["card"]["text"]
    await record.diagnosed()
    await thread.redraw(record.id)
    assert "checkout fails since the rollout" in slack.ours()["card"]["text"]
    done = slack.door.writes()
    await thread.redraw(record.id)
    assert slack.door.writes() == done


REFUSED = {"ok": False, "error": "invalid_blocks"}


def kinds(slack: Slack) -> list[str]:
    return [
        block["type"] for block in slack.ours()["card"]["blocks"] if block["type"] in ("data_visualization", "image")
    ]


async def test_the_card_shows_its_chart_natively(slack: Slack, db: Database, thread: Thread) -> None:
    record = await opened(db, "C0ALERTS", await slack.alert())
    await thread.redraw(record.id)
    await record.charted()
    await thread.redraw(record.id)
    assert kinds(slack) == ["data_visualization"]
    assert slack.workspace.state.files == {}
    done = slack.door.writes()
    await thread.redraw(record.id)
    assert slack.door.writes() == done


@pytest.mark.parametrize("drawn_before", [True, False])
async def test_a_workspace_without_native_charts_gets_a_picture_in_the_same_card(
    slack: Slack, db: Database, thread: Thread, drawn_before: bool
) -> None:
    record = await opened(db, "C0ALERTS", await slack.alert())
    if drawn_before:
        await thread.redraw(record.id)
    await record.charted()
    slack.door.faults = {"chat.postMessage": Fault(200, REFUSED), "chat.update": Fault(200, REFUSED)}
    await thread.redraw(record.id)
    assert kinds(slack) == ["image"]  # `ours` fails when there are two cards
    (block,) = [block for block in slack.ours()["card"]["blocks"] if block["type"] == "image"]
    assert "threshold 5 %" in block["alt_text"]
    (file,) = slack.workspace.state.files.values()
    assert (file.id, file.shared, file.content[:4]) == (block["slack_file"]["id"], True, b"\x89PNG")
    await record.proposed()
    await thread.redraw(record.id)
    assert kinds(slack) == ["image"]
    assert len(slack.workspace.state.files) == 1


async def test_a_series_that_20_points_cannot_show_is_a_picture(slack: Slack, db: Database, thread: Thread) -> None:
    record = await opened(db, "C0ALERTS", await slack.alert())
    await record.charted(flapping=True)
    await thread.redraw(record.id)
    assert kinds(slack) == ["image"]


@pytest.mark.parametrize("step", ["files.getUploadURLExternal", "files.completeUploadExternal"])
@pytest.mark.parametrize("after", [True, False])
async def test_an_upload_whose_answer_was_lost_holds_no_card_up_and_comes_later(
    slack: Slack, db: Database, thread: Thread, step: str, after: bool
) -> None:
    record = await opened(db, "C0ALERTS", await slack.alert())
    await record.charted(flapping=True)
    slack.door.faults[step] = Fault(after=after)
    with pytest.raises(Temporary):  # the job comes again for the chart
        await thread.redraw(record.id)
    assert "checkout fails since the rollout" in slack.ours()["card"]["text"]
    assert kinds(slack) == []
    await thread.redraw(record.id)
    assert kinds(slack) == ["image"]


async def test_without_the_right_to_upload_the_native_chart_stands(slack: Slack, db: Database, thread: Thread) -> None:
    record = await opened(db, "C0ALERTS", await slack.alert())
    await record.charted(flapping=True)
    slack.door.faults["files.getUploadURLExternal"] = Fault(
        200, {"ok": False, "error": "missing_scope", "needed": "files:write"}
    )
    await thread.redraw(record.id)
    assert kinds(slack) == ["data_visualization"]


async def test_a_workspace_that_takes_no_chart_at_all_gets_the_card_without_one(
    slack: Slack, db: Database, client: AsyncWebClient
) -> None:
    async def sleep(_seconds: float) -> None:
        return

    thread = Thread(client, db, MemoryCache(), deciders=deciders, sleep=sleep)
    record = await opened(db, "C0ALERTS", await slack.alert())
    await record.charted()
    slack.door.faults["chat.postMessage"] = Fault(200, REFUSED, times=4)
    await thread.redraw(record.id)
    assert kinds(slack) == []
    assert any(block["type"] == "section" for block in slack.ours()["card"]["blocks"])


async def test_a_channel_that_refuses_us_is_said_and_leaves_no_claim(
    slack: Slack, db: Database, thread: Thread
) -> None:
    record = await opened(db, "C0RANDOM", "")
    with pytest.raises(SlackRefused, match="not_in_channel"):
        await thread.redraw(record.id)
    async with db.connection() as conn:
        assert await posts.get(conn, record.id, "root") is None


async def test_a_post_that_a_person_deleted_stays_deleted(
    slack: Slack, db: Database, thread: Thread, client: AsyncWebClient
) -> None:
    record = await opened(db, "C0ALERTS", await slack.alert())
    await thread.redraw(record.id)
    await client.chat_delete(channel="C0ALERTS", ts=slack.ours()["card"]["ts"])
    await record.diagnosed()
    await thread.redraw(record.id)
    assert "card" not in slack.ours()


async def test_the_alert_wears_its_state(slack: Slack, db: Database, thread: Thread) -> None:
    ts = await slack.alert()
    record = await opened(db, "C0ALERTS", ts)
    await thread.redraw(record.id)
    await record.diagnosed()
    await record.state("resolved")
    await thread.redraw(record.id)
    alert = next(message for message in slack.messages() if message["ts"] == ts)
    assert [reaction["name"] for reaction in alert["reactions"]] == ["eyes", "white_check_mark"]
    assert "resolved" in slack.ours()


async def test_a_reaction_that_slack_refuses_does_not_stop_the_card(slack: Slack, db: Database, thread: Thread) -> None:
    slack.door.faults["reactions.add"] = Fault(
        200, {"ok": False, "error": "missing_scope", "needed": "reactions:write"}
    )
    record = await opened(db, "C0ALERTS", await slack.alert())
    await thread.redraw(record.id)
    assert "card" in slack.ours()


async def test_a_recalled_case_is_linked_to_its_thread(slack: Slack, db: Database, thread: Thread) -> None:
    first = await opened(db, "C0ALERTS", "1763866800.000100")
    await first.state("resolved")
    async with db.transaction() as conn:
        later, _ = await incidents.open_or_join(
            conn, "g2", samples.ALERT, "C0ALERTS", await slack.alert(), samples.at(90)
        )
    record = Record(db, later.id)
    recalled = samples.DIAGNOSIS.recalled[0].model_copy(update={"incident_id": first.id})
    diagnosis = samples.DIAGNOSIS.model_copy(update={"recalled": (recalled,)})
    await record.add("diagnosed", {"diagnosis": diagnosis.model_dump(mode="json")}, 95)
    await thread.redraw(record.id)
    assert "/archives/C0ALERTS/p1763866800000100|" in str(slack.ours()["card"]["blocks"])


async def test_a_sentence_is_said_once_per_key(slack: Slack, thread: Thread) -> None:
    ts = await slack.alert()
    for _ in range(2):
        await thread.say("C0ALERTS", ts, "unreadable:x", "I could not read this <!channel>")
    assert slack.ours()["unreadable:x"]["text"] == "I could not read this &lt;!channel>"


@pytest.mark.parametrize("stage", ["diagnosed", "proposed", "applied", "recovered", "worse", "resolved", "postmortem"])
async def test_every_stage_is_taken_by_a_strict_slack(slack: Slack, db: Database, thread: Thread, stage: str) -> None:
    record = await opened(db, "C0ALERTS", await slack.alert())
    await record.diagnosed()
    if stage != "diagnosed":
        await record.proposed()
    if stage in ("applied", "recovered", "worse", "resolved", "postmortem"):
        await record.add("run_ended", samples.outcome(), 32)
    if stage in ("recovered", "worse", "resolved", "postmortem"):
        await record.add("verified", samples.verified("worse" if stage == "worse" else "recovered"), 50)
    if stage in ("resolved", "postmortem"):
        await record.state("resolved")
    if stage == "postmortem":
        await record.add("postmortem_drafted", {"by": "U0DANA", "text": "x"}, 70, "U0DANA")
    await thread.redraw(record.id)
    assert all(message["blocks"] for message in slack.ours().values())
    expected = {"diagnosed": 1, "proposed": 2, "applied": 3, "recovered": 3, "worse": 4, "resolved": 4, "postmortem": 5}
    assert len(slack.ours()) == expected[stage]


async def test_a_sentence_whose_answer_was_lost_is_not_said_twice(slack: Slack, thread: Thread) -> None:
    ts = await slack.alert()
    for place in (ts, ""):
        slack.door.faults["chat.postMessage"] = Fault(after=True)
        with pytest.raises(Temporary):
            await thread.say("C0ALERTS", place, f"cap:{place}", "the cap is reached")
        await thread.say("C0ALERTS", place, f"cap:{place}", "the cap is reached")
    assert len(slack.ours()) == 2  # fails when a key is there twice
