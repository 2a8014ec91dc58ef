"""The spans of sampled practice requests; filled tick by tick by the world, read by the Jaeger and Tempo APIs."""

import random
from collections import deque
from dataclasses import dataclass, field

from drill.metrics.flow import ANSWERED, NO_HOST, NO_NAMES, Edge, Flow, Instance

_PER_S = 1.5
_KEEP = 6_000
_DEPTH = 6


@dataclass(frozen=True, slots=True)
class Span:
    """One step: times in seconds since the epoch, *kind* as OpenTelemetry has it, *error* what went wrong or ""."""

    trace: str
    id: str
    parent: str
    service: str
    name: str
    kind: str
    start: float
    end: float
    pod: str
    namespace: str
    error: str = ""
    status: int = 200
    peer: str = ""


@dataclass
class Trace:
    """All spans of one request, the root first."""

    spans: list[Span] = field(default_factory=list)

    @property
    def start(self) -> float:
        """When the root began."""
        return self.spans[0].start


class TraceStore:
    """Walks a few requests of each tick through the flows, and keeps them."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed + 1)
        self._traces: deque[Trace] = deque(maxlen=_KEEP)

    def tick(self, flows: dict[str, Flow], now: float, dt: float) -> None:
        """Sample requests of the *dt* seconds that end at *now*."""
        entries = [flow for flow in flows.values() if flow.service.entry_rps and flow.serving]
        for flow in entries:
            for _ in range(max(1, round(min(dt, 2.0) * _PER_S))):
                trace = Trace()
                _Walk(self._rng, flows, trace).serve(flow, now - dt * self._rng.random(), "", 0)
                self._traces.append(trace)

    def all(self) -> list[Trace]:
        """Every kept trace, oldest first."""
        return sorted(self._traces, key=lambda trace: trace.start)

    def trim(self, oldest: float) -> None:
        """Forget what began before *oldest*."""
        while self._traces and self._traces[0].start < oldest:
            self._traces.popleft()


class _Walk:
    """One request on its way."""

    def __init__(self, rng: random.Random, flows: dict[str, Flow], trace: Trace) -> None:
        self._rng, self._flows, self._trace = rng, flows, trace
        self._id = f"{rng.getrandbits(128):032x}"

    def serve(self, flow: Flow, at: float, parent: str, depth: int) -> tuple[float, str]:
        """Let one pod of *flow* answer; return when, and what went wrong."""
        instance = self._rng.choice(flow.serving)
        own, route = self._number(), self._rng.choice(flow.service.routes)
        place = len(self._trace.spans)
        end = self._step(flow, instance, own, at)
        end += instance.behaviour.latency_ms / 1000 * self._rng.lognormvariate(0, instance.behaviour.sigma) * 0.6
        error = self._fault(instance)
        for edge in flow.edges if not error and depth < _DEPTH else ():
            if self._rng.random() < edge.per_request:
                end, failed = self._call(flow, instance, edge, end, own, depth)
                if failed and self._rng.random() < edge.call.required:
                    error = f"call to {edge.call.peer} failed"
                    break
        end += instance.behaviour.latency_ms / 1000 * 0.4
        span = self._span(flow, instance, (own, parent), (route, "server"), (at, end), error)
        self._trace.spans.insert(place, span)
        return end, error

    def _step(self, flow: Flow, instance: Instance, parent: str, at: float) -> float:
        """Programs with a pool of workers show how long a request waits for one."""
        if not any(version.wait_ms for version in flow.service.versions.values()):
            return at
        waited = max(0.0002, instance.behaviour.wait_ms / 1000) * self._rng.lognormvariate(0, 0.15)
        step = self._span(
            flow, instance, (self._number(), parent), ("wait for a worker", "internal"), (at, at + waited)
        )
        self._trace.spans.append(step)
        return at + waited

    def _call(
        self, flow: Flow, instance: Instance, edge: Edge, at: float, parent: str, depth: int
    ) -> tuple[float, str]:
        own, peer = self._number(), self._flows.get(edge.host)
        place, way = len(self._trace.spans), self._rng.uniform(0.0002, 0.0006)
        if peer is None or not peer.serving or (edge.how != ANSWERED and self._rng.random() < edge.failing):
            end, error = at + way, _lost(edge)
        else:
            end, failed = self.serve(peer, at + way, own, depth + 1)
            end, error = end + way, f"{edge.call.peer} answered 500" if failed else ""
        name = f"HTTP {(peer.service.routes[0] if peer else 'GET /').partition(' ')[0]}"
        span = self._span(flow, instance, (own, parent), (name, "client"), (at, end), error, edge.call.peer)
        self._trace.spans.insert(place, span)
        return end, error

    def _fault(self, instance: Instance) -> str:
        for fault in instance.behaviour.faults:
            if self._rng.random() < fault.ratio:
                return fault.line
        return ""

    def _span(
        self, flow: Flow, instance: Instance, ids: tuple[str, str], what: tuple[str, str], time: tuple[float, float],
        error: str = "", peer: str = "",
    ) -> Span:  # fmt: skip
        meta = instance.pod["metadata"]
        return Span(self._id, *ids, flow.service.name, *what, *time, meta["name"], meta["namespace"], error,
                    500 if error else 200, peer)  # fmt: skip

    def _number(self) -> str:
        return f"{self._rng.getrandbits(64):016x}"


def _lost(edge: Edge) -> str:
    """Return what a client's span says of a call that got no answer."""
    if edge.how == NO_NAMES:
        return f"dial tcp: lookup {edge.host} on 10.96.0.10:53: i/o timeout"
    lost = f"lookup {edge.host}: no such host" if edge.how == NO_HOST else "connect: connection refused"
    return f"dial tcp {edge.host}:8080: {lost}"
