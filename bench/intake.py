"""What durable intake costs: acknowledgements per second beside an empty Bolt listener, and a storm through the service.

`make bench-intake`. Both sides serve Slack's events with the same Bolt app shape (signature, authorization, message events;
HTTP: Starlette under uvicorn; Socket Mode: Bolt's aiohttp handler), each in a fresh process (bench/intake_served.py).
The durable side is Tocsin's own: bot/web.py's door, bot/keep.py, bot/inbox.py on an embedded Postgres with synchronous
commit; its worker is off, as the empty listener has none. Load (bench/intake_load.py): 100 connections (Socket Mode: 100
envelopes under way on one socket), bursts of 1,000 and 10,000 distinct events of about 1 kB. The sides take turns, three
passes each; figures are medians, a ratio that of one pass, in brackets the least and the greatest.

The storm is 10,000 alerts of 40 groups by webhook into one whole `tocsin run` beside the practice Slack with its limits.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import aiohttp

from bench.chaos import ask, settle, unsettled
from bench.intake_load import HttpSide, SocketSide
from bench.stage import TOKEN, Postgres, alert_body, stage

BURSTS = (1_000, 10_000)
PASSES = 3
GROUPS = 40
STORM = 10_000
SENDERS = 16
LONGEST_S = 900.0  # of the storm


class Figures(NamedTuple):
    """One burst of one pass: acknowledgements per second, milliseconds, CPU microseconds per event of the served side and Postgres."""

    rate: float
    p50: float
    p99: float
    served_us: float
    postgres_us: float


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measured(kind: str, mode: str, postgres: Postgres, dsn: str, turn: int) -> dict[int, Figures]:
    """Measure one side in a fresh process, by burst."""
    side = SocketSide() if mode == "socket" else HttpSide()
    await side.start()
    command = [sys.executable, "-m", "bench.intake_served", kind, mode, side.address, dsn]
    process = subprocess.Popen(command)
    found = {}
    try:
        await side.connected()
        for count in (500, *BURSTS):  # the first is the warm-up
            before = cpu_s(process.pid), postgres.cpu_s()
            rate, took = await side.burst(f"{kind}-{mode}-{turn}-{count}", count)
            served, stored = (
                now - then for now, then in zip((cpu_s(process.pid), postgres.cpu_s()), before, strict=True)
            )
            cuts = statistics.quantiles(took, n=100)
            found[count] = Figures(rate, cuts[49], cuts[98], 1e6 * served / count, 1e6 * stored / count)
    finally:
        process.kill()
        process.wait()
        await side.aclose()
    return {count: found[count] for count in BURSTS}


async def doors(postgres: Postgres, dsn: str, mode: str) -> tuple[float, float]:
    """Print both sides of *mode*; return the median ratio at the long burst, and the durable p99 in ms at the worse burst."""
    passes: dict[str, list[dict[int, Figures]]] = {"empty": [], "durable": []}
    for turn in range(PASSES):
        for kind, found in passes.items():
            found.append(await measured(kind, mode, postgres, dsn, turn))
    worst = 0.0
    for kind, found in passes.items():
        for count in BURSTS:
            rate, p50, p99, served, stored = map(statistics.median, zip(*(one[count] for one in found), strict=True))
            print(
                f"{mode:6} {kind:7} burst={count:<6} acks_per_s={rate:.0f} p50_ms={p50:.1f} p99_ms={p99:.1f}"
                f" cpu_us={served:.0f} postgres_us={stored:.0f}"
            )
            worst = max(worst, p99 if kind == "durable" else 0.0)
    ratios = {}
    for count in BURSTS:
        pairs = zip(passes["empty"], passes["durable"], strict=True)
        each = [durable[count].rate / empty[count].rate for empty, durable in pairs]
        ratios[count] = statistics.median(each)
        print(f"{mode:6} ratio   burst={count:<6} {ratios[count]:.2f} ({min(each):.2f} to {max(each):.2f})")
    return ratios[BURSTS[-1]], worst


async def storm(folder: Path, alerts: int) -> str:
    """Send the storm; return the second half of the last line."""
    async with stage(folder) as made:
        replica = made.add(GROUPS)
        replica.start()
        await replica.ready()
        numbers = iter(range(alerts))
        began = time.monotonic()

        async def send(http: aiohttp.ClientSession) -> None:
            for number in numbers:
                body = alert_body(number % GROUPS, number, GROUPS)
                while True:
                    async with http.post(f"{replica.url}/webhook/alertmanager", json=body) as answer:
                        if answer.ok:
                            break
                    await asyncio.sleep(0.5)

        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as http:
            await asyncio.gather(*(send(http) for _ in range(SENDERS)))
        kept = time.monotonic() - began
        while (await asyncio.to_thread(unsettled, made.dsn))["unread"] and time.monotonic() - began < LONGEST_S:
            await asyncio.sleep(0.5)
        read = time.monotonic() - began
        left = await settle(made.dsn, LONGEST_S)
        quiet = time.monotonic() - began
        incidents = ask(made.dsn, "SELECT count(*) FROM incidents")[0][0]
        diagnosed = ask(made.dsn, "SELECT count(*) FROM incident_events WHERE kind = 'diagnosed'")[0][0]
        decided = ask(made.dsn, "SELECT count(*) FROM decisions")[0][0]
        stuck = ", ".join(f"{name} {count}" for name, count in left.items() if count) or "nothing"
        print(
            f"storm: {alerts} alerts kept in {kept:.1f} s, decided in {read:.1f} s; decisions={decided}"
            f" posts={len(made.ours())} (Slack takes one a second); left: {stuck}"
        )
        rss = replica.rss_mb()
    return f"incidents={incidents} investigations={diagnosed} quiet_s={quiet:.0f} rss_mb={rss:.0f}"


async def bench(alerts: int) -> str:
    """Run it all; return the last line."""
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        from tools.store.migrate import migrate

        postgres = Postgres(Path(folder))
        dsn = await postgres.start()
        try:
            await migrate(dsn)
            http, http_p99 = await doors(postgres, dsn, "http")
            socket, socket_p99 = await doors(postgres, dsn, "socket")
        finally:
            await postgres.stop()
    line = f"ratio_http={http:.2f} ratio_socket={socket:.2f} p99_ms={max(http_p99, socket_p99):.0f}"
    if alerts:
        with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
            line += " " + await storm(Path(folder), alerts)
    return line


def main() -> None:
    """Read the command line; print the figures."""
    parser = argparse.ArgumentParser(description="The cost of durable intake.")
    parser.add_argument("--storm", type=int, default=STORM, help="alerts of the storm; 0 leaves it out")
    print(asyncio.run(bench(parser.parse_args().storm)))


if __name__ == "__main__":
    main()
