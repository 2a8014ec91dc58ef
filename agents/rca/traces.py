"""Which service adds the latency: exclusive time of spans above normal, summed per service. Called by fuse.py.

Time is charged where it passed: a span's own time is what neither its children nor a client span beside it cover (an
asynchronous gateway opens its client span next to, not inside, the span that waits for it), and the gap between a
client span and the server span it led to is the network's, charged to the callee and in part to the caller.
"""

from dataclasses import dataclass

import numpy as np

from agents.rca.signals import Bools, Floats, Incident, Ints, Spans

CALLER_SHARE = 0.6  # of a slow edge, that the caller's own network may explain; below 1, for a callee is slow to all
NOISE = 3.0  # standard errors of the normal excess that are taken off before a sum counts
EDGE_PAIRS = 64  # client spans beside one leaf that are looked at


@dataclass(frozen=True)
class Slowness:
    """Seconds above normal per service (index of Spans.services), the operation that adds most, and all seconds spent.

    *total* is the time of the root spans in the incident, what users waited.
    """

    excess: Floats
    operation: Ints
    total: float


def own_times(spans: Spans) -> tuple[Floats, Ints]:
    """Return each span's exclusive seconds, and for a client span the service it called (-1: not a client span)."""
    parent = spans.parent
    has = parent >= 0
    above = np.maximum(parent, 0)
    end = spans.start + spans.duration
    crosses = has & (spans.service[above] != spans.service)
    callee = np.full(parent.size, -1)
    # A service's entry span that calls out is not a client span: without client spans its own work would be the callee's.
    inner = has & ~crosses
    led = crosses & inner[above]
    callee[parent[led]] = spans.service[led]
    overlap = np.clip(np.minimum(end, end[above]) - np.maximum(spans.start, spans.start[above]), 0, None)
    # Clocks of two hosts differ: across services the durations are compared, not the times.
    inside = np.where(crosses, spans.duration, overlap)
    covered = np.bincount(parent[has], weights=inside[has], minlength=parent.size) + _beside(spans, callee, end)
    return np.maximum(spans.duration - covered, 0.0), callee


def _beside(spans: Spans, callee: Ints, end: Floats) -> Floats:
    """Seconds of each leaf span during which a client span beside it was waiting for another service."""
    parent = spans.parent
    covered = np.zeros(parent.size)
    leaf = (parent >= 0) & (callee < 0) & (np.bincount(parent[parent >= 0], minlength=parent.size) == 0)
    clients: dict[int, list[int]] = {}
    for row in np.flatnonzero((callee >= 0) & (parent >= 0)).tolist():
        clients.setdefault(int(parent[row]), []).append(row)
    known = np.array(sorted(clients), dtype=np.int64)
    for row in np.flatnonzero(leaf & np.isin(parent, known)).tolist():
        for client in clients[int(parent[row])][:EDGE_PAIRS]:
            if spans.service[client] == spans.service[row]:
                both = min(end[row], end[client]) - max(spans.start[row], spans.start[client])
                covered[row] += max(both, 0.0)
    return covered


def slowness(incident: Incident, onset: float) -> Slowness | None:
    """Compare exclusive times since *onset* with healthy ones of the same operation. None without both sides."""
    spans = incident.spans
    if spans is None:
        return None
    normal, broken = sides(spans.normal, spans.start, onset, incident.until)
    if not normal.any() or not broken.any():
        return None
    own, callee = own_times(spans)
    excess = np.zeros(len(spans.services))
    most = np.zeros(len(spans.services))
    telling = np.full(len(spans.services), -1)
    # Network gaps do not depend on the operation: one normal for all calls between two services.
    operation = np.where(callee >= 0, len(spans.operations) + callee, spans.operation)
    for rows in _groups(operation * len(spans.services) + spans.service):
        amount = _above(own[rows], normal[rows], broken[rows])
        if amount <= 0:
            continue
        service, called = int(spans.service[rows[0]]), int(callee[rows[0]])
        for who, share in ((service, 1.0),) if called < 0 else ((called, 1.0), (service, CALLER_SHARE)):
            excess[who] += share * amount
            if share * amount > most[who]:
                most[who], telling[who] = share * amount, spans.operation[rows[0]]
    total = float(spans.duration[broken & (spans.parent < 0)].sum())
    return Slowness(excess, telling, total)


def sides(known: Bools, at: Floats, onset: float, until: float) -> tuple[Bools, Bools]:
    """Split rows into healthy and broken: what is known to be healthy, else (without any) what came before *onset*."""
    broken = ~known & (at >= onset) & (at <= until)
    return (known if known.any() else at < onset - 1), broken


def _groups(keys: Ints) -> list[Ints]:
    order = np.argsort(keys, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(keys[order])) + 1)


def _above(own: Floats, normal: Bools, broken: Bools) -> float:
    """Seconds of the broken side above the normal median, less what the normal side itself is above it, and noise."""
    before, after = own[normal], own[broken]
    if before.size == 0 or after.size == 0:
        return 0.0
    middle = float(np.median(before))
    usual = np.maximum(before - middle, 0.0)
    over = np.maximum(after - middle, 0.0).sum() - after.size * usual.mean()
    return float(over - NOISE * np.sqrt(after.size) * usual.std())
