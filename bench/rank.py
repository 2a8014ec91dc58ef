"""What ranking one large incident costs, and how the cost grows: `make bench-rank`.

The incident is made here (seeded): 50 services with 20 series of 60 points each, 200,000 log lines and 50,000 spans, a
third of them healthy. It is ranked in a fresh process; CPU seconds are the ranking's own, the resident set is the
process' peak less nothing: imports and the incident itself are in it. Each slope is the exponent k of cost ~ size**k of
one part alone between a quarter of its size and all of it.
"""

import json
import math
import resource
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from agents.rca.fuse import rank
from agents.rca.signals import Incident, Lines, Series, Spans

SERVICES = 50
SERIES, POINTS, LINES, SPANS = 20, 60, 200_000, 50_000
AT = 1_700_000_000.0
NAMES = tuple(f"service-{number:02}" for number in range(SERVICES))
METRICS = ("latency_p50", "latency_p99", "cpu_usage", "memory_rss", "success_rate", "requests")
REPEATS = 3


def incident(series: int, lines: int, spans: int) -> Incident:
    """Make the incident: service-07 is slow and writes errors."""
    dice = np.random.default_rng(7)
    return Incident(
        at=AT,
        until=AT + 900,
        series=_series(dice, series),
        lines=_lines(dice, lines) if lines else None,
        spans=_spans(dice, spans) if spans else None,
        calls=frozenset((NAMES[i // 2], NAMES[i]) for i in range(1, SERVICES)),
    )


def _series(dice: np.random.Generator, count: int) -> tuple[Series, ...]:
    times = AT + 60.0 * np.arange(-POINTS * 3 // 4, POINTS - POINTS * 3 // 4, dtype=np.float64)
    found = []
    for number, name in enumerate(NAMES):
        for which in range(count):
            values = dice.gamma(20.0, 1.0, POINTS)
            if number == 7 and which % len(METRICS) < 2:
                values[times >= AT] *= 8
            found.append(Series(name, f"{METRICS[which % len(METRICS)]}_{which}", times, values))
    return tuple(found)


def _lines(dice: np.random.Generator, count: int) -> Lines:
    at = np.sort(AT + dice.uniform(-450, 900, count))
    service = dice.integers(0, SERVICES, count)
    words = ["request served for user", "cache miss on key", "order stored with id", "retrying call to peer number"]
    text = [
        f"2023-11-14T22:13:20Z INFO {words[i % 4]} {i} took {i % 97} ms path=/api/v1/items/{i}" for i in range(count)
    ]
    for row in np.flatnonzero((service == 7) & (at > AT))[::3].tolist():
        text[row] = f"2023-11-14T22:13:21Z ERROR cannot read from store {row}: java.lang.IllegalStateException"
    return Lines(NAMES, service, at, text, np.arange(count) // 4, at < AT)


def _spans(dice: np.random.Generator, count: int) -> Spans:
    row = np.arange(count)
    parent = np.where(row % 10 == 0, -1, row - 1)
    start = np.repeat(AT + dice.uniform(-450, 900, (count + 9) // 10), 10)[:count]
    service = (row % 10 + row // 10) % SERVICES
    duration = (10 - row % 10) * 0.01 * dice.gamma(20.0, 0.05, count)
    duration[(service == 7) & (start > AT)] *= 5
    return Spans(
        services=NAMES,
        operations=tuple(f"operation {number}" for number in range(200)),
        service=service,
        operation=service * 4 + row % 4,
        parent=parent,
        start=start,
        duration=duration,
        failed=np.zeros(count, dtype=bool),
        flow=np.full(count, -1),
        normal=start < AT,
    )


def cost(series: int, lines: int, spans: int) -> float:
    """CPU seconds of ranking, the best of three."""
    made = incident(series, lines, spans)
    spent = []
    for _ in range(REPEATS):
        began = time.process_time()
        rank(made)
        spent.append(time.process_time() - began)
    return min(spent)


def whole() -> None:
    """In a process of its own: rank the whole incident once and print what that took."""
    made = incident(SERIES, LINES, SPANS)
    began = time.process_time()
    found = rank(made)
    spent = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"cpu_s": spent, "rss_mb": peak, "first": found.suspects[0].service}))


def slope(small: float, large: float, times: float) -> float:
    """Return the exponent of the growth between two costs whose sizes differ by *times*."""
    return math.log(max(large, 1e-6) / max(small, 1e-6)) / math.log(times)


def main() -> None:
    """Print the cost of the whole and of each part at two sizes."""
    said = subprocess.run([sys.executable, __file__, "--whole"], check=True, capture_output=True, text=True).stdout
    all_ = json.loads(said)
    parts = {
        "series": (cost(SERIES // 4, 0, 0), cost(SERIES, 0, 0)),
        "logs": (cost(0, LINES // 4, 0), cost(0, LINES, 0)),
        "spans": (cost(0, 0, SPANS // 4), cost(0, 0, SPANS)),
    }
    print(
        f"{SERVICES} services x {SERIES} series x {POINTS} points, {LINES} lines, {SPANS} spans; first: {all_['first']}"
    )
    for name, (small, large) in parts.items():
        print(f"{name}: a quarter {small:.3f} s, all {large:.3f} s")
    slopes = " ".join(f"slope_{name}={slope(small, large, 4):.2f}" for name, (small, large) in parts.items())
    print(f"cpu_s={all_['cpu_s']:.2f} rss_mb={all_['rss_mb']:.0f} {slopes}")


if __name__ == "__main__":
    whole() if "--whole" in sys.argv else main()
