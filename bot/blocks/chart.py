"""The chart of an incident's telling series: Slack's native block, or an image block with our picture; for bot/blocks/card.py.

Limits of `data_visualization`: https://docs.slack.dev/reference/block-kit/blocks (20 categories and six series of unique labels up to
20 characters, a title of 50). A series is thinned to 20 parts, each shown by its most unusual value, so that a spike stays. What
that would still hide (`hides`) is drawn as a picture by bot/picture.py.
"""

import itertools
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from bot.blocks.kit import Block, plain_text
from bot.blocks.text import clip, plain
from tools.signals import Chart

CATEGORIES = 20
LABEL = 20
TITLE = 50
AXIS = 50
ALT = 1000
LARGEST = 1e15  # beyond it neither Slack's axis nor a person tells numbers apart
DAY_S = 86_400.0
BEFORE = 3.0
LEAST_S = 600.0
# How a unit is shown: its factor, and its name on the axis.
SCALES = {"ratio": (100.0, "%"), "bytes": (2.0**-20, "MiB"), "s": (1.0, "seconds"), "/s": (1.0, "per second")}


class Point(NamedTuple):
    """One part of the series: its *label* on the axis (unique), when it ends, and its value in the shown unit."""

    label: str
    at: float
    value: float


def native(chart: Chart) -> Block | None:
    """Return the data_visualization block; None for fewer than two points that can be shown."""
    points = parts(chart)
    if len(points) < 2:
        return None
    factor, unit = scale(chart)
    labels = [point.label for point in points]
    name = plain(chart.title.rpartition(":")[2] or chart.title, LABEL) or "value"
    series = [_series(name, labels, [point.value for point in points])]
    if chart.threshold is not None:
        bound = bounded(chart.threshold * factor)
        series.append(_series(_other(f"threshold {bound:.4g}", name), labels, [bound] * len(labels)))
    axes: Block = {"categories": labels, "x_label": plain(_when(chart), AXIS)}
    if unit:
        axes["y_label"] = plain(unit, AXIS)
    body = {"type": "line", "series": series, "axis_config": axes}
    return {"type": "data_visualization", "title": plain(chart.title, TITLE) or "Series", "chart": body}


def image(chart: Chart, file: str) -> Block:
    """Return an image block of the picture uploaded as *file* (Slack's id of it)."""
    title = plain_text(chart.title, TITLE)
    return {"type": "image", "slack_file": {"id": file}, "alt_text": described(chart), "title": title}


def described(chart: Chart) -> str:
    """Say the chart in words, for those who cannot see it: where it was, where it went and when, and the threshold."""
    factor, unit = scale(chart)
    shown = f" {unit}" if unit else ""
    values = [bounded(value * factor) for _, value in _finite_points(chart)]
    if not values:
        return clip(plain(chart.title, 300) or "An empty chart", ALT)
    said = f"{chart.title}: from {values[0]:.4g} to {values[-1]:.4g}{shown}, lowest {min(values):.4g}, highest {max(values):.4g}"
    if chart.onset:
        said += f"; left its level at {chart.onset.astimezone(UTC):%H:%M:%S} UTC"
    if chart.threshold is not None:
        said += f"; threshold {bounded(chart.threshold * factor):.4g}{shown}"
    return plain(said, ALT) or "A chart"


def hides(chart: Chart) -> bool:
    """Tell whether 20 parts hide how often the series crossed its threshold: then it needs a picture."""
    if chart.threshold is None:
        return False
    factor, _unit = scale(chart)
    fine = [value for _, value in _finite_points(chart)]
    return (
        _crossings(fine, chart.threshold)
        > _crossings([point.value / factor for point in parts(chart)], chart.threshold) + 2
    )


def scale(chart: Chart) -> tuple[float, str]:
    """Return by what values are multiplied to be shown, and the unit's name; short times are milliseconds."""
    if chart.unit == "s" and max((abs(value) for value in chart.values if math.isfinite(value)), default=1.0) < 1:
        return 1000.0, "milliseconds"
    return SCALES.get(chart.unit, (1.0, chart.unit.strip()))


def parts(chart: Chart) -> list[Point]:
    """Return the series in at most 20 parts, each with its value furthest from the middle; the onset's is marked."""
    points = _finite_points(chart)
    if not points:
        return []
    factor, _unit = scale(chart)
    ordered = sorted(value for _, value in points)
    middle = ordered[len(ordered) // 2]
    size = -(-len(points) // CATEGORIES)
    dated = points[-1][0] - points[0][0] >= DAY_S
    onset = chart.onset.timestamp() if chart.onset else None
    made: list[Point] = []
    known: set[str] = set()
    for start in range(0, len(points), size):
        part = points[start : start + size]
        at, value = max(part, key=lambda point: abs(point[1] - middle))
        after = points[start + size][0] if start + size < len(points) else math.inf
        marked = onset is not None and part[0][0] <= onset < after
        label = _clock(onset if marked and onset is not None else at, dated=dated) + (" onset" if marked else "")
        if label not in known:  # parts of less than a second: the first one stands
            known.add(label)
            made.append(Point(label, at, bounded(value * factor)))
    return made


def _clock(at: float, *, dated: bool) -> str:
    shown = datetime.fromtimestamp(at, UTC)
    return f"{shown:%d %b %H:%M}" if dated else f"{shown:%H:%M:%S}"


def near_onset(chart: Chart) -> Chart:
    """Return *chart* from a while before its onset: three times as long as the trouble has lasted, ten minutes at least."""
    if chart.onset is None or not chart.times:
        return chart
    onset = chart.onset.timestamp()
    first = onset - max(BEFORE * (chart.times[-1] - onset), LEAST_S)
    start = next((index for index, at in enumerate(chart.times) if at >= first), 0)
    if len(chart.times) - start < 2:
        return chart
    return chart.model_copy(update={"times": chart.times[start:], "values": chart.values[start:]})


def _finite_points(chart: Chart) -> list[tuple[float, float]]:
    shown = near_onset(chart)
    pairs = zip(shown.times, shown.values, strict=False)
    return [(at, value) for at, value in pairs if math.isfinite(value) and 0 <= at < 4e9]


def bounded(value: float) -> float:
    """Return *value* within what can be drawn, to six digits."""
    if not math.isfinite(value):
        return LARGEST if value > 0 else -LARGEST if value < 0 else 0.0
    return float(f"{min(max(value, -LARGEST), LARGEST):.6g}")


def _series(name: str, labels: Sequence[str], values: Sequence[float]) -> Block:
    return {
        "name": name,
        "data": [{"label": label, "value": value} for label, value in zip(labels, values, strict=True)],
    }


def _other(name: str, taken: str) -> str:
    said = plain(name, LABEL)
    return said if said != taken else "threshold"[:LABEL] if taken != "threshold" else "bound"


def _when(chart: Chart) -> str:
    return f"UTC; onset {chart.onset.astimezone(UTC):%H:%M:%S}" if chart.onset else "UTC"


def _crossings(values: Sequence[float], bound: float) -> int:
    over = [value > bound for value in values]
    return sum(one != other for one, other in itertools.pairwise(over))
