"""What a look keeps besides its words: raw signals for the ranking (never stored), and one series for people to see.

Filled by tools.evidence plug-ins through tools.observe, carried by tools.records.Evidence; agents/raw.py ranks the signals,
bot/chart.py draws the chart. Plain data like tools.records, without numpy, so that everybody may import it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = Sequence[float] | NDArray[np.float64]

CHART_POINTS = 240


class RawSeries(NamedTuple):
    """One metric of one service: *times* in seconds since the epoch, ascending; *values* may hold NaN."""

    service: str
    metric: str
    times: "Numbers"
    values: "Numbers"


class RawLine(NamedTuple):
    """One log line: *at* in seconds since the epoch; *flow* names the request it belongs to, "" where it does not say."""

    service: str
    at: float
    text: str
    flow: str


class RawSpan(NamedTuple):
    """One span: *start* in seconds since the epoch, *seconds* long; *parent* is a span id of the same trace, "" for a root."""

    trace: str
    id: str
    parent: str
    service: str
    operation: str
    start: float
    seconds: float
    failed: bool


@dataclass(frozen=True, eq=False)
class Signals:
    """The raw material behind one piece of evidence; *calls* holds (caller, callee), *cut* says which bound bit ("": none)."""

    series: Sequence[RawSeries] = ()
    lines: Sequence[RawLine] = ()
    spans: Sequence[RawSpan] = ()
    calls: frozenset[tuple[str, str]] = frozenset()
    cut: str = ""


class Chart(BaseModel):
    """One series over time: *times* ascend, in seconds since the epoch, all numbers are finite; *unit* as in tools.levels.

    *threshold* is the alert's bound, *onset* when the series crossed it or left its usual level; None where not known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    unit: str = ""
    times: tuple[float, ...]
    values: tuple[float, ...]
    threshold: float | None = None
    onset: datetime | None = None


def chart(
    title: str,
    times: "Numbers",
    values: "Numbers",
    *,
    unit: str = "",
    threshold: float | None = None,
    onset: datetime | None = None,
) -> Chart | None:
    """Return a chart of what was measured, None for fewer than two points; thinned evenly to CHART_POINTS."""
    points = [(float(at), float(value)) for at, value in zip(times, values, strict=True)]
    fine = [(at, float(f"{value:.6g}")) for at, value in points if math.isfinite(at) and math.isfinite(value)]
    if len(fine) < 2:
        return None
    every = -(-len(fine) // CHART_POINTS)  # thinned evenly, the last point kept
    kept = fine[(len(fine) - 1) % every :: every]
    bound = threshold if threshold is not None and math.isfinite(threshold) else None
    return Chart(
        title=title,
        unit=unit,
        times=tuple(at for at, _ in kept),
        values=tuple(value for _, value in kept),
        threshold=bound,
        onset=onset,
    )
