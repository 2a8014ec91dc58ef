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
FEW_FAILED = 3.0  # failed spans that may be chance
SPREAD = 0.1  # a share differs between minutes by more than chance: between-minute variance / p(1-p)
TELLING = 2.0  # standard deviations below which a lost call is not reported
MOSTLY = 0.5  # of the healthy spans of a kind: a child that these have is missed where it is not recorded
LEAST_S = 60.0  # of recorded requests, that are compared with healthy ones
LATEST_S = 600.0  # an alert waits for its window and its `for`: ten minutes cover common rules
CUT_S = 2.0  # spans that begin this close to the end may have children that were not recorded
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
    # One whose parent was lost is what its kind mostly is.
    kinds = spans.service * len(spans.operations) + spans.operation
    inner = (has & ~crosses) | (~has & _mostly(kinds, has, ~crosses))
    led = crosses & inner[above]
    callee[parent[led]] = spans.service[led]
    overlap = np.clip(np.minimum(end, end[above]) - np.maximum(spans.start, spans.start[above]), 0, None)
    # Clocks of two hosts differ: across services the durations are compared, not the times.
    inside = np.where(crosses, spans.duration, overlap)
    covered = np.bincount(parent[has], weights=inside[has], minlength=parent.size) + _beside(spans, callee, end)
    return np.maximum(spans.duration - covered, 0.0), callee


def _mostly(kinds: Ints, among: Bools, what: Bools) -> Bools:
    """Tell for each row whether *what* holds for most rows *among* those of its kind; False where there is none."""
    keys, kind = np.unique(kinds, return_inverse=True)
    every = np.bincount(kind[among], minlength=keys.size)
    some = np.bincount(kind[among & what], minlength=keys.size)
    return np.asarray((some > MOSTLY * every)[kind])


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
    usable = complete(spans, normal)
    excess = np.zeros(len(spans.services))
    most = np.zeros(len(spans.services))
    telling = np.full(len(spans.services), -1)
    # Network gaps do not depend on the operation: one normal for all calls between two services.
    operation = np.where(callee >= 0, len(spans.operations) + callee, spans.operation)
    for rows in _groups(operation * len(spans.services) + spans.service):
        here = rows[usable[rows]]
        amount = _above(own[here], normal[here], broken[here])
        if amount > 0:  # what is not whole is taken to be as slow as what is
            amount *= float(broken[rows].sum()) / max(float(broken[here].sum()), 1.0)
        if amount <= 0:
            continue
        service, called = int(spans.service[rows[0]]), int(callee[rows[0]])
        for who, share in ((service, 1.0),) if called < 0 else ((called, 1.0), (service, CALLER_SHARE)):
            excess[who] += share * amount
            if share * amount > most[who]:
                most[who], telling[who] = share * amount, spans.operation[rows[0]]
    lost_parent = _mostly(spans.service * len(spans.operations) + spans.operation, normal, spans.parent >= 0)
    total = float(spans.duration[broken & (spans.parent < 0) & ~lost_parent].sum())
    total = max(total, float(excess.max(initial=0.0)))
    return Slowness(excess, telling, total)


def complete(spans: Spans, normal: Bools) -> Bools:
    """Tell which spans show the children that healthy spans of their kind mostly have.

    Sampling, dropped batches and restarting collectors lose spans one by one. The time of a child that was lost looks
    like its parent's own; such parents are not compared.
    """
    kinds = len(spans.operations)
    keys, kind = np.unique(spans.service * kinds + spans.operation, return_inverse=True)
    seen = np.maximum(np.bincount(kind[normal], minlength=keys.size), 1)
    has = np.flatnonzero(spans.parent >= 0)
    parent = spans.parent[has]
    # One row for each parent and kind of child, and one (kind keys.size) for any child at all.
    pairs = np.unique(np.concatenate([parent * (keys.size + 1) + kind[has], parent * (keys.size + 1) + keys.size]))
    parent, child = pairs // (keys.size + 1), pairs % (keys.size + 1)
    edges, edge = np.unique(kind[parent] * (keys.size + 1) + child, return_inverse=True)
    share = np.bincount(edge[normal[parent]], minlength=edges.size) / seen[edges // (keys.size + 1)]
    usual = share > MOSTLY
    wanted = np.bincount((edges // (keys.size + 1))[usual], minlength=keys.size)
    shown = np.bincount(parent[usual[edge]], minlength=spans.parent.size)
    whole = np.asarray(shown >= wanted[kind])
    # A leaf's time counts less what client spans beside it wait for: all of its family must be there.
    child_of = spans.parent >= 0
    broken_up = np.bincount(spans.parent[child_of & ~whole], minlength=whole.size) > 0
    family = np.zeros(whole.size, dtype=bool)
    family[child_of] = (whole & ~broken_up)[spans.parent[child_of]]
    leaf = np.bincount(spans.parent[child_of], minlength=whole.size) == 0
    return np.asarray(whole & (family | ~(leaf & _mostly(kind, normal, child_of))))


def sides(known: Bools, at: Floats, onset: float, until: float) -> tuple[Bools, Bools]:
    """Split rows into healthy and broken: what is known to be healthy, else (without any) what came before *onset*.

    Where health is known and hardly anything was recorded since the onset, what came just before it is looked at too:
    alerts come late, and a few healthy requests among the broken ones only dilute them.
    """
    if known.any() and (seen := at[~known & (at <= until)]).size:
        onset = min(onset, max(float(seen.max()) - LEAST_S, onset - LATEST_S))
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


def failures(incident: Incident, onset: float) -> Floats | None:
    """Return each service's share (0..1) of the failing spans that came with the incident; None when none did.

    A failed span counts where the error began: with no failed child. What failed before is taken off by its rate, and what
    chance alone would bring damps the shares.
    """
    spans = incident.spans
    if spans is None or not spans.failed.any():
        return None
    normal, broken = sides(spans.normal, spans.start, onset, incident.until)
    size = spans.failed.size
    passed_on = np.bincount(spans.parent[spans.failed & (spans.parent >= 0)], minlength=size) > 0
    origin = spans.failed & ~passed_on
    count = len(spans.services)
    seen_before, seen_now = (np.bincount(spans.service[side], minlength=count) for side in (normal, broken))
    before, now = (np.bincount(spans.service[side & origin], minlength=count) for side in (normal, broken))
    expected = seen_now * before / np.maximum(seen_before, 1)
    more = np.maximum(now - expected - NOISE * np.sqrt(expected), 0.0)
    total = float(more.sum())
    return more / (total + FEW_FAILED) if total > 0 else None


def lost_calls(incident: Incident, onset: float) -> dict[str, tuple[float, str, str, float, float]]:
    """Return per service the call that its spans make more rarely than before: deviations, span, callee, shares.

    Of the spans of one operation the share that has a child of another is compared, as flows.py does with lines.
    """
    spans = incident.spans
    if spans is None:
        return {}
    normal, broken = sides(spans.normal, spans.start, onset, incident.until - CUT_S)
    kinds = len(spans.operations)
    key = spans.service * kinds + spans.operation
    keys, code = np.unique(key, return_inverse=True)
    has = np.flatnonzero(spans.parent >= 0)
    pairs = np.unique(spans.parent[has] * keys.size + code[has])
    parent, child = pairs // keys.size, pairs % keys.size
    edge, which = np.unique(code[parent] * keys.size + child, return_inverse=True)
    all_before, all_after = (
        np.bincount(code[side], minlength=keys.size)[edge // keys.size] for side in (normal, broken)
    )
    before, after = (np.bincount(which[side[parent]], minlength=edge.size) for side in (normal, broken))
    usual, now = (before + 0.5) / (all_before + 1), after / np.maximum(all_after, 1)
    chance = usual * (1 - usual) * (1 / np.maximum(all_after, 1) + 1 / (all_before + 1) + SPREAD)
    score = np.where((all_before > 0) & (all_after > 0), (usual - now) / np.sqrt(chance), 0.0)
    found: dict[str, tuple[float, str, str, float, float]] = {}
    for row in np.flatnonzero(score > TELLING).tolist():
        above, below = divmod(int(edge[row]), keys.size)
        caller, callee = int(keys[above]), int(keys[below])
        service = spans.services[caller // kinds]
        if score[row] > found.get(service, (0.0,))[0]:
            names = spans.operations[caller % kinds], spans.operations[callee % kinds]
            found[service] = (float(score[row]), *names, float(usual[row]), float(now[row]))
    return found
