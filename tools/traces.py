"""What spans say, whatever store they come from: who adds the latency, where an error begins, who calls whom.

Pure; used by tools.jaeger and tools.tempo (which make Spans) and by tools.evidence.traces (which asks the questions).
A span's exclusive time is its duration without what its children cover. The time of a call that is neither the caller's own
work nor within the callee's span is the way between them and belongs to the callee: otherwise a slow network in front of a
service is charged to whoever calls it.
"""

import re
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

CALLING = frozenset({"client", "producer"})
WAY = " (on the way to it)"
FEW = 5  # fewer spans than this on either side are no comparison
RATIO = 1.5  # a step is slow from this factor on,
LEAST_S = 0.005  # and from this many seconds on,
SIGMAS = 3.0  # and beyond the normal time's own scatter by this many standard errors
_IDS = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}|\b(?=[0-9a-f]*\d)[0-9a-f]{8,}\b|(?<![A-Za-z])\d+(?![A-Za-z])", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Span:
    """One step of one request: *start* in seconds since the epoch, *seconds* long.

    *kind* is client, server, producer, consumer or internal; *peer* is whom a client span says it calls ("" if unsaid).
    """

    trace: str
    id: str
    parent: str
    service: str
    operation: str
    start: float
    seconds: float
    kind: str = "internal"
    error: bool = False
    message: str = ""
    peer: str = ""


class SpanSource(Protocol):
    """A trace store; errors are Temporary and Permanent."""

    name: str

    async def services(self) -> list[str]:
        """Name the services it knows; [] where it cannot tell."""
        ...

    async def spans(
        self, service: str, start: datetime, end: datetime, limit: int, *, errors: bool = False
    ) -> list[Span]:
        """Return all spans of up to *limit* traces through *service*; with *errors* of failing ones."""
        ...

    def query(self, service: str, *, errors: bool = False) -> str:
        """Return the query as it is asked."""
        ...

    def link(self, service: str, start: datetime, end: datetime) -> str:
        """Where a person can open the traces of *service*."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...


Key = tuple[str, str]
"""(service, operation) with ids in the operation masked."""


@dataclass(frozen=True)
class Slow:
    """A step that takes longer than it did: mean exclusive seconds; *share* of all the time that was added (0..1)."""

    service: str
    operation: str
    before: float
    after: float
    added: float
    share: float
    count: int
    trace: str
    began: float

    @property
    def ratio(self) -> float:
        """How many times as long."""
        return self.after / max(self.before, 1e-4)


@dataclass(frozen=True)
class Fault:
    """Where errors begin: *count* traces; *peer* is whom the failing call was for when no span of it answers for it."""

    service: str
    operation: str
    message: str
    peer: str
    count: int
    trace: str
    began: float


@dataclass(frozen=True)
class Edge:
    """Calls of one service to another: mean seconds as the caller sees them, how many, and the share that failed."""

    caller: str
    callee: str
    seconds: float
    count: int
    failing: float


class Traces:
    """Spans arranged by trace, each once; *names* gives a service's usual name for the one its spans carry."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self.spans = {(span.trace, span.id): span for span in spans}
        self._children: dict[Key, list[Span]] = defaultdict(list)
        for span in self.spans.values():
            if span.parent and (span.trace, span.parent) in self.spans:
                self._children[span.trace, span.parent].append(span)
        self.count = len({span.trace for span in self.spans.values()})

    def children(self, span: Span) -> list[Span]:
        """Return the spans directly under *span*."""
        return self._children.get((span.trace, span.id), [])

    def exclusive(self, span: Span) -> float:
        """Return the seconds of *span* that no child covers; children may overlap and outlive it."""
        end, covered, last = span.start + span.seconds, 0.0, span.start
        for child in sorted(self.children(span), key=lambda each: each.start):
            begin, stop = max(child.start, last), min(child.start + child.seconds, end)
            if stop > begin:
                covered += stop - begin
                last = stop
        return max(span.seconds - covered, 0.0)

    def charged(self, span: Span) -> Key:
        """Return whom the exclusive time of *span* belongs to."""
        if span.kind in CALLING:
            callee = next((child for child in self.children(span) if child.service != span.service), None)
            if callee is not None:
                return callee.service, f"{masked(callee.operation)}{WAY}"
            if span.peer and not self.children(span):
                return span.peer, masked(span.operation)
        return span.service, masked(span.operation)

    def faults(self) -> list[Fault]:
        """Return where errors begin, grouped: the failing spans that have no failing child."""
        found: dict[tuple[str, str, str, str], list[Span]] = defaultdict(list)
        for span in self.spans.values():
            under = self.children(span)
            if not span.error or any(child.error for child in under):
                continue
            peer = ""
            if span.kind in CALLING:
                peer = next((child.service for child in under if child.service != span.service), span.peer)
            found[span.service, masked(span.operation), masked(span.message), peer].append(span)
        faults = [
            Fault(*key[:2], group[0].message, key[3], len({span.trace for span in group}), group[0].trace,
                  min(span.start for span in group))
            for key, group in found.items()
        ]  # fmt: skip
        return sorted(faults, key=lambda fault: (-fault.count, fault.service, fault.operation))

    def edges(self) -> dict[Key, Edge]:
        """Return who calls whom, by (caller, callee)."""
        calls: dict[Key, list[tuple[float, bool]]] = defaultdict(list)
        for span in self.spans.values():
            parent = self.spans.get((span.trace, span.parent))
            if parent is not None and parent.service != span.service:
                seen = parent if parent.kind in CALLING else span
                calls[parent.service, span.service].append((seen.seconds, seen.error or span.error))
            elif span.kind in CALLING and span.peer and not self.children(span):
                calls[span.service, span.peer].append((span.seconds, span.error))
        return {
            key: Edge(*key, statistics.fmean(s for s, _ in rows), len(rows), sum(e for _, e in rows) / len(rows))
            for key, rows in calls.items()
        }

    def times(self) -> dict[Key, list[tuple[float, Span]]]:
        """Return the exclusive seconds per step, each with its span."""
        found: dict[Key, list[tuple[float, Span]]] = defaultdict(list)
        for span in self.spans.values():
            found[self.charged(span)].append((self.exclusive(span), span))
        return found


def masked(text: str) -> str:
    """*text* with ids and numbers replaced, so that spans of one step have one name."""
    return _IDS.sub("<*>", text[:300])


def slower(before: Traces, after: Traces) -> list[Slow]:
    """Return the steps that take longer in *after*, those that add most to a request first.

    A step is compared by its mean exclusive time; what it adds is that difference times how often a trace has it. A step
    that only *after* has counts from nothing.
    """
    usual, now = before.times(), after.times()
    found: list[tuple[Key, float, float, float, Span, float]] = []
    gained = 0.0
    for key, rows in now.items():
        times, normal = [seconds for seconds, _ in rows], [seconds for seconds, _ in usual.get(key, ())]
        if len(rows) < FEW or before.count < FEW or (normal and len(normal) < FEW):
            continue
        mean, base = statistics.fmean(times), statistics.fmean(normal) if normal else 0.0
        scatter = statistics.pstdev(normal) / len(times) ** 0.5 if normal else 0.0
        added = (mean - base) * len(times) / after.count
        gained += max(added, 0.0)
        if mean - base >= max(LEAST_S, SIGMAS * scatter) and mean >= RATIO * base:
            high = max(normal, default=0.0)
            over = [(s, span) for s, span in rows if s > high] or [max(rows, key=lambda row: row[0])]
            slowest = max(over, key=lambda row: row[0])[1]
            found.append((key, base, mean, added, slowest, min(span.start for _, span in over)))
    slow = [
        Slow(*key, base, mean, added, added / gained, len(now[key]), span.trace, began)
        for key, base, mean, added, span, began in found
    ]
    return sorted(slow, key=lambda each: -each.added)


def leads_to(edges: Mapping[Key, Edge], start: str, goal: str) -> list[str]:
    """Return the shortest chain of callers from *start* to *goal*, both included; [] when there is none."""
    todo, seen = [[start]], {start}
    while todo:
        path = todo.pop(0)
        if path[-1] == goal:
            return path
        for caller, callee in edges:
            if caller == path[-1] and callee not in seen:
                seen.add(callee)
                todo.append([*path, callee])
    return []


def named(known: Sequence[str], service: str, namespace: str) -> str:
    """Return the name under which *known* services have *service* ("checkout", "checkout.shop", "shop/checkout"), or ""."""
    wanted = [service]
    if namespace:
        wanted += [f"{service}.{namespace}", f"{namespace}/{service}", f"{namespace}-{service}"]
    wanted += [name for name in known if name.split(".")[0] == service]
    return next((name for name in wanted if name in known), "")


def plain(name: str, namespace: str) -> str:
    """Return a service's or host's name as Kubernetes has it: without namespace, cluster domain and port."""
    name = re.sub(r":\d+$", "", name)
    if namespace:
        name = name.removeprefix(f"{namespace}/").removeprefix(f"{namespace}-")
        name = re.sub(rf"\.{re.escape(namespace)}(?:\..*)?$", "", name)
    return re.sub(r"\.[^.]+\.svc(?:\..*)?$", "", name)
