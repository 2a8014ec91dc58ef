"""PromQL functions over ranges, each as Prometheus' engine computes it (promql/functions.go); used by the evaluator."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from drill.metrics.values import Window

Plain = Callable[[Sequence[float]], float | None]


def extrapolated(window: Window, end_ms: int, range_ms: int, *, counter: bool, rate: bool) -> float | None:
    """rate, increase and delta: the difference, extrapolated to the range's edges; *end_ms* has the offset applied."""
    times, values = window.times, window.values
    if len(values) < 2:
        return None
    result = values[-1] - values[0]
    if counter:
        last = 0.0
        for value in values:
            if value < last:
                result += last
            last = value
    to_start = (times[0] - (end_ms - range_ms)) / 1000
    to_end = (end_ms - times[-1]) / 1000
    sampled = (times[-1] - times[0]) / 1000
    average = sampled / (len(values) - 1)
    if counter and result > 0 and values[0] >= 0:
        to_start = min(to_start, sampled * (values[0] / result))
    threshold = average * 1.1
    covered = sampled
    covered += to_start if to_start < threshold else average / 2
    covered += to_end if to_end < threshold else average / 2
    factor = covered / sampled
    if rate:
        factor /= range_ms / 1000
    return result * factor


def instant(window: Window, *, rate: bool) -> float | None:
    """Irate and idelta: from the last two samples."""
    if len(window.values) < 2:
        return None
    before, last = window.values[-2], window.values[-1]
    result = last if rate and last < before else last - before
    spent = window.times[-1] - window.times[-2]
    if spent == 0:
        return None
    return result / (spent / 1000) if rate else result


def regression(window: Window, intercept_ms: int) -> tuple[float, float]:
    """Slope per second and intercept of the least-squares line."""
    first = window.values[0]
    n = sum_x = sum_y = sum_xy = sum_xx = 0.0
    constant = True
    for time, value in zip(window.times, window.values, strict=True):
        constant = constant and value == first
        x = (time - intercept_ms) / 1e3
        n += 1
        sum_x += x
        sum_y += value
        sum_xy += x * value
        sum_xx += x * x
    if constant:
        return (math.nan, math.nan) if math.isinf(first) else (0.0, first)
    covariance = sum_xy - sum_x * sum_y / n
    variance = sum_xx - sum_x * sum_x / n
    slope = covariance / variance
    return slope, sum_y / n - slope * sum_x / n


def deriv(window: Window) -> float | None:
    """Per-second slope."""
    return regression(window, window.times[0])[0] if len(window.values) >= 2 else None


def predict(window: Window, at_ms: int, seconds: float) -> float | None:
    """predict_linear."""
    if len(window.values) < 2:
        return None
    slope, intercept = regression(window, at_ms)
    return slope * seconds + intercept


def quantile(q: float, values: Sequence[float]) -> float:
    """Linear interpolation between ranks; NaN, -Inf and +Inf for an empty or impossible question."""
    if not values or math.isnan(q):
        return math.nan
    if q < 0:
        return -math.inf
    if q > 1:
        return math.inf
    ordered = sorted(values, key=lambda v: (not math.isnan(v), v if not math.isnan(v) else 0.0))
    rank = q * (len(ordered) - 1)
    low = max(0, math.floor(rank))
    high = min(len(ordered) - 1, low + 1)
    weight = rank - math.floor(rank)
    return ordered[low] * (1 - weight) + ordered[high] * weight


def fsum(values: Sequence[float]) -> float:
    """Return a compensated sum that lets infinities and NaN through."""
    if any(math.isinf(v) or math.isnan(v) for v in values):
        return sum(values)
    return math.fsum(values)


def mean(values: Sequence[float]) -> float:
    """Return the average."""
    return fsum(values) / len(values)


def variance(values: Sequence[float]) -> float:
    """Return population variance."""
    if any(math.isinf(v) or math.isnan(v) for v in values):
        return math.nan
    middle = mean(values)
    return math.fsum((value - middle) ** 2 for value in values) / len(values)


def lowest(values: Sequence[float]) -> float:
    """Return the minimum; NaN only when there is nothing else."""
    real = [value for value in values if not math.isnan(value)]
    return min(real) if real else math.nan


def highest(values: Sequence[float]) -> float:
    """Return the maximum; NaN only when there is nothing else."""
    real = [value for value in values if not math.isnan(value)]
    return max(real) if real else math.nan


def _changes(values: Sequence[float]) -> float:
    pairs = pairwise(values)
    return float(sum(1 for a, b in pairs if a != b and not (math.isnan(a) and math.isnan(b))))


def _resets(values: Sequence[float]) -> float:
    return float(sum(1 for a, b in pairwise(values) if b < a))


OVER_TIME: dict[str, Plain] = {
    "avg_over_time": mean,
    "min_over_time": lowest,
    "max_over_time": highest,
    "sum_over_time": fsum,
    "count_over_time": lambda values: float(len(values)),
    "stddev_over_time": lambda values: math.sqrt(variance(values)),
    "stdvar_over_time": variance,
    "last_over_time": lambda values: values[-1],
    "present_over_time": lambda _: 1.0,
    "changes": _changes,
    "resets": _resets,
}
