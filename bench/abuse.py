"""Abuse of a running Tocsin over HTTP and Socket Mode: each case must be refused, counted, on the record, and reach nothing.

`make abuse`. Two `tocsin run` (one hears Slack over HTTP, one over Socket Mode) on embedded Postgres, the practice Slack and the
practice cluster's API, which notes every request. The cases are in bench/abuse_cases.py. A case is refused when nothing that
people decide has changed in the database; counted when a metric of refusals rose; on the record when a row of the hash
chain says it, which is looked at again after both have stopped, as a flood of the same refusal is summed up.
"""

import argparse
import asyncio
import json
import signal
import sys
import tempfile
import time
from pathlib import Path

from bench.abuse_cases import CASES, Case
from bench.abuse_world import Target, World, world
from tools.store.events import verify

# What people decide; nothing of it may change by abuse
DECIDED = """
SELECT (SELECT json_agg(json_build_array(id, state) ORDER BY id) FROM proposals) AS proposals,
    (SELECT count(*) FROM approvals) AS approvals, (SELECT count(*) FROM silences) AS silences,
    (SELECT count(*) FROM knowledge WHERE kind = 'lesson') AS lessons,
    (SELECT count(*) FROM incident_events WHERE kind IN ('approved', 'run_started')) AS decisions
"""
OPENED = "SELECT count(*) AS n FROM incident_events WHERE kind IN ('opened', 'joined')"
PATIENCE_S = 30.0
ON_RECORD = """
SELECT coalesce(sum(CASE kind WHEN 'refused' THEN (body ->> 'times')::int ELSE 1 END), 0) AS n
FROM incident_events WHERE kind IN ('refused', 'press_refused', 'plan_failed', 'withdrawn')
"""


async def _tried(made: World, case: Case) -> str:
    """Try one case; return what is wrong with its outcome, "" when it was refused and counted."""
    target = made.socket if case.by_socket else made.http
    before, counted = await target.ask(DECIDED), await target.refusals()
    opened = (await target.ask(OPENED))["n"]
    said = await case.send(target)
    deadline = time.monotonic() + PATIENCE_S

    async def traced() -> bool:
        if case.label:
            return bool((await target.ask(OPENED))["n"] > opened)
        return await target.refusals() > counted

    while not (seen := await traced()) and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    after = await target.ask(DECIDED)
    if after != before and "twice" not in case.name:  # there the first of the two is rightful
        return f"it changed what people decide: {before} -> {after} ({said})"
    return "" if seen else f"no metric counts it ({said})"


async def _settled(target: Target) -> str:
    """Stop a bot; say what is missing on its record, and what stands raw in Slack."""
    counted = await target.refusals()
    await asyncio.to_thread(target.replica.kill, signal.SIGTERM)
    on_record = (await target.ask(ON_RECORD))["n"]
    async with target.db.connection() as conn:
        chain = await verify(conn)
    shown = json.dumps(target.slack.state.messages)
    raw = [text for text in ("<!channel>", "<https://evil.example") if text in shown]
    if on_record < counted or not chain.sound or raw:
        return f"{counted:g} were counted, {on_record} are on the record; {chain.problems}; raw in Slack: {raw}"
    return ""


async def abuse(folder: Path, most: int = 0) -> tuple[str, list[str]]:
    """Try every case, or *most* of them, evenly chosen; return the last line and what went wrong."""
    step = max(1, len(CASES) // most) if most else 1
    chosen, wrong = CASES[::step], []
    async with world(folder) as made:
        for case in chosen:
            problem = await _tried(made, case)
            if problem:
                wrong.append(f"{case.name}: {problem}")
        refused = len(chosen) - len(wrong)
        wrong += filter(None, [await _settled(made.http), await _settled(made.socket)])
        reached = len(made.cluster.writes())
    return f"cases={len(chosen)} refused={refused} reached_cluster={reached}", wrong


def main() -> int:
    """Read the command line; exit 1 for a case that was not refused, not counted, not on the record, or reached the cluster."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("--most", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tocsin-abuse-") as folder:
        line, wrong = asyncio.run(abuse(Path(folder), given.most))
    for one in wrong:
        print(f"NOT REFUSED {one}")
    print(line)
    return 1 if wrong or not line.endswith("reached_cluster=0") else 0


if __name__ == "__main__":
    sys.exit(main())
