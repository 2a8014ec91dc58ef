"""One lane of bench/crash_matrix.py: a practice cluster and a database connection, and one killed run after another on them.

Every process that a lane forks loads its modules from the fork server, which imported this one beforehand: what a child costs
is its work and not its imports.
"""

import asyncio
import collections
import contextlib
import multiprocessing
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from agents.incident import Diagnosed, Opened
from bench.crash_child import PEOPLE, TEAM, Parts, Side, carry_out, now, open_parts
from bench.practice import Fault, Practice, actor_kubeconfig, practice
from bot.rights import Presser
from tools.records import Alert, Diagnosis, Proposal, Suggestion, TimelineEntry
from tools.store import embedded, incidents, proposals
from tools.store.migrate import migrate

CHANNEL = "C0ALERTS"
UNSAFE_AND_FAST = {
    "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
    "max_connections": "300",  # three for each lane and each process
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One run: what, how the server behaves, where it dies (0: nowhere), and "approved" or one of UNAPPROVED."""

    action: str
    fault: Fault
    die_at: int
    side: Side = "sent"
    standing: str = "approved"


@dataclass(frozen=True)
class Seen:
    """What came of a case; *points* is 0 when it was killed, *early*: before a write was asked for."""

    case: Case
    points: int
    early: bool
    made: int
    duplicates: int
    state: str
    wrong: str


class Lane:
    """One cluster and one connection to the database, for one case after another."""

    def __init__(self, made: Practice, parts: Parts, kubeconfig: str, told: Path) -> None:
        self.cluster, self.parts, self._kubeconfig, self._told = made, parts, kubeconfig, told
        self._forks = multiprocessing.get_context("forkserver")

    async def run(self, case: Case) -> Seen:
        """Prepare, kill, take up again, and look."""
        self.cluster.fault = "apply"
        self.cluster.restore()
        proposal_id = await self._proposed(case)
        self.cluster.calls.clear()
        self.cluster.fault = case.fault
        points = await self._fork(proposal_id, case.die_at, case.side)
        before = len(self.cluster.writes())
        if not points:
            self.cluster.step(1)
            await self._fork(proposal_id, 0, "sent")
        await self.parts.approvals.run(proposal_id)
        await self.cluster.late_writes()
        return await self._seen(case, proposal_id, points, before)

    async def _seen(self, case: Case, proposal_id: str, points: int, before: int) -> Seen:
        async with self.parts.db.connection() as conn:
            stored = await proposals.get(conn, proposal_id)
            timeline = (await incidents.case(conn, stored.incident_id)).timeline
        writes = self.cluster.writes()
        made = collections.Counter((call.method, call.path) for call in writes if call.applied)
        again = len(writes) - before if before else 0
        return Seen(
            case=case,
            points=points,
            early=not before,
            made=sum(made.values()),
            duplicates=sum(times - 1 for times in made.values()) + again,
            state=stored.state,
            wrong=_wrong(case, stored, timeline, sum(made.values())),
        )

    async def _proposed(self, case: Case) -> str:
        """Let the product plan the sample's change and people decide; return the proposal's id."""
        self.cluster.arrange(case.action)
        params = self.cluster.params(case.action)
        alert = Alert(fingerprint="f", sender="t", name="HighErrorRate", status="firing", service="checkout")
        wish = Suggestion(action=case.action, params=params, why="w")
        diagnosis = Diagnosis(headline="h", by="rules", confidence=0.9, conclusive=True, suggestions=(wish,))
        life = self.parts.life
        async with life.db.transaction() as conn:
            key = f"1.{time.monotonic_ns()}"
            incident, _ = await incidents.open_or_join(conn, key, alert, CHANNEL, key, now())
            await life.record_on(conn, incident.id, Opened(alert=alert, reason="first"))
            await life.record_on(conn, incident.id, Diagnosed(diagnosis=diagnosis))
        await self.parts.approvals.plan(incident.id)
        async with life.db.connection() as conn:
            planned = (await incidents.case(conn, incident.id)).proposals[-1]
        await self._decided(case.standing, planned)
        return planned.id

    async def _decided(self, standing: str, planned: Proposal) -> None:
        if standing == "rejected":
            await self._press("reject", planned.id, PEOPLE[0])
        elif standing != "waiting":
            for person in PEOPLE:
                await self._press("approve", planned.id, person)
                if await self._state(planned.id) == "approved":
                    break
            else:
                raise RuntimeError(f"{planned.action} was not approved by {PEOPLE}")
        if standing == "superseded":
            async with self.parts.db.transaction() as conn:
                await proposals.supersede(conn, planned.incident_id)
        elif standing == "expired":
            async with self.parts.db.transaction() as conn:
                await proposals.mark(conn, planned.id, "expired", from_states=("approved",))

    async def _press(self, decision: str, proposal_id: str, person: str) -> None:
        who = Presser(person, TEAM, CHANNEL)
        await self.parts.approvals.press("reject" if decision == "reject" else "approve", proposal_id, who, "no")

    async def _state(self, proposal_id: str) -> str:
        async with self.parts.db.connection() as conn:
            return (await proposals.get(conn, proposal_id)).state

    async def _fork(self, proposal_id: str, die_at: int, side: Side) -> int:
        """Carry it out in a process of its own; return its await points, 0 when it was killed."""
        self._told.unlink(missing_ok=True)
        process = self._forks.Process(
            target=carry_out,
            args=(self.parts.db.dsn, self._kubeconfig, proposal_id, die_at, side, str(self._told)),
        )
        process.start()
        code = await _ended(process)
        if code == 0:
            return int(self._told.read_text())
        if code == -9 and die_at:
            return 0
        raise RuntimeError(f"the run of {proposal_id} ended with exit code {code}")


async def _ended(process: BaseProcess) -> int | None:
    """Wait for a process without a thread; return its exit code."""
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(process.sentinel, over.set)
    await over.wait()
    loop.remove_reader(process.sentinel)
    process.join()
    return process.exitcode


def _wrong(case: Case, stored: Proposal, timeline: Iterable[TimelineEntry], made: int) -> str:
    """Say in what the record differs from what the API server saw, "" when it does not."""
    kinds = collections.Counter(row.kind for row in timeline)
    if kinds["run_started"] > 1 or kinds["run_ended"] + kinds["target_changed"] > 1:
        return f"the record has it twice: {dict(kinds)}"
    if case.standing != "approved":
        started = stored.state in ("running", "done", "failed", "unknown") or kinds["run_started"]
        return f"it is {stored.state} though {case.standing}" if started else ""
    honest = {"done": made > 0, "failed": made == 0, "superseded": made == 0, "unknown": True}
    if not honest.get(stored.state, False):
        return f"the record says {stored.state}, the API server made {made} writes"
    if case.die_at == 0 and case.fault == "apply" and stored.state != "done":
        return f"nothing disturbed it and it is {stored.state}"
    return ""


@contextlib.asynccontextmanager
async def lanes(folder: Path, many: int) -> AsyncIterator[list[Lane]]:
    """Start Postgres and *many* clusters with a lane each."""
    # Each fork imports the main module again, so what that needs is there beforehand too.
    multiprocessing.get_context("forkserver").set_forkserver_preload([__name__])
    data = folder / "data"
    data.mkdir()
    async with contextlib.AsyncExitStack() as stack:
        server = await embedded.start(data, UNSAFE_AND_FAST)
        stack.push_async_callback(server.stop)
        await migrate(server.dsn)
        made = []
        for number in range(many):
            cluster = await stack.enter_async_context(practice())
            cluster.save()
            kubeconfig = actor_kubeconfig(folder, cluster)
            parts = await open_parts(server.dsn, kubeconfig, answer_s=60)
            stack.push_async_callback(parts.aclose)
            made.append(Lane(cluster, parts, kubeconfig, folder / f"told-{number}"))
        yield made
