"""An alert's own expression taken apart, and its value now and over time.

Used by tools.evidence.alert_query and by verification (has the alert's own query recovered?). The expression comes from
the alert or, when the sender did not give it, from Prometheus' rules by the alert's name and labels.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from tools.errors import Permanent
from tools.prometheus import AlertRule, Prometheus, Series
from tools.records import Alert

Floats = npt.NDArray[np.float64]
Holds = Callable[[Floats, float], npt.NDArray[np.bool_]]
_OPS: dict[str, Holds] = {
    ">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
_TURNED = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "==": "==", "!=": "!="}
# Labels that name the alert itself, not its series.
_OWN = {"alertname", "severity", "alertstate"}


@dataclass(frozen=True)
class Threshold:
    """*query* compared (*op*) with *bound*; *op* "" when the expression has no threshold and fires by having a result."""

    query: str
    op: str = ""
    bound: float = 0.0

    def holds(self, values: Floats) -> npt.NDArray[np.bool_]:
        """Return for each value whether the alert's condition is met."""
        return _OPS[self.op](values, self.bound) if self.op else np.isfinite(values)


def take_apart(expression: str) -> Threshold:
    """Return the first comparison with a number in *expression*; the expression whole where there is none.

    In ``a > 5 and b > 1`` the first side is the one whose value the alert reports. Raises Permanent for what is not PromQL.
    """
    import promql_parser

    try:
        tree: Any = promql_parser.parse(expression)
    except ValueError as exc:
        raise Permanent(f"{expression}: not a PromQL expression ({exc})") from exc
    found = _comparison(tree)
    if found is None:
        return Threshold(expression)
    try:
        # str() of the parsed tree drops the escapes of quotes, so it is read again before it is trusted
        promql_parser.parse(found.query)
    except ValueError:
        return Threshold(expression)
    return found


def _comparison(node: Any) -> Threshold | None:
    if type(node).__name__ == "ParenExpr":
        return _comparison(node.expr)
    if type(node).__name__ != "BinaryExpr":
        return None
    op = str(node.op)
    if op in _OPS:
        right, left = _number(node.rhs), _number(node.lhs)
        if right is not None:
            return Threshold(str(node.lhs), op, right)
        return Threshold(str(node.rhs), _TURNED[op], left) if left is not None else None
    return _comparison(node.lhs) if op in {"and", "unless", "or"} else None


def _number(node: Any) -> float | None:
    kind = type(node).__name__
    if kind == "NumberLiteral":
        return float(node.val)
    if kind == "ParenExpr":
        return _number(node.expr)
    if kind == "UnaryExpr":
        inner = _number(node.expr)
        return None if inner is None else -inner
    if kind == "BinaryExpr":
        left, right = _number(node.lhs), _number(node.rhs)
        maths = {"+": operator.add, "-": operator.sub, "*": operator.mul}.get(str(node.op))
        if left is not None and right is not None:
            if maths:
                return float(maths(left, right))
            return left / right if str(node.op) == "/" and right else None
    return None


async def rule_of(prometheus: Prometheus, alert: Alert) -> AlertRule | None:
    """Return the rule that raised *alert*: by name and, among several, by the labels it sets; None when there is none."""
    named = [rule for rule in await prometheus.rules() if rule.name == alert.name]

    def fit(rule: AlertRule) -> tuple[bool, int]:
        raised = any(agree(active.labels, alert.labels) for active in rule.alerts)
        return raised, sum(alert.labels.get(key) == value for key, value in rule.labels.items())

    return max(named, key=fit, default=None)


def agree(series: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether no label that both have differs (alerts gain labels on their way, and lose none)."""
    return all(labels[key] == value for key, value in series.items() if key in labels and key not in _OWN)


def nearest(series: list[Series], labels: Mapping[str, str]) -> list[Series]:
    """Return the series that *labels* are about, those that share most labels first; all when none agrees."""
    mine = [each for each in series if agree(each.labels, labels)] or series
    return sorted(mine, key=lambda each: -sum(labels.get(key) == value for key, value in each.labels.items()))


@dataclass(frozen=True)
class Reading:
    """The alert's value now (None: no series), whether its condition holds, and when it last began to hold."""

    value: float | None
    firing: bool
    crossed: datetime | None
    series: Series | None


async def read(
    prometheus: Prometheus,
    threshold: Threshold,
    labels: Mapping[str, str],
    *,
    start: datetime,
    end: datetime,
    step_s: float,
) -> Reading:
    """Evaluate the left side of *threshold* over [start, end] for the series that *labels* name."""
    found = nearest(await prometheus.query_range(threshold.query, start, end, step_s), labels)
    mine = next((each for each in found if each.values.size), None)
    if mine is None:
        return Reading(None, firing=False, crossed=None, series=None)
    stale = mine.times[-1] < end.timestamp() - max(3 * step_s, 5.0)
    holds = threshold.holds(mine.values)
    firing = bool(holds[-1]) and not stale
    crossed = None
    if holds.any():
        last = int(np.flatnonzero(holds)[-1])
        first = last
        while first > 0 and holds[first - 1]:
            first -= 1
        crossed = datetime.fromtimestamp(float(mine.times[first]), tz=end.tzinfo)
    return Reading(None if stale else float(mine.values[-1]), firing, crossed, mine)
