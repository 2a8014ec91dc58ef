"""Calls that are no longer made: a callee's traffic falls while its callers' does not. Called by fuse.py.

A service that returns early or throws does not get as far as its later calls. Its own series may look healthy; those of
what it used to call show it. A callee's traffic is compared with its callers' of the same moments, so that a change of load is
no loss.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from agents.rca.graph import Calls
from agents.rca.metrics import MOST_LOST, STANDS_OUT, measures, two_sides
from agents.rca.signals import Floats, Incident, Series


@dataclass(frozen=True)
class Loss:
    """A callee that gets fewer calls per call of its callers: *before* and *after* are that ratio's medians."""

    callee: str
    callers: tuple[str, ...]
    metric: str
    before: float
    after: float
    strength: float


def losses(incident: Incident, graph: Calls, onset: float) -> list[Loss]:
    """Return the callees that lost calls since *onset*, with every caller that may have dropped them."""
    volume = _volumes(incident)
    callers: dict[str, list[str]] = {}
    for caller, callees in graph.items():
        for callee in callees:
            callers.setdefault(callee, []).append(caller)
    found = []
    for callee, above in callers.items():
        known = tuple(sorted(name for name in above if name in volume))
        if callee in volume and known:
            loss = _loss(incident, volume, callee, known, onset)
            if loss is not None:
                found.append(loss)
    return found


def _volumes(incident: Incident) -> Mapping[str, Series]:
    """Return each service's first series that counts requests, by name."""
    found: dict[str, Series] = {}
    for one in sorted(incident.series, key=lambda one: one.metric):
        if measures(one) == "traffic" and one.service not in found:
            found[one.service] = one
    return found


def _loss(
    incident: Incident, volume: Mapping[str, Series], callee: str, callers: tuple[str, ...], onset: float
) -> Loss | None:
    own = volume[callee]
    asked = np.zeros(own.times.size)
    for caller in callers:
        asked += _at(volume[caller], own.times)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(asked > 0, own.values / asked, np.nan)
    before, after = two_sides(
        Series(callee, own.metric, own.times, ratio), Incident(incident.at, incident.until), onset
    )
    if before.size < 3 or after.size < 1:
        return None
    low, middle, high = np.percentile(before, [10, 50, 90])
    now = float(np.median(after))
    if not 0 <= now < middle:
        return None
    standing = ((middle - now) / max(high - middle, middle - low, 0.01 * middle) / STANDS_OUT) ** 2
    times = min(float(np.log(middle / now)) if now > 0 else MOST_LOST, MOST_LOST)
    return Loss(callee, callers, own.metric, float(middle), now, times * standing / (1 + standing))


def _at(one: Series, times: Floats) -> Floats:
    """Return the values at *times*, by the nearest sample; recordings of two services are rarely of the same second."""
    if not one.times.size:
        return np.full(times.size, np.nan)
    place = np.clip(np.searchsorted(one.times, times), 1, max(one.times.size - 1, 1))
    left = np.maximum(place - 1, 0)
    place = np.minimum(place, one.times.size - 1)
    nearer = np.where(np.abs(one.times[left] - times) <= np.abs(one.times[place] - times), left, place)
    return np.asarray(one.values[nearer], dtype=np.float64)
