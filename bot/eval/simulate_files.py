"""Writes a made system's day in Nezha's layout: fault list, metrics a pod, logs and traces a minute. For `tocsin eval simulate`."""

import csv
import json
import math
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from bot.eval.simulate import Fault, Span, System, World, boutique, faulty, layered

APART = 480.0  # seconds between two faults, as in Nezha's days
LEAD = 900.0  # healthy seconds before the first
RECORDED = 3  # minutes of logs and traces from a fault's minute on
METRICS = (
    "CpuUsage(m)", "CpuUsageRate(%)", "MemoryUsage(Mi)", "MemoryUsageRate(%)", "NetworkReceiveBytes", "NetworkTransmitBytes",
    "PodClientLatencyP90(s)", "PodServerLatencyP90(s)", "PodWorkload(Ops)", "PodSuccessRate(%)",
)  # fmt: skip


def write(folder: Path, kind: str, faults: int, seed: int, per_minute: int, edges: bool) -> Path:
    """Write one day with that many faults; returns its folder. *edges*: with `source_50.csv`, the latency per call."""
    dice = random.Random(f"{kind}/{seed}")  # noqa: S311
    system = boutique(dice) if kind == "boutique" else layered(dice, dice.randint(8, 30))
    start = datetime(2026, 1, 1 + seed % 28, 3, 0, tzinfo=UTC).timestamp()
    broken = [faulty(system, dice, start + LEAD + APART * number + dice.uniform(0, 59)) for number in range(faults)]
    day = folder / f"{kind}-{seed}"
    for part in ("metric", "log", "trace", "normal/log", "normal/trace"):
        (day / part).mkdir(parents=True, exist_ok=True)
    listed = [
        {"inject_time": _text(one.start), "inject_timestamp": str(int(one.start)), "inject_pod": system.pods[one.service],
         "inject_type": one.kind} for one in broken
    ]  # fmt: skip
    (day / f"{day.name}-fault_list.json").write_text(json.dumps({"00": listed}, indent=1))
    _minutes(day, system, World(system, broken, dice), broken, start, per_minute, edges)
    with (day / "metric" / "dependency.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("Source", "Target", "Weight"), *((*pair, 1) for pair in system.edges())])
    return day


def _text(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _minutes(
    day: Path, system: System, world: World, faults: Sequence[Fault], start: float, per_minute: int, edges: bool
) -> None:
    dice = world.dice
    wanted = {int((one.start - start) // 60) + more for one in faults for more in range(RECORDED)}
    table: dict[str, list[list[object]]] = defaultdict(list)
    seen: list[list[object]] = []
    pairs = system.edges()
    resting = {name: dice.uniform(20, 300) for name in system.pods}
    for minute in range(int((LEAD + APART * len(faults)) // 60)):
        begins = start + 60.0 * minute
        load = int(per_minute * (1 + 0.25 * math.sin(minute / 40)) * dice.uniform(0.85, 1.15))
        spans = [
            span for _ in range(load) for span in world.request(dice.choice(system.asked), begins + dice.uniform(0, 60))
        ]
        row = _measured(system, spans, faults, begins, resting, dice)
        for name, values in row.items():
            table[name].append([f"{_text(begins + 60)}.0 +0000 UTC m=+1", int(begins + 60), system.pods[name], *values])
        seen.append([f"{_text(begins + 60)}.0 +0000 UTC m=+1", int(begins + 60), *_edges(spans, pairs)])
        if minute in wanted or minute == int(LEAD // 60) - 3:
            _records(day if minute in wanted else day / "normal", system, spans, begins + 60)
    for name, rows in table.items():
        with (day / "metric" / f"{system.pods[name]}_metric.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("Time", "TimeStamp", "PodName", *METRICS), *rows])
    if edges:
        with (day / "metric" / "source_50.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("time", "timestamp", *("_".join(pair) for pair in pairs)), *seen])


def _measured(
    system: System,
    spans: Sequence[Span],
    faults: Sequence[Fault],
    begins: float,
    resting: dict[str, float],
    dice: random.Random,
) -> dict[str, list[float]]:
    by: dict[str, list[Span]] = defaultdict(list)
    for span in spans:
        by[span.service].append(span)
    found = {}
    for name in system.pods:
        server = [one.end - one.start for one in by[name] if one.server]
        client = [one.end - one.start for one in by[name] if not one.server]
        hit = next((one for one in faults if one.on(name, begins + 30)), None)
        busy = 600.0 * dice.uniform(0.8, 1.2) if hit and hit.kind.startswith("cpu") else 0.0
        spike = dice.uniform(20, 200) if dice.random() < 0.02 else 0.0  # a compiler, a collector, a neighbour
        cpu = 10 + 0.3 * len(server) * dice.lognormvariate(0, 0.2) + busy + spike
        resting[name] *= dice.uniform(0.995, 1.006)
        ok = 100.0 * sum(one.ok for one in by[name] if one.server) / len(server) if server else 100.0
        found[name] = [
            round(value, 5)
            for value in (
                cpu, cpu / 10, resting[name], resting[name] / 10, 900 * len(server) * dice.uniform(0.8, 1.2),
                1500 * len(server) * dice.uniform(0.8, 1.2), _p(client, 90), _p(server, 90), len(server) / 60, ok,
            )
        ]  # fmt: skip
    return found


def _p(values: Sequence[float], which: float) -> float:
    return float(np.percentile(values, which)) if values else 0.0


def _edges(spans: Iterable[Span], pairs: Sequence[tuple[str, str]]) -> list[float]:
    by_id = {one.id: one for one in spans}
    waits: dict[tuple[str, str], list[float]] = defaultdict(list)
    for one in by_id.values():
        above = by_id.get(one.parent)
        if above is not None and one.server:
            waits[above.service, one.service].append(above.end - above.start)
    return [round(_p(waits[pair], 50), 6) for pair in pairs]


def _records(day: Path, system: System, spans: Sequence[Span], written: float) -> None:
    name = datetime.fromtimestamp(written, UTC).strftime("%H_%M")
    with (day / "trace" / f"{name}_trace.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(
            [
                "TraceID",
                "SpanID",
                "ParentID",
                "PodName",
                "OperationName",
                "StartTimeUnixNano",
                "EndTimeUnixNano",
                "Duration",
            ]
        )
        for one in spans:
            start, end = int(one.start * 1e9), int(one.end * 1e9)
            out.writerow(
                (one.trace, one.id, one.parent, system.pods[one.service], one.name, start, end, (end - start) // 1000)
            )
    with (day / "log" / f"{name}_log.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["Timestamp", "TimeUnixNano", "Node", "PodName", "Container", "TraceID", "SpanID", "Log"])
        for one in spans:
            for at, said, severe in one.logs:
                inner = json.dumps(
                    {
                        "severity": "error" if severe else "info",
                        "message": f"TraceID: {one.trace} SpanID: {one.id} {said}",
                    }
                )
                line = json.dumps({"log": inner + "\n", "stream": "stdout"})
                pod = system.pods[one.service]
                out.writerow((_text(at), int(at * 1e9), "node-1", pod, "server", one.trace, one.id, line))
