"""Who calls whom, merged from all that knows: declarations, trace stores, service meshes and Kubernetes, with provenance.

Used by tools.evidence.topology. Each source is read on its own: one that fails costs its edges and is named in `notes`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

from tools.errors import Permanent, TocsinError
from tools.jaeger import Jaeger
from tools.kube import Kube
from tools.prometheus import Prometheus, Sample
from tools.records import Scope
from tools.selectors import selector
from tools.sources import Sources
from tools.traces import SpanSource, Traces, named, plain
from tools.workloads import Namespace, Workload, hosts, name_of, read_namespace, selects, template_labels

MAX_EDGES = 2_000  # of one metric; a mesh of more calls is cut, the busiest are kept
TRACES = 40
LOOKBACK_S = 86_400.0
KINDS = ("deployments", "statefulsets", "daemonsets", "services")
_SINGULAR = {"deployments": "Deployment", "statefulsets": "StatefulSet", "daemonsets": "DaemonSet"}
Ask = Callable[[str], str]


@dataclass(frozen=True)
class Dependency:
    """*caller* calls *callee*; *provenance* names who says so, *per_s* and *failing* (a share, 0..1) where it is measured."""

    caller: str
    callee: str
    provenance: tuple[str, ...]
    per_s: float | None = None
    failing: float | None = None


@dataclass(frozen=True)
class Topology:
    """All edges that were found, and a sentence for each source that could not be read."""

    edges: tuple[Dependency, ...] = ()
    notes: tuple[str, ...] = ()

    def around(self, service: str, hops: int = 3) -> list[Dependency]:
        """Return the edges at most *hops* away from *service* in either direction, the nearest first."""
        far = {service: 0}
        for hop in range(hops):
            edge_of = [edge for edge in self.edges if far.get(edge.caller) == hop or far.get(edge.callee) == hop]
            for edge in edge_of:
                far.setdefault(edge.caller, hop + 1)
                far.setdefault(edge.callee, hop + 1)
        near = [edge for edge in self.edges if min(far.get(edge.caller, hops), far.get(edge.callee, hops)) < hops]
        return sorted(near, key=lambda e: (min(far[e.caller], far[e.callee]), -(e.per_s or 0), e.caller, e.callee))


@dataclass(frozen=True)
class Mesh:
    """A metric that counts calls between services: its labels for the two sides, the likeliest first, and what a failure is."""

    name: str
    provenance: str
    caller: tuple[str, ...]
    callee: tuple[str, ...]
    failed: str = ""  # a matcher on the same metric,
    failures: str = ""  # or a metric of its own
    more: str = ""


MESHES = (
    Mesh(
        "istio_requests_total", "istio",
        ("source_canonical_service", "source_workload", "source_app"),
        ("destination_canonical_service", "destination_service_name", "destination_workload", "destination_app"),
        failed='response_code=~"5..|0"',
    ),
    Mesh(
        "istio_tcp_connections_opened_total", "istio",
        ("source_canonical_service", "source_workload", "source_app"),
        ("destination_canonical_service", "destination_service_name", "destination_workload", "destination_app"),
    ),
    Mesh(
        "response_total", "linkerd", ("deployment", "statefulset", "daemonset"),
        ("dst_deployment", "dst_statefulset", "dst_service", "dst_daemonset"),
        failed='classification="failure"', more='direction="outbound"',
    ),
    # Tempo's metrics generator, and the OpenTelemetry collector's servicegraph connector
    Mesh(
        "traces_service_graph_request_total", "service graph", ("client",), ("server",),
        failures="traces_service_graph_request_failed_total",
    ),
)  # fmt: skip
_NOBODY = frozenset({"", "unknown", "user", "PassthroughCluster", "BlackHoleCluster", "InboundPassthroughCluster"})


@dataclass
class _Found:
    """Edges as they come in, merged by their two ends."""

    by: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    measured: dict[tuple[str, str], tuple[float, float | None]] = field(default_factory=dict)

    def add(
        self, caller: str, callee: str, provenance: str, per_s: float | None = None, failing: float | None = None
    ) -> None:
        if caller in _NOBODY or callee in _NOBODY or caller == callee:
            return
        said = self.by.setdefault((caller, callee), [])
        if provenance not in said:
            said.append(provenance)
        if per_s is not None and per_s >= self.measured.get((caller, callee), (-1.0, None))[0]:
            self.measured[caller, callee] = per_s, failing

    def edges(self) -> Iterable[Dependency]:
        for key, said in sorted(self.by.items()):
            yield Dependency(*key, tuple(said), *self.measured.get(key, (None, None)))


def _unheard(query: str) -> str:
    return query


async def topology(scope: Scope, sources: Sources, ask: Ask = _unheard) -> Topology:
    """Return who calls whom around *scope*; *ask* is told each query.

    Raises Permanent when something was asked and nothing answered.
    """
    found = _Found()
    for caller, callee in sources.declared:
        found.add(caller, callee, "tocsin.yaml")
    looks: list[Awaitable[None]] = []
    if sources.prometheus is not None:
        looks += [_mesh(found, sources.prometheus, scope, mesh, ask) for mesh in MESHES]
    if sources.traces is not None:
        looks.append(_traces(found, sources.traces, scope, ask))
    if sources.kube is not None:
        looks.append(_kubernetes(found, sources.kube, scope, ask))
    notes = [note for note in await asyncio.gather(*map(_noted, looks)) if note]
    if looks and len(notes) == len(looks) and not found.by:
        raise Permanent("; ".join(dict.fromkeys(notes)))
    return Topology(tuple(found.edges()), tuple(dict.fromkeys(notes)))


async def _noted(look: Awaitable[None]) -> str:
    try:
        await look
    except TocsinError as exc:
        return str(exc)
    except (LookupError, TypeError, ValueError, AttributeError) as exc:
        return f"the answer has another shape than documented ({type(exc).__name__}: {exc})"
    return ""


async def _mesh(found: _Found, prometheus: Prometheus, scope: Scope, mesh: Mesh, ask: Ask) -> None:
    """Read one metric's calls over the whole window, so that a pair that stopped calling is still one."""
    window = f"{max(int((scope.end - scope.start).total_seconds()), 60)}s"
    by = ",".join((*mesh.caller, *mesh.callee))

    def rate(name: str, *matchers: str) -> str:
        return f"topk({MAX_EDGES}, sum by ({by}) (rate({selector(mesh.more, *matchers, name=name)}[{window}])))"

    total = await prometheus.query(ask(rate(mesh.name)), scope.end)
    if not total:
        return
    wrong: list[Sample] = []
    if mesh.failed or mesh.failures:
        failing = rate(mesh.failures) if mesh.failures else rate(mesh.name, mesh.failed)
        wrong = await prometheus.query(ask(failing), scope.end)
    calls, failed = _pairs(total, mesh, scope.namespace), _pairs(wrong, mesh, scope.namespace)
    for key, per_s in calls.items():
        share = failed.get(key, 0.0) / per_s if per_s else None
        found.add(*key, mesh.provenance, per_s, share if mesh.failed or mesh.failures else None)


def _pairs(rows: Iterable[Sample], mesh: Mesh, namespace: str) -> dict[tuple[str, str], float]:
    totals: dict[tuple[str, str], float] = {}
    for row in rows:
        ends = [_first(row.labels, labels, namespace) for labels in (mesh.caller, mesh.callee)]
        key = (ends[0], ends[1])
        totals[key] = totals.get(key, 0.0) + row.value
    return totals


def _first(labels: Mapping[str, str], names: Iterable[str], namespace: str) -> str:
    return plain(next((labels[name] for name in names if labels.get(name, "") not in _NOBODY), ""), namespace)


async def _traces(found: _Found, store: SpanSource, scope: Scope, ask: Ask) -> None:
    """Read the calls that the store counted, else those of some traces through the service."""
    if isinstance(store, Jaeger):
        ask("Jaeger dependencies")
        rows = await store.dependencies(scope.end, LOOKBACK_S)
        for caller, callee, count in rows:
            found.add(plain(caller, scope.namespace), plain(callee, scope.namespace), "Jaeger", count / LOOKBACK_S)
        if rows:
            return
    known = await store.services()
    service = named(known, scope.service, scope.namespace) if known else scope.service
    if not service:
        return
    ask(store.query(service))
    for span_edge in Traces(await store.spans(service, scope.start, scope.end, TRACES)).edges().values():
        ends = plain(span_edge.caller, scope.namespace), plain(span_edge.callee, scope.namespace)
        found.add(*ends, "traces", None, None)


async def _kubernetes(found: _Found, kube: Kube, scope: Scope, ask: Ask) -> None:
    """Read which Services the workloads of the namespace name in their environment, arguments and commands."""
    if not scope.namespace:
        return
    place = await read_namespace(kube, scope.namespace, KINDS, ask)
    owners = list(_workloads(place))
    behind = {name_of(svc): _owner(svc, owners) for svc in place.of("services")}
    called = {name: owner or name for name, owner in behind.items()}
    for workload in owners:
        for host in hosts(workload):
            name, _, rest = host.partition(".")
            if rest and rest.split(".")[0] != place.name:
                continue
            if name in called:
                found.add(workload.name, called[name], "Kubernetes")


def _workloads(place: Namespace) -> Iterable[Workload]:
    for plural, kind in _SINGULAR.items():
        yield from (Workload(name_of(obj), place, kind, obj) for obj in place.of(plural))


def _owner(service: dict[str, object], owners: Iterable[Workload]) -> str:
    return next((each.name for each in owners if selects(service, template_labels(each.obj))), "")
