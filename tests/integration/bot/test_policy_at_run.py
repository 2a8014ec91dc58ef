"""The policy at the press and again at the run, on a real database and an API server that counts its writes.

Each way in which an approval stops counting between the two: nothing is written, the card's reason is on the record.
"""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from agents.incident import Diagnosed, Opened
from bot.approvals import Approvals, Parts
from bot.authority.people import People
from bot.lifecycle import Lifecycle
from bot.metrics import Metrics
from bot.operations import Operations
from bot.policy import Approvers, Policy, Service
from bot.policy_changes import Changes
from bot.rights import Presser
from tests.unit.tools.fakes import APPS, FakeCluster, add_service, kubeconfig, serve, template
from tools.clusters import Actors, Views
from tools.errors import Temporary
from tools.kube import Kube
from tools.queue import Queue
from tools.records import Alert, Diagnosis, Suggestion
from tools.sources import Sources
from tools.store import events, incidents

SERVICES = {name: Service(namespace="shop") for name in ("checkout", "payment", "cart")}
DANA, SAM, LEE = (Presser(user, "T1", "C0ALERTS") for user in ("U0DANA", "U0SAM", "U0LEE"))
RULE = {"name": "shop", "namespaces": "shop", "approvers": "S0ONCALL"}


class Clock:
    now = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)  # a Monday

    def __call__(self):
        return self.now


class Slack:
    """The one fact that is asked of Slack: who is in the group; None means that it does not answer."""

    people: frozenset[str] | None = frozenset({"U0DANA", "U0SAM"})

    async def __call__(self, group):
        if self.people is None:
            raise Temporary("Slack is away")
        return self.people if group == "S0ONCALL" else frozenset()


def policy(*rules, **changes):
    made = Changes.model_validate({"rules": rules or [RULE], **changes})
    return Policy(services=SERVICES, changes=made)


class World:
    def __init__(self, db, cluster, actor):
        self.db, self.cluster, self.clock, self.slack = db, cluster, Clock(), Slack()
        self.life = Lifecycle(db, Queue(db), self.clock, 15.0)
        self.actor = actor
        self.approvals = self.under(policy())

    def under(self, policy):
        """Return what a process started with this policy would be."""
        self.approvals = Approvals(
            Parts(
                life=self.life,
                policy=policy,
                people=People(self.slack, policy.changes.oncall),
                actors=Actors.one(self.actor),
                views=Views.one(Sources(clock=self.clock)),
                team="T1",
                metrics=Metrics(),
                cluster="c",
            )
        )
        return self.approvals

    async def proposed(self, deployment="checkout", action="rollout_restart", confidence=0.9, asked_by=""):
        alert = Alert(
            fingerprint=f"f-{deployment}-{action}", sender="person" if asked_by else "alertmanager", name="A",
            status="firing", service=deployment, labels={"requested_by": asked_by} if asked_by else {},
        )  # fmt: skip
        params = {"namespace": "shop", "deployment": deployment}
        diagnosis = Diagnosis(
            headline="h", by="rules", confidence=confidence, conclusive=True,
            suggestions=(Suggestion(action=action, params=params, why="w"),),
        )  # fmt: skip
        async with self.db.transaction() as conn:
            key = f"{alert.fingerprint}-{self.clock.now.isoformat()}"
            incident, _ = await incidents.open_or_join(conn, key, alert, "C0ALERTS", key, self.clock())
            await self.life.record_on(conn, incident.id, Opened(alert=alert, reason="first"))
            await self.life.record_on(conn, incident.id, Diagnosed(diagnosis=diagnosis))
        await self.approvals.plan(incident.id)
        return (await self.case(incident.id)).proposals[-1]

    async def case(self, number):
        async with self.db.connection() as conn:
            return await incidents.case(conn, number)

    async def kinds(self, proposal):
        return [row.kind for row in (await self.case(proposal.incident_id)).timeline]

    async def refused_to_run(self, proposal):
        """Run it; assert that nothing was written; return the reason on the record."""
        writes = len(self.cluster.writes)
        await self.approvals.run(proposal.id)
        assert len(self.cluster.writes) == writes
        case = await self.case(proposal.incident_id)
        assert case.timeline[-1].kind == "withdrawn"
        assert case.incident.state == "diagnosed"
        assert {one.id: one.state for one in case.proposals}[proposal.id] == "superseded"
        assert case.timeline[-1].body["policy"] == self.approvals.parts.version
        return str(case.timeline[-1].body["reason"])


@pytest.fixture
async def world(db, tmp_path):
    cluster = FakeCluster()
    space = {"metadata": {"name": "shop", "labels": {"team": "shop"}}}
    cluster.put("/api/v1/namespaces", space)
    for name in SERVICES:
        add_service(cluster, name, [template(name, f"shop/{name}:v1"), template(name, f"shop/{name}:v2")])
    with serve(cluster) as url:
        actor = Kube(kubeconfig(tmp_path, url), timeout_s=2)
        yield World(db, cluster, actor)
        await actor.aclose()


async def test_under_an_unchanged_policy_it_runs_and_every_decision_names_the_version(world):
    proposal = await world.proposed()
    assert await world.approvals.press("approve", proposal.id, DANA) == ""
    await world.approvals.run(proposal.id)
    assert len(world.cluster.writes) == 1
    case = await world.case(proposal.incident_id)
    version = world.approvals.parts.version
    decided = [row for row in case.timeline if row.kind in {"proposed", "approved", "run_started", "run_ended"}]
    assert [row.body["policy"] for row in decided] == [version] * 4
    assert (case.approvals[0].policy, case.approvals[0].rule) == (version, "shop")
    assert proposal.policy == version
    async with world.db.connection() as conn:
        assert not (await events.verify(conn)).problems


async def test_who_left_the_group_after_approving_is_not_run_for(world):
    proposal = await world.proposed()
    assert await world.approvals.press("approve", proposal.id, DANA) == ""
    world.slack.people = frozenset({"U0SAM"})
    assert "<@U0DANA> may no longer approve" in await world.refused_to_run(proposal)
    await world.approvals.plan(proposal.incident_id)  # the job that the record asked for
    case = await world.case(proposal.incident_id)
    assert sorted(one.state for one in case.proposals) == ["proposed", "superseded"]
    again = next(one for one in case.proposals if one.state == "proposed")
    assert await world.approvals.press("approve", again.id, SAM) == ""
    await world.approvals.run(again.id)
    assert len(world.cluster.writes) == 1


async def test_while_slack_does_not_say_who_is_in_the_group_nothing_runs_and_it_is_tried_again(world):
    proposal = await world.proposed()
    assert await world.approvals.press("approve", proposal.id, DANA) == ""
    world.slack.people = None
    with pytest.raises(Temporary):
        await world.approvals.run(proposal.id)
    assert world.cluster.writes == []
    world.slack.people = frozenset({"U0DANA"})
    await world.approvals.run(proposal.id)
    assert len(world.cluster.writes) == 1


async def test_a_policy_changed_between_press_and_run_asks_again(world):
    proposal = await world.proposed()
    assert await world.approvals.press("approve", proposal.id, DANA) == ""
    world.under(policy({**RULE, "count": 2}))
    assert "policy was changed" in await world.refused_to_run(proposal)


async def test_a_policy_changed_between_card_and_press_asks_again(world):
    proposal = await world.proposed()
    world.under(policy({**RULE, "count": 2}))
    assert "policy was changed" in await world.approvals.press("approve", proposal.id, DANA)
    assert (await world.kinds(proposal))[-1] == "withdrawn"
    await world.approvals.run(proposal.id)
    assert world.cluster.writes == []


async def test_what_does_not_decide_about_changes_may_change_meanwhile(world):
    proposal = await world.proposed()
    assert await world.approvals.press("approve", proposal.id, DANA) == ""
    other = policy().model_copy(update={"channels": policy().channels.model_copy(update={"default": "elsewhere"})})
    await world.under(other).run(proposal.id)
    assert len(world.cluster.writes) == 1


async def test_hours_that_end_between_press_and_run(world):
    world.under(policy({**RULE, "hours": {"days": ["mon"], "start": "09:00", "end": "10:15"}}))
    proposal = await world.proposed()
    assert await world.approvals.press("approve", proposal.id, DANA) == ""
    world.clock.now += timedelta(minutes=15)
    assert "09:00 to 10:15" in await world.refused_to_run(proposal)


async def test_outside_the_hours_a_press_does_not_count_but_a_rejection_does(world):
    world.under(policy({**RULE, "hours": {"days": ["sat"]}}))
    proposal = await world.proposed()
    assert "Not now: rule" in await world.approvals.press("approve", proposal.id, DANA)
    assert await world.approvals.press("reject", proposal.id, DANA, "no") == ""


async def test_a_freeze_that_begins_between_press_and_run(world):
    freeze = {"name": "sale", "start": "2026-11-23 10:10", "end": "2026-11-24 10:00"}
    world.under(policy(freezes=[freeze]))
    proposal = await world.proposed()
    assert await world.approvals.press("approve", proposal.id, DANA) == ""
    world.clock.now += timedelta(minutes=10)
    assert 'change freeze "sale"' in await world.refused_to_run(proposal)


async def test_two_runs_at_once_cannot_both_be_the_last_one_a_cap_allows(world):
    world.under(policy(limits=[{"name": "restarts", "changes": "rollout_restart", "per_hour": 2, "per": "namespace"}]))
    proposals = [await world.proposed(name) for name in SERVICES]
    for one in proposals:
        assert await world.approvals.press("approve", one.id, DANA) == ""
    await asyncio.gather(*(world.approvals.run(one.id) for one in proposals))
    assert len(world.cluster.writes) == 2
    states = [(await world.case(one.incident_id)).proposals[0].state for one in proposals]
    assert sorted(states) == ["done", "done", "superseded"]
    world.clock.now += timedelta(minutes=61)
    fresh = await world.proposed("cart")
    assert await world.approvals.press("approve", fresh.id, DANA) == ""
    await world.approvals.run(fresh.id)
    assert len(world.cluster.writes) == 3


async def test_a_cap_refuses_the_press_with_the_count(world):
    world.under(policy({**RULE, "caps": {"per_hour": 1}}))
    first = await world.proposed()
    assert await world.approvals.press("approve", first.id, DANA) == ""
    await world.approvals.run(first.id)
    world.clock.now += timedelta(minutes=1)
    again = await world.proposed()
    assert "1 of at most 1 changes an hour" in await world.approvals.press("approve", again.id, DANA)


async def test_a_rule_may_ask_for_more_people_and_the_database_counts_them_too(world):
    world.under(policy({**RULE, "count": 2}))
    proposal = await world.proposed()
    assert proposal.needed == 2
    assert await world.approvals.press("approve", proposal.id, DANA) == ""
    assert await world.approvals.press("approve", proposal.id, DANA) == ""
    await world.approvals.run(proposal.id)
    assert world.cluster.writes == []
    assert await world.approvals.press("approve", proposal.id, SAM) == ""
    await world.approvals.run(proposal.id)
    assert len(world.cluster.writes) == 1


async def test_what_no_rule_allows_nobody_can_approve(world):
    world.under(policy({**RULE, "changes": "scale"}))
    proposal = await world.proposed()
    assert "no rule allows rollout_restart" in await world.approvals.press("approve", proposal.id, DANA)
    await world.approvals.run(proposal.id)
    assert world.cluster.writes == []


async def test_glass_is_broken_by_few_with_a_reason_loudly_and_on_the_record(world):
    frozen = {"name": "sale", "start": "2026-11-23 00:00", "end": "2026-11-24 00:00"}
    world.under(policy(freezes=[frozen], break_glass=[{"approvers": "U0LEE", "changes": "rollout_*"}]))
    proposal = await world.proposed()
    assert 'change freeze "sale"' in await world.approvals.press("approve", proposal.id, DANA)
    assert "may not break the glass" in await world.approvals.press(
        "break_glass", proposal.id, DANA, "the shop is down"
    )
    assert "needs a reason" in await world.approvals.press("break_glass", proposal.id, LEE, "  ")
    assert await world.approvals.press("break_glass", proposal.id, LEE, "the shop is down") == ""
    await world.approvals.run(proposal.id)
    assert len(world.cluster.writes) == 1
    row = next(row for row in (await world.case(proposal.incident_id)).timeline if row.kind == "approved")
    assert (row.body["broke_glass"], row.body["reason"]) == (True, "the shop is down")
    async with world.db.connection() as conn:
        found = await (
            await conn.execute("SELECT args->>'text' AS text FROM procrastinate_jobs WHERE task_name = 'say'")
        ).fetchall()
    assert len(found) == 1
    assert "Glass broken" in found[0]["text"]
    assert "the shop is down" in found[0]["text"]


async def test_a_command_breaks_the_glass_of_the_incident_that_it_names(world):
    world.under(policy({**RULE, "changes": "scale"}, break_glass=[{"approvers": "U0LEE"}]))
    desk = Operations(world.life, None, world.approvals, None, None, None)
    where = {"team": "T1", "channel": "C0ALERTS"}
    assert "waits for a decision" in await desk.break_glass(4711, "down", "U0LEE", **where)
    proposal = await world.proposed()
    number = proposal.incident_id
    assert "may not break the glass" in await desk.break_glass(number, "down", "U0DANA", **where)
    assert "own thread" in await desk.break_glass(number, "down", "U0LEE", team="T1", channel="C0OTHER")
    assert "on the record" in await desk.break_glass(number, "down", "U0LEE", **where)
    await world.approvals.run(proposal.id)
    assert len(world.cluster.writes) == 1


async def test_broken_glass_does_not_let_who_asked_approve_a_high_change(world):
    world.under(policy(break_glass=[{"approvers": "U0LEE"}]))
    proposal = await world.proposed(confidence=0.2, asked_by="U0LEE")
    assert proposal.risk.name == "HIGH"
    assert "somebody else" in await world.approvals.press("break_glass", proposal.id, LEE, "now")


async def test_the_short_form_goes_on_working(world):
    world.under(Policy(services=SERVICES, approvers=Approvers(default=("S0ONCALL",), services={"cart": ("U0LEE",)})))
    proposal = await world.proposed("cart")
    assert "<@U0LEE> may" in await world.approvals.press("approve", proposal.id, DANA)
    assert await world.approvals.press("approve", proposal.id, LEE) == ""
    await world.approvals.run(proposal.id)
    assert world.cluster.writes[0][0] == f"{APPS}/deployments/cart"
