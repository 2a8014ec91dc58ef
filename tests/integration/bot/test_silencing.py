"""Silences that people make: who may, for how long, what they would have hidden, and that they hide at once and end."""

from datetime import UTC, datetime, timedelta

import pytest

from bot.lifecycle import Lifecycle
from bot.policy import Approvers, Policy
from bot.policy import Channels as ChannelPolicy
from bot.policy_intake import Silencing
from bot.silencing import BadField, Silencer, duration_of, split
from tools.queue import Queue
from tools.records import Alert
from tools.store import decisions

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
WHO = {"team": "T1", "channel": "C0ALERTS"}


class Channels:
    async def watched(self, channel):
        return channel == "C0ALERTS"

    async def id_of(self, name):
        return f"C-{name}"


async def members(group):
    return frozenset({"U1OPS"} if group == "S1ONCALL" else ())


def silencer(db, **silences):
    policy = Policy(
        channels=ChannelPolicy(watch=("alerts",), default="alerts"),
        approvers=Approvers(default=("S1ONCALL",), services={"payment": ("U2PAY",)}),
        silences=Silencing(**silences),
    )
    return Silencer(Lifecycle(db, Queue(db), lambda: NOW, 15.0), policy, Channels(), members, "T1")


async def said(db):
    async with db.connection() as conn:
        sql = "SELECT args FROM procrastinate_jobs WHERE task_name = 'say' ORDER BY id"
        return [row["args"] for row in await (await conn.execute(sql)).fetchall()]


async def heard(db, name, labels, hours=1.0, times=1):
    alert = Alert(fingerprint=name, sender="t", name=name, status="firing")
    made = decisions.New(alert, {"alertname": name, **labels}, "opened", NOW - timedelta(hours=hours))
    async with db.connection() as conn:
        await decisions.add(conn, [made] * times)


async def test_a_silence_is_kept_told_listed_and_ended(db):
    door = silencer(db)
    await heard(db, "Slow", {"service": "checkout"}, times=3)
    await heard(db, "Down", {"service": "cart"})
    await heard(db, "Old", {"service": "checkout"}, hours=25)
    preview = await door.preview("service=checkout")
    assert (preview.arrived, preview.hidden) == (4, {"Slow": 3})
    sentence = await door.add("service=checkout", "1h30m", "deploy *v3*", "U1OPS", **WHO)
    assert "hidden 3 of the 4" in sentence
    (made,) = await door.active()
    assert (made.matchers, made.ends_at) == ('service="checkout"', NOW + timedelta(minutes=90))
    assert "over" in await door.expire(made.id, "U1OPS", **WHO)
    assert await door.active() == []
    assert await door.expire(made.id, "U1OPS", **WHO) == f"Silence {made.id} is over already."
    assert [one["channel"] for one in await said(db)] == ["C0ALERTS", "C0ALERTS"]


@pytest.mark.parametrize(
    ("matchers", "user", "team"),
    [("service=checkout", "U3NEW", "T1"), ("service=checkout", "U1OPS", "T2"), ("service=payment", "U1OPS", "T1")],
)
async def test_who_may_not_silences_nothing(db, matchers, user, team):
    door = silencer(db)
    with pytest.raises(BadField) as refused:
        await door.add(matchers, "1h", "", user, team=team, channel="C0ALERTS")
    assert refused.value.field == "matchers"
    assert await door.active() == []
    assert await said(db) == []


async def test_who_owns_the_service_may_and_anyone_where_policy_says_so(db):
    await silencer(db).add("service=payment", "1h", "", "U2PAY", **WHO)
    await silencer(db, who="anyone").add("service=cart", "1h", "", "U3NEW", **WHO)
    assert len(await silencer(db).active()) == 2


async def test_only_who_may_ends_a_silence_of_another(db):
    await silencer(db).add("service=checkout", "1h", "", "U1OPS", **WHO)
    assert "may not" in await silencer(db).expire(1, "U3NEW", **WHO)
    assert len(await silencer(db).active()) == 1
    assert "no silence 9" in await silencer(db).expire(9, "U1OPS", **WHO)


@pytest.mark.parametrize(
    ("text", "minutes"), [("90m", 90), ("2h", 120), ("1h30m", 90), ("1d", 1440), ("1 h 30 m", 90), ("1W", 10080)]
)
def test_lengths_of_time(text, minutes):
    assert duration_of(text, timedelta(days=7)) == timedelta(minutes=minutes)


@pytest.mark.parametrize("text", ["", "soon", "2", "0h", "-1h", "8d", "2h later"])
def test_what_is_no_length_of_time(text):
    with pytest.raises(BadField) as refused:
        duration_of(text, timedelta(days=7))
    assert refused.value.field == "duration"


def test_one_line_is_split():
    assert split('service=a, severity=~"b|c" 2h for the deploy') == (
        'service="a" severity=~"b|c"',
        "2h",
        "for the deploy",
    )
