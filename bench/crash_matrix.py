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
import random
import sys
import tempfile
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bench.crash_child import Side
from bench.crash_lane import Case, Lane, Seen, lanes
from bench.practice import FAULTS, Fault

# One at least of each kind of write: patch, merge patch, create, delete, eviction, and several in turn
ACTIONS = (
    "rollout_restart", "scale", "cordon", "job_rerun", "job_delete", "delete_pod", "evict_pod", "drain_node",
)  # fmt: skip
UNAPPROVED = ("waiting", "rejected", "expired", "superseded")
SIDES: tuple[Side, Side] = ("sent", "answered")
TELL_EVERY = 250
LANES = 24  # most of them wait: for a server that hangs, between looks for a mark


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


async def _spread(made: list[Lane], cases: Iterable[Case], tally: Tally, of: int = 0) -> list[Seen]:
    """Run the cases, each on the next free lane; say how far it is now and then when there are many (*of*)."""
    waiting, found = iter(cases), []

    async def work(lane: Lane) -> None:
        for case in waiting:
            seen = await lane.run(case)
            tally.add(seen)
            found.append(seen)
            if of and len(found) % TELL_EVERY == 0:
                print(f"{len(found)} of {of} so far: {tally.line()}", flush=True)

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


async def matrix(
    folder: Path, actions: Collection[str] = ACTIONS, most: int = 0, seed: int = 1, many: int = LANES
) -> Tally:
    """Run the matrix on *many* lanes, or a sample of *most* cases of it; return its figures."""
    tally, rng = Tally(), random.Random(seed)
    async with lanes(folder, many) as made:
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
        await _spread(made, cases, tally, len(cases))
    return tally


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
