"""PromQL aggregations: sum, avg, topk and the rest, by or without labels; used by the evaluator."""

import math
from collections.abc import Callable, Iterable

from drill.formats import QueryError, number
from drill.metrics import range_functions as over
from drill.metrics.series import Labels
from drill.metrics.values import NAME, Sample, Vector, drop, keep, put

_FOLDS: dict[str, Callable[[list[float]], float]] = {
    "sum": over.fsum,
    "avg": over.mean,
    "min": over.lowest,
    "max": over.highest,
    "count": lambda values: float(len(values)),
    "group": lambda _: 1.0,
    "stddev": lambda values: math.sqrt(over.variance(values)),
    "stdvar": over.variance,
}


def aggregate(op: str, vector: Vector, names: Iterable[str], *, without: bool, param: float | str | None) -> Vector:
    """One aggregation; *names* are the labels of the by or without clause."""
    listed = list(names)
    groups: dict[Labels, Vector] = {}
    for sample in vector:
        key = drop(sample[0], [*listed, NAME]) if without else keep(sample[0], listed)
        groups.setdefault(key, []).append(sample)
    if op in _FOLDS:
        fold = _FOLDS[op]
        return [(labels, fold([value for _, value in rows])) for labels, rows in groups.items()]
    if op == "quantile" and isinstance(param, float):
        return [(labels, over.quantile(param, [v for _, v in rows])) for labels, rows in groups.items()]
    if op in ("topk", "bottomk") and isinstance(param, float):
        return _extremes(op, groups, param)
    if op == "count_values" and isinstance(param, str):
        return _count_values(groups, param)
    raise QueryError(f"unhandled aggregation {op}", "bad_data")


def _extremes(op: str, groups: dict[Labels, Vector], param: float) -> Vector:
    if math.isnan(param) or math.isinf(param):
        raise QueryError(f"Scalar value {param} overflows int64")
    count = int(param)
    if count < 1:
        return []

    def rank(sample: Sample) -> tuple[bool, float]:
        value = sample[1]
        if math.isnan(value):
            return True, 0.0
        return False, -value if op == "topk" else value

    return [sample for rows in groups.values() for sample in sorted(rows, key=rank)[:count]]


def _count_values(groups: dict[Labels, Vector], label: str) -> Vector:
    counts: dict[Labels, float] = {}
    for labels, rows in groups.items():
        for _, value in rows:
            key = put(labels, label, number(value))
            counts[key] = counts.get(key, 0.0) + 1
    return list(counts.items())
