"""Which service does something else than it used to: steps that no longer follow, errors that now do. Called by fuse.py.

A flow is what one request does inside one service: its span opens it, then its log lines follow in order. From healthy
flows it is learnt which step follows which; a fault in the code shows where the next step is lost. No count of requests
is compared with another, so a change of load or of its mix does not look like a fault.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from agents.rca.signals import Bools, Floats, Incident, Ints, Lines
from agents.rca.traces import sides

SPREAD = 0.1  # a branch's share differs between minutes by more than chance: between-minute variance / p(1-p)
TELLING = 2.0  # standard deviations below which a branch is not reported
MARGIN_S = 2.0  # flows that begin this close to the window's end may be cut off
KEY_CHARS = 400
PLACE_CHARS = 120
KEY_WORDS = 40
FLOWING = 0.5  # share of a service's lines that must name their flow; below, its templates are only counted
WAVERS = 0.2  # a template's share of a service's lines wavers by this much of itself between minutes

# Class#123, file.go:45: where in the code a line was written names its template better than its words do.
_PLACE = re.compile(r"[A-Za-z_][\w.$\[\]]*[#:]\d+\b")
_WORD = re.compile(r'(?<![\w.=/-])(?<!=[\'"])[A-Za-z][A-Za-z_]*+(?![\w/.-])')
_MESSAGE = re.compile(r'"(?:message|msg|log|event|text|body)"\s*:\s*"((?:[^"\\]|\\.)*)', re.IGNORECASE)
_SEVERE = re.compile(r"\b(?:ERROR|FATAL|PANIC|CRITICAL|SEVERE|Traceback|[A-Za-z.]*Exception)\b|\blevel=(?:error|fatal)")


@dataclass(frozen=True)
class Deviation:
    """What differs most in one service: *score* in standard deviations, the step, and the one it lost or gained."""

    score: float
    step: str
    other: str
    lost: bool
    usual: float
    now: float


def template(text: str) -> str:
    """Return a cheap name for the kind of line: its place in the code, else its words without what looks like a value."""
    if text[:1] == "{" and (said := _MESSAGE.search(text)):
        text = said[1]
    place = _PLACE.search(text, 0, PLACE_CHARS)
    return place[0] if place else " ".join(_WORD.findall(text, 0, KEY_CHARS)[:KEY_WORDS])


@dataclass(frozen=True)
class _Steps:
    """Steps of all flows, ordered by service, flow and time; *step* indexes *names* (service, words)."""

    names: list[tuple[int, str]]
    severe: Bools
    step: Ints
    follows: Ints
    at: Floats
    normal: Bools


def deviations(incident: Incident, onset: float) -> dict[str, Deviation]:
    """Return per service the most telling change in what follows what since *onset*; empty without healthy flows."""
    lines = incident.lines
    if lines is None:
        return {}
    step, names, severe = _named(lines)
    found = _counted(incident, onset, lines, step, names, severe)
    steps = _steps(incident, lines, step, names, severe)
    normal, broken = sides(steps.normal, steps.at, onset, incident.until - MARGIN_S)
    end = len(steps.names)
    for first, other, score, usual, now in _branches(steps, normal, broken, end):
        lost = now < usual
        if other == end or lost == bool(steps.severe[other]):
            continue  # where a flow ends is said by the step it lost; an error that stopped, a new harmless step: no fault
        service = lines.services[steps.names[first][0]]
        if service not in found or score > found[service].score:
            found[service] = Deviation(score, steps.names[first][1], steps.names[other][1], lost, usual, now)
    return found


def _named(lines: Lines) -> tuple[Ints, dict[tuple[int, str], int], Bools]:
    """Return the lines' templates: each line's number, the numbers' names, and which of them report an error."""
    number: dict[tuple[int, str], int] = {}
    step = np.array(
        [
            number.setdefault((service, template(text)), len(number))
            for service, text in zip(lines.service.tolist(), lines.text, strict=True)
        ],
        dtype=np.int64,
    )
    severe = np.zeros(len(number), dtype=bool)
    for code, text in zip(step.tolist(), lines.text, strict=True):
        if not severe[code] and _SEVERE.search(text):
            severe[code] = True
    return step, number, severe


def _counted(
    incident: Incident, onset: float, lines: Lines, step: Ints, names: Mapping[tuple[int, str], int], severe: Bools
) -> dict[str, Deviation]:
    """Compare each template's share of its service's lines, where lines do not say what they belong to.

    New and surging errors, and steps that are gone, are told; a share and not a rate, so that load does not count.
    """
    named = np.bincount(lines.service, weights=lines.flow >= 0, minlength=len(lines.services))
    every = np.bincount(lines.service, minlength=len(lines.services))
    loose = (named < FLOWING * every)[lines.service]
    normal, broken = sides(lines.normal, lines.at, onset, incident.until)
    service = np.array([number for number, _words in names], dtype=np.int64)
    all_before = np.bincount(lines.service[normal & loose], minlength=len(lines.services))[service]
    all_after = np.bincount(lines.service[broken & loose], minlength=len(lines.services))[service]
    before = np.bincount(step[normal & loose], minlength=len(names))
    after = np.bincount(step[broken & loose], minlength=len(names))
    usual = (before + 0.5) / (all_before + 1)
    now = after / np.maximum(all_after, 1)
    chance = usual * (1 - usual) * (1 / np.maximum(all_after, 1) + 1 / (all_before + 1)) + (WAVERS * usual) ** 2
    score = np.where((all_before > 0) & (all_after > 0), np.abs(now - usual) / np.sqrt(chance), 0.0)
    words = list(names)
    found: dict[str, Deviation] = {}
    for row in np.flatnonzero((score > TELLING) & (severe != (now < usual))).tolist():
        name = lines.services[words[row][0]]
        if name not in found or score[row] > found[name].score:
            lost = bool(now[row] < usual[row])
            found[name] = Deviation(
                float(score[row]), "its lines", words[row][1], lost, float(usual[row]), float(now[row])
            )
    return found


def _steps(incident: Incident, lines: Lines, step: Ints, number: dict[tuple[int, str], int], severe: Bools) -> _Steps:
    service, flow, at, normal = lines.service, lines.flow, lines.at, lines.normal
    rank = at
    if incident.spans is not None:
        spans = incident.spans
        numbers = {name: index for index, name in enumerate(lines.services)}
        own = np.array([numbers.get(name, -1) for name in spans.services])[spans.service]
        # Only spans of operations that do write lines: the others would be steps without any end but the end.
        keep = np.flatnonzero((own >= 0) & (spans.flow >= 0))
        opened = np.array(
            [
                number.setdefault((int(own[row]), f"span {spans.operations[spans.operation[row]]}"), len(number))
                for row in keep
            ],
            dtype=np.int64,
        )
        step = np.concatenate([step, opened])
        service, flow = np.concatenate([service, own[keep]]), np.concatenate([flow, spans.flow[keep]])
        at, normal = np.concatenate([at, spans.start[keep]]), np.concatenate([normal, spans.normal[keep]])
        rank = np.concatenate([rank, np.full(keep.size, -np.inf)])
        severe = np.concatenate([severe, np.zeros(len(number) - severe.size, dtype=bool)])
    known = np.flatnonzero(flow >= 0)
    order = known[np.lexsort((rank[known], flow[known], service[known]))]
    step, at, normal, flow, service = step[order], at[order], normal[order], flow[order], service[order]
    follows = np.full(step.size, len(number))
    joined = (flow[1:] == flow[:-1]) & (service[1:] == service[:-1])
    follows[:-1][joined] = step[1:][joined]
    return _Steps(list(number), severe, step, follows, at, normal)


def _branches(steps: _Steps, normal: Bools, broken: Bools, end: int) -> list[tuple[int, int, float, float, float]]:
    """Compare how often each step is followed by each other: (step, other, deviations, usual share, share now)."""
    pair = steps.step * (end + 1) + steps.follows
    known, inverse = np.unique(pair, return_inverse=True)
    before = np.bincount(inverse[normal], minlength=known.size)
    after = np.bincount(inverse[broken], minlength=known.size)
    step, other = known // (end + 1), known % (end + 1)
    all_before = np.bincount(steps.step[normal], minlength=end)[step]
    all_after = np.bincount(steps.step[broken], minlength=end)[step]
    seen = (all_before > 0) & (all_after > 0)
    usual = (before + 0.5) / (all_before + 1)
    now = after / np.maximum(all_after, 1)
    chance = usual * (1 - usual) * (1 / np.maximum(all_after, 1) + 1 / (all_before + 1) + SPREAD)
    score = np.abs(now - usual) / np.sqrt(chance)
    telling = np.flatnonzero(seen & (score > TELLING))
    return [(int(step[i]), int(other[i]), float(score[i]), float(usual[i]), float(now[i])) for i in telling]
