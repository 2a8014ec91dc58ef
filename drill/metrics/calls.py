"""Function calls of PromQL: finds the function and hands it evaluated arguments; called by the evaluator."""

import math
from collections.abc import Callable
from typing import Any, Protocol

import promql_parser as ast

from drill.formats import QueryError
from drill.metrics import instant_functions as instant
from drill.metrics import range_functions as over
from drill.metrics.series import Series
from drill.metrics.values import Matrix, Text, Value, Vector, Window, nameless


class Evaluator(Protocol):
    """What a function needs of the evaluator to get at its arguments; every time is in ms."""

    def eval(self, node: Any, at: int) -> Value:
        """Return the value of a node."""
        ...

    def vector(self, node: Any, at: int) -> Vector:
        """Return an instant vector."""
        ...

    def scalar(self, node: Any, at: int) -> float:
        """Return a scalar."""
        ...

    def matrix(self, node: Any, at: int) -> Matrix:
        """Return a range vector."""
        ...

    def select(self, node: ast.VectorSelector) -> list[Series]:
        """Return the series of a selector."""
        ...

    def moment(self, node: Any, at: int) -> int:
        """Return the time that a selector looks at."""
        ...


_EXTRAPOLATED = {"rate": (True, True), "increase": (True, False), "delta": (False, False)}
_KEEP_NAME = ("last_over_time",)
Special = Callable[[Evaluator, list[Any], int], Value]


def call(query: Evaluator, node: ast.Call, at: int) -> Value:
    """Return the value of a call at a time; QueryError for a function that is not supported."""
    name, args = node.func.name, list(node.args)
    if name in _SPECIAL:
        return _SPECIAL[name](query, args, at)
    if name in over.OVER_TIME or name in _EXTRAPOLATED or name in _RANGE:
        return _over_range(query, name, args, at)
    if name in instant.MATH:
        function = instant.MATH[name]
        return [(nameless(labels), function(value)) for labels, value in query.vector(args[0], at)]
    if name in instant.TIME:
        clock = instant.TIME[name]
        vector = query.vector(args[0], at) if args else [((), at / 1000)]
        return [(nameless(labels), clock(value)) for labels, value in vector]
    if name in ("clamp", "clamp_min", "clamp_max"):
        bounds = [query.scalar(arg, at) for arg in args[1:]]
        rows = ((nameless(labels), instant.clamp(name, v, bounds)) for labels, v in query.vector(args[0], at))
        return [(labels, value) for labels, value in rows if value is not None]
    raise QueryError(f"unsupported function {name}", "bad_data")


def _over_range(query: Evaluator, name: str, args: list[Any], at: int) -> Vector:
    numbers = [query.scalar(arg, at) for arg in args if not _is_range(arg)]
    matrix = query.matrix(next(arg for arg in args if _is_range(arg)), at)
    result = []
    for window in matrix.windows:
        value = _window_value(name, window, matrix, numbers, at)
        if value is not None:
            result.append((window.labels if name in _KEEP_NAME else nameless(window.labels), value))
    return result


def _window_value(name: str, window: Window, matrix: Matrix, numbers: list[float], at: int) -> float | None:
    if name in _EXTRAPOLATED:
        counter, rate = _EXTRAPOLATED[name]
        return over.extrapolated(window, matrix.end_ms, matrix.range_ms, counter=counter, rate=rate)
    if name in _RANGE:
        return _RANGE[name](window, numbers, at)
    return over.OVER_TIME[name](window.values)


_RANGE: dict[str, Callable[[Window, list[float], int], float | None]] = {
    "irate": lambda window, _, __: over.instant(window, rate=True),
    "idelta": lambda window, _, __: over.instant(window, rate=False),
    "deriv": lambda window, _, __: over.deriv(window),
    "predict_linear": lambda window, numbers, at: over.predict(window, at, numbers[0]),
    "quantile_over_time": lambda window, numbers, _: over.quantile(numbers[0], window.values),
}


def _is_range(node: Any) -> bool:
    while isinstance(node, ast.ParenExpr):
        node = node.expr
    return isinstance(node, (ast.MatrixSelector, ast.SubqueryExpr))


def _scalar(query: Evaluator, args: list[Any], at: int) -> Value:
    vector = query.vector(args[0], at)
    return vector[0][1] if len(vector) == 1 else math.nan


def _round(query: Evaluator, args: list[Any], at: int) -> Value:
    to = query.scalar(args[1], at) if len(args) > 1 else 1.0
    return [(nameless(labels), instant.nearest(value, to)) for labels, value in query.vector(args[0], at)]


def _absent(query: Evaluator, args: list[Any], at: int) -> Value:
    return [] if query.vector(args[0], at) else [(_absent_labels(args[0]), 1.0)]


def _absent_over_time(query: Evaluator, args: list[Any], at: int) -> Value:
    found = query.matrix(args[0], at).windows
    return [] if found else [(_absent_labels(args[0]), 1.0)]


def _absent_labels(node: Any) -> tuple[tuple[str, str], ...]:
    """Labels that the selector's equality matchers name once."""
    while isinstance(node, ast.ParenExpr):
        node = node.expr
    selector = node.vector_selector if isinstance(node, ast.MatrixSelector) else node
    if not isinstance(selector, ast.VectorSelector):
        return ()
    given = [each for each in selector.matchers.matchers if each.name != "__name__"]
    names = [each.name for each in given]
    equal = [each for each in given if each.op == ast.MatchOp.Equal and names.count(each.name) == 1]
    return tuple(sorted((each.name, each.value) for each in equal if each.value))


def _sort(query: Evaluator, args: list[Any], at: int, *, down: bool) -> Value:
    def rank(sample: tuple[Any, float]) -> tuple[bool, float]:
        if math.isnan(sample[1]):
            return True, 0.0
        return False, -sample[1] if down else sample[1]

    return sorted(query.vector(args[0], at), key=rank)


def _timestamp(query: Evaluator, args: list[Any], at: int) -> Value:
    node = args[0]
    while isinstance(node, ast.ParenExpr):
        node = node.expr
    if not isinstance(node, ast.VectorSelector):
        return [(nameless(labels), at / 1000) for labels, _ in query.vector(node, at)]
    moment = query.moment(node, at)
    return [
        (nameless(series.labels), stamp / 1000)
        for series in query.select(node)
        if (stamp := series.stamp(moment, 300_000)) is not None
    ]


def _text(query: Evaluator, node: Any, at: int) -> str:
    value = query.eval(node, at)
    if not isinstance(value, Text):
        raise QueryError("expected a string", "bad_data")
    return value.value


def _label_replace(query: Evaluator, args: list[Any], at: int) -> Value:
    target, replacement, source, pattern = (_text(query, arg, at) for arg in args[1:])
    return instant.label_replace(query.vector(args[0], at), target, replacement, source, pattern)


def _label_join(query: Evaluator, args: list[Any], at: int) -> Value:
    target, separator, *sources = (_text(query, arg, at) for arg in args[1:])
    return instant.label_join(query.vector(args[0], at), target, separator, sources)


_SPECIAL: dict[str, Special] = {
    "time": lambda _, __, at: at / 1000,
    "pi": lambda _, __, ___: math.pi,
    "vector": lambda query, args, at: [((), query.scalar(args[0], at))],
    "scalar": _scalar,
    "round": _round,
    "absent": _absent,
    "absent_over_time": _absent_over_time,
    "sort": lambda query, args, at: _sort(query, args, at, down=False),
    "sort_desc": lambda query, args, at: _sort(query, args, at, down=True),
    "timestamp": _timestamp,
    "label_replace": _label_replace,
    "label_join": _label_join,
    "histogram_quantile": lambda query, args, at: instant.histogram_quantile(
        query.scalar(args[0], at), query.vector(args[1], at)
    ),
}
