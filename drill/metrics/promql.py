"""A PromQL evaluator over the series store, after Prometheus' own engine; the HTTP API and the rules call it.

The grammar is the promql_parser package's; what an expression means follows Prometheus 2.x (closed ranges, five
minutes of look-back). A test compares it with a real Prometheus over the same series.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import promql_parser as ast

from drill.formats import Matcher, QueryError
from drill.metrics import aggregation, binary, calls
from drill.metrics.series import Series, Storage
from drill.metrics.values import Matrix, Text, Value, Vector, Window, nameless, unique

LOOKBACK_MS = 300_000
_SUBQUERY_STEP_MS = 60_000  # Prometheus' default evaluation interval
_MAX_POINTS = 11_000
_OPS = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}
Points = list[tuple[int, float]]


def parse(text: str) -> Any:
    """Return the expression's syntax tree; QueryError(bad_data) when it cannot be read."""
    try:
        return ast.parse(text)
    except ValueError as error:
        raise QueryError(f'invalid parameter "query": {error}', "bad_data") from error


class Query:
    """One expression over one span of time; *start_ms* and *end_ms* give ``@ start()`` and ``@ end()`` their sense."""

    def __init__(self, storage: Storage, tree: Any, start_ms: int, end_ms: int) -> None:
        self._storage, self._tree = storage, tree
        self._start_ms, self._end_ms = start_ms, end_ms
        self._selected: dict[str, list[Series]] = {}

    def instant(self) -> Value:
        """Return the value at the end of the span."""
        value = self.eval(self._tree, self._end_ms)
        return unique(value) if isinstance(value, list) else value

    def range(self, step_ms: int) -> dict[Any, Points]:
        """Series by labels over the span; a scalar is the series without labels."""
        if (self._end_ms - self._start_ms) // step_ms > _MAX_POINTS:
            message = "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)"
            raise QueryError(message, "bad_data")
        found: dict[Any, Points] = {}
        for at in range(self._start_ms, self._end_ms + 1, step_ms):
            value = self.eval(self._tree, at)
            if isinstance(value, (Matrix, Text)):
                kind = "range vector" if isinstance(value, Matrix) else "string"
                message = f'invalid expression type "{kind}" for range query, must be Scalar or instant Vector'
                raise QueryError(message, "bad_data")
            for labels, number in unique(value) if isinstance(value, list) else [((), value)]:
                found.setdefault(labels, []).append((at, number))
        return found

    def eval(self, node: Any, at: int) -> Value:
        """Return the value of a node at a time in ms."""
        if isinstance(node, ast.NumberLiteral):
            return float(node.val)
        if isinstance(node, ast.StringLiteral):
            return Text(node.val)
        for kind, evaluate in _NODES.items():
            if isinstance(node, kind):
                return evaluate(self, node, at)
        raise QueryError(f"cannot evaluate {type(node).__name__}", "bad_data")

    def vector(self, node: Any, at: int) -> Vector:
        """Return the value of a node that must be an instant vector."""
        value = self.eval(node, at)
        if not isinstance(value, list):
            raise QueryError("expected an instant vector", "bad_data")
        return value

    def scalar(self, node: Any, at: int) -> float:
        """Return the value of a node that must be a scalar."""
        value = self.eval(node, at)
        if not isinstance(value, float):
            raise QueryError("expected a scalar", "bad_data")
        return value

    def select(self, node: ast.VectorSelector) -> list[Series]:
        """Return the series of a selector, found once per query, in the order of their labels."""
        wanted = matchers(node)
        key = repr(wanted)
        if key not in self._selected:
            try:
                found = self._storage.select(wanted)
            except re.error as error:
                raise QueryError(f"invalid regular expression: {error}", "bad_data") from error
            self._selected[key] = sorted(found, key=lambda series: series.labels)
        return self._selected[key]

    def moment(self, node: Any, at: int) -> int:
        """Return the time that a selector looks at: its ``@`` or *at*, less its offset."""
        if node.at is not None:
            if node.at.type == ast.AtModifierType.Start:
                at = self._start_ms
            elif node.at.type == ast.AtModifierType.End:
                at = self._end_ms
            else:
                at = round(node.at.at.timestamp() * 1000)
        return at - offset_ms(node)

    def instant_vector(self, node: ast.VectorSelector, at: int) -> Vector:
        """Return what a selector finds at a time."""
        moment = self.moment(node, at)
        rows = ((series.labels, series.at(moment, LOOKBACK_MS)) for series in self.select(node))
        return [(labels, value) for labels, value in rows if value is not None]

    def matrix(self, node: Any, at: int) -> Matrix:
        """Return a range selector or a subquery."""
        while isinstance(node, ast.ParenExpr):
            node = node.expr
        if isinstance(node, ast.SubqueryExpr):
            return self._subquery(node, at)
        if not isinstance(node, ast.MatrixSelector):
            raise QueryError("expected a range vector", "bad_data")
        span, end = _ms(node.range), self.moment(node.vector_selector, at)
        windows = []
        for series in self.select(node.vector_selector):
            times, values = series.between(end - span, end)
            if values:
                windows.append(Window(series.labels, times, values))
        return Matrix(windows, end, span)

    def _subquery(self, node: ast.SubqueryExpr, at: int) -> Matrix:
        span, end = _ms(node.range), self.moment(node, at)
        step = _ms(node.step) if node.step else _SUBQUERY_STEP_MS
        first = step * ((end - span) // step)
        if first < end - span:
            first += step
        found: dict[Any, tuple[list[int], list[float]]] = {}
        for moment in range(first, end + 1, step):
            value = self.eval(node.expr, moment)
            for labels, number in value if isinstance(value, list) else [((), value)]:
                times, values = found.setdefault(labels, ([], []))
                times.append(moment)
                values.append(number)  # type: ignore[arg-type]
        return Matrix([Window(labels, *pair) for labels, pair in found.items()], end, span)

    def aggregate(self, node: ast.AggregateExpr, at: int) -> Vector:
        """Return the value of an aggregation."""
        param = self.eval(node.param, at) if node.param is not None else None
        given = param.value if isinstance(param, Text) else param
        without = node.modifier is not None and node.modifier.type == ast.AggModifierType.Without
        names = node.modifier.labels if node.modifier is not None else []
        vector = self.vector(node.expr, at)
        wanted = given if isinstance(given, (float, str)) else None
        return aggregation.aggregate(str(node.op), vector, names, without=without, param=wanted)

    def binary(self, node: ast.BinaryExpr, at: int) -> Value:
        """Return the value of an operator between two expressions."""
        op, left, right = str(node.op), self.eval(node.lhs, at), self.eval(node.rhs, at)
        as_bool = bool(node.modifier and node.modifier.return_bool)
        if isinstance(left, float) and isinstance(right, float):
            return binary.scalars(op, left, right)
        if isinstance(left, list) and isinstance(right, float):
            return binary.with_scalar(op, left, right, swap=False, as_bool=as_bool)
        if isinstance(left, float) and isinstance(right, list):
            return binary.with_scalar(op, right, left, swap=True, as_bool=as_bool)
        if isinstance(left, list) and isinstance(right, list):
            return binary.vectors(op, left, right, _matching(node), as_bool=as_bool)
        raise QueryError("binary expression must contain only scalar and instant vector types", "bad_data")


_NODES: dict[type, Callable[[Query, Any, int], Value]] = {
    ast.ParenExpr: lambda query, node, at: query.eval(node.expr, at),
    ast.UnaryExpr: lambda query, node, at: _negative(query.eval(node.expr, at)),
    ast.VectorSelector: Query.instant_vector,
    ast.MatrixSelector: Query.matrix,
    ast.SubqueryExpr: Query.matrix,
    ast.AggregateExpr: Query.aggregate,
    ast.BinaryExpr: Query.binary,
    ast.Call: calls.call,
}


def matchers(node: ast.VectorSelector) -> list[Matcher]:
    """All matchers of a selector, its name among them."""
    found: list[Matcher] = [
        (each.name, _OPS[str(each.op).rpartition(".")[2]], each.value) for each in node.matchers.matchers
    ]
    if node.name:
        found.insert(0, ("__name__", "=", node.name))
    return found


def offset_ms(node: Any) -> int:
    """Return a selector's offset in ms."""
    return _ms(node.offset) if node.offset else 0


def _ms(span: timedelta | None) -> int:
    return round(span.total_seconds() * 1000) if span else 0


def _negative(value: Value) -> Value:
    if isinstance(value, float):
        return -value
    if isinstance(value, list):
        return [(nameless(labels), -number) for labels, number in value]
    raise QueryError("unary expression only allowed on expressions of type scalar or instant vector", "bad_data")


def _matching(node: ast.BinaryExpr) -> binary.Matching:
    modifier = node.modifier
    if modifier is None:
        return binary.Matching()
    card = str(modifier.card).rpartition(".")[2]
    on = False
    labels: tuple[str, ...] = ()
    if modifier.matching is not None:
        on = modifier.matching.type == ast.LabelModifierType.Include
        labels = tuple(modifier.matching.labels)
    return binary.Matching(on, labels, card, tuple(modifier.group_labels or ()))
