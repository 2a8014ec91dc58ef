"""Has a series left its usual level, and since when? numpy only; used by the metric evidence plug-ins.

Robust statistics throughout: the usual level is the median before the alert, its spread the median absolute deviation
(times 1.4826, which equals a standard deviation for normal noise), so a spike or a few missing points change nothing.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SIGMAS = 6.0  # normal noise crosses this about once in 5e8 samples; metrics are heavier tailed than that
MIN_BEFORE = 8  # fewer samples give no usable spread
LEAD_S = 300.0  # an alert starts after its cause: what is judged as usual ends this long before it
TAIL_BEYOND = 0.5  # a sample belongs to the shift when it is at least half way to the new level


@dataclass(frozen=True)
class Shift:
    """A change of level: medians *before* and *after*, *sigmas* between them, *onset* (Unix s), whether *ongoing*."""

    before: float
    after: float
    sigmas: float
    onset: float
    ongoing: bool

    @property
    def ratio(self) -> float:
        """After / before; infinite when it rose from nothing."""
        if self.before == 0:
            return float("inf") if self.after > 0 else 1.0
        return self.after / self.before


def shift(times: Floats, values: Floats, around: float, floor: float, lead_s: float = LEAD_S) -> Shift | None:
    """Return the last change of level that reaches *around* (the alert's start, Unix seconds) or later, or None.

    *floor* is the smallest difference worth telling, in the series' own unit. Samples that are not finite are left out.
    """
    usable = np.isfinite(values)
    times, values = times[usable], values[usable]
    usual = values[times < around - lead_s]
    if usual.size < MIN_BEFORE:
        usual = values[: max(values.size * 2 // 3, MIN_BEFORE)]
    if usual.size < MIN_BEFORE or values.size <= MIN_BEFORE:
        return None
    before = float(np.median(usual))
    spread = 1.4826 * float(np.median(np.abs(usual - before)))
    # The median absolute deviation of a mostly flat series is 0; its 99th percentile then says what is usual.
    spread = max(spread, float(np.quantile(np.abs(usual - before), 0.99)) / 3.0, 1e-12)
    threshold = max(SIGMAS * spread, floor)
    found = _last_run(np.abs(values - before) > threshold)
    if found is None or times[found[1]] < around - lead_s:
        return None
    first, last = found
    run = values[first : last + 1]
    after = float(np.median(run[run.size // 2 :]))
    half_way = np.abs(values - before) >= TAIL_BEYOND * abs(after - before)
    while first > 0 and half_way[first - 1]:
        first -= 1
    return Shift(before, after, abs(after - before) / spread, float(times[first]), last >= values.size - 2)


def _last_run(beyond: npt.NDArray[np.bool_]) -> tuple[int, int] | None:
    """First and last index of the last run of True, single gaps bridged; a lone True counts only at the very end."""
    runs: list[tuple[int, int]] = []
    for index in np.flatnonzero(beyond).tolist():
        if runs and index - runs[-1][1] <= 2:
            runs[-1] = (runs[-1][0], index)
        else:
            runs.append((index, index))
    for first, last in reversed(runs):
        if last > first or last == beyond.size - 1:
            return first, last
    return None


def outline(values: Floats, points: int = 12) -> list[float]:
    """Return *values* as about *points* numbers: the last four as they are, the time before as medians of equal parts."""
    finite = values[np.isfinite(values)]
    if finite.size <= points:
        return [float(value) for value in finite]
    early = [float(np.median(part)) for part in np.array_split(finite[:-4], points - 4)]
    return early + [float(value) for value in finite[-4:]]


def human(value: float, unit: str) -> str:
    """Return a number as people write it: ``412/s``, ``3.1 %``, ``840 ms``, ``128 MiB``."""
    if unit == "ratio":
        return f"{value * 100:.3g} %"
    if unit == "s":
        return f"{value * 1000:.3g} ms" if abs(value) < 1 else f"{value:.3g} s"
    if unit == "bytes":
        return f"{value / 2**20:.4g} MiB" if abs(value) < 2**30 else f"{value / 2**30:.3g} GiB"
    return f"{value:.3g}{unit}"
