"""An alert's own expression taken apart: what is compared with what. tools.alertvalue reads it.

The expression comes from the alert or, when the sender did not give it, from Prometheus' rules by the alert's name and labels.
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tools.errors import Permanent
from tools.prometheus import AlertRule, Prometheus, Series
from tools.records import Alert

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Holds = Callable[[Floats, Floats | float], Bools]
_OPS: dict[str, Holds] = {
    ">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
_TURNED = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "==": "==", "!=": "!="}
_SETS = frozenset({"and", "unless", "or"})
# Labels that name the alert itself, not its series.
_OWN = {"alertname", "severity", "alertstate"}
# A literal of PromQL; the parser prints one without its escapes, so each is read under a name that needs none.
_STRING = re.compile(r"""\"(?:\\.|[^"\\])*\"|'(?:\\.|[^'\\])*'|`[^`]*`""")
_NAMED = re.compile(r'"literal_(\d+)"')
MAX_SIDES = 4  # of an `or`; each is a query of its own


@dataclass(frozen=True)
class Threshold:
    """*query* compared (*op*) with *bound*; *op* "" when the expression has no threshold and fires by having a result.

    *against* is the other side where that is a series too (*bound* is then not a number). *whole* is the entire expression where
    *query*, *op* and *bound* are not all of it, "" otherwise: then it alone says whether and since when the alert's condition
    is met. *others* are the further sides of an ``or``.
    """

    query: str
    op: str = ""
    bound: float = 0.0
    against: str = ""
    whole: str = ""
    others: tuple["Threshold", ...] = ()

    def holds(self, values: Floats) -> Bools:
        """Return for each value whether the condition is met."""
        return compared(self.op, values, self.bound) if self.op else np.isfinite(values)


def compared(op: str, values: Floats, bound: Floats | float) -> Bools:
    """Return for each of *values* whether it is *op* its bound."""
    return _OPS[op](values, bound)


def take_apart(expression: str) -> Threshold:
    """Return what *expression* compares with what; the expression whole where it compares nothing.

    In ``a > 5 and b > 1`` the first side is the one whose value the alert reports; in ``a > 5 or b > 1`` either may be. Of
    ``(a > bool 5) == 1`` the inner comparison is told. Raises Permanent for what is not PromQL.
    """
    import promql_parser

    texts: list[str] = []

    def name(found: re.Match[str]) -> str:
        texts.append(found[0])
        return f'"literal_{len(texts) - 1}"'

    try:
        promql_parser.parse(expression)
    except ValueError as exc:
        raise Permanent(f"{expression}: not a PromQL expression ({exc})") from exc
    try:
        tree: Any = promql_parser.parse(_STRING.sub(name, expression))
    except ValueError:  # a literal stands where a name will not do
        return Threshold(expression)

    def text(node: Any) -> str:
        return _NAMED.sub(lambda found: texts[int(found[1])], str(node))

    sides = _sides(tree, text)
    first, *rest = sides or [Threshold(expression)]
    whole = "" if _bare(tree, sides) else expression
    return replace(first, whole=whole, others=tuple(rest[: MAX_SIDES - 1]))


def _bare(tree: Any, sides: Sequence[Threshold]) -> bool:
    """Tell whether value, operator and bound of the one side are the whole expression."""
    while type(tree).__name__ == "ParenExpr":
        tree = tree.expr
    kind = type(tree).__name__
    simple = not sides or (kind == "BinaryExpr" and str(tree.op) in _OPS and not _yields_bool(tree))
    return len(sides) <= 1 and simple and not (sides and (sides[0].against or sides[0].whole))


def _sides(node: Any, text: Callable[[Any], str]) -> list[Threshold]:
    """Return the comparisons that may give the alert its value, the first one first."""
    kind = type(node).__name__
    if kind == "ParenExpr":
        return _sides(node.expr, text)
    if kind != "BinaryExpr":
        return []
    op = str(node.op)
    if op in _SETS:
        more = _sides(node.rhs, text) if op == "or" else []
        return [*(_sides(node.lhs, text) or ([Threshold(text(node.lhs))] if more else [])), *more]
    if op not in _OPS or _yields_bool(node):
        return []
    left = _number(node.lhs)
    if left is not None and _number(node.rhs) is None:
        return [_compared(node.rhs, _TURNED[op], node.lhs, text)]
    return [_compared(node.lhs, op, node.rhs, text)]


def _compared(value: Any, op: str, other: Any, text: Callable[[Any], str]) -> Threshold:
    """Return *value* compared with *other*, which is a number or a series."""
    bound = _number(other)
    if bound is None:
        return Threshold(text(value), op, float("nan"), against=text(other))
    return _of_bool(value, op, bound, text) or Threshold(text(value), op, bound)


def _yields_bool(node: Any) -> bool:
    """Tell whether a comparison gives 0 or 1 (``bool``) and so never filters: as an alert it always has a result."""
    return type(node).__name__ == "BinaryExpr" and bool(node.modifier and node.modifier.return_bool)


def _of_bool(node: Any, op: str, bound: float, text: Callable[[Any], str]) -> Threshold | None:
    """Return the comparison inside ``(a > bool 5) == 1``; None where 1 is not what is asked of it."""
    while type(node).__name__ == "ParenExpr":
        node = node.expr
    asks_for_one = (op in ("==", ">=") and bound == 1) or (op in (">", "!=") and bound == 0)
    if not (_yields_bool(node) and asks_for_one):
        return None
    return replace(_compared(node.lhs, str(node.op), node.rhs, text), whole="bool")


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
    return sorted(mine, key=lambda each: -shared(each, labels))


def shared(series: Series, labels: Mapping[str, str]) -> int:
    """Count the labels that *series* and *labels* have in common."""
    return sum(labels.get(key) == value for key, value in series.labels.items())
