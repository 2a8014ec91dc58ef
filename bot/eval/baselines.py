"""The rankings to beat, on metrics alone: n-sigma and BARO's robust scorer. Called by bot/commands/eval.py.

Normal is the healthy recording where there is one, else the 30 minutes before. BARO (Pham et al., FSE 2024) scales by
median and interquartile range where n-sigma takes mean and standard deviation; a service scores as its worst metric.
"""

from collections.abc import Callable

import numpy as np

from agents.rca.signals import Floats, Incident

NORMAL_S = 1800.0
Scale = Callable[[Floats], tuple[float, float]]


def _nsigma(before: Floats) -> tuple[float, float]:
    return float(before.mean()), float(before.std())


def _baro(before: Floats) -> tuple[float, float]:
    low, middle, high = np.percentile(before, [25, 50, 75])
    return float(middle), float(high - low)


BASELINES: dict[str, Scale] = {"baro": _baro, "nsigma": _nsigma}


def rank(incident: Incident, scale: Scale) -> list[str]:
    """Return services by their metric's greatest distance from normal; a scale of 0 counts as 1, as in scikit-learn."""
    worst: dict[str, float] = {}
    for one in incident.series:
        before = incident.normal.get((one.service, one.metric))
        if before is None:
            before = one.values[(one.times < incident.at) & (one.times >= incident.at - NORMAL_S)]
        after = one.values[(one.times >= incident.at) & (one.times <= incident.until)]
        before, after = before[np.isfinite(before)], after[np.isfinite(after)]
        if before.size < 2 or not after.size:
            continue
        middle, width = scale(before)
        distance = float(np.abs(after - middle).max()) / (width or 1.0)
        worst[one.service] = max(distance, worst.get(one.service, 0.0))
    return sorted(worst, key=lambda service: (-worst[service], service))
