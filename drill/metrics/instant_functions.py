"""PromQL functions over instant vectors: mathematics, time, labels, histogram_quantile; used by the evaluator."""

import calendar
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np

from drill.formats import QueryError
from drill.metrics.series import Labels
from drill.metrics.values import Vector, drop, get, nameless, put, unique

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")


def _quiet(function: Callable[[float], float]) -> Callable[[float], float]:
    def safe(value: float) -> float:
        with np.errstate(all="ignore"):
            return float(function(np.float64(value)))

    return safe


MATH: dict[str, Callable[[float], float]] = {
    name: _quiet(getattr(np, numpy_name))
    for name, numpy_name in {
        "abs": "abs", "ceil": "ceil", "floor": "floor", "exp": "exp", "ln": "log", "log2": "log2", "log10": "log10",
        "sqrt": "sqrt", "sgn": "sign", "sin": "sin", "cos": "cos", "tan": "tan", "asin": "arcsin", "acos": "arccos",
        "atan": "arctan", "sinh": "sinh", "cosh": "cosh", "tanh": "tanh", "asinh": "arcsinh", "acosh": "arccosh",
        "atanh": "arctanh", "deg": "degrees", "rad": "radians",
    }.items()
}  # fmt: skip


def nearest(value: float, to: float) -> float:
    """round(): halves go up; computed over the inverse, as Prometheus does."""
    with np.errstate(all="ignore"):
        inverse = np.float64(1.0) / np.float64(to)
        return float(np.floor(np.float64(value) * inverse + 0.5) / inverse)


def _time(value: float) -> datetime:
    return datetime.fromtimestamp(int(value), UTC)


TIME: dict[str, Callable[[float], float]] = {
    "minute": lambda v: float(_time(v).minute),
    "hour": lambda v: float(_time(v).hour),
    "day_of_week": lambda v: float((_time(v).weekday() + 1) % 7),
    "day_of_month": lambda v: float(_time(v).day),
    "day_of_year": lambda v: float(_time(v).timetuple().tm_yday),
    "days_in_month": lambda v: float(calendar.monthrange(_time(v).year, _time(v).month)[1]),
    "month": lambda v: float(_time(v).month),
    "year": lambda v: float(_time(v).year),
}


def clamp(name: str, value: float, bounds: list[float]) -> float | None:
    """clamp, clamp_min and clamp_max of one value; None drops the sample (an impossible clamp)."""
    if name == "clamp" and bounds[0] > bounds[1]:
        return None
    low = bounds[0] if name != "clamp_max" else -math.inf
    high = bounds[-1] if name != "clamp_min" else math.inf
    if math.isnan(value) or any(math.isnan(bound) for bound in bounds):
        return math.nan
    return max(low, min(high, value))


def label_replace(vector: Vector, target: str, replacement: str, source: str, pattern: str) -> Vector:
    """Set a label from a match on another."""
    try:
        regex = re.compile(f"^(?:{pattern})$", re.DOTALL)
    except re.error as error:
        raise QueryError(f"invalid regular expression in label_replace(): {pattern}") from error
    if not _LABEL.match(target):
        raise QueryError(f"invalid destination label name in label_replace(): {target}")
    result = []
    for labels, value in vector:
        match = regex.match(get(labels, source))
        result.append((put(labels, target, _expand(match, replacement)) if match else labels, value))
    return unique(result)


def _expand(match: re.Match[str], template: str) -> str:
    """Go's Regexp.Expand: ``$1``, ``${1}``, ``$name``, ``$$``; what names no group is empty."""

    def one(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if found[0] == "$$":
            return "$"
        try:
            return (match[int(name)] if name.isdigit() else match[name]) or ""
        except (IndexError, KeyError):
            return ""

    return re.sub(r"\$\$|\$\{(\w+)\}|\$(\w+)", one, template)


def label_join(vector: Vector, target: str, separator: str, sources: list[str]) -> Vector:
    """Set a label to others' values, joined."""
    if not _LABEL.match(target):
        raise QueryError(f"invalid destination label name in label_join(): {target}")
    return unique([(put(labels, target, separator.join(get(labels, s) for s in sources)), v) for labels, v in vector])


def histogram_quantile(q: float, vector: Vector) -> Vector:
    """Quantiles of classic histograms, one for each set of labels besides ``le``."""
    groups: dict[Labels, list[tuple[float, float]]] = {}
    for labels, value in vector:
        edge = _edge(get(labels, "le"))
        if edge is not None:
            groups.setdefault(drop(nameless(labels), ("le",)), []).append((edge, value))
    return [(labels, bucket_quantile(q, buckets)) for labels, buckets in groups.items()]


def _edge(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def bucket_quantile(q: float, buckets: list[tuple[float, float]]) -> float:
    """promql/quantile.go's bucketQuantile over (upper bound, cumulative count)."""
    if math.isnan(q):
        return math.nan
    if q < 0 or q > 1:
        return -math.inf if q < 0 else math.inf
    merged: dict[float, float] = {}
    for edge, count in buckets:
        merged[edge] = merged.get(edge, 0.0) + count
    edges = sorted(merged)
    if edges[-1] != math.inf or len(edges) < 2:
        return math.nan
    counts: list[float] = []
    for edge in edges:
        count = merged[edge]
        counts.append(max(count, counts[-1]) if counts and not count > counts[-1] else count)
    if counts[-1] == 0 or math.isnan(counts[-1]):
        return math.nan
    return _interpolate(q * counts[-1], edges, counts)


def _interpolate(rank: float, edges: list[float], counts: list[float]) -> float:
    last = len(edges) - 1
    at = next((i for i in range(last) if counts[i] >= rank), last)
    if at == last:
        return edges[last - 1]
    if at == 0 and edges[0] <= 0:
        return edges[0]
    start = edges[at - 1] if at else 0.0
    below = counts[at - 1] if at else 0.0
    with np.errstate(all="ignore"):
        share = np.float64(rank - below) / np.float64(counts[at] - below)
        return float(start + (edges[at] - start) * share)
