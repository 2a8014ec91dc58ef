"""What the ranking looks at: one incident's series, log lines, spans, call graph and changes, as plain arrays.

Filled by the readers in bot/eval and by bench/rank.py; read by every other module here. Times are seconds since the
epoch (UTC), durations seconds. Every part may be empty: the ranking works with what there is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Series:
    """One metric of one service over time; *times* ascend, *values* may hold NaN where nothing was measured.

    *kind* says what it measures (metrics.Kind) where the caller knows; "" reads it from the metric's name.
    """

    service: str
    metric: str
    times: Floats
    values: Floats
    kind: str = ""


@dataclass(frozen=True)
class Lines:
    """Log lines as columns of equal length; *service* indexes *services*, *normal* marks lines known to be healthy.

    *flow* numbers what a line belongs to (its span, request or thread), -1 where that is not known.
    """

    services: tuple[str, ...]
    service: Ints
    at: Floats
    text: Sequence[str]
    flow: Ints
    normal: Bools


@dataclass(frozen=True)
class Spans:
    """Spans as columns of equal length.

    *service* and *operation* index their name tuples, *parent* is the parent's row (-1: a root or not recorded),
    *start* and *duration* are seconds, *failed* the span's own error flag, *normal* marks spans known to be healthy.
    *flow* is the number under which Lines.flow knows the span, -1 where lines do not name their span.
    """

    services: tuple[str, ...]
    operations: tuple[str, ...]
    service: Ints
    operation: Ints
    parent: Ints
    start: Floats
    duration: Floats
    failed: Bools
    flow: Ints
    normal: Bools


@dataclass(frozen=True)
class Change:
    """Something that was altered on purpose: a rollout, a scaling, a configuration."""

    service: str
    at: float
    what: str


@dataclass(frozen=True)
class Incident:
    """All that is known of one incident.

    *at* is when it was noticed (an alert's start, an injection), *until* the end of what may be looked at; *calls*
    holds caller and callee names, *hurts* the service (and *hurts_metric* the signal) where users feel it, "" if unknown.
    *normal* holds a healthy period of the same series recorded at another time, if there is one.
    """

    at: float
    until: float
    series: tuple[Series, ...] = ()
    normal: Mapping[tuple[str, str], Floats] = field(default_factory=dict)
    lines: Lines | None = None
    spans: Spans | None = None
    calls: frozenset[tuple[str, str]] = frozenset()
    changes: tuple[Change, ...] = ()
    hurts: str = ""
    hurts_metric: str = ""
