"""From a raw event to an incident on a real database: kept once, matched, joined, resolved, or said to be unreadable."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.admission.model import Place
from bot.intake import Intake
from bot.lifecycle import Lifecycle
from bot.metrics import Metrics
from bot.policy import Channels as ChannelPolicy
from bot.policy import Policy, Service
from bot.policy_intake import Grouping
from tools.queue import Queue
from tools.records import Alert
from tools.store import decisions, inbox, incidents

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
POLICY = Policy(
    channels=ChannelPolicy(watch=("alerts",), default="alerts"),
    services={"payment": Service(namespace="shop")},
    grouping=Grouping(debounce_seconds=0),
)


class Channels:
    async def watched(self, channel):
        return channel == "C0ALERTS"

    async def id_of(self, name):
        return "C0ALERTS" if name == "alerts" else name


class Labels:
    """Knows the services, and what Prometheus would say about one firing alert."""

    def __init__(self):
        self.active = {}

    async def services(self):
        return {"payment", "checkout"}

    async def known(self, alert):
        labels = self.active.get(alert.name)
        if labels is None or alert.status == "resolved":
            return alert
        return alert.model_copy(update={"labels": labels, "fingerprint": "aaaa", "service": labels["service"]})


@pytest.fixture
def said():
    return []


@pytest.fixture
def labels():
    return Labels()


@pytest.fixture
async def intake(db, said, labels):
    async def say(*words):
        said.append(words)

    return Intake(Lifecycle(db, Queue(db), lambda: NOW, 15.0), POLICY, Channels(), labels, say, Metrics())


def slack_event(title, ts="100.1", channel="C0ALERTS", **more):
    attachment = {"title": title, "fallback": f"{title} | http://am/#/alerts", "title_link": "http://am", "text": ""}
    event = {"type": "message", "subtype": "bot_message", "bot_id": "B1", "channel": channel, "ts": ts, "text": ""}
    return {"type": "event_callback", "event": event | {"attachments": [attachment]} | more}


async def deliver(intake, event_id, body, kind="slack_event"):
    fresh = await intake.receive(event_id, kind, body)
    await intake.process(event_id)
    return fresh


async def all_incidents(db):
    async with db.connection() as conn:
        return await incidents.recent(conn)


async def kinds(db, number):
    async with db.connection() as conn:
        return [row.kind for row in (await incidents.case(conn, number)).timeline]


async def test_one_event_delivered_three_times_is_one_incident_with_one_investigation(db, intake):
    body = slack_event("[FIRING:1] HighErrorRate payment (demo critical payments)")
    assert [await deliver(intake, "e1", body) for _ in range(3)] == [True, False, False]
    (incident,) = await all_incidents(db)
    assert (incident.alert.service, incident.alert.severity, incident.thread_ts) == ("payment", "critical", "100.1")
    assert await kinds(db, incident.id) == ["opened"]
    async with db.connection() as conn:
        rows = await (await conn.execute("SELECT task_name FROM procrastinate_jobs ORDER BY id")).fetchall()
    assert [row["task_name"] for row in rows] == ["intake", "investigate", "redraw"]


async def test_resolved_finds_the_incident_that_firing_opened(db, intake):
    await deliver(intake, "e1", slack_event("[FIRING:1] HighErrorRate payment (demo critical payments)"))
    await deliver(intake, "e2", slack_event("[RESOLVED] HighErrorRate payment (demo critical payments)", ts="100.2"))
    (incident,) = await all_incidents(db)
    assert incident.state == "resolved"
    assert incident.resolved_at == NOW


async def test_the_slack_message_and_the_webhook_of_one_alert_meet_in_one_incident(db, intake, labels):
    labels.active["HighErrorRate"] = {"alertname": "HighErrorRate", "service": "payment", "severity": "critical"}
    await deliver(intake, "e1", slack_event("[FIRING:1] HighErrorRate payment (demo critical payments)"))
    alert = {
        "status": "firing",
        "labels": labels.active["HighErrorRate"],
        "annotations": {},
        "startsAt": "2026-11-23T02:59:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "",
        "fingerprint": "bbbb",
    }
    body = {"version": "4", "status": "firing", "groupKey": "k", "alerts": [alert], "receiver": "w"}
    await deliver(intake, "w1", body, kind="webhook")
    (incident,) = await all_incidents(db)
    assert await kinds(db, incident.id) == ["opened"]
    async with db.connection() as conn:
        counts, _ = await decisions.of_incident(conn, incident.id)
    assert counts == {"opened": 1, "repeated": 1}


async def test_a_title_without_a_service_is_still_matched_when_it_resolves(db, intake, labels):
    labels.active["TargetDown"] = {"alertname": "TargetDown", "service": "checkout"}
    await deliver(intake, "e1", slack_event("[FIRING:1] TargetDown (demo 127.0.0.1:39999 dead warning)"))
    labels.active.clear()  # a resolved alert is no longer in Prometheus
    await deliver(intake, "e2", slack_event("[RESOLVED] TargetDown (demo 127.0.0.1:39999 dead warning)", ts="100.2"))
    assert [incident.state for incident in await all_incidents(db)] == ["resolved"]


async def test_what_nobody_can_read_is_kept_and_said_in_its_thread(db, intake, said):
    event = {"type": "message", "bot_id": "B1", "channel": "C0ALERTS", "ts": "5.1", "text": "", "attachments": [{}]}
    await deliver(intake, "e1", {"type": "event_callback", "event": event})
    assert await all_incidents(db) == []
    async with db.connection() as conn:
        kept = await inbox.get(conn, "e1")
    assert kept.state == "failed"
    assert kept.error
    assert said[0][:2] == ("C0ALERTS", "5.1")
    assert "could not read" in said[0][3]
    await deliver(intake, "e2", slack_event("[FIRING:1] HighErrorRate payment (demo critical)"))
    assert len(await all_incidents(db)) == 1


async def test_people_talking_in_a_watched_channel_open_nothing(db, intake, said):
    event = {"type": "message", "channel": "C0ALERTS", "ts": "5.1", "user": "U1", "text": "lunch?"}
    await deliver(intake, "e1", {"type": "event_callback", "event": event})
    assert await all_incidents(db) == []
    assert said == []


async def test_what_people_say_in_the_thread_is_kept_for_the_post_mortem(db, intake):
    await deliver(intake, "e1", slack_event("[FIRING:1] HighErrorRate payment (demo critical payments)"))
    note = {"type": "message", "channel": "C0ALERTS", "ts": "101.1", "thread_ts": "100.1", "user": "U1", "text": "mine"}
    await deliver(intake, "e2", {"type": "event_callback", "event": note})
    (incident,) = await all_incidents(db)
    async with db.connection() as conn:
        last = (await incidents.case(conn, incident.id)).timeline[-1]
    assert (last.kind, last.actor, last.body["text"]) == ("noted", "U1", "mine")


async def test_a_mention_of_a_service_opens_an_incident_in_that_thread(db, intake):
    event = {"type": "app_mention", "channel": "C9", "ts": "7.1", "user": "U1", "text": "<@U0BOT> checkout is slow"}
    await deliver(intake, "e1", {"type": "event_callback", "event": event})
    (incident,) = await all_incidents(db)
    assert (incident.channel, incident.thread_ts, incident.alert.service) == ("C9", "7.1", "checkout")
    assert incident.alert.labels["requested_by"] == "U1"


async def test_a_mention_without_a_service_is_answered(db, intake, said):
    event = {"type": "app_mention", "channel": "C9", "ts": "7.1", "user": "U1", "text": "<@U0BOT> hello"}
    await deliver(intake, "e1", {"type": "event_callback", "event": event})
    assert await all_incidents(db) == []
    assert "checkout, payment" in said[0][3]


async def test_one_of_two_alerts_resolving_leaves_the_incident_open(db, intake):
    def alert(fingerprint, status="firing"):
        return Alert(fingerprint=fingerprint, sender="t", name="Slow", status=status, service="checkout")

    await intake.admit(alert("p1"), Place())
    await intake.admit(alert("p2"), Place())
    await intake.admit(alert("p1", "resolved"), Place())
    assert [incident.state for incident in await all_incidents(db)] == ["open"]
    await intake.admit(alert("p2", "resolved"), Place())
    assert [incident.state for incident in await all_incidents(db)] == ["resolved"]


@pytest.mark.parametrize("name", ["alertmanager_slack_default.json", "alertmanager_slack_customised.json"])
async def test_what_a_real_alertmanager_posts_is_read(db, intake, name):
    captured = json.loads((Path(__file__).parents[2] / "payloads" / name).read_text())
    event = {"type": "message", "bot_id": "B1", "ts": "1.1", "text": "", **captured["body"], "channel": "C0ALERTS"}
    await deliver(intake, name, {"type": "event_callback", "event": event})
    (incident,) = await all_incidents(db)
    assert incident.alert.name in ("TargetDown", "HighErrorRate")


def notification(count, start=0):
    alerts = [
        {"status": "firing", "labels": {"alertname": "Slow", "service": "payment", "severity": "critical", "n": str(n)}}
        for n in range(start, start + count)
    ]
    return {"version": "4", "status": "firing", "receiver": "r", "groupKey": "{}:{}", "alerts": alerts}


async def test_events_read_together_are_all_settled_and_the_special_ones_are_left_to_be_read_alone(db, intake):
    firing = "[FIRING:1] HighErrorRate payment (demo critical payments)"
    given = {
        "alertmanager:1": ("webhook", notification(230)),
        "alertmanager:2": ("webhook", notification(70, 230)),
        "alertmanager:3": ("webhook", notification(60, 300)),
        "slack:1": ("slack_event", slack_event(firing)),
        "slack:2": ("slack_event", slack_event(firing, ts="100.3", thread_ts="100.1", user="U1")),
        "slack:3": ("slack_event", slack_event(firing, channel="C0OTHER")),
        "other:1": ("webhook", {}),
    }
    for name, (kind, body) in given.items():
        await intake.receive(name, kind, body)
    assert await intake.process_many(["gone", *given]) == ["slack:2", "slack:3", "other:1"]
    assert await intake.process_many(list(given)) == ["slack:2", "slack:3", "other:1"]
    async with db.connection() as conn:
        states = {name: (await inbox.get(conn, name)).state for name in given}
        rows = await (
            await conn.execute("SELECT count(*) AS n, count(DISTINCT xmin::text) AS tx FROM decisions")
        ).fetchone()
    assert [name for name, state in states.items() if state == "done"] == [*list(given)[:4]]
    assert rows["n"] == 361
    assert rows["tx"] == 3  # 230 alerts of one notification, then 70, then 60 and the message
    assert len(await all_incidents(db)) <= 2
