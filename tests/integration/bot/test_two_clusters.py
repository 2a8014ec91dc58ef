"""A change approved for one cluster reaches that cluster and no other, on two practice clusters that are twins to the last uid.

The twins are the worst case: no precondition of a plan can tell them apart, so only the cluster's name may.
"""

import itertools
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agents.incident import Diagnosed, Opened
from bench.practice import Practice, actor_kubeconfig
from bench.practice import practice as practice_cluster
from bot.approvals import Approvals, Parts
from bot.authority.people import People
from bot.lifecycle import Lifecycle
from bot.metrics import Metrics
from bot.policy import Approvers, Policy, Service
from bot.rights import Presser
from tools import run
from tools.clusters import Actors, Clusters, Views
from tools.kube import Kube
from tools.queue import Queue
from tools.records import Alert, Case, Diagnosis, Proposal, Suggestion
from tools.sources import Sources
from tools.store import incidents
from tools.store.db import Database

POLICY = Policy(services={"checkout": Service(namespace="shop")}, approvers=Approvers(default=("U0DANA",)))
DANA = Presser("U0DANA", "T1", "C0ALERTS")


async def nobody(_group: str) -> frozenset[str]:
    return frozenset()


@dataclass
class World:
    """Two clusters, and approvals over the identities given."""

    db: Database
    eu1: Practice
    us1: Practice
    kubes: dict[str, Kube]
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    now: datetime = datetime(2026, 11, 23, 3, tzinfo=UTC)

    def clock(self) -> datetime:
        return self.now

    def approvals(self, default: str = "", **kubes: Kube) -> Approvals:
        clusters = Clusters(("eu1", "us1"), default, {"europe": "eu1"})
        life = Lifecycle(self.db, Queue(self.db), self.clock, 15.0)
        views = Views(clusters, {name: Sources(clock=self.clock, cluster=name) for name in clusters.names})
        actors = Actors(clusters, kubes or self.kubes)
        return Approvals(Parts(life, POLICY, People(nobody, {}), actors, views, "T1", Metrics()))

    async def proposed(
        self, approvals: Approvals, cluster: str = "", action: str = "rollout_restart", **params: int
    ) -> tuple[int, Proposal | None]:
        number = next(self.numbers)
        alert = Alert(
            fingerprint=f"f{number}",
            sender="alertmanager",
            name="A",
            status="firing",
            service="checkout",
            labels={"cluster": cluster} if cluster else {},
        )
        wanted = Suggestion(action=action, params={"namespace": "shop", "deployment": "checkout", **params}, why="w")
        said = Diagnosis(headline="h", by="rules", confidence=0.9, conclusive=True, suggestions=(wanted,))
        life = approvals.parts.life
        async with self.db.transaction() as conn:
            incident, _ = await incidents.open_or_join(conn, f"k{number}", alert, "C0ALERTS", f"{number}.1", self.now)
            await life.record_on(conn, incident.id, Opened(alert=alert, reason="first"))
            await life.record_on(conn, incident.id, Diagnosed(diagnosis=said))
        await approvals.plan(incident.id)
        return incident.id, next(iter((await self.case(incident.id)).proposals), None)

    async def case(self, number: int) -> Case:
        async with self.db.connection() as conn:
            return await incidents.case(conn, number)

    def written(self) -> dict[str, int]:
        """Count the writes that were no dry-run."""
        return {"eu1": len(self.eu1.writes()), "us1": len(self.us1.writes())}


@pytest.fixture
async def world(db: Database, tmp_path: Path):
    async with AsyncExitStack() as stack:
        eu1, us1 = [await stack.enter_async_context(practice_cluster()) for _ in range(2)]
        kubes = {
            name: Kube(actor_kubeconfig(tmp_path, made), cluster=name) for name, made in (("eu1", eu1), ("us1", us1))
        }
        for kube in kubes.values():
            stack.push_async_callback(kube.aclose)
        yield World(db, eu1, us1, kubes)


async def test_the_twins_are_twins(world):
    assert world.eu1.find("deployments", "shop", "checkout") == world.us1.find("deployments", "shop", "checkout")


@pytest.mark.parametrize(
    ("said", "written"),
    [("eu1", {"eu1": 1, "us1": 0}), ("us1", {"eu1": 0, "us1": 1}), ("europe", {"eu1": 1, "us1": 0})],
)
async def test_an_approved_change_reaches_the_alerts_cluster_and_no_other(said, written, world):
    approvals = world.approvals()
    number, proposal = await world.proposed(approvals, cluster=said)
    name = "us1" if said == "us1" else "eu1"
    assert proposal.plan.cluster == name
    assert f"in cluster {name}" in proposal.plan.line  # what the person who presses reads
    assert f"in cluster {name}" in proposal.plan.target
    assert proposal.about.cluster == name  # what the rules are asked about
    assert await approvals.press("approve", proposal.id, DANA) == ""
    assert world.written() == {"eu1": 0, "us1": 0}
    await approvals.run(proposal.id)
    assert world.written() == written
    assert (await world.case(number)).proposals[0].state == "done"


async def test_an_alert_of_no_known_cluster_changes_nothing(world):
    approvals = world.approvals()
    for said in ("", "ap9"):
        number, proposal = await world.proposed(approvals, cluster=said)
        assert proposal is None
        last = (await world.case(number)).timeline[-1]
        assert last.kind == "plan_failed"
        assert "eu1, us1" in last.body["reason"]


async def test_the_digest_covers_the_cluster(world):
    approvals = world.approvals()
    _, proposal = await world.proposed(approvals, cluster="eu1")
    elsewhere = proposal.plan.model_copy(update={"cluster": "us1"})
    unnamed = proposal.plan.model_copy(update={"cluster": ""})
    digests = {
        run.proposal_digest(proposal.incident_id, proposal.action, proposal.params, plan)
        for plan in (proposal.plan, elsewhere, unnamed)
    }
    assert len(digests) == 3
    assert proposal.digest in digests


async def test_a_process_that_mixes_the_identities_up_writes_nowhere(world):
    """The bug that must never hurt: the name eu1 is wired to us1's identity, whatever that identity says of itself."""
    approvals = world.approvals()
    _, proposal = await world.proposed(approvals, cluster="eu1")
    assert await approvals.press("approve", proposal.id, DANA) == ""
    mixed = world.approvals(eu1=world.kubes["us1"], us1=world.kubes["eu1"])
    await mixed.run(proposal.id)
    assert world.written() == {"eu1": 0, "us1": 0}
    assert (await world.case(proposal.incident_id)).proposals[0].state == "superseded"


async def test_run_itself_refuses_another_clusters_identity(world, db):
    """The last guard, below the choice of the identity: tools/run.py is handed the wrong one."""
    approvals = world.approvals()
    _, proposal = await world.proposed(approvals, cluster="eu1")
    assert await approvals.press("approve", proposal.id, DANA) == ""

    async def noted(*_args: object) -> None:
        return None

    outcome = await run.run_approved(
        db, world.kubes["us1"], proposal.id, proposal.digest, started=noted, ended=noted, clock=world.clock
    )
    assert outcome.result == "failed"
    assert "planned and approved for eu1; the identity at hand is that of us1" in outcome.detail
    assert world.written() == {"eu1": 0, "us1": 0}


async def test_a_cluster_that_left_the_configuration_takes_its_proposals_along(world):
    approvals = world.approvals()
    _, proposal = await world.proposed(approvals, cluster="eu1")
    assert await approvals.press("approve", proposal.id, DANA) == ""
    await world.approvals(us1=world.kubes["us1"]).run(proposal.id)
    assert world.written() == {"eu1": 0, "us1": 0}
    case = await world.case(proposal.incident_id)
    assert case.proposals[0].state == "superseded"
    assert "no actor identity is configured for cluster eu1" in str(case.timeline[-1].body)


async def test_an_undo_is_planned_where_the_change_was_made(world):
    """The default moved in between, so that the alert alone would now lead to the other cluster."""
    before = world.approvals(default="eu1")
    number, proposal = await world.proposed(before, action="scale", replicas=5)
    assert await before.press("approve", proposal.id, DANA) == ""
    await before.run(proposal.id)
    world.now += timedelta(hours=1)
    await world.approvals(default="us1").verify(proposal.id)
    first, second = (await world.case(number)).proposals
    assert (first.plan.cluster, second.plan.cluster) == ("eu1", "eu1")
    assert second.params["replicas"] != 5
    assert world.written() == {"eu1": 1, "us1": 0}
