"""The users of the practice shop: turns the cluster's state into counters, histograms and log lines, tick by tick.

Owned by the world; the exporter reads the counters at each scrape.
"""

import math
import random
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from drill.cluster.cluster import Cluster
from drill.cluster.objects import Obj, is_ready
from drill.logs import lines
from drill.logs.store import Line, LogStore
from drill.metrics.circumstances import Circumstances, Outside, cores
from drill.metrics.flow import ANSWERED, NO_HOST, NO_NAMES, Edge, Flow, Instance, compute, order, season
from drill.metrics.queues import Queues

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
CODES = ("200", "404", "500", "502", "503", "504")
_NOISE_404, _NOISE_500 = 0.004, 0.0006
_LINES_PER_S = 1.0  # access lines are sampled, errors are logged up to this many each
_ERRORS_PER_TICK = 3


@dataclass
class Counters:
    """What one start of one container has counted; a restart begins again at zero."""

    instance: int
    requests: dict[str, float] = field(default_factory=lambda: dict.fromkeys(CODES, 0.0))
    calls: dict[tuple[str, str], float] = field(default_factory=dict)
    buckets: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(BUCKETS) + 1, dtype=np.int64))
    seconds: float = 0.0
    cpu: float = 0.0


class Traffic:
    """Moves the counters of every serving pod on."""

    def __init__(self, cluster: Cluster, logs: LogStore, seed: int, outside: Outside | None = None) -> None:
        self._cluster, self._logs = cluster, logs
        self._circumstances = Circumstances(cluster, outside or Outside())
        self.queues = Queues(cluster.catalogue, seed)
        self._node_cores: dict[str, float] = {}
        cluster.autoscaler.usage = self.pod_cores
        self._rng, self._lines = np.random.default_rng(seed), random.Random(seed)
        self._order = order(cluster.catalogue)
        self._noise = 0.0
        self._pending: list[tuple[float, Instance, str]] = []
        self.counters: dict[str, Counters] = {}
        self.flows: dict[str, Flow] = {}

    def tick(self, now: float, dt: float) -> None:
        """Let *dt* seconds of traffic that end at *now* happen."""
        instances, lost = self._instances(now, dt)
        self._noise = 0.8 * self._noise + float(self._rng.normal(0, 0.012))
        self.flows = compute(
            self._order, instances, lost, max(0.1, season(now) + self._noise),
            visitors=self._circumstances.visitors(now), names=self._cluster.names_resolve(),
        )  # fmt: skip
        self.queues.tick(self.flows, dt)
        for name in self.queues.all:
            flow = self.flows[name]
            for instance in flow.serving:
                at, order = now - dt * self._lines.random(), self._lines.randint(100_000, 999_999)
                self.log(instance, flow.service.log_format, at, "info", "invoice written", {"order": order})
        self._burn(instances, dt)
        for flow in self.flows.values():
            for instance in flow.instances:
                counters = self._counters(flow, instance)
                if instance.ready:
                    self._serve(flow, instance, counters, now, dt)
        self._pending.sort(key=lambda row: row[0])
        for at, instance, text in self._pending:
            self.raw(instance.pod, instance.container.name, at, text)
        self._pending.clear()

    def log(
        self, instance: Instance, style: str, at: float, level: str, message: str, fields: dict[str, object]
    ) -> None:
        """Write one line of a service, in order with the others of this tick."""
        self._pending.append((at, instance, lines.render(style, at, level, message, fields)))

    def raw(self, pod: Obj, container: str, at: float, text: str) -> None:
        """Write one line as it is."""
        meta = pod["metadata"]
        app = (meta.get("labels") or {}).get("app", meta["name"])
        instance = next((c.instance for c in self._cluster.kubelet.containers(pod) if c.name == container), 0)
        self._logs.add(meta["namespace"], app, meta["name"], container, Line(round(at * 1e9), text, instance))

    def _instances(self, now: float, dt: float) -> tuple[dict[str, list[Instance]], dict[str, float]]:
        found: dict[str, list[Instance]] = {}
        alive = set()
        running = list(self._cluster.kubelet.running())
        self._circumstances.look(running)
        for pod, container in running:
            behaviour = self._circumstances.of(pod, container, now)
            if behaviour is None:
                continue
            alive.add(pod["metadata"]["uid"])
            app = (pod["metadata"].get("labels") or {}).get("app", "")
            found.setdefault(app, []).append(Instance(pod, container, behaviour, is_ready(pod)))
        self.counters = {uid: counted for uid, counted in self.counters.items() if uid in alive}
        crashed: dict[str, int] = {}
        for pod, _ in self._cluster.kubelet.crashed_since(now - dt):
            app = (pod["metadata"].get("labels") or {}).get("app", "")
            crashed[app] = crashed.get(app, 0) + 1
        lost = {app: count / (count + len(found.get(app, []))) for app, count in crashed.items()}
        return found, lost

    def _burn(self, instances: dict[str, list[Instance]], dt: float) -> None:
        """Count the CPU that programs take besides requests, and what each node gives."""
        self._node_cores = {}
        for app, group in instances.items():
            for instance in group:
                uid, burnt = instance.pod["metadata"]["uid"], cores(instance.container)
                if app not in self.flows:
                    known = self.counters.get(uid)
                    if known is None or known.instance != instance.container.instance:
                        known = self.counters[uid] = Counters(instance.container.instance)
                    known.cpu += burnt * dt
                elif uid in self.counters:
                    self.counters[uid].cpu += burnt * dt
                node = instance.pod["spec"].get("nodeName", "")
                self._node_cores[node] = self._node_cores.get(node, 0.0) + burnt + self._serving_cores(app, instance)

    def _serving_cores(self, app: str, instance: Instance) -> float:
        flow = self.flows.get(app)
        if flow is None or not instance.ready:
            return 0.0
        return flow.rps / len(flow.serving) * instance.behaviour.cpu_ms / 1000

    def node_cores(self, node: str) -> float:
        """CPU cores that the pods of a node use."""
        return self._node_cores.get(node, 0.0)

    def pod_cores(self, pod: Obj) -> float:
        """CPU cores that a pod uses."""
        app = (pod["metadata"].get("labels") or {}).get("app", "")
        flow = self.flows.get(app)
        mine = next(
            (i for i in (flow.instances if flow else ()) if i.pod["metadata"]["uid"] == pod["metadata"]["uid"]), None
        )
        return cores(mine.container) + self._serving_cores(app, mine) if mine else 0.0

    def _counters(self, flow: Flow, instance: Instance) -> Counters:
        uid = instance.pod["metadata"]["uid"]
        known = self.counters.get(uid)
        if known is None or known.instance != instance.container.instance:
            known = self.counters[uid] = Counters(instance.container.instance)
            for edge in flow.edges:
                for code in ("200", "500", "503"):
                    known.calls[edge.call.peer, code] = 0.0
        return known

    def _serve(self, flow: Flow, instance: Instance, counters: Counters, now: float, dt: float) -> None:
        count = int(self._rng.poisson(flow.rps * dt / len(flow.serving)))
        counters.cpu += count * instance.behaviour.cpu_ms / 1000
        left = self._own_faults(flow, instance, counters, count, now)
        for edge in flow.edges:
            left -= self._call(flow, instance, counters, edge, left, now)
        missing = int(self._rng.binomial(left, _NOISE_404))
        broken = int(self._rng.binomial(left - missing, _NOISE_500))
        counters.requests["404"] += missing
        counters.requests["500"] += broken
        counters.requests["200"] += left - missing - broken
        self._time(flow, instance, counters, count)
        self._access_lines(flow, instance, count, left, now, dt)

    def _own_faults(self, flow: Flow, instance: Instance, counters: Counters, count: int, now: float) -> int:
        left = count
        for fault in instance.behaviour.faults:
            failed = min(left, int(self._rng.binomial(count, fault.ratio)))
            left -= failed
            counters.requests[fault.code] = counters.requests.get(fault.code, 0.0) + failed
            for _ in range(min(failed, _ERRORS_PER_TICK)):
                at = now - self._lines.random()
                route = self._lines.choice(flow.service.routes)
                fields = lines.request_fields(self._lines, route, fault.code, instance.behaviour.latency_ms)
                self.log(instance, flow.service.log_format, at, "error", fault.line, {**fields, **fault.fields})
        return left

    def _call(self, flow: Flow, instance: Instance, counters: Counters, edge: Edge, left: int, now: float) -> int:
        """Return requests to one peer; returns how many own requests fail because of them."""
        calls = int(self._rng.poisson(max(0, left) * edge.per_request))
        failed = int(self._rng.binomial(calls, min(1.0, edge.failing)))
        peer = edge.call.peer
        counters.calls[peer, "200"] = counters.calls.get((peer, "200"), 0.0) + calls - failed
        if not failed:
            return 0
        counters.calls[peer, edge.code] = counters.calls.get((peer, edge.code), 0.0) + failed
        mine = min(left, int(self._rng.binomial(failed, edge.call.required)))
        counters.requests["502" if edge.how == ANSWERED else "503"] += mine
        for _ in range(min(failed, _ERRORS_PER_TICK)):
            at, level = now - self._lines.random(), "error" if edge.call.required > 0.5 else "warn"
            self.log(instance, flow.service.log_format, at, level, _complaint(edge, self._cluster), self._trace(peer))
        return mine

    def _trace(self, peer: str) -> dict[str, object]:
        return {"peer": peer, "trace_id": f"{self._lines.getrandbits(64):016x}"}

    def _time(self, flow: Flow, instance: Instance, counters: Counters, count: int) -> None:
        if not count:
            return
        waiting = (
            flow.latency_ms - flow.waited_ms - sum(i.behaviour.latency_ms for i in flow.serving) / len(flow.serving)
        )
        median = (instance.behaviour.latency_ms + max(0.0, waiting)) / 1000
        sigma = instance.behaviour.sigma
        cdf = np.array([0.5 * (1 + math.erf(math.log(edge / median) / (sigma * math.sqrt(2)))) for edge in BUCKETS])
        shares = np.diff(np.concatenate(([0.0], cdf, [1.0]))).clip(0)
        counters.buckets += self._rng.multinomial(count, shares / shares.sum())
        mean = median * math.exp(sigma * sigma / 2)
        counters.seconds += count * mean * float(self._rng.normal(1, 0.3 / math.sqrt(count)))

    def _access_lines(self, flow: Flow, instance: Instance, count: int, good: int, now: float, dt: float) -> None:
        if not count or not good:
            return
        wanted = min(good, int(self._rng.poisson(_LINES_PER_S * min(dt, 2.0))))
        for _ in range(wanted):
            at = now - dt * self._lines.random()
            took = (flow.latency_ms - flow.waited_ms) * self._lines.lognormvariate(0, instance.behaviour.sigma)
            status = "404" if self._lines.random() < _NOISE_404 else "200"
            fields = lines.request_fields(self._lines, self._lines.choice(flow.service.routes), status, took)
            self.log(instance, flow.service.log_format, at, "info", "request", fields)


def _complaint(edge: Edge, cluster: Cluster) -> str:
    """Return what a client library says when a call fails."""
    peer = cluster.catalogue.services.get(edge.call.peer)
    method, _, path = (peer.routes[0] if peer else "GET /").partition(" ")
    url = f'{method.capitalize()} "http://{edge.host or edge.call.peer}:8080{path.replace("{id}", "1")}"'
    if edge.how == ANSWERED:
        return f"call to {edge.call.peer} failed: {url}: unexpected status {edge.code}"
    if edge.how == NO_NAMES:
        lost = f"lookup {edge.host} on 10.96.0.10:53: read udp 10.244.0.12:41873->10.96.0.10:53: i/o timeout"
        return f"call to {edge.call.peer} failed: {url}: dial tcp: {lost}"
    if edge.how == NO_HOST:
        return f"call to {edge.call.peer} failed: {url}: dial tcp: lookup {edge.host} on 10.96.0.10:53: no such host"
    return f"call to {edge.call.peer} failed: {url}: dial tcp {edge.host}:8080: connect: connection refused"
