"""Recorded incidents made harder: what is lost, noisy, renamed or late in life. Called by bot/eval/robust.py.

Every change is seeded and gives the incident as the ranking would have seen it; the answer stays, renamed where services are.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from zlib import crc32

import numpy as np

from agents.rca.metrics import measures
from agents.rca.signals import Bools, Incident, Ints, Lines, Series, Spans
from bot.eval.cases import Case

LOST = 0.3
STRANGERS = 20
Dice = np.random.Generator


def _with(case: Case, incident: Incident) -> Case:
    return replace(case, incident=incident)


def without(*fields: str) -> Callable[[Case], Case]:
    """Take whole sources away: series, lines, spans, calls."""
    empty: dict[str, object] = {"series": (), "lines": None, "spans": None, "calls": frozenset(), "normal": {}}
    return lambda case: _with(case, replace(case.incident, **{name: empty[name] for name in fields}))  # type: ignore[arg-type]


def without_metrics(prefix: str) -> Callable[[Case], Case]:
    """Take the series away whose name starts with *prefix*."""
    return lambda case: _with(
        case,
        replace(case.incident, series=tuple(one for one in case.incident.series if not one.metric.startswith(prefix))),
    )


def noticed(later: float) -> Callable[[Case], Case]:
    """Move the given time by *later* seconds; the recording ends where it did."""
    return lambda case: _with(case, replace(case.incident, at=case.incident.at + later))


def thinned(case: Case, seed: int = 1) -> Case:
    """Lose 30 % of series, of lines and of spans by chance; a lost parent leaves its children as roots."""
    dice, incident = np.random.default_rng([seed, crc32(case.name.encode())]), case.incident
    series = tuple(one for one in incident.series if dice.random() >= LOST)
    lines = incident.lines and _lines(incident.lines, dice.random(len(incident.lines.text)) >= LOST)
    spans = incident.spans and _spans(incident.spans, dice.random(incident.spans.start.size) >= LOST)
    return _with(case, replace(incident, series=series, lines=lines, spans=spans))


def _lines(lines: Lines, keep: Bools) -> Lines:
    text = [said for said, kept in zip(lines.text, keep.tolist(), strict=True) if kept]
    return Lines(lines.services, lines.service[keep], lines.at[keep], text, lines.flow[keep], lines.normal[keep])


def _spans(spans: Spans, keep: Bools) -> Spans:
    row: Ints = np.where(keep, np.cumsum(keep) - 1, -1)
    parent = np.where(spans.parent >= 0, row[np.maximum(spans.parent, 0)], -1)[keep]
    columns = {
        name: getattr(spans, name)[keep]
        for name in ("service", "operation", "start", "duration", "failed", "flow", "normal")
    }
    return replace(spans, parent=parent, **columns)


def crowded(case: Case, seed: int = 2) -> Case:
    """Add twenty unrelated services whose series are other services', cut and shuffled in blocks of five samples."""
    dice, incident = np.random.default_rng([seed, crc32(case.name.encode())]), case.incident
    known = sorted({one.service for one in incident.series})
    added = []
    for number in range(STRANGERS):
        model = known[int(dice.integers(len(known)))]
        for one in incident.series:
            if one.service == model:
                blocks = np.array_split(one.values, max(one.values.size // 5, 1))
                order = dice.permutation(len(blocks))
                mixed = np.concatenate([blocks[i] for i in order])
                added.append(replace(one, service=f"stranger-{number}", values=mixed))
    return _with(case, replace(incident, series=incident.series + tuple(added)))


def renamed(case: Case, seed: int = 3) -> Case:
    """Give services, operations and metrics names without meaning; what a metric measures is told beside it."""
    dice, incident = np.random.default_rng([seed, crc32(case.name.encode())]), case.incident
    names = {one.service for one in incident.series} | {name for pair in incident.calls for name in pair}
    names |= {
        case.culprit,
        *(incident.lines.services if incident.lines else ()),
        *(incident.spans.services if incident.spans else ()),
    }
    other = _names(sorted(names), dice)
    order = sorted({one.metric for one in incident.series})
    series = tuple(
        Series(other[one.service], f"m{order.index(one.metric):03}", one.times, one.values, measures(one))
        for one in incident.series
    )
    lines = incident.lines and replace(incident.lines, services=tuple(other[name] for name in incident.lines.services))
    spans = incident.spans and replace(
        incident.spans,
        services=tuple(other[name] for name in incident.spans.services),
        operations=tuple(f"o{number}" for number in range(len(incident.spans.operations))),
    )
    calls = frozenset((other[a], other[b]) for a, b in incident.calls)
    changed = replace(incident, series=series, lines=lines, spans=spans, calls=calls)
    return replace(case, culprit=other[case.culprit], incident=changed)


def _names(known: list[str], dice: Dice) -> Mapping[str, str]:
    return {name: f"x{number:04}" for name, number in zip(known, dice.permutation(len(known)).tolist(), strict=True)}


# Names of metrics are part of how impact.py finds who hurts: sets that say so keep theirs.
CHANGES: dict[str, Callable[[Case], Case]] = {
    "as recorded": lambda case: case,
    "without metrics": without("series"),
    "without latency per call": without_metrics("latency seen by "),
    "without logs": without("lines"),
    "without traces": without("spans"),
    "metrics alone": without("lines", "spans"),
    "without call graph": without("calls"),
    "without healthy period": without("normal"),
    "30 % of everything lost": thinned,
    "20 strange services": crowded,
    "all renamed": lambda case: case if case.incident.hurts else renamed(case),
    "time 3 min early": noticed(-180.0),
    "time 1 min early": noticed(-60.0),
    "time 1 min late": noticed(60.0),
    "time 2 min late": noticed(120.0),
}
