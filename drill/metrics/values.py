"""The values that PromQL expressions take, and small helpers over labels; used by the evaluator and its parts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from drill.formats import QueryError
from drill.metrics.series import Labels

NAME = "__name__"
Sample = tuple[Labels, float]
Vector = list[Sample]


@dataclass
class Window:
    """The samples of one series in one range."""

    labels: Labels
    times: Sequence[int]
    values: Sequence[float]


@dataclass
class Matrix:
    """A range vector: windows that all end at *end_ms* and last *range_ms*."""

    windows: list[Window]
    end_ms: int
    range_ms: int


@dataclass(frozen=True)
class Text:
    """A string literal."""

    value: str


Value = float | Vector | Matrix | Text


def nameless(labels: Labels) -> Labels:
    """Without the metric name."""
    return tuple(pair for pair in labels if pair[0] != NAME)


def keep(labels: Labels, names: Iterable[str]) -> Labels:
    """Only these labels."""
    wanted = set(names)
    return tuple(pair for pair in labels if pair[0] in wanted)


def drop(labels: Labels, names: Iterable[str]) -> Labels:
    """All but these labels."""
    unwanted = set(names)
    return tuple(pair for pair in labels if pair[0] not in unwanted)


def put(labels: Labels, name: str, value: str) -> Labels:
    """With a label set, or removed when *value* is empty."""
    rest = dict(labels)
    rest.pop(name, None)
    if value:
        rest[name] = value
    return tuple(sorted(rest.items()))


def get(labels: Labels, name: str) -> str:
    """Return a label's value or ""."""
    return next((value for key, value in labels if key == name), "")


def show(labels: Labels) -> str:
    """``{a="b", c="d"}`` as Prometheus' messages write it."""
    return "{" + ", ".join(f'{k}="{v}"' for k, v in labels) + "}"


def unique(vector: Vector) -> Vector:
    """Return the vector itself; QueryError when two samples carry the same labels."""
    if len({labels for labels, _ in vector}) != len(vector):
        raise QueryError("vector cannot contain metrics with the same labelset")
    return vector
