"""How load and failure travel through the call graph: requests downwards, errors and slowness upwards.

Pure over what the cluster says is ready; called once per tick by the traffic.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from drill.cluster.catalogue import Behaviour, Call, Catalogue, Service
from drill.cluster.container import Container
from drill.cluster.objects import Obj

REFUSED, NO_HOST, NO_NAMES, ANSWERED = "refused", "no_host", "no_names", "answered"
_LOOKUPS_FAIL = 0.6  # of new calls while no DNS server answers; the others have an open connection


@dataclass
class Instance:
    """One started container that may serve."""

    pod: Obj
    container: Container
    behaviour: Behaviour
    ready: bool


@dataclass
class Edge:
    """One service's calls to a peer in this tick: how many per request, share that fails (0..1), with which code, and how."""

    call: Call
    host: str
    per_request: float
    failing: float = 0.0
    code: str = "200"
    how: str = ANSWERED


@dataclass
class Flow:
    """One service in this tick: requests per second, its edges, what its callers meet."""

    service: Service
    instances: list[Instance]
    rps: float = 0.0
    failing: float = 0.0
    latency_ms: float = 0.0
    waited_ms: float = 0.0
    lost: float = 0.0
    edges: list[Edge] = field(default_factory=list)

    @property
    def serving(self) -> list[Instance]:
        """Instances behind the Service."""
        return [each for each in self.instances if each.ready]


def season(at: float) -> float:
    """Load relative to normal at a time: slow and quick waves, mean 1."""
    slow, quick = math.sin(2 * math.pi * at / 2400), math.sin(2 * math.pi * at / 330)
    return 1 + 0.12 * slow + 0.04 * quick


def order(catalogue: Catalogue) -> list[Service]:
    """Callers before callees."""
    done: list[str] = []

    def visit(name: str) -> None:
        if name in done or name not in catalogue.services:
            return
        for call in catalogue.services[name].calls:
            visit(call.peer)
        done.append(name)

    for name in catalogue.services:
        visit(name)
    return [catalogue.services[name] for name in reversed(done)]


def compute(
    services: Iterable[Service],
    instances: dict[str, list[Instance]],
    lost: dict[str, float],
    load: float,
    *,
    visitors: Mapping[str, float] | None = None,
    names: bool = True,
) -> dict[str, Flow]:
    """Flows of one tick; *lost* is the share of a service's instances that crashed since the last one.

    *visitors*: load on single services relative to *load*. *names*: whether host names can be looked up.
    """
    ordered = list(services)
    flows = {s.name: Flow(s, instances.get(s.name, []), lost=lost.get(s.name, 0.0)) for s in ordered}
    for service in ordered:
        flow = flows[service.name]
        more = (visitors or {}).get(service.name, 1.0)
        flow.rps += service.entry_rps * load * more
        flow.edges = _edges(flow, min(1.0, 1 / more) if more else 1.0)
        if flow.serving:
            for edge in flow.edges:
                if edge.host in flows:
                    flows[edge.host].rps += flow.rps * edge.per_request
    for service in reversed(ordered):
        _outcome(flows[service.name], flows, names=names)
    return flows


def _edges(flow: Flow, buyers: float) -> list[Edge]:
    """Whom the service calls, as the environment of its newest container says; *buyers* is their share of the visitors."""
    rate = {call: call.per_request * (buyers if call.buys else 1.0) for call in flow.service.calls}
    if not flow.instances:
        return [Edge(call, call.peer, rate[call]) for call in flow.service.calls]
    env = {each["name"]: str(each.get("value", "")) for each in flow.instances[-1].container.spec.get("env") or ()}
    edges = []
    for call in flow.service.calls:
        url = env.get(f"{call.peer.upper()}_URL", "")
        edges.append(Edge(call, (urlsplit(url).hostname or "").split(".")[0], rate[call]))
    return edges


def _outcome(flow: Flow, flows: dict[str, Flow], *, names: bool) -> None:
    passed_on = 0.0
    waiting = 0.0
    for edge in flow.edges:
        peer = flows.get(edge.host)
        if peer is None:
            edge.failing, edge.code, edge.how = 1.0, "503", NO_HOST
        elif not names:
            edge.failing, edge.code, edge.how = _LOOKUPS_FAIL, "503", NO_NAMES
        elif not peer.serving:
            edge.failing, edge.code, edge.how = 1.0, "503", REFUSED
        else:
            edge.failing = 1 - (1 - peer.failing) * (1 - peer.lost)
            edge.code, edge.how = ("503", REFUSED) if peer.lost > peer.failing else ("500", ANSWERED)
            waiting += min(1.0, edge.per_request) * peer.latency_ms * (1.0 if edge.call.required else 0.3)
        passed_on += min(1.0, edge.per_request) * edge.failing * edge.call.required
    serving = flow.serving or flow.instances
    if not serving:
        return
    own = sum(sum(f.ratio for f in each.behaviour.faults) for each in serving) / len(serving)
    flow.failing = min(1.0, own + (1 - own) * min(1.0, passed_on))
    flow.waited_ms = sum(each.behaviour.wait_ms for each in serving) / len(serving)
    flow.latency_ms = waiting + flow.waited_ms + sum(each.behaviour.latency_ms for each in serving) / len(serving)
