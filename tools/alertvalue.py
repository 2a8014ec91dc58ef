"""The value of an alert's own expression, now and over time, for the very series that the alert is about.

Used by tools.evidence.alert_query, also when it is asked whether the alert's own query recovered.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from tools.alertexpr import Bools, Floats, Threshold, agree, compared, nearest, shared
from tools.prometheus import Prometheus, Series


@dataclass(frozen=True)
class Reading:
    """The alert's value now (None: no series), whether its condition holds, and when it last began to hold.

    *threshold* is the side of the expression that *series* belongs to, *bound* what it is compared with now (None where it has
    no threshold); *over* of *seen* series that the alert may be about hold its condition.
    """

    value: float | None
    firing: bool
    crossed: datetime | None
    series: Series | None
    threshold: Threshold
    bound: float | None = None
    over: int = 0
    seen: int = 0


async def read(
    prometheus: Prometheus,
    threshold: Threshold,
    labels: Mapping[str, str],
    *,
    start: datetime,
    end: datetime,
    step_s: float,
) -> Reading:
    """Evaluate *threshold* over [start, end] for the series that *labels* name.

    Of several, the one that holds its condition is told. What the whole expression says decides where there is more to
    it than one comparison: ``and``, ``unless``, ``or``, another series as the bound.
    """
    found = Reading(None, firing=False, crossed=None, series=None, threshold=threshold)
    for side in (threshold, *threshold.others):
        read_side = await _side(prometheus, side, labels, start=start, end=end, step_s=step_s)
        if found.series is None or (read_side.firing and not found.firing):
            found = read_side
    if not threshold.whole:
        return found
    fired = nearest(await prometheus.query_range(threshold.whole, start, end, step_s), labels)
    fired = [each for each in fired if each.values.size and _alike(each, found.series)] or fired
    held = max(fired, key=lambda each: float(each.times[-1]) if each.times.size else 0.0, default=None)
    if held is None or not held.times.size:
        return replace(found, firing=False, crossed=None, over=0)
    current = [each for each in fired if _current(each, end, step_s)]
    return replace(
        found, firing=_current(held, end, step_s), crossed=_began(held.times, step_s, end), over=len(current)
    )


async def _side(
    prometheus: Prometheus,
    side: Threshold,
    labels: Mapping[str, str],
    *,
    start: datetime,
    end: datetime,
    step_s: float,
) -> Reading:
    found = [
        each
        for each in nearest(await prometheus.query_range(side.query, start, end, step_s), labels)
        if each.values.size
    ]
    if not found:
        return Reading(None, firing=False, crossed=None, series=None, threshold=side)
    bounds = await prometheus.query_range(side.against, start, end, step_s) if side.against else []
    held = [_held(side, each, bounds) for each in found]
    now = [bool(holds[-1]) and _current(each, end, step_s) for each, holds in zip(found, held, strict=True)]
    share = [shared(each, labels) for each in found]
    best = max(range(len(found)), key=lambda at: (share[at], now[at], float(found[at].times[-1]), -at))
    mine, holds = found[best], held[best]
    began = _began(mine.times[holds], step_s, end) if holds.any() else None
    bound = _bound(side, mine, bounds)
    value = float(mine.values[-1]) if _current(mine, end, step_s) else None
    return Reading(value, now[best], began, mine, side, bound, sum(now), len(found))


def _held(side: Threshold, mine: Series, bounds: Sequence[Series]) -> Bools:
    if not side.against:
        return side.holds(mine.values)
    other = _opposite(mine, bounds)
    if other is None:
        return np.zeros(mine.values.size, dtype=bool)
    at = dict(zip(other.times.tolist(), other.values.tolist(), strict=True))
    limits = np.array([at.get(when, np.nan) for when in mine.times.tolist()])
    held: Bools = compared(side.op, mine.values, limits) & np.isfinite(limits)
    return held


def _bound(side: Threshold, mine: Series, bounds: Sequence[Series]) -> float | None:
    if not side.op:
        return None
    other = _opposite(mine, bounds) if side.against else None
    if side.against:
        return float(other.values[-1]) if other is not None and other.values.size else None
    return side.bound


def _opposite(mine: Series, bounds: Sequence[Series]) -> Series | None:
    """Return the series that *mine* is compared with: it agrees in all labels both have, and shares most."""
    fitting = [each for each in bounds if each.values.size and agree(each.labels, mine.labels)]
    return max(fitting, key=lambda each: shared(each, mine.labels), default=None)


def _alike(fired: Series, mine: Series | None) -> bool:
    return mine is None or agree(fired.labels, mine.labels)


def _current(series: Series, end: datetime, step_s: float) -> bool:
    return bool(series.times[-1] >= end.timestamp() - max(3 * step_s, 5.0))


def _began(times: Floats, step_s: float, end: datetime) -> datetime:
    """Return when the last unbroken run of *times* began; one missing point does not break it."""
    ordered = times.tolist()
    first = ordered[-1]
    for earlier, later in itertools.pairwise(reversed(ordered)):
        if earlier - later > 2.5 * step_s:
            break
        first = later
    return datetime.fromtimestamp(float(first), tz=end.tzinfo)
