"""Firing, repeated, escalated, resolved and firing again: one incident, and its card tells all of it."""

from datetime import UTC, datetime, timedelta

import pytest

from bot.blocks.card import card
from bot.intake import Intake
from bot.lifecycle import Lifecycle
from bot.metrics import Metrics
from bot.policy import Channels as ChannelPolicy
from bot.policy import Policy, Service
from bot.policy_intake import Grouping
from bot.story import Facts
from tests.integration.bot.test_intake import Channels, Labels
from tests.unit.bot_slack.limits import check_post, said
from tools.queue import Queue
from tools.store import decisions, incidents

BEGAN = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
POLICY = Policy(
    channels=ChannelPolicy(watch=("alerts",), default="alerts"),
    services={"payment": Service(namespace="shop")},
    grouping=Grouping(debounce_seconds=0, cooldown_seconds=300),
)


class Clock:
    now = BEGAN

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def intake(db, clock):
    async def say(*_words):
        pass

    return Intake(Lifecycle(db, Queue(db), clock, 15.0), POLICY, Channels(), Labels(), say, Metrics())


async def deliver(intake, clock, minutes, severity="warning", status="firing", began=0.0, name="HighErrorRate"):
    """Let Alertmanager notify *minutes* after the beginning about an alert that began at *began* (minutes)."""
    clock.now = BEGAN + timedelta(minutes=minutes)
    alert = {
        "status": status,
        "labels": {"alertname": name, "service": "payment", "severity": severity},
        "startsAt": (BEGAN + timedelta(minutes=began)).isoformat(),
        "endsAt": clock.now.isoformat() if status == "resolved" else "0001-01-01T00:00:00Z",
    }
    event_id = f"alertmanager:{minutes}:{name}:{severity}"
    await intake.receive(event_id, "webhook", {"version": "4", "groupKey": "{}:{}", "alerts": [alert]})
    await intake.process(event_id)


async def shown(db):
    """Return the only incident's card as text, and its state."""
    async with db.connection() as conn:
        (incident,) = await incidents.recent(conn)
        case = await incidents.case(conn, incident.id)
    post = card(case, Facts())
    check_post(post)
    return said(post), incident


async def test_one_life_on_one_card(db, intake, clock):
    await deliver(intake, clock, 0)
    await deliver(intake, clock, 1)  # the same again
    told, incident = await shown(db)
    assert "more alert message" not in told
    await deliver(intake, clock, 2, "critical", began=2)  # graver, by another rule of the same name
    told, incident = await shown(db)
    assert incident.alert.severity == "critical"
    assert ":rotating_light: critical" in told
    assert "1 more alert message in 2 min: HighErrorRate" in told
    assert "graver since" in told
    assert "warning to critical" in told
    await deliver(intake, clock, 4, "critical", "resolved", began=2)
    told, incident = await shown(db)
    assert incident.state != "resolved"
    assert "over by now, while others still fire: HighErrorRate" in told
    await deliver(intake, clock, 5, status="resolved")
    told, incident = await shown(db)
    assert incident.state == "resolved"
    assert "still fire" not in told
    assert "fires again" not in told
    await deliver(intake, clock, 6, began=6)
    told, incident = await shown(db)
    assert incident.state == "open"
    assert "was over and fires again: once" in told
    assert "2 more alert messages" in told
    async with db.connection() as conn:
        reasons, _ = await decisions.of_incident(conn, incident.id)
    assert {"opened", "repeated", "escalated", "resolved_one_of_several", "resolved", "cooldown"} <= reasons.keys()
