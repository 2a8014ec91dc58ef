"""What durable intake costs: acknowledgements per second beside an empty Bolt listener, and a storm through the service.

`make bench-intake`. Both sides serve Slack's events with the same Bolt app shape (signature, authorization, message events;
HTTP: Starlette under uvicorn; Socket Mode: Bolt's aiohttp handler), each in a process of its own (bench/intake_served.py).
The durable side is Tocsin's own: bot/web.py's door, bot/keep.py, bot/inbox.py on an embedded Postgres with synchronous
commit; its worker is off, as the empty listener has none. Load (bench/intake_load.py): 100 connections (Socket Mode: 100
envelopes under way on one socket), bursts of 1,000 and 10,000 distinct events of about 1 kB, to one side and then the
other, again and again. Figures are medians; a ratio is the median of pairs, in brackets the least and the greatest. `cpu` is
the same ratio in CPU time of the served process, which other work on the machine does not blur.

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
from drill.slack.limits import POST_BURST

BURSTS = {1_000: 11, 10_000: 5}  # how often each is sent to both sides
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


class Side:
    """One served side in a process of its own, and its load."""

    def __init__(self, kind: str, mode: str) -> None:
        self.kind, self.mode = kind, mode
        self._load = SocketSide() if mode == "socket" else HttpSide()
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self, dsn: str) -> None:
        """Start it, and warm it up."""
        await self._load.start()
        command = [sys.executable, "-m", "bench.intake_served", self.kind, self.mode, self._load.address, dsn]
        self._process = subprocess.Popen(command)
        await self._load.connected()
        await self._load.burst(f"{self.kind}-{self.mode}-warm", 500)

    async def measured(self, postgres: Postgres, turn: int, count: int) -> Figures:
        """Send it one burst."""
        pid = self._process.pid if self._process else 0
        before = cpu_s(pid), postgres.cpu_s()
        rate, took = await self._load.burst(f"{self.kind}-{self.mode}-{turn}-{count}", count)
        served, stored = cpu_s(pid) - before[0], postgres.cpu_s() - before[1]
        cuts = statistics.quantiles(took, n=100)
        return Figures(rate, cuts[49], cuts[98], 1e6 * served / count, 1e6 * stored / count)

    async def aclose(self) -> None:
        """End it."""
        if self._process:
            self._process.kill()
            self._process.wait()
        await self._load.aclose()


async def doors(postgres: Postgres, dsn: str, mode: str) -> tuple[float, float]:
    """Print both sides of *mode*; return the median ratio at the long burst, and the durable p99 in ms at the worse burst."""
    empty, durable = Side("empty", mode), Side("durable", mode)
    ratio = worst = 0.0
    try:
        for side in (empty, durable):
            await side.start(dsn)
        for count, turns in BURSTS.items():
            pairs = [[await side.measured(postgres, turn, count) for side in (empty, durable)] for turn in range(turns)]
            for side, found in zip((empty, durable), zip(*pairs, strict=True), strict=True):
                middle = Figures(*map(statistics.median, zip(*found, strict=True)))
                print(
                    f"{mode:6} {side.kind:7} burst={count:<6} acks_per_s={middle.rate:.0f} p50_ms={middle.p50:.1f}"
                    f" p99_ms={middle.p99:.1f} cpu_us={middle.served_us:.0f} postgres_us={middle.postgres_us:.0f}"
                )
            worst = max(worst, middle.p99)  # the durable side's, which comes last
            each = [with_.rate / without.rate for without, with_ in pairs]
            ratio = statistics.median(each)
            cpu = statistics.median(without.served_us / with_.served_us for without, with_ in pairs)
            print(
                f"{mode:6} ratio   burst={count:<6} {ratio:.2f} ({min(each):.2f} to {max(each):.2f}, {turns} pairs)"
                f" cpu={cpu:.2f}"
            )
    finally:
        for side in (empty, durable):
            await side.aclose()
    return ratio, worst


async def storm(folder: Path, alerts: int) -> str:
    """Send the storm; return the second half of the last line."""
    async with stage(folder) as made:
        replica = made.add(GROUPS)
        replica.start()
        await replica.ready()
        numbers = iter(range(alerts))
        began, own = time.monotonic(), time.process_time()

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
            f" posts={len(made.ours())}; left: {stuck}"
        )
        cpu = cpu_s(replica.process.pid if replica.process else 0), made.postgres.cpu_s()
        print(f"storm: cpu_s tocsin={cpu[0]:.0f} postgres={cpu[1]:.0f} this_bench={time.process_time() - own:.0f}")
        floor = len(made.ours()) - POST_BURST
        print(f"storm: quiet after {quiet:.0f} s; Slack's limit of one message a second makes {floor:.0f} s of it")
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
