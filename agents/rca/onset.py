"""When the trouble began, found in the data. Called by fuse.py.

The alert or the ticket comes when somebody noticed; what is compared with what depends on the moment before that. It is
read off the series that moved most: since when have they been nearer to where they are now than to where they were?
"""

import numpy as np

from agents.rca.metrics import HISTORY_S, WORTH, measures, period, shift, tidy
from agents.rca.signals import Incident, Series

EARLIEST_S = 600.0  # an alert waits for its window and its `for`: ten minutes cover common rules
MOVED = 0.7  # strength of a shift that dates the onset: about twice the usual level, well out of the scatter
VOTES = 5  # of the strongest series, the median counts
AGREE = 2  # series it takes
EARLY_AGREE = 3  # series that must all have moved later, before a time is called too early
EARLY_S = 90.0  # by how much: slow series and minute samples lag behind a true time
NOW = 3  # samples at the end that say where a series is now


def onset(incident: Incident) -> float:
    """Return the onset: the given time, or another one since when the series that moved most have been away for good.

    A series counts only if it is away to the end: what came and went before is another incident. It is later than given
    only where several series moved and each of them clearly later: slow series would drag a true time with them.
    """
    if incident.normal:
        return incident.at
    moved: list[tuple[float, float]] = []
    for one in incident.series:
        kind = measures(one)
        if WORTH[kind] == 0.0:
            continue
        found = _since(one, incident)
        if found is not None:
            moved.append(found)
    moved.sort(key=lambda pair: -pair[0])
    if len(moved) < AGREE:
        return incident.at
    votes = [when for _strength, when in moved[:VOTES]]
    if len(votes) >= EARLY_AGREE and min(votes) > incident.at + EARLY_S:
        return min(votes)
    return min(float(np.median(votes)), incident.at)


def _since(one: Series, incident: Incident) -> tuple[float, float] | None:
    """Return how strongly a series moved between ten minutes before the given time and the end, and since when."""
    early = incident.at - EARLIEST_S
    seen = np.isfinite(one.values) & (one.times <= incident.until) & (one.times >= early - HISTORY_S)
    times, values = one.times[seen], tidy(one.values[seen])
    old, late = values[times < early], values[times >= early]
    if old.size < 8 or late.size < NOW:
        return None
    kind = measures(one)
    sign = -1.0 if kind == "good" else 1.0
    moved = shift(one, kind, sign * old, sign * late[-NOW:])
    if moved.strength < MOVED:
        return None
    middle, now = float(np.median(old)), float(np.median(late[-NOW:]))
    calm = np.flatnonzero((late - middle) / (now - middle) < 0.5)
    first = int(calm[-1]) + 1 if calm.size else 0
    if first >= late.size:
        return None
    # A sample speaks of the time since the one before it.
    return moved.strength, float(times[times >= early][first] - period(one) / 2)
