"""The approvals' whole life over the real store, with two replicas at once: what reaches the API server is judged after every step.

The oracle reads what people did and what the answers were, nothing of the product's state. A write is allowed when it is the
proposal on the table, enough different people approved exactly it, whom the policy of the replica that runs it names now,
nobody has rejected it, it has not expired, and it was not made before.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from psycopg import sql

from agents.incident import Diagnosed
from bot.approvals import Approvals, Parts
from bot.authority.people import People
from bot.lifecycle import Lifecycle
from bot.metrics import Metrics
from bot.policy import Approvers, Policy
from bot.policy_changes import Changes, Rule
from bot.rights import Presser
from tests.unit.tools.fakes import FakeCluster, add_service, kubeconfig, serve, template
from tools.clusters import Actors, Views
from tools.deployments import PROPOSAL
from tools.errors import Temporary
from tools.kube import Kube
from tools.queue import Queue
from tools.records import Alert, Diagnosis, Suggestion
from tools.sources import Sources
from tools.store import events, incidents
from tools.store.db import Database

TEAM, CHANNEL = "T1", "C0ALERTS"
PEOPLE = ("U0ANN", "U0BEN", "U0EVE")
WISH = Suggestion(action="rollout_restart", params={"namespace": "shop", "deployment": "checkout"}, why="w")
# (who may, how many): the policies that replicas may run under
POLICIES: tuple[tuple[frozenset[str], int, Policy], ...] = (
    (frozenset(PEOPLE[:2]), 1, Policy(approvers=Approvers(default=PEOPLE[:2]))),
    (frozenset(PEOPLE[1:2]), 1, Policy(approvers=Approvers(default=PEOPLE[1:2]))),
    (
        frozenset(PEOPLE[:2]),
        2,
        Policy(changes=Changes(rules=(Rule(name="two", approvers=PEOPLE[:2], count=2),))),
    ),
)
people, replicas = st.sampled_from([*PEOPLE[:2], *PEOPLE]), st.integers(0, 1)
some = st.sampled_from([PEOPLE[:1], PEOPLE[1:2], PEOPLE[:2], PEOPLE[2:]])
pick = st.sampled_from([0, 0, 0, 0, 1, 2])


async def _nobody(group: str) -> frozenset[str]:  # the policies name people alone
    return frozenset()


@dataclass
class World:
    """What all examples share: the loop, the database, the API server, and a client of it for each replica."""

    runner: asyncio.Runner
    db: Database
    cluster: FakeCluster
    kubes: tuple[Kube, Kube]
    days: int = 0


class Life(RuleBasedStateMachine):
    """Two replicas, one incident, everything that can happen to its proposals."""

    world: ClassVar[World]

    @initialize(policy=st.integers(0, len(POLICIES) - 1))
    def begin(self, policy: int) -> None:
        self.runner, self.db, self.cluster = self.world.runner, self.world.db, self.world.cluster
        self.world.days += 2  # what ran in an earlier example is long over: caps and changes under way do not count it
        self.now = datetime(2026, 11, 23, 12, 0, tzinfo=UTC) + timedelta(days=self.world.days)
        self.policies = [0, 0]
        self.made: list[str] = []
        self.expires: dict[str, datetime] = {}
        self.yes: dict[str, set[str]] = {}
        self.no: set[str] = set()
        self.written: list[str] = []
        self.seen = len(self.cluster.writes)
        self.runner.run(self._open())
        for side in (0, 1):
            self.change_policy(side, policy)
        self.propose(0)

    async def _open(self) -> None:
        self.sides = [self._side(kube) for kube in self.world.kubes]
        alert = Alert(fingerprint="f", sender="t", name="A", status="firing", service="checkout")
        key = str(datetime.now(UTC).timestamp())
        async with self.db.transaction() as conn:
            incident, _ = await incidents.open_or_join(conn, key, alert, CHANNEL, key, self.now)
        self.incident = incident.id

    def _side(self, kube: Kube) -> Approvals:
        life = Lifecycle(self.db, Queue(self.db), lambda: self.now, 15.0)
        return Approvals(
            Parts(
                life=life,
                policy=POLICIES[0][2],
                people=People(_nobody, {}),
                actors=Actors.one(kube),
                views=Views.one(Sources(clock=lambda: self.now)),
                team=TEAM,
                metrics=Metrics(),
            )
        )

    def _pick(self, number: int) -> str:
        return self.made[-1 - number % len(self.made)]

    @rule(side=replicas)
    def propose(self, side: int) -> None:
        """Plan the change again: a new proposal takes the place of the old one."""

        async def plan() -> str:
            life = self.sides[side].parts.life
            told = Diagnosis(headline="h", by="rules", confidence=0.9, conclusive=True, suggestions=(WISH,))
            async with self.db.transaction() as conn:
                await life.record_on(conn, self.incident, Diagnosed(diagnosis=told))
            await self.sides[side].plan(self.incident)
            async with self.db.connection() as conn:
                case = await incidents.case(conn, self.incident)
            newest = case.proposals[-1] if case.proposals else None
            if newest and newest.id not in self.expires:
                self.expires[newest.id] = newest.expires_at
                return newest.id
            return ""

        made = self.runner.run(plan())
        if made:
            self.made.append(made)
            self.yes[made] = set()

    def _said(self, proposal: str, person: str, decision: str, sentence: str) -> None:
        if sentence:
            return
        if decision == "approve":
            self.yes[proposal].add(person)
        else:
            self.no.add(proposal)

    async def _press(self, side: int, decision: str, proposal: str, person: str) -> str:
        who = Presser(person, TEAM, CHANNEL)
        return await self.sides[side].press("approve" if decision == "approve" else "reject", proposal, who)

    @precondition(lambda self: self.made)
    @rule(side=replicas, which=pick, person=people, decision=st.sampled_from(["approve"] * 4 + ["reject"]))
    def press(self, side: int, which: int, person: str, decision: str) -> None:
        proposal = self._pick(which)
        said = self.runner.run(self._press(side, decision, proposal, person))
        self._said(proposal, person, decision, said)

    @precondition(lambda self: self.made)
    @rule(
        both=st.tuples(people, people),
        decisions=st.tuples(*[st.sampled_from(["approve", "approve", "reject"])] * 2),
    )
    def press_at_once(self, both: tuple[str, str], decisions: tuple[str, str]) -> None:
        """Two people, or one pressing twice, on two replicas at the same moment."""
        proposal = self._pick(0)

        async def together() -> list[str]:
            pairs = enumerate(zip(decisions, both, strict=True))
            return await asyncio.gather(*(self._press(n, d, proposal, p) for n, (d, p) in pairs))

        for person, decision, said in zip(both, decisions, self.runner.run(together()), strict=True):
            self._said(proposal, person, decision, said)

    async def _run(self, side: int, proposal: str) -> None:
        try:
            await self.sides[side].run(proposal)
        except Temporary:
            return  # another process has it: the queue would come again

    @precondition(lambda self: self.made)
    @rule(side=replicas, which=pick)
    def run(self, side: int, which: int) -> None:
        self.runner.run(self._run(side, self._pick(which)))
        self._judge({side})

    @precondition(lambda self: self.made)
    @rule(
        side=replicas, who=some, late=st.sampled_from([False, False, True]), then=st.sampled_from([None, None, 0, 1, 2])
    )
    def approve_and_run(self, side: int, who: tuple[str, ...], late: bool, then: int | None) -> None:
        """Do what mostly happens; *late*: the job starts long after; *then*: under another policy."""
        for person in who:
            self.press(side, 0, person, "approve")
        self.now += timedelta(minutes=31 if late else 0)
        if then is not None:
            self.change_policy(side, then)
        self.run(side, 0)

    @precondition(lambda self: self.made)
    @rule(which=pick)
    def run_at_once(self, which: int) -> None:
        """The same job on both replicas, twice each."""
        proposal = self._pick(which)

        async def together() -> None:
            await asyncio.gather(*(self._run(side, proposal) for side in (0, 1, 0, 1)))

        self.runner.run(together())
        self._judge({0, 1})

    @rule(minutes=st.sampled_from([1, 1, 10, 40]), sweep=st.booleans())
    def pass_time(self, minutes: int, sweep: bool) -> None:
        self.now += timedelta(minutes=minutes)
        if sweep:
            self.runner.run(self.sides[0].expire())

    @rule(side=replicas, to=st.integers(0, len(POLICIES) - 1))
    def change_policy(self, side: int, to: int) -> None:
        self.policies[side] = to
        self.sides[side].parts.policy = POLICIES[to][2]

    def _judge(self, ran_on: set[int]) -> None:
        for _, patch in self.cluster.writes[self.seen :]:
            proposal = next(
                str(op["value"]) for op in patch if PROPOSAL in str(op["value"]) or "proposal-id" in op["path"]
            )
            if PROPOSAL in proposal:  # the annotations were empty before
                proposal = next(op["value"][PROPOSAL] for op in patch if isinstance(op["value"], dict))
            assert proposal not in self.written, "a second run"
            assert proposal == self.made[-1], "a superseded proposal ran"
            assert proposal not in self.no, "a rejected proposal ran"
            assert self.now < self.expires[proposal], "an expired proposal ran"
            enough = [
                len(self.yes[proposal] & POLICIES[self.policies[side]][0]) >= POLICIES[self.policies[side]][1]
                for side in ran_on
            ]
            assert any(enough), "it ran without enough approvals of the people who may"
            self.written.append(proposal)
        self.seen = len(self.cluster.writes)

    @invariant()
    def nothing_is_written_but_by_a_run(self) -> None:
        assert self.seen == len(self.cluster.writes)

    @invariant()
    def the_record_is_sound(self) -> None:
        async def verdict() -> Any:
            async with self.db.connection() as conn:
                return await events.verify(conn)

        if len(self.made) % 4 == 3:
            assert self.runner.run(verdict()).sound


@pytest.fixture
def own_dsn(pg_server: str) -> Any:
    """Return the address of one database for all examples: each opens an incident of its own."""
    admin, name = pg_server.replace("/tocsin?", "/postgres?"), "store_state"
    with psycopg.connect(admin, autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {} TEMPLATE tocsin").format(sql.Identifier(name)))
    yield pg_server.replace("/tocsin?", f"/{name}?")
    with psycopg.connect(admin, autocommit=True) as conn:
        conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_run_without_approvals_and_none_twice(own_dsn: str, tmp_path: Path) -> None:
    cluster = FakeCluster()
    add_service(cluster, "checkout", [template("checkout", "shop/checkout:v1")])
    quiet = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    with serve(cluster) as url, asyncio.Runner() as runner:
        db = runner.run(Database.open(own_dsn, max_size=8))
        first, second = (Kube(kubeconfig(tmp_path, url, f"r{number}"), timeout_s=10) for number in (0, 1))
        Life.world = World(runner, db, cluster, (first, second))
        run_state_machine_as_test(
            Life,
            settings=settings(
                max_examples=45, stateful_step_count=12, deadline=None, suppress_health_check=quiet, derandomize=True,
                database=None,
            ),
        )  # fmt: skip
        for closing in (first, second, db):
            runner.run(closing.aclose())
    assert len(cluster.writes) >= 5, "the histories hardly ever led to a run"
