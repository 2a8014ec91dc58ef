"""What becomes of alerts, on a real database: repeated, grouped, waiting, silenced, flapping, held back; each with its reason."""

import asyncio
import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.incident import Diagnosed
from bot.admission.model import Place
from bot.admit import Admission, Heard
from bot.facts import ForeignSilences
from bot.lifecycle import Lifecycle
from bot.metrics import Metrics
from bot.money import left_today
from bot.policy import Channels as ChannelPolicy
from bot.policy import Policy
from bot.policy_intake import Caps, Grouping, Maintenance
from tools.errors import Temporary
from tools.queue import Queue
from tools.records import Alert, Diagnosis, Usage
from tools.store import admission as store
from tools.store import decisions, events, inbox, incidents, silences
from tools.store.db import StoreRefused

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
_names = itertools.count()


class Clock:
    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now

    def forward(self, seconds):
        self.now += timedelta(seconds=seconds)


class Channels:
    async def id_of(self, name):
        return "C0ALERTS" if name == "alerts" else name


class Labels:
    async def known(self, alert):
        return alert


class Door:
    """Admission on a database, with a clock that is moved by hand."""

    def __init__(self, db, policy, foreign=None):
        self.db, self.clock, self.metrics = db, Clock(), Metrics()
        life = Lifecycle(db, Queue(db), self.clock, 15.0)
        self.admission = Admission(life, policy, Channels(), Labels(), self.metrics, foreign or ForeignSilences(None))

    async def take(self, alert):
        return (await self.admission.admit(alert, Place())).reason

    async def take_all(self, alerts):
        return [one.reason for one in await self.admission.admit_all([Heard(alert, Place()) for alert in alerts])]

    async def jobs(self, name):
        sql = "SELECT args FROM procrastinate_jobs WHERE task_name = %s ORDER BY id"
        async with self.db.connection() as conn:
            return [row["args"] for row in await (await conn.execute(sql, (name,))).fetchall()]

    async def open_due(self):
        for job in await self.jobs("open_group"):
            await self.admission.open_group(job["waiting_id"])

    async def incidents(self):
        async with self.db.connection() as conn:
            return sorted(await incidents.recent(conn, limit=1000), key=lambda one: one.id)

    async def kinds(self, number):
        async with self.db.connection() as conn:
            return [row.kind for row in (await incidents.case(conn, number)).timeline]


def policy(caps=None, maintenance=(), **grouping):
    rules = {"debounce_seconds": 30, "cooldown_seconds": 0, "flapping_changes": 0} | grouping
    return Policy(
        channels=ChannelPolicy(watch=("alerts",), default="alerts"),
        grouping=Grouping(**rules),
        caps=caps or Caps(),
        maintenance=maintenance,
    )


def alert(name="Slow", fingerprint="", at=0.0, **more):
    """A warning of checkout's that started *at* seconds after NOW."""
    fields = {"status": "firing", "service": "checkout", "sender": "alertmanager"} | more
    when = NOW + timedelta(seconds=at)
    times = {"ends_at": when} if fields["status"] == "resolved" else {"starts_at": when}
    return Alert(fingerprint=fingerprint or f"print-{name}", name=name, **{**times, **fields})


async def test_a_critical_alert_opens_at_once_and_a_repetition_changes_nothing(db):
    door = Door(db, policy())
    assert await door.take(alert(severity="critical")) == "opened"
    assert await door.take(alert(severity="critical")) == "repeated"
    (incident,) = await door.incidents()
    assert await door.kinds(incident.id) == ["opened"]
    assert b'tocsin_intake_decisions_total{reason="repeated"} 1.0' in door.metrics.text()


async def test_others_wait_and_open_together_when_it_has_been_quiet(db):
    door = Door(db, policy())
    assert await door.take(alert("Slow")) == "debounced"
    door.clock.forward(20)
    assert await door.take(alert("Errors")) == "same_service"
    assert await door.take(alert("Slow")) == "repeated"
    door.clock.forward(20)
    await door.open_due()
    assert await door.incidents() == []  # the second one came 20 s ago
    door.clock.forward(10)
    await door.open_due()
    await door.open_due()
    (incident,) = await door.incidents()
    assert await door.kinds(incident.id) == ["opened", "joined"]
    async with db.connection() as conn:
        counts, rows = await decisions.of_incident(conn, incident.id)
    assert counts == {"opened": 1, "waited_together": 1}
    assert [row.first for row in rows] == [False, False]


async def test_waiting_ends_after_the_longest_time_however_many_come(db):
    door = Door(db, policy())
    for number in range(6):
        await door.take(alert(f"A{number}"))
        door.clock.forward(24)
    await door.open_due()
    (incident,) = await door.incidents()
    assert len(await door.kinds(incident.id)) == 6


async def test_critical_ends_the_waiting_of_its_group(db):
    door = Door(db, policy())
    await door.take(alert("Slow"))
    assert await door.take(alert("Errors", severity="critical")) == "escalated"
    (incident,) = await door.incidents()
    assert incident.alert.name == "Errors"
    assert await door.kinds(incident.id) == ["opened", "joined"]


async def test_what_ends_while_it_waits_opens_nothing(db):
    door = Door(db, policy())
    await door.take(alert())
    assert await door.take(alert(status="resolved", at=5)) == "resolved_while_waiting"
    door.clock.forward(60)
    await door.open_due()
    assert await door.incidents() == []


async def test_a_graver_alert_of_the_group_raises_the_incident(db):
    door = Door(db, policy(debounce_seconds=0))
    await door.take(alert("Slow"))
    assert await door.take(alert("Slow", fingerprint="p2", severity="critical")) == "escalated"
    (incident,) = await door.incidents()
    assert incident.alert.severity == "critical"


async def test_alertmanagers_own_groups_are_kept_apart_and_together(db):
    door = Door(db, policy())
    for name, key in (("A", "g1"), ("B", "g1"), ("C", "g2")):
        await door.take(alert(name, group_key=key, severity="critical"))
    first, second = await door.incidents()
    assert await door.kinds(first.id) == ["opened", "joined"]
    assert await door.kinds(second.id) == ["opened"]


async def test_other_places_and_other_times_are_other_troubles(db):
    door = Door(db, policy())
    await door.take(alert("A", severity="critical", labels={"cluster": "eu"}))
    assert await door.take(alert("B", severity="critical", labels={"cluster": "us"})) == "opened"
    assert await door.take(alert("C", severity="critical", at=3600)) == "opened"
    assert len(await door.incidents()) == 3


async def test_alerts_without_a_service_meet_by_shared_labels(db):
    door = Door(db, policy())
    labels = {"namespace": "shop", "node": "n1", "team": "a"}
    await door.take(alert("A", service="", severity="critical", labels=labels))
    assert await door.take(alert("B", service="", severity="critical", labels=labels)) == "shared_labels"
    assert await door.take(alert("C", service="", severity="critical", labels={"namespace": "shop"})) == "opened"


async def test_firing_again_within_the_cooldown_continues_the_incident(db):
    door = Door(db, policy(cooldown_seconds=300))
    await door.take(alert(severity="critical"))
    await door.take(alert(severity="critical", status="resolved", at=10))
    door.clock.forward(60)
    assert await door.take(alert(severity="critical", at=60)) == "cooldown"
    (incident,) = await door.incidents()
    assert incident.resolved_at is None
    assert await door.kinds(incident.id) == ["opened", "alert_resolved", "reopened"]
    await door.take(alert(severity="critical", status="resolved", at=70))
    door.clock.forward(600)
    assert await door.take(alert(severity="critical", at=660)) == "opened"


async def test_flapping_is_seen_said_once_and_not_investigated_again(db):
    door = Door(db, policy(flapping_changes=5))
    for turn in range(5):
        await door.take(alert(severity="critical", at=turn * 20))
        door.clock.forward(10)
        await door.take(alert(severity="critical", status="resolved", at=turn * 20 + 10))
        door.clock.forward(10)
    assert len(await door.incidents()) == 2  # the third firing is the fifth change
    assert len(await door.jobs("investigate")) == 2 + 3  # never diagnosed in this test, so each look is still wanted
    said = await door.jobs("say")
    assert len(said) == 1
    assert "goes on and off" in said[0]["text"]


async def test_a_silence_hides_until_it_ends(db):
    door = Door(db, policy())
    async with db.connection() as conn:
        end = NOW + timedelta(hours=1)
        await silences.add(conn, 'service="checkout" severity=~"warning|info"', "deploy", "U1", NOW, end)
    assert await door.take(alert()) == "silenced"
    assert await door.take(alert("Down", severity="critical")) == "opened"
    async with db.connection() as conn:
        (row,) = await decisions.of_name(conn, "slow")
    assert (row.reason, row.detail, row.incident_id) == ("silenced", "silence 1", None)
    door.clock.forward(3601)
    assert await door.take(alert(at=0)) == "same_service"


async def test_a_silence_made_meanwhile_hides_what_waits(db):
    door = Door(db, policy())
    await door.take(alert())
    async with db.connection() as conn:
        await silences.add(conn, 'service="checkout"', "", "U1", NOW, NOW + timedelta(hours=1))
    door.clock.forward(60)
    await door.open_due()
    assert await door.incidents() == []


async def test_a_maintenance_window_hides(db):
    window = Maintenance(name="nightly", matchers="service=checkout", start="02:00", end="04:00", timezone="UTC")
    door = Door(db, policy(maintenance=(window,)))
    assert await door.take(alert(severity="critical")) == "maintenance"
    door.clock.forward(2 * 3600)
    assert await door.take(alert(severity="critical")) == "opened"


class Alertmanager:
    def __init__(self, answer):
        self.answer = answer

    async def silences(self):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def test_alertmanagers_silences_are_respected(db):
    matcher = {"name": "service", "value": "check.*", "isRegex": True, "isEqual": True}
    found = [{"id": "s1", "status": {"state": "active"}, "matchers": [matcher]}]
    door = Door(db, policy(), ForeignSilences(Alertmanager(found)))
    assert await door.take(alert(severity="critical")) == "silenced_in_alertmanager"
    found[0]["status"]["state"] = "expired"
    door = Door(db, policy(), ForeignSilences(Alertmanager(found)))
    assert await door.take(alert(severity="critical")) == "opened"


async def test_silences_that_cannot_be_read_hide_nothing_and_that_is_said_once(db):
    door = Door(db, policy(), ForeignSilences(Alertmanager(Temporary("gone"))))
    assert await door.take(alert(severity="critical")) == "opened"
    assert await door.take(alert("B", severity="critical", service="cart")) == "opened"
    (said,) = await door.jobs("say")
    assert "gone" in said["text"]
    (first, _) = await door.incidents()
    async with db.connection() as conn:
        case = await incidents.case(conn, first.id)
    assert "silences are unknown: gone" in str(case.timeline[0].body["reason"])


async def test_over_a_cap_groups_line_up_critical_first_and_the_channel_is_told_once(db):
    door = Door(db, policy(caps=Caps(at_once=1)))
    await door.take(alert("A", severity="critical", service="a"))
    assert await door.take(alert("B", severity="critical", service="b")) == "cap_at_once"
    assert await door.take(alert("B", severity="critical", service="b")) == "repeated"
    assert await door.take(alert("C", severity="warning", service="c")) == "debounced"
    door.clock.forward(40)
    await door.open_due()
    assert len(await door.incidents()) == 1
    (said,) = await door.jobs("say")
    assert "nothing is lost" in said["text"]
    for _ in range(3):
        async with db.connection() as conn:
            await conn.execute('UPDATE incidents SET state = \'{"state": "diagnosed"}\'')
        door.clock.forward(20)
        await door.open_due()
    assert [one.alert.name for one in await door.incidents()] == ["A", "B", "C"]
    assert len(await door.jobs("say")) == 1


async def spend(db, number, usd):
    diagnosis = Diagnosis(headline="h", by="model", confidence=0.5, conclusive=True, usage=Usage(usd=usd))
    life = Lifecycle(db, Queue(db), lambda: NOW, 15.0)
    await life.record(number, Diagnosed(diagnosis=diagnosis))


async def test_the_models_money_of_a_day_is_counted_and_told_once(db):
    door = Door(db, policy(caps=Caps(model_usd_per_day=1.0)))
    await door.take(alert("A", severity="critical", service="a"))
    (incident,) = await door.incidents()
    await spend(db, incident.id, 0.6)
    assert await left_today(db, 1.0, NOW) == ""
    await spend(db, incident.id, 0.4)
    assert "1 USD are spent" in await left_today(db, 1.0, NOW)
    assert await left_today(db, 0.0, NOW) == ""
    assert await left_today(db, 1.0, NOW + timedelta(days=1)) == ""
    await door.take(alert("B", severity="critical", service="b"))
    await door.take(alert("C", severity="critical", service="c"))
    (said,) = await door.jobs("say")
    assert "by rules alone" in said["text"]


async def test_noise_is_counted_day_by_day(db):
    door = Door(db, policy())
    for one in (alert(severity="critical"), alert(severity="critical"), alert("B", severity="critical", service="b")):
        await door.take(one)
    async with db.connection() as conn:
        (day,) = await decisions.days(conn, NOW - timedelta(days=1))
    assert (day.alerts, day.incidents, day.reasons) == (3, 2, {"opened": 2, "repeated": 1})


async def test_a_group_whose_job_was_lost_is_found_again(db):
    door = Door(db, policy())
    await door.take(alert())
    async with db.connection() as conn:
        await conn.execute("DELETE FROM procrastinate_jobs")
    door.clock.forward(120)
    await door.admission.sweep()
    await door.open_due()
    assert len(await door.incidents()) == 1


async def test_an_old_list_replayed_is_no_news(db):
    door = Door(db, policy(stale_hours=24))
    assert await door.take(alert(at=-25 * 3600, severity="critical")) == "stale"
    assert await door.take(alert(at=-25 * 3600, severity="critical")) == "stale"


async def test_a_persons_question_is_never_held_silenced_or_grouped(db):
    window = Maintenance(name="always", matchers="service=checkout")
    door = Door(db, policy(caps=Caps(at_once=1), maintenance=(window,)))
    for number in range(3):
        question = alert("Diagnose", f"asked:{number}", sender="person", group_key=f"asked:{number}", severity="info")
        assert await door.take(question) == "asked"
    assert len(await door.incidents()) == 3


async def test_many_hear_of_one_group_at_once(db):
    door = Door(db, policy())
    alerts = [alert(f"A{number % 4}", severity="critical") for number in range(24)]
    reasons = await asyncio.gather(*(door.take(one) for one in alerts))
    assert sorted(reasons) == ["opened", *["repeated"] * 20, *["same_service"] * 3]
    assert len(await door.incidents()) == 1


# The property: alerts of a group that all fire at one moment, each firing and resolving once; deliveries may be repeated
# and come in any order. Whatever order: the same incidents with the same alerts, all over.
EPISODES = {"a": (0, 100), "b": (10, 90), "c": (50, 200)}


@st.composite
def deliveries(draw):
    groups = draw(st.integers(1, 2))
    each = [(group, name, status) for group in range(groups) for name in EPISODES for status in ("firing", "resolved")]
    again = draw(st.lists(st.sampled_from(each), max_size=4))
    return groups, draw(st.permutations(each + again)), draw(st.integers(1, 5))


def sent(run, group, name, status, severity="critical"):
    at = EPISODES[name][status == "resolved"]
    one = alert(f"{run}-{name}", f"{run}-{group}-{name}", at, status=status, severity=severity)
    return one.model_copy(update={"service": f"{run}-{group}"})


def batches(order, size):
    return [order[at : at + size] for at in range(0, len(order), size)]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deliveries())
async def test_order_duplication_and_delay_change_no_incident(db, drawn):
    groups, order, batch = drawn
    run = f"run{next(_names)}"
    door = Door(db, policy())
    for some in batches(order, batch):
        door.clock.forward(7)
        await door.take_all([sent(run, *one) for one in some])
    async with db.connection() as conn:
        for group in range(groups):
            (incident,) = await incidents.recent(conn, f"{run}-{group}", 10)
            assert incident.resolved_at is not None
        left = await store.overdue(conn, NOW + timedelta(days=1))
    assert left == []


reports = st.tuples(
    st.integers(0, 1),
    st.sampled_from(sorted(EPISODES)),
    st.sampled_from(("firing", "resolved")),
    st.sampled_from(("warning", "critical")),
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(reports, min_size=2, max_size=14), st.integers(2, 14))
async def test_what_is_decided_together_is_decided_as_one_by_one(db, order, size):
    told = []
    for batch in (1, size):
        run = f"run{next(_names)}"
        door = Door(db, policy(flapping_changes=6, cooldown_seconds=60))
        reasons = [
            reason
            for some in batches(order, batch)
            for reason in await door.take_all([sent(run, *one) for one in some])
        ]
        mine = [one for one in await door.incidents() if one.alert.service.startswith(f"{run}-")]
        shape = [(one.state, one.alert.severity, one.resolved_at is None, await door.kinds(one.id)) for one in mine]
        async with db.connection() as conn:
            why = [(await decisions.of_incident(conn, one.id))[0] for one in mine]
        told.append((reasons, shape, why))
    assert told[0] == told[1]
    async with db.connection() as conn:
        assert (await events.verify(conn)).sound


async def test_an_event_that_two_replicas_read_together_is_decided_about_once(db):
    door = Door(db, policy())
    names = [f"e{number}" for number in range(6)]
    async with db.transaction() as conn:
        for name in names:
            await inbox.put(conn, name, "webhook", {})
    heard = [Heard(alert(f"A{name}", severity="critical"), Place(), name) for name in names]
    told = await asyncio.gather(
        door.admission.admit_all(heard, names),
        door.admission.admit_all(heard[3:], names[3:]),
        door.admission.admit_all(heard[:4], names[:4]),
    )
    assert sorted(one.reason for some in told for one in some) == ["opened", *["same_service"] * 5]
    async with db.connection() as conn:
        assert await inbox.get_new(conn, names) == []


async def test_what_fails_together_leaves_nothing_behind_and_is_still_new(db):
    door = Door(db, policy())
    async with db.transaction() as conn:
        await inbox.put(conn, "e", "webhook", {})
        await conn.execute(b"ALTER TABLE decisions ADD CHECK (name <> 'Bad')")
    heard = [Heard(alert(name, severity="critical"), Place(), "e") for name in ("Good", "Bad")]
    with pytest.raises(StoreRefused):
        await door.admission.admit_all(heard, ["e"])
    assert await door.incidents() == []
    async with db.connection() as conn:
        assert [one.event_id for one in await inbox.get_new(conn, ["e"])] == ["e"]
        assert (await events.head(conn)).seq == 0
