"""Kill replicas, Postgres and Redis at random moments under load, then compare what was acknowledged with what is there.

`make chaos KILLS=100`. Two `tocsin run` over one Postgres and one Redis; alerts come by webhook and as messages in the
practice Slack, which delivers them over Socket Mode. A webhook counts as acknowledged at its 2xx; one that is refused is
sent again, as Alertmanager does. Every kill is SIGKILL (Postgres: immediate shutdown). It prints what it killed.

lost: acknowledged alerts that are not in the inbox, or without a decision on record; breaks in the record's chain. doubled:
groups with two incidents, alerts decided about twice, Slack messages that stand twice, incidents with two first diagnoses.
stuck: events unread, jobs not done or failed, incidents without a diagnosis or without their card.
"""

import argparse
import asyncio
import collections
import contextlib
import itertools
import random
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg

from bench.stage import TOKEN, Stage, alert_body, stage
from tools.store import events
from tools.store.db import Database

GROUPS = 40
WEBHOOKS_PER_S = 6.0
MESSAGE_EVERY_S = 3.0
QUIET_S = 420.0  # the longest that may pass until everything is settled


@dataclass
class Told:
    """What was sent and acknowledged; *webhooks* are the labels `n` of alerts."""

    webhooks: list[str] = field(default_factory=list)
    messages: int = 0
    kills: collections.Counter[str] = field(default_factory=collections.Counter)


async def send(
    made: Stage, told: Told, rng: random.Random, numbers: "itertools.count[int]", stop: asyncio.Event, groups: int
) -> None:
    """Send one alert after another, each until somebody acknowledges it."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(timeout=5, headers=headers) as http:
        while not stop.is_set():
            number = next(numbers)
            body = alert_body(number % groups, number, groups)
            while True:
                url = rng.choice(made.replicas).url
                with contextlib.suppress(httpx.HTTPError):
                    if (await http.post(f"{url}/webhook/alertmanager", json=body)).is_success:
                        told.webhooks.append(str(number))
                        break
                await asyncio.sleep(0.2)
            await asyncio.sleep(rng.expovariate(WEBHOOKS_PER_S / 3))


async def talk(made: Stage, told: Told, stop: asyncio.Event, groups: int) -> None:
    """Post alerts into the watched channel, which Slack delivers until they are acknowledged."""
    channel = next(one for one, about in made.slack.state.channels.items() if about.name == "alerts")
    while not stop.is_set():
        group = told.messages % groups
        title = f"[FIRING:1] Slow{group} service-{group} (demo critical)"
        await made.slack.post_incoming(channel, {"attachments": [{"title": title, "fallback": title, "text": ""}]})
        told.messages += 1
        await asyncio.sleep(MESSAGE_EVERY_S)


async def strike(made: Stage, told: Told, rng: random.Random, number: int) -> None:
    """Kill one part and start it again."""
    if number % 12 == 11:
        made.postgres.crash()
        await asyncio.sleep(rng.uniform(0.0, 2.0))
        await made.postgres.start()
        told.kills["postgres"] += 1
    elif number % 12 == 5:
        made.redis.kill()
        await asyncio.sleep(rng.uniform(0.0, 3.0))
        made.redis.start()
        told.kills["redis"] += 1
    else:
        replica = rng.choice(made.replicas)
        replica.kill()
        replica.start()
        told.kills[f"replica {made.replicas.index(replica) + 1}"] += 1


def ask(dsn: str, query: str) -> list[tuple[Any, ...]]:
    """Return the rows of *query*."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        return conn.execute(query.encode()).fetchall()


def unsettled(dsn: str) -> dict[str, int]:
    """Count what still has to happen."""
    counts = {
        "unread": "SELECT count(*) FROM inbox WHERE state = 'new'",
        "jobs": "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing') AND (scheduled_at IS NULL"
        " OR scheduled_at < now() + interval '2 minutes') AND task_name NOT IN ('verify')",
        "failed": "SELECT count(*) FROM procrastinate_jobs WHERE status = 'failed'",
        "undiagnosed": "SELECT count(*) FROM incidents i WHERE NOT EXISTS"
        " (SELECT 1 FROM incident_events e WHERE e.incident_id = i.id AND e.kind = 'diagnosed')",
        "undrawn": "SELECT count(*) FROM incidents i WHERE NOT EXISTS"
        " (SELECT 1 FROM posts p WHERE p.incident_id = i.id AND p.key = 'card' AND p.state = 'posted')",
    }
    return {name: int(ask(dsn, query)[0][0]) for name, query in counts.items()}


async def settle(dsn: str, seconds: float) -> dict[str, int]:
    """Wait until nothing is left to do, or *seconds* have passed; return what is left."""
    deadline = time.monotonic() + seconds
    while True:
        left = await asyncio.to_thread(unsettled, dsn)
        if not any(count for name, count in left.items() if name != "failed") or time.monotonic() > deadline:
            return left
        await asyncio.sleep(1)


def compare(made: Stage, told: Told) -> tuple[int, int]:
    """Return how many acknowledged alerts are lost, and how much is doubled; say which."""
    known = {str(row[0]) for row in ask(made.dsn, "SELECT DISTINCT labels ->> 'n' FROM decisions")}
    lost = [number for number in told.webhooks if number not in known]
    kept = int(str(ask(made.dsn, "SELECT count(*) FROM inbox WHERE kind = 'slack_event' AND payload -> 'event' ->>"
                       " 'bot_id' IS NOT NULL AND payload::text LIKE '%FIRING:1%Slow%'")[0][0]))  # fmt: skip
    short = max(0, told.messages - kept)
    twice = [key for key, count in collections.Counter(made.ours()).items() if count > 1]
    groups = ask(made.dsn, "SELECT group_key, count(*) FROM incident_groups GROUP BY 1 HAVING count(*) > 1")
    first = ask(made.dsn, "SELECT incident_id, count(*) FROM incident_events WHERE kind = 'diagnosed'"
                " GROUP BY 1 HAVING count(*) > 1")  # fmt: skip
    again = ask(made.dsn, "SELECT labels ->> 'n', count(*) FROM decisions WHERE first AND labels ->> 'n' IS NOT NULL"
                " GROUP BY 1 HAVING count(*) > 1")  # fmt: skip
    wrong: dict[str, list[Any]] = {
        "lost": [*lost],
        "messages twice": [*twice],
        "groups twice": [*groups],
        "diagnosed twice": [*first],
        "decided twice": [*again],
    }
    for name, found in wrong.items():
        if found:
            print(f"{name}: {found[:10]}")
    if short:
        print(f"Slack messages not kept: {short} of {told.messages}")
    return len(lost) + short, len(twice) + len(groups) + len(first) + len(again)


async def record_problems(dsn: str) -> tuple[str, ...]:
    """Return what is wrong with the chain of the record."""
    db = await Database.open(dsn)
    try:
        async with db.connection() as conn:
            return (await events.verify(conn)).problems
    finally:
        await db.aclose()


async def chaos(
    kills: int, seed: int, folder: Path, pause: tuple[float, float] = (1.0, 5.0), groups: int = GROUPS
) -> str:
    """Run it all; return the last line. Each of *groups* costs the channel two messages, and Slack takes one a second."""
    began = time.monotonic()
    rng, told, stop, numbers = random.Random(seed), Told(), asyncio.Event(), itertools.count()
    async with stage(folder) as made:
        for _ in range(2):
            made.add(groups).start()
            await made.replicas[-1].ready()
        load = [asyncio.create_task(send(made, told, rng, numbers, stop, groups)) for _ in range(3)]
        load.append(asyncio.create_task(talk(made, told, stop, groups)))
        for number in range(kills):
            await asyncio.sleep(rng.uniform(*pause))
            await strike(made, told, rng, number)
            for replica in made.replicas:
                replica.supervise()
        for replica in made.replicas:
            replica.supervise()
            await replica.ready()
        stop.set()
        await asyncio.gather(*load)
        line = await report(made, told)
    print(f"took {time.monotonic() - began:.0f} s")
    return line


async def report(made: Stage, told: Told) -> str:
    """Wait until all is settled, compare, say what was found; return the last line."""
    left = await settle(made.dsn, QUIET_S)
    print("killed:", ", ".join(f"{name} {count}x" for name, count in sorted(told.kills.items())))
    incidents = ask(made.dsn, "SELECT count(*) FROM incidents")[0][0]
    print(f"incidents={incidents} posts={len(made.ours())} webhooks={len(told.webhooks)} messages={told.messages}")
    print("left:", left)
    if sum(left.values()):
        query = (
            "SELECT task_name, status::text, attempts, args FROM procrastinate_jobs WHERE status <> 'aborted' LIMIT 8"
        )
        for row in ask(made.dsn, query):
            print("job:", *row)
    lost, doubled = await asyncio.to_thread(compare, made, told)
    broken = await record_problems(made.dsn)
    print("the record:", "; ".join(broken) or "whole")
    acked, lost = len(told.webhooks) + told.messages, lost + len(broken)
    return f"kills={sum(told.kills.values())} acked={acked} lost={lost} doubled={doubled} stuck={sum(left.values())}"


def main() -> int:
    """Read the command line; exit 1 when anything was lost, doubled or stuck."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tocsin-chaos-") as folder:
        line = asyncio.run(chaos(given.kills, given.seed, Path(folder)))
    print(line)
    return 0 if line.endswith("lost=0 doubled=0 stuck=0") else 1


if __name__ == "__main__":
    sys.exit(main())
