"""How far each service's series left their normal, in the direction that hurts, and since when. Called by fuse.py.

A rise is measured against the series' own level (how many times more) and counts only as far as it stands out of the
series' own scatter. The scatter is a range of high quantiles, not a median deviation: a window that holds the tail of an
earlier fault, or a series that spikes by nature, must not make every later spike look like news.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from agents.rca.signals import Floats, Incident, Series

Kind = Literal["latency", "good", "cpu", "memory", "traffic", "other"]

# Words in metric names, as exporters use them; the first that fits decides.
_KINDS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("other", re.compile(r"(?i)client|^node")),
    ("latency", re.compile(r"(?i)latency|duration|response_?time|seconds")),
    ("good", re.compile(r"(?i)availab|success")),
    ("cpu", re.compile(r"(?i)cpu|throttl")),
    ("memory", re.compile(r"(?i)mem")),
    ("traffic", re.compile(r"(?i)request|workload|ops|rate|bytes")),
)
# What a rise of each kind is worth as a sign of the cause: a full CPU is the service's own, traffic follows its callers.
WORTH: dict[Kind, float] = {"latency": 1.0, "good": 1.0, "cpu": 1.0, "memory": 0.3, "traffic": 0.0, "other": 0.0}
HISTORY_S = 1800.0
LAG_S = 20.0  # a scrape that ends this soon after the onset is mostly about the time before it
LARGEST = 1e30
STANDS_OUT = 2.0  # scatters a rise must reach to count half
FLOOR = {"latency": 0.005}  # seconds; a rise from 1 to 2 ms is nobody's incident


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
    return next((kind for kind, pattern in _KINDS if pattern.search(metric)), "other")


def shifts(incident: Incident, onset: float) -> list[Shift]:
    """Return how every series moved after *onset*, strongest first; series without both sides are left out."""
    found = []
    for one in incident.series:
        kind = kind_of(one.metric)
        if WORTH[kind] == 0.0:
            continue
        before, after = _two_sides(one, incident, onset)
        if before.size < 3 or after.size < 1:
            continue
        if kind == "good":
            before, after = -before, -after
        found.append(_shift(one, kind, before, after))
    return sorted((shift for shift in found if shift.strength > 0), key=lambda shift: -shift.strength)


def _two_sides(one: Series, incident: Incident, onset: float) -> tuple[Floats, Floats]:
    before = incident.normal.get((one.service, one.metric))
    if before is None:
        before = one.values[(one.times < onset) & (one.times >= onset - HISTORY_S)]
    after = one.values[(one.times >= onset + LAG_S) & (one.times <= incident.until)]
    return tidy(before), tidy(after)


def tidy(values: Floats) -> Floats:
    """Return what was measured, without figures so large that arithmetic on them overflows."""
    return np.clip(values[np.isfinite(values)], -LARGEST, LARGEST)


def _shift(one: Series, kind: Kind, before: Floats, after: Floats) -> Shift:
    low, middle, high = np.percentile(before, [10, 50, 90])
    # Half of what came after must be up: one high point is a spike.
    now = float(np.median(after))
    rise = now - middle
    if rise <= 0:
        return Shift(one.service, one.metric, kind, float(middle), now, 0.0)
    scatter = max(high - middle, middle - low, 1e-12)
    standing = (rise / scatter / STANDS_OUT) ** 2
    times = rise / (abs(middle) + FLOOR.get(kind, 0.01 * scatter + 1e-9))
    strength = WORTH[kind] * np.log1p(times) * standing / (1 + standing)
    return Shift(one.service, one.metric, kind, float(abs(middle)), float(abs(now)), float(strength))


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
