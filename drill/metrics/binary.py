"""PromQL's binary operators between scalars and vectors, with label matching; used by the evaluator."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from drill.formats import QueryError
from drill.metrics.series import Labels
from drill.metrics.values import NAME, Vector, drop, get, keep, nameless, put, show

_COMPARE = ("==", "!=", ">", "<", ">=", "<=")
_SETS = ("and", "or", "unless")
_ARITHMETIC: dict[str, Callable[[np.float64, np.float64], np.float64]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "%": np.fmod, "^": np.power, "atan2": np.arctan2,
}  # fmt: skip


@dataclass(frozen=True)
class Matching:
    """How the two sides find each other: *on* lists labels to use, else labels to ignore."""

    on: bool = False
    labels: tuple[str, ...] = ()
    card: str = "OneToOne"
    include: tuple[str, ...] = ()

    def signature(self, labels: Labels) -> Labels:
        """Return what must be equal."""
        return keep(labels, self.labels) if self.on else drop(labels, (*self.labels, NAME))


def compute(op: str, left: float, right: float) -> tuple[float, bool]:
    """Return the value and, for a comparison, whether it holds."""
    if op in _COMPARE:
        holds = {
            "==": left == right, "!=": left != right, ">": left > right,
            "<": left < right, ">=": left >= right, "<=": left <= right,
        }[op]  # fmt: skip
        return left, holds
    with np.errstate(all="ignore"):
        return float(_ARITHMETIC[op](np.float64(left), np.float64(right))), True


def scalars(op: str, left: float, right: float) -> float:
    """Scalar with scalar; a comparison gives 0 or 1."""
    value, holds = compute(op, left, right)
    return float(holds) if op in _COMPARE else value


def with_scalar(op: str, vector: Vector, scalar: float, *, swap: bool, as_bool: bool) -> Vector:
    """Vector with scalar; *swap* says that the scalar stood on the left."""
    result = []
    for labels, sample in vector:
        value, holds = compute(op, scalar, sample) if swap else compute(op, sample, scalar)
        if op in _COMPARE and swap:
            value = sample
        if as_bool:
            value, holds = float(holds), True
        if holds:
            result.append((nameless(labels) if as_bool or op not in _COMPARE else labels, value))
    return result


def vectors(op: str, left: Vector, right: Vector, matching: Matching, *, as_bool: bool) -> Vector:
    """Vector with vector."""
    if op in _SETS:
        return _sets(op, left, right, matching)
    swap = matching.card == "OneToMany"
    many, one = (right, left) if swap else (left, right)
    by_signature = _unique_side(one, matching, "left" if swap else "right")
    seen: dict[Labels, set[Labels]] = {}
    result = []
    for labels, sample in many:
        signature = matching.signature(labels)
        found = by_signature.get(signature)
        if found is None:
            continue
        value, holds = compute(op, found[1], sample) if swap else compute(op, sample, found[1])
        if as_bool:
            value = float(holds)
        elif not holds:
            continue
        shown = _result_labels(op, labels, found[0], matching, as_bool=as_bool)
        _check_once(seen, signature, shown, matching)
        result.append((shown, value))
    return result


def _unique_side(vector: Vector, matching: Matching, side: str) -> dict[Labels, tuple[Labels, float]]:
    found: dict[Labels, tuple[Labels, float]] = {}
    for labels, value in vector:
        signature = matching.signature(labels)
        if signature in found:
            raise QueryError(
                f"found duplicate series for the match group {show(signature)} on the {side} hand-side of the "
                f"operation: [{show(labels)}, {show(found[signature][0])}];many-to-many matching not allowed: "
                "matching labels must be unique on one side"
            )
        found[signature] = (labels, value)
    return found


def _check_once(seen: dict[Labels, set[Labels]], signature: Labels, shown: Labels, matching: Matching) -> None:
    before = seen.setdefault(signature, set())
    if matching.card == "OneToOne" and before:
        raise QueryError("multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)")
    if shown in before:
        raise QueryError("multiple matches for labels: grouping labels must ensure unique matches")
    before.add(shown)


def _result_labels(op: str, labels: Labels, other: Labels, matching: Matching, *, as_bool: bool) -> Labels:
    shown = labels if op in _COMPARE and not as_bool else nameless(labels)
    if matching.card == "OneToOne":
        shown = keep(shown, matching.labels) if matching.on else drop(shown, matching.labels)
    for name in matching.include:
        shown = put(shown, name, get(other, name))
    return shown


def _sets(op: str, left: Vector, right: Vector, matching: Matching) -> Vector:
    theirs = {matching.signature(labels) for labels, _ in right}
    if op == "and":
        return [sample for sample in left if matching.signature(sample[0]) in theirs]
    if op == "unless":
        return [sample for sample in left if matching.signature(sample[0]) not in theirs]
    ours = {matching.signature(labels) for labels, _ in left}
    return left + [sample for sample in right if matching.signature(sample[0]) not in ours]
