"""When the trouble began, found in the data. Called by fuse.py.

The alert or the ticket comes when somebody noticed; what is compared with what depends on the moment before that. It is
found on the series that moved most, and moves the given time only where several agree.
"""

import numpy as np

from agents.rca.metrics import tidy
from agents.rca.signals import Floats, Incident

EARLIEST_S = 600.0  # an alert waits for its window and its `for`: ten minutes cover common rules
AGREE = 3  # series that must have begun together
STEP = 6.0  # scatters between the level before and after that count as a step


def onset(incident: Incident) -> float:
    """Return the onset: the given time, or an earlier one at which at least three services' series stepped up for good.

    A series counts only if it stays up until the given time: what came and went before is another incident.
    """
    if incident.normal:
        return incident.at
    began: dict[str, float] = {}
    for one in incident.series:
        fine = np.isfinite(one.values)
        found = _step(one.times[fine], tidy(one.values), incident.at)
        if found is not None:
            began[one.service] = min(found, began.get(one.service, found))
    if len(began) < AGREE:
        return incident.at
    return float(np.median(sorted(began.values())[:AGREE]))


def _step(times: Floats, values: Floats, at: float) -> float | None:
    """Return when *values* stepped away within ten minutes before *at* and stayed; None when they did not."""
    old = values[times < at - EARLIEST_S]
    late = (times >= at - EARLIEST_S) & (times < at)
    after = values[times >= at]
    if old.size < 8 or late.sum() < 2 or after.size < 2:
        return None
    middle = float(np.median(old))
    scatter = float(np.ptp(np.percentile(old, [10, 90]))) + 0.05 * abs(middle) + 1e-9
    away = (values[late] - middle) / scatter
    if abs(float(np.median(after)) - middle) / scatter < STEP or abs(away[-1]) < STEP:
        return None
    calm = np.flatnonzero(np.abs(away) < STEP)
    first = int(calm[-1]) + 1 if calm.size else 0
    return float(times[late][first])
