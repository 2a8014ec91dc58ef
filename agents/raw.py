"""The raw signals behind the evidence, ranked: what agents/rca makes of an investigation's series, lines, spans and calls.

Called by agents/coordinator.py in a thread, which imports this module only then: it is the door to numpy. Every bound is a
constant here, and one that bites is named in `Standing.cut`. A source that is missing leaves its part of the incident empty.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import numpy as np

from agents.ports import Service
from agents.rank import onset_of
from agents.rca import fuse
from agents.rca.graph import below, calls
from agents.rca.signals import Change, Incident, Lines, Series, Spans
from agents.rca.suspects import Ranked
from agents.standing import Sighting, Standing
from tools.records import Evidence, Scope
from tools.signals import RawLine, RawSeries, RawSpan

MAX_SERIES = 1_500
MAX_POINTS = 500  # of one series, the newest
MAX_LINES = 20_000
MAX_SPANS = 40_000
MAX_LINE_CHARS = 500
LISTED = 10
CHANGES = frozenset({"rollout", "scaled", "restarted", "config_changed"})


def standing(evidence: Sequence[Evidence], scope: Scope, services: Mapping[str, Service]) -> Standing | None:
    """Rank the raw signals of *evidence*; None when no evidence has any."""
    having = [item for item in evidence if item.signals is not None]
    if not any(item.signals and (item.signals.series or item.signals.lines or item.signals.spans) for item in having):
        return None
    cuts = [item.signals.cut for item in having if item.signals and item.signals.cut]
    incident = incident_of(evidence, scope, services, cuts)
    ranking = fuse.rank(incident)
    cited = _Cited(having)
    found = {
        one.service: tuple(
            Sighting(sign.part, sign.what, sign.said, sign.weight, cited.by(one.service, sign.part, sign.what))
            for sign in one.signs
        )
        for one in ranking.suspects[:LISTED]
        if one.service
    }
    began = datetime.fromtimestamp(min(ranking.onset, scope.end.timestamp()), UTC)
    return Standing(began, _scores(ranking.suspects), found, tuple(dict.fromkeys(cuts)), _near(incident, scope.service))


def _near(incident: Incident, service: str) -> frozenset[str]:
    """Return what *service* depends on, directly or not, and who calls it."""
    graph = calls(incident)
    return below(graph, service) | {caller for caller, callees in graph.items() if service in callees}


def _scores(suspects: Iterable[Ranked]) -> dict[str, float]:
    return {one.service: one.score for one in suspects if one.service}


def incident_of(
    evidence: Sequence[Evidence], scope: Scope, services: Mapping[str, Service], cuts: list[str]
) -> Incident:
    """Return all raw signals of *evidence* as one incident; what exceeds a bound is left out and said in *cuts*."""
    raw = [item.signals for item in evidence if item.signals is not None]
    known = frozenset(pair for one in raw for pair in one.calls) | _declared(evidence, services)
    began, _skew = onset_of(evidence, scope)
    return Incident(
        at=began.timestamp(),
        until=scope.end.timestamp(),
        series=_series([series for one in raw for series in one.series], cuts),
        lines=_lines([line for one in raw for line in one.lines], cuts),
        spans=_spans([span for one in raw for span in one.spans], cuts),
        calls=known,
        changes=_changes(evidence),
    )


def _declared(evidence: Sequence[Evidence], services: Mapping[str, Service]) -> frozenset[tuple[str, str]]:
    """Return who calls whom by policy and by what the tools found."""
    found = {(name, callee) for name, service in services.items() for callee in service.depends_on}
    for item in evidence:
        for each in item.findings:
            if each.kind == "calls" and each.data.get("caller") and each.data.get("callee"):
                found.add((str(each.data["caller"]), str(each.data["callee"])))
    return frozenset(found)


def _changes(evidence: Sequence[Evidence]) -> tuple[Change, ...]:
    return tuple(
        Change(each.service, each.at.timestamp(), each.kind)
        for item in evidence
        for each in item.findings
        if each.kind in CHANGES and each.at is not None and each.service
    )


def _series(raw: Sequence[RawSeries], cuts: list[str]) -> tuple[Series, ...]:
    if len(raw) > MAX_SERIES:
        cuts.append(f"{MAX_SERIES} of {len(raw)} series were ranked.")
    found = {}
    for one in raw[:MAX_SERIES]:
        times, values = (np.asarray(each, dtype=np.float64)[-MAX_POINTS:] for each in (one.times, one.values))
        if times.size:
            found[one.service, one.metric] = Series(one.service, one.metric, times, values)
    return tuple(found.values())


def _lines(raw: Sequence[RawLine], cuts: list[str]) -> Lines | None:
    if not raw:
        return None
    if len(raw) > MAX_LINES:
        cuts.append(f"{MAX_LINES} of {len(raw)} log lines were ranked, the newest.")
        raw = sorted(raw, key=lambda line: line.at)[-MAX_LINES:]
    services, flows = _numbers(line.service for line in raw), _numbers(line.flow for line in raw if line.flow)
    return Lines(
        services=tuple(services),
        service=np.array([services[line.service] for line in raw], dtype=np.int64),
        at=np.array([line.at for line in raw], dtype=np.float64),
        text=[line.text[:MAX_LINE_CHARS] for line in raw],
        flow=np.array([flows.get(line.flow, -1) for line in raw], dtype=np.int64),
        normal=np.zeros(len(raw), dtype=bool),
    )


def _spans(raw: Sequence[RawSpan], cuts: list[str]) -> Spans | None:
    if not raw:
        return None
    if len(raw) > MAX_SPANS:
        cuts.append(f"{MAX_SPANS} of {len(raw)} spans were ranked, the newest.")
        raw = sorted(raw, key=lambda span: span.start)[-MAX_SPANS:]
    raw = list({(span.trace, span.id): span for span in raw}.values())
    rows = {(span.trace, span.id): row for row, span in enumerate(raw)}
    services, operations = _numbers(span.service for span in raw), _numbers(span.operation for span in raw)
    count = len(raw)
    return Spans(
        services=tuple(services),
        operations=tuple(operations),
        service=np.array([services[span.service] for span in raw], dtype=np.int64),
        operation=np.array([operations[span.operation] for span in raw], dtype=np.int64),
        parent=np.array([rows.get((span.trace, span.parent), -1) for span in raw], dtype=np.int64),
        start=np.array([span.start for span in raw], dtype=np.float64),
        duration=np.array([span.seconds for span in raw], dtype=np.float64),
        failed=np.array([span.failed for span in raw], dtype=bool),
        flow=np.full(count, -1, dtype=np.int64),
        normal=np.zeros(count, dtype=bool),
    )


def _numbers(names: Iterable[str]) -> dict[str, int]:
    return {name: number for number, name in enumerate(dict.fromkeys(names))}


class _Cited:
    """Which pieces of evidence hold the signals of a service, by part of the ranking."""

    def __init__(self, evidence: Sequence[Evidence]) -> None:
        self._series: dict[tuple[str, str], list[str]] = {}
        self._of: dict[tuple[str, str], list[str]] = {}
        self._changes: dict[str, list[str]] = {}
        for item in evidence:
            if item.signals is None:
                continue
            for series in item.signals.series:
                self._note(self._series, (series.service, series.metric), item.id)
            for service in {line.service for line in item.signals.lines}:
                self._note(self._of, ("logs", service), item.id)
            for service in {span.service for span in item.signals.spans}:
                self._note(self._of, ("traces", service), item.id)

    @staticmethod
    def _note(table: dict[tuple[str, str], list[str]], key: tuple[str, str], id_: str) -> None:
        if id_ not in table.setdefault(key, []):
            table[key].append(id_)

    def by(self, service: str, part: str, what: str) -> tuple[str, ...]:
        """Return the ids behind one sign, () when its evidence is another kind's (a change has findings of its own)."""
        return tuple(self._series.get((service, what)) or self._of.get((part, service)) or ())
