"""From a diagnosis to a verified change, on a real database and an API server that counts its writes."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from agents.incident import Diagnosed, Opened
from bot.approvals import Approvals, Parts
from bot.authority.people import People
from bot.lifecycle import Lifecycle
from bot.metrics import Metrics
from bot.policy import Approvers, Policy, Service
from bot.rights import Presser
from tests.unit.tools.fakes import APPS, FakeCluster, add_service, kubeconfig, serve, template
from tools.clusters import Actors, Views
from tools.errors import Temporary
from tools.kube import Kube
from tools.queue import Queue
from tools.records import Alert, Diagnosis, Suggestion
from tools.sources import Sources
from tools.store import events, incidents

POLICY = Policy(
    services={"checkout": Service(namespace="shop"), "payment": Service(namespace="shop")},
    approvers=Approvers(default=("S0ONCALL",), services={"payment": ("U0PAY",)}),
)
DANA = Presser("U0DANA", "T1", "C0ALERTS")


class Clock:
    def __init__(self):
        self.now = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)

    def __call__(self):
        return self.now


class Members:
    def __init__(self):
        self.people = frozenset({"U0DANA", "U0SAM"})

    async def __call__(self, group):
        if not self.people:
            raise Temporary("Slack is away")
        return self.people if group == "S0ONCALL" else frozenset()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def members():
    return Members()


@pytest.fixture
def cluster():
    cluster = FakeCluster()
    for name in ("checkout", "payment"):
        add_service(cluster, name, [template(name, f"shop/{name}:v1"), template(name, f"shop/{name}:v2")])
    return cluster


@pytest.fixture
async def approvals(db, cluster, clock, members, tmp_path):
    with serve(cluster) as url:
        actor = Kube(kubeconfig(tmp_path, url), timeout_s=2)
        life = Lifecycle(db, Queue(db), clock, 15.0)
        people = People(members, POLICY.changes.oncall)
        sources = Sources(clock=clock)
        yield Approvals(
            Parts(
                life=life,
                policy=POLICY,
                people=people,
                actors=Actors.one(actor),
                views=Views.one(sources),
                team="T1",
                metrics=Metrics(),
                cluster="c",
            )
        )
        await actor.aclose()


async def proposed(approvals, db, *, deployment="checkout", sender="alertmanager", labels=None):
    """Open an incident, diagnose it and plan its suggestion; return the incident's id and the proposal."""
    alert = Alert(
        fingerprint="f", sender=sender, name="HighErrorRate", status="firing", service="checkout", labels=labels or {}
    )
    params = {"namespace": "shop", "deployment": deployment}
    diagnosis = Diagnosis(
        headline="A bad rollout",
        by="rules",
        confidence=0.8,
        conclusive=True,
        suggestions=(Suggestion(action="rollout_undo", params=params, why="errors began with it"),),
    )
    life = approvals.parts.life
    async with db.transaction() as conn:
        incident, _ = await incidents.open_or_join(conn, "k", alert, "C0ALERTS", "1.1", life.clock())
        await life.record_on(conn, incident.id, Opened(alert=alert, reason="first"))
        await life.record_on(conn, incident.id, Diagnosed(diagnosis=diagnosis))
    await approvals.plan(incident.id)
    case = await read(db, incident.id)
    return incident.id, (case.proposals[-1] if case.proposals else None)


async def read(db, number):
    async with db.connection() as conn:
        return await incidents.case(conn, number)


def image(cluster, name="checkout"):
    return cluster.objects[f"{APPS}/deployments/{name}"]["spec"]["template"]["spec"]["containers"][0]["image"]


async def test_an_approved_change_is_made_once_whoever_presses_and_runs_again(approvals, db, cluster):
    number, proposal = await proposed(approvals, db)
    assert await approvals.press("approve", proposal.id, DANA) == ""
    assert "already approved" in await approvals.press("approve", proposal.id, DANA)
    await asyncio.gather(*(approvals.run(proposal.id) for _ in range(5)), return_exceptions=True)
    await approvals.run(proposal.id)
    case = await read(db, number)
    assert image(cluster) == "shop/checkout:v1"
    assert len(cluster.writes) == 1
    assert [row.kind for row in case.timeline].count("run_started") == 1
    assert [row.kind for row in case.timeline].count("run_ended") == 1
    assert (case.incident.state, case.proposals[0].state) == ("verifying", "done")
    async with db.connection() as conn:
        assert not (await events.verify(conn)).problems


async def test_a_stranger_is_told_who_may_and_nothing_happens(approvals, db, cluster):
    number, proposal = await proposed(approvals, db)
    said = await approvals.press("approve", proposal.id, Presser("U0EVE", "T1", "C0ALERTS"))
    assert "<!subteam^S0ONCALL>" in said
    await approvals.run(proposal.id)
    case = await read(db, number)
    assert image(cluster) == "shop/checkout:v2"
    assert case.timeline[-1].kind == "press_refused"
    assert case.approvals == ()


async def test_the_owners_of_what_is_changed_decide_not_those_of_the_alert(approvals, db):
    _, proposal = await proposed(approvals, db, deployment="payment")
    assert "<@U0PAY>" in await approvals.press("approve", proposal.id, DANA)
    assert await approvals.press("approve", proposal.id, Presser("U0PAY", "T1", "C0ALERTS")) == ""


async def test_nobody_is_let_in_while_slack_cannot_say_who_is_in_the_group(approvals, db, members):
    _, proposal = await proposed(approvals, db)
    members.people = frozenset()
    assert "could not check" in await approvals.press("approve", proposal.id, DANA)


async def test_an_expired_approval_runs_nothing_and_leaves_the_table(approvals, db, cluster, clock):
    number, proposal = await proposed(approvals, db)
    assert await approvals.press("approve", proposal.id, DANA) == ""
    clock.now += timedelta(hours=1)
    await approvals.run(proposal.id)
    await approvals.expire()
    case = await read(db, number)
    assert image(cluster) == "shop/checkout:v2"
    assert (case.incident.state, case.proposals[0].state) == ("diagnosed", "expired")


async def test_a_rejected_change_is_never_made(approvals, db, cluster):
    number, proposal = await proposed(approvals, db)
    assert await approvals.press("reject", proposal.id, DANA, "not now") == ""
    assert await approvals.press("approve", proposal.id, DANA) != ""
    await approvals.run(proposal.id)
    case = await read(db, number)
    assert image(cluster) == "shop/checkout:v2"
    assert (case.incident.state, case.proposals[0].state) == ("diagnosed", "rejected")


async def test_a_target_that_changed_since_it_was_shown_is_planned_again_not_changed(approvals, db, cluster):
    number, proposal = await proposed(approvals, db)
    assert await approvals.press("approve", proposal.id, DANA) == ""
    cluster.objects[f"{APPS}/deployments/checkout"]["spec"]["template"]["spec"]["containers"][0]["image"] = (
        "shop/checkout:v3"
    )
    await approvals.run(proposal.id)
    case = await read(db, number)
    assert image(cluster) == "shop/checkout:v3"
    assert case.timeline[-1].kind == "target_changed"
    assert case.incident.state == "diagnosed"


async def test_an_alerts_label_cannot_say_who_asked(approvals, db):
    _, proposal = await proposed(approvals, db, labels={"requested_by": "U0DANA"})
    assert proposal.requested_by == "tocsin"
    assert (await proposed(approvals, db, sender="person", labels={"requested_by": "U0DANA"}))[1] is not None


async def test_without_an_actor_the_reason_is_on_the_record(approvals, db):
    approvals.parts.actors = Actors.one(None)
    number, proposal = await proposed(approvals, db)
    assert proposal is None
    last = (await read(db, number)).timeline[-1]
    assert last.kind == "plan_failed"
    assert "TOCSIN_ACTOR_KUBECONFIG" in str(last.body["reason"])


@pytest.mark.parametrize("forged", ["", "x", "1", "11111111-1111-4111-8111-111111111111"])
async def test_a_forged_id_changes_nothing(approvals, db, cluster, forged):
    await proposed(approvals, db)
    assert "Nothing was changed" in await approvals.press("approve", forged, DANA)
    assert image(cluster) == "shop/checkout:v2"
