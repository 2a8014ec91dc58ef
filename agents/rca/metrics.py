"""How far each service's series left their normal, in the direction that hurts, and since when. Called by fuse.py.

A rise is measured against the series' own level (how many times more) and counts only as far as it stands out of the
series' own scatter. The scatter is a range of high quantiles, not a median deviation: a window that holds the tail of an
earlier fault, or a series that spikes by nature, must not make every later spike look like news.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

import numpy as np

from agents.rca.signals import Floats, Incident, Series

Kind = Literal["latency", "errors", "good", "cpu", "memory", "waiting", "traffic", "bytes", "unknown", "ignored"]

# Words in metric names, as exporters use them; the first that fits decides. What a client or a node measures is about
# somebody else.
_KINDS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("ignored", re.compile(r"(?i)client|^node|_(?:created|info|limits?|quota|spec)\b|timestamp")),
    ("latency", re.compile(r"(?i)latency|duration|response_?time|elapsed|(?<!cpu)_(?:milli|micro)?seconds(?!_total)")),
    ("good", re.compile(r"(?i)availab|success|ready\b|\bup\b")),
    ("errors", re.compile(r"(?i)error|fail|exception|5xx|timeout|retr(?:y|ies)|reject|dropped|evict|restart|oom")),
    ("cpu", re.compile(r"(?i)cpu|throttl|\bload\d*\b")),
    ("memory", re.compile(r"(?i)mem|heap|rss|working_set")),
    ("waiting", re.compile(r"(?i)queue|backlog|pending|in_?flight|\blag\b|_lag|waiting")),
    ("bytes", re.compile(r"(?i)bytes|network|packets|syscall|_(?:rx|tx)_")),
    ("traffic", re.compile(r"(?i)request|workload|ops|calls|invocation|throughput|rate|[rq]ps\b|hits|count")),
)
# What a rise of each kind is worth as a sign of the cause: a full CPU is the service's own, traffic follows its callers.
WORTH: dict[Kind, float] = {
    "latency": 1.0, "errors": 1.0, "good": 1.0, "cpu": 1.0, "waiting": 0.5, "unknown": 0.3, "memory": 0.3,
    "traffic": 0.0, "bytes": 0.0, "ignored": 0.0,
}  # fmt: skip
HISTORY_S = 7200.0  # two hours: an earlier fault of half an hour stays the exception in them
LAG = 1 / 3  # of the sampling period: a sample that ends this soon after the onset is mostly about the time before
LARGEST = 1e30
STANDS_OUT = 2.0  # scatters a rise must reach to count half
FLOOR_S = 0.005  # a rise from 1 to 2 ms is nobody's incident
_UNITS = ((re.compile(r"(?i)(?:_|\b|\()(?:ms|millis\w*)(?:_|\b|\))"), 1e3), (re.compile(r"(?i)(?:_|\b|\()(?:us|µs|micro\w*)(?:_|\b|\))"), 1e6),
          (re.compile(r"(?i)(?:_|\b|\()(?:ns|nano\w*)(?:_|\b|\))"), 1e9))  # fmt: skip
MOST_LOST = 3.0  # a call that is not made at all counts as one made 20 times more rarely


@dataclass(frozen=True)
class Shift:
    """One series that left its normal: *times* how many times its level it moved by, *strength* log(1+times), damped."""

    service: str
    metric: str
    kind: Kind
    before: float
    after: float
    strength: float


def kind_of(metric: str) -> Kind:
    """Return what a metric measures, read from its name."""
    return next((kind for kind, pattern in _KINDS if pattern.search(metric)), "unknown")


def measures(one: Series) -> Kind:
    """Return what a series measures: what its caller said, else what its name says."""
    return cast("Kind", one.kind) if one.kind in get_args(Kind) else kind_of(one.metric)


def shifts(incident: Incident, onset: float) -> list[Shift]:
    """Return how every series moved after *onset*, strongest first; series without both sides are left out."""
    found = []
    for one in incident.series:
        kind = measures(one)
        if WORTH[kind] == 0.0:
            continue
        before, after = two_sides(one, incident, onset)
        if before.size < 3 or after.size < 1:
            continue
        if kind == "good":
            before, after = -before, -after
        found.append(shift(one, kind, before, after))
    return sorted((one for one in found if one.strength > 0), key=lambda one: -one.strength)


def two_sides(one: Series, incident: Incident, onset: float) -> tuple[Floats, Floats]:
    """Return the values before (or of a healthy period) and after *onset*."""
    before = incident.normal.get((one.service, one.metric))
    if before is None:
        before = one.values[(one.times < onset) & (one.times >= onset - HISTORY_S)]
    after = one.values[(one.times >= onset + LAG * period(one)) & (one.times <= incident.until)]
    return tidy(before), tidy(after)


def period(one: Series) -> float:
    """Return the usual seconds between two samples; 0 for fewer than two."""
    return float(np.median(np.diff(one.times))) if one.times.size > 1 else 0.0


def tidy(values: Floats) -> Floats:
    """Return what was measured, without figures so large that arithmetic on them overflows."""
    return np.clip(values[np.isfinite(values)], -LARGEST, LARGEST)


def shift(one: Series, kind: Kind, before: Floats, after: Floats) -> Shift:
    """Return how far *after* rose above *before*; a series that is good when high is given with its sign turned."""
    low, middle, high = np.percentile(before, [10, 50, 90])
    # Half of what came after must be up: one high point is a spike.
    now = float(np.median(after))
    rise = now - middle
    if rise <= 0:
        return Shift(one.service, one.metric, kind, float(middle), now, 0.0)
    scatter = max(high - middle, middle - low, 1e-12)
    standing = (rise / scatter / STANDS_OUT) ** 2
    floor = FLOOR_S * _unit(one.metric) if kind == "latency" else 0.01 * scatter + 1e-9
    times = rise / (abs(middle) + floor)
    strength = WORTH[kind] * np.log1p(times) * standing / (1 + standing)
    return Shift(one.service, one.metric, kind, float(abs(middle)), float(abs(now)), float(strength))


def _unit(metric: str) -> float:
    return next((size for pattern, size in _UNITS if pattern.search(metric)), 1.0)


def strongest(found: Sequence[Shift]) -> dict[tuple[str, Kind], Shift]:
    """Return the strongest shift per service and kind: ten percentiles of one latency are one sign, not ten."""
    best: dict[tuple[str, Kind], Shift] = {}
    for shift in found:
        if (
            shift.strength > best.get((shift.service, shift.kind), shift).strength
            or (shift.service, shift.kind) not in best
        ):
            best[shift.service, shift.kind] = shift
    return best
