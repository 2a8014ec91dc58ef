"""What requests through the service spent their time on and where they failed, from traces, now against the time before.

Names the step that adds the latency by its own (exclusive) time, so that a caller that only waits is not blamed; the
deepest failing step of failing requests; and who calls whom. Use it when something is slow, or to see which callee an error comes from.
"""

import asyncio
import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from tools.observe import Seen, missing, observe
from tools.records import Evidence, Finding, Scope
from tools.signals import RawSpan, Signals
from tools.sources import Sources
from tools.traces import FEW, Edge, Fault, Slow, Span, SpanSource, Traces, leads_to, named, plain, slower

NEEDS = "traces"
SLICES = 4  # each window is asked for in slices, since a store answers with the newest traces of a window
PER_SLICE = 15
FAILING = 20
LEAD = timedelta(seconds=10)  # an alert is dated after its trouble began
MAX_SPANS = 20_000
WIDER = timedelta(minutes=2)
AWAY = timedelta(minutes=25)
MAX_EACH = 5
MAX_EDGES = 20
SURGE = 3.0
Window = tuple[datetime, datetime]


async def collect(scope: Scope, sources: Sources) -> Evidence:
    """Read traces of both times and compare them."""
    store = sources.traces
    if store is None:
        return missing("traces", "trace store", sources, "JAEGER_URL or TEMPO_URL")
    title = f"Traces of {scope.service or scope.alert.name}"
    return await observe("traces", title, sources, lambda seen: _look(seen, scope, store))


async def _look(seen: Seen, scope: Scope, store: SpanSource) -> None:
    if not scope.service:
        raise ValueError("the alert names no service, so its traces cannot be looked up")
    seen.ask(f"{store.name}: services")
    known = await store.services()
    name = named(known, scope.service, scope.namespace) if known else scope.service
    if not name:
        seen.summary = f"{store.name} knows no service {scope.service}; it knows {', '.join(sorted(known)[:20])}"
        return
    seen.queries[:] = [store.query(name), store.query(name, errors=True)]
    usual, trouble = _windows(scope)
    now, before, failing, failed = await asyncio.gather(
        _sample(store, name, trouble), _sample(store, name, usual),
        store.spans(name, *trouble, FAILING, errors=True), store.spans(name, *usual, FAILING, errors=True),
    )  # fmt: skip
    if Traces(now).count < FEW:
        trouble = (trouble[0] - WIDER, trouble[1])
        now = await _sample(store, name, trouble)
    seen.link = store.link(name, *trouble)
    sampled = _Both(_renamed(before, scope), _renamed(now, scope), (usual, trouble), SLICES * PER_SLICE)
    failures = _Both(_renamed(failed, scope), _renamed(failing, scope), (usual, trouble), FAILING)
    seen.signals = _signals(sampled)
    _tell(seen, scope, sampled, failures)


def _signals(sampled: "_Both") -> Signals:
    """Return the sampled spans as raw signals, a client span's silent peer among the calls; the failing ones are no fair sample."""
    sides = [list(side.spans.values()) for side in (sampled.usual, sampled.trouble)]
    total = sum(map(len, sides))
    cut = f"{MAX_SPANS} of {total} spans were kept." if total > MAX_SPANS else ""
    kept = [span for side in sides for span in (side[: MAX_SPANS // 2] if cut else side)]
    raw = [RawSpan(s.trace, s.id, s.parent, s.service, s.operation, s.start, s.seconds, s.error) for s in kept]
    calls = frozenset(key for side in (sampled.usual, sampled.trouble) for key in side.edges())
    return Signals(spans=raw, calls=calls, cut=cut)


def _windows(scope: Scope) -> tuple[Window, Window]:
    """Return the usual time and the time of trouble; between them lies what may be either."""
    began = scope.alert.starts_at or scope.end
    trouble = (min(began, scope.end - LEAD) - LEAD, scope.end)
    usual = (scope.start, scope.logs_start)
    if usual[1] - usual[0] < timedelta(minutes=1):  # a window that somebody asked for, or an alert of long ago
        usual = (trouble[0] - AWAY, trouble[0] - timedelta(minutes=1))
    return usual, trouble


async def _sample(store: SpanSource, service: str, window: Window) -> list[Span]:
    """Return traces spread evenly over *window*."""
    step = (window[1] - window[0]) / SLICES
    starts = [window[0] + step * number for number in range(SLICES)]
    read = await asyncio.gather(*(store.spans(service, start, start + step, PER_SLICE) for start in starts))
    return [span for part in read for span in part]


class _Both:
    """The usual traces and those of the trouble, and the seconds that each cover where *limit* may have cut them."""

    def __init__(
        self, usual: Sequence[Span], trouble: Sequence[Span], windows: tuple[Window, Window], limit: int
    ) -> None:
        self.usual, self.trouble = Traces(usual), Traces(trouble)
        self.seconds = _covered(self.usual, windows[0], limit), _covered(self.trouble, windows[1], limit)


def _renamed(spans: Sequence[Span], scope: Scope) -> list[Span]:
    """Give services and peers the names that they have in Kubernetes, which the other tools use."""
    space = scope.namespace
    return [
        Span(span.trace, span.id, span.parent, plain(span.service, space), span.operation, span.start, span.seconds,
             span.kind, span.error, span.message, plain(span.peer, space))
        for span in spans
    ]  # fmt: skip


def _tell(seen: Seen, scope: Scope, both: _Both, failing: _Both) -> None:
    now, before = both.trouble, both.usual
    if not now.count:
        seen.summary = f"no traces of {scope.service} in the window"
        return
    slow = slower(before, now)[:MAX_EACH]
    faults = [found for fault in failing.trouble.faults()[:MAX_EACH] if (found := _fault(fault, failing))]
    edges, usual = now.edges(), before.edges()
    seen.findings = [*(_slow(each) for each in slow), *faults]
    seen.findings += _calls(scope, edges, usual, slow)
    seen.summary = f"{now.count} traces compared with {before.count} of before"
    told = [found for found in seen.findings if found.score >= 0.5]
    said = max(told, key=lambda found: found.score).statement if told else ""
    seen.summary += f"; {said}" if said else "; nothing slower than usual, no new errors"
    seen.body = [found.statement for found in seen.findings if found.score]
    seen.body += ["who calls whom (mean, calls seen, failing):"]
    seen.body += [_edge(edge, usual.get(key)) for key, edge in sorted(edges.items())[:MAX_EDGES]]


def _slow(each: Slow) -> Finding:
    """Score by how much of the added time is this step's, and how far it is from usual."""
    score = min(0.95, (0.35 + 0.65 * each.share) * min(1.0, 0.5 + each.ratio / 8))
    said = (
        f"{each.service}: {each.operation} takes {_time(each.after)} of its own instead of {_time(each.before)}, "
        f"{each.share:.0%} of the time that requests lost"
    )
    data = {
        "operation": each.operation, "before": round(each.before, 5), "after": round(each.after, 5),
        "ratio": round(each.ratio, 2), "share": round(each.share, 3), "count": each.count, "trace": each.trace,
        "took": f"{_time(each.after)} instead of {_time(each.before)}",
    }  # fmt: skip
    return Finding(
        kind="span_slow", service=each.service, statement=said, score=score, at=_moment(each.began), data=data
    )


def _fault(fault: Fault, failing: _Both) -> Finding | None:
    """Score an error's origin by its share of failing requests, and by whether it is new; None for the usual noise."""
    key = (fault.service, fault.operation, fault.peer)
    usual = sum(each.count for each in failing.usual.faults() if (each.service, each.operation, each.peer) == key)
    rate, was = fault.count / failing.seconds[1], usual / failing.seconds[0]
    ratio = rate / was if was else None
    if ratio is not None and ratio < SURGE:
        return None
    share = fault.count / failing.trouble.count
    score = min(0.9, (0.4 + 0.5 * share) * (1.0 if fault.count >= FEW else 0.6))
    why = f": {fault.message}" if fault.message else ""
    data = {
        "operation": fault.operation, "count": fault.count, "message": fault.message, "trace": fault.trace,
        "ratio": round(share, 3), "before": usual,
    }  # fmt: skip
    if fault.peer and fault.peer != fault.service:
        said = f"{fault.service}: calls to {fault.peer} ({fault.operation}) fail without an error of {fault.peer}'s own in {fault.count} traces{why}"
        return Finding(kind="dependency_errors", service=fault.service, statement=said, score=score,
                       at=_moment(fault.began), data={**data, "peer": fault.peer})  # fmt: skip
    said = f"{fault.service}: errors begin in {fault.operation}, {fault.count} of {failing.trouble.count} failing traces{why}"
    return Finding(
        kind="span_error", service=fault.service, statement=said, score=score, at=_moment(fault.began), data=data
    )


def _calls(
    scope: Scope, edges: dict[tuple[str, str], Edge], usual: dict[tuple[str, str], Edge], slow: Sequence[Slow]
) -> list[Finding]:
    """Return who calls whom: with a score and a `peer` where the wait for the slow step passes, else as plain topology."""
    culprit = next((each for each in slow if each.share >= 0.4), None)
    path = leads_to(edges, scope.service, culprit.service) if culprit else []
    waiting = set(itertools.pairwise(path))
    found = []
    for key, edge in sorted(edges.items(), key=lambda row: (row[0] not in waiting, -row[1].count))[:MAX_EDGES]:
        before = usual.get(key)
        data = {
            "caller": edge.caller, "callee": edge.callee, "count": edge.count, "after": round(edge.seconds, 5),
            "before": round(before.seconds, 5) if before else None, "failing": round(edge.failing, 3),
        }  # fmt: skip
        hot = key in waiting
        said = f"{edge.caller} calls {edge.callee}"
        if hot:
            said = f"{edge.caller} waits for {edge.callee}: {_edge(edge, before)}"
        found.append(Finding(kind="calls", service=edge.caller, statement=said, score=0.8 if hot else 0.0,
                             data=data | ({"peer": edge.callee} if hot else {})))  # fmt: skip
    return found


def _edge(edge: Edge, before: Edge | None) -> str:
    was = f" (before {_time(before.seconds)})" if before else ""
    return f"{edge.caller} -> {edge.callee}: {_time(edge.seconds)}{was}, {edge.count}, {edge.failing:.0%}"


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.1f} ms"


def _covered(traces: Traces, window: Window, limit: int) -> float:
    """Return the seconds that *traces* cover: of a window that has more than *limit*, the newest ones cover only its end."""
    if traces.count < limit or not traces.spans:
        return max((window[1] - window[0]).total_seconds(), 1.0)
    return max(window[1].timestamp() - min(span.start for span in traces.spans.values()), 1.0)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
