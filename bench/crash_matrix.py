"""SIGKILL at every await point of a run, against an API server that applies, refuses, hangs, drops answers or is late.

`make crash-matrix`. A forked process carries out an approved change through bot/approvals.py, against a real Postgres and
the practice cluster's API, and kills itself; a fresh process takes the job up again, as the queue would; a third run must
find nothing to do. The await points are counted, not listed: the matrix grows with the code. Beside them, proposals that
nobody approved, that were rejected, withdrawn, or have expired are run and killed in the same way.

cases: runs that were killed (or, at the last point, not any more). ran: those whose change was made. duplicates: changes
made twice, or asked for again by the second process. unknown: those whose record says "unknown: look here". unapproved:
writes of what nobody approved. A record that says something else than what the API server saw is printed and fails.
"""

import argparse
import asyncio
import collections
import contextlib
import multiprocessing
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

from agents.incident import Diagnosed, Opened
from bench import crash_child
from bench.crash_child import PEOPLE, TEAM, Parts, Side, carry_out, now, open_parts
from bench.practice import FAULTS, Fault, Practice, actor_kubeconfig, practice
from bot.rights import Presser
from tools.records import Alert, Diagnosis, Proposal, Suggestion, TimelineEntry
from tools.store import embedded, incidents, proposals
from tools.store.migrate import migrate

CHANNEL = "C0ALERTS"
# One at least of each kind of write: patch, merge patch, create, delete, eviction, and several in turn
ACTIONS = (
    "rollout_restart", "scale", "cordon", "job_rerun", "job_delete", "delete_pod", "evict_pod", "drain_node",
)  # fmt: skip
UNAPPROVED = ("waiting", "rejected", "expired", "superseded")
SIDES: tuple[Side, Side] = ("sent", "answered")
LANES = 8  # most of them wait for a server that hangs
UNSAFE_AND_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


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


@dataclass
class Tally:
    """The figures of the last line."""

    cases: int = 0
    ran: int = 0
    duplicates: int = 0
    unknown: int = 0
    unapproved: int = 0
    wrong: list[str] = field(default_factory=list)
    by_action: collections.Counter[str] = field(default_factory=collections.Counter)

    def add(self, seen: Seen) -> None:
        """Count one case."""
        approved = seen.case.standing == "approved"
        self.cases += 1
        self.by_action[seen.case.action] += 1
        self.ran += bool(seen.made) and approved
        self.duplicates += seen.duplicates
        self.unknown += seen.state == "unknown"
        self.unapproved += 0 if approved else seen.made
        if seen.wrong:
            self.wrong.append(f"{seen.case}: {seen.wrong}")

    def line(self) -> str:
        """Return the last line."""
        return (
            f"cases={self.cases} ran={self.ran} duplicates={self.duplicates} unknown={self.unknown} "
            f"unapproved={self.unapproved}"
        )


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
    multiprocessing.get_context("forkserver").set_forkserver_preload([crash_child.__name__])
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


async def _spread(made: list[Lane], cases: Iterable[Case], tally: Tally) -> list[Seen]:
    """Run the cases, each on the next free lane."""
    waiting, found = iter(cases), []

    async def work(lane: Lane) -> None:
        for case in waiting:
            seen = await lane.run(case)
            tally.add(seen)
            found.append(seen)

    async with asyncio.TaskGroup() as group:
        for lane in made:
            group.create_task(work(lane))
    return found


def _plan_of(points: dict[tuple[str, Fault], int], first_write: dict[str, int]) -> list[Case]:
    """Return every case: all points where the server behaves; of the other servers those from the first write on."""
    return [
        Case(action, fault, at, side)
        for (action, fault), last in points.items()
        for at in range(1 if fault == "apply" else max(1, first_write[action] - 1), last + 1)
        for side in (SIDES if fault in ("apply", "drop") else SIDES[1:])
    ]


def _unapproved(actions: Iterable[str]) -> list[Case]:
    points = range(9)  # it ends after a few
    return [Case(action, "apply", at, "sent", how) for action in actions for how in UNAPPROVED for at in points]


async def matrix(folder: Path, actions: Iterable[str] = ACTIONS, most: int = 0, seed: int = 1) -> Tally:
    """Run the matrix, or a sample of *most* cases of it; return its figures."""
    tally, rng = Tally(), random.Random(seed)
    async with lanes(folder, LANES) as made:
        whole = await _spread(made, [Case(a, f, 0) for a in actions for f in FAULTS], tally)
        points = {(seen.case.action, seen.case.fault): seen.points for seen in whole}
        # Before the first write all servers are the same to the run, so only the well-behaved one is tried at every point.
        first = await _first_writes(made, points, tally)
        cases = _plan_of(points, first)
        cases += _unapproved(tuple(actions)[:2])
        if most:
            cases = rng.sample(cases, min(most, len(cases)))
        rng.shuffle(cases)
        print(f"{len(actions)} actions, {sum(points.values())} await points in {len(points)} runs, {len(cases)} cases")
        for chunk in _batched(cases, 250):
            await _spread(made, chunk, tally)
            print(tally.line(), flush=True)
    return tally


def _batched(cases: list[Case], many: int) -> list[list[Case]]:
    return [cases[at : at + many] for at in range(0, len(cases), many)]


async def _first_writes(made: list[Lane], points: dict[tuple[str, Fault], int], tally: Tally) -> dict[str, int]:
    """Find, for each action, the first await point after which a write has been asked for: by halving."""
    found: dict[str, int] = {}

    async def search(lane: Lane, action: str) -> None:
        low, high = 1, points[action, "apply"]
        while low < high:
            middle = (low + high) // 2
            seen = await lane.run(Case(action, "apply", middle, "answered"))
            tally.add(seen)
            low, high = (middle + 1, high) if seen.early else (low, middle)
        found[action] = low

    waiting = iter([action for action, fault in points if fault == "apply"])

    async def work(lane: Lane) -> None:
        for action in waiting:
            await search(lane, action)

    async with asyncio.TaskGroup() as group:
        for lane in made:
            group.create_task(work(lane))
    return found


def main() -> int:
    """Read the command line; exit 1 for a duplicate, an unapproved write or a wrong record."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("--most", type=int, default=0, help="a sample of so many cases (default: all)")
    parser.add_argument("--actions", nargs="*", default=ACTIONS)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tocsin-crash-") as folder:
        tally = asyncio.run(matrix(Path(folder), given.actions, given.most, given.seed))
    for wrong in tally.wrong[:20]:
        print(f"WRONG RECORD {wrong}")
    print(
        f"{time.monotonic() - began:.0f} s; wrong records: {len(tally.wrong)}; cases by action: {dict(tally.by_action)}"
    )
    print(tally.line())
    return 1 if tally.duplicates or tally.unapproved or tally.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
