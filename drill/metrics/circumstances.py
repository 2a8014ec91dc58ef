"""What a program meets besides its own code: its settings, its disk, its node, the outside; asked by the traffic at every tick.

It turns the version's behaviour into how one pod behaves now. The outside is what a drill sets and no cluster object shows.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from drill.cluster import certificates, kinds
from drill.cluster.catalogue import Behaviour, Fault, Service
from drill.cluster.cluster import Cluster
from drill.cluster.container import Container
from drill.cluster.objects import Obj, quantity

_BUSY = 0.9  # of a node's cores: from there on its pods wait for their turn
_SLOWED = 6.0
_REFUSED = 0.08  # of the usual visitors get through an expired certificate (those that do not check)


@dataclass
class Outside:
    """What happens to services from outside: *glitches* until a time (epoch seconds), *load* relative to normal."""

    glitches: dict[str, tuple[float, Fault]] = field(default_factory=dict)
    load: dict[str, float] = field(default_factory=dict)

    def clear(self) -> None:
        """Let it be an ordinary day."""
        self.glitches.clear()
        self.load.clear()


class Circumstances:
    """How pods behave now; `look` once per tick, then `of` for each container."""

    def __init__(self, cluster: Cluster, outside: Outside) -> None:
        self._cluster, self._outside = cluster, outside
        self._crowded: set[str] = set()

    def look(self, running: Iterable[tuple[Obj, Container]]) -> None:
        """See which nodes are out of CPU."""
        demand: dict[str, float] = {}
        for pod, container in running:
            node = pod["spec"].get("nodeName", "")
            demand[node] = demand.get(node, 0.0) + cores(container)
        store = self._cluster.store
        self._crowded = {
            node["metadata"]["name"]
            for node in store.list(kinds.NODES)
            if demand.get(node["metadata"]["name"], 0.0) > _BUSY * quantity(node["status"]["allocatable"]["cpu"])
        }

    def of(self, pod: Obj, container: Container, now: float) -> Behaviour | None:
        """Return how this container behaves now; None when its image is unknown."""
        known = container.behaviour
        if known is None:
            return None
        service = self._cluster.catalogue.services.get(known.program)
        faults = tuple(self._faults(service, pod["metadata"]["namespace"], now)) if service else ()
        slowed = pod["spec"].get("nodeName") in self._crowded and known.cpu_cores < 1
        if not faults and not slowed:
            return known
        return replace(known, faults=known.faults + faults, latency_ms=known.latency_ms * (_SLOWED if slowed else 1.0))

    def _faults(self, service: Service, namespace: str, now: float) -> Iterable[Fault]:
        if service.setting:
            found = self._cluster.store.find(kinds.CONFIGMAPS, namespace, service.setting.configmap)
            if ((found or {}).get("data") or {}).get(service.setting.key) not in service.setting.good:
                yield service.setting.fault
        if service.disk and self._cluster.volumes.full(namespace, service.disk.claim):
            yield service.disk.fault
        until, glitch = self._outside.glitches.get(service.name, (0.0, None))
        if glitch is not None and now < until:
            yield glitch

    def visitors(self, now: float) -> dict[str, float]:
        """Return the load on services relative to normal, where it is not 1."""
        found = dict(self._outside.load)
        for ingress in self._cluster.store.list(kinds.INGRESSES):
            place = ingress["metadata"]["namespace"]
            secrets = [str(tls.get("secretName")) for tls in ingress["spec"].get("tls") or ()]
            if any(certificates.expired(self._cluster.store, place, secret, now) for secret in secrets):
                for name in _backends(ingress):
                    found[name] = found.get(name, 1.0) * _REFUSED
        return found


def cores(container: Container) -> float:
    """CPU cores that a container takes besides its requests, within its limit."""
    if container.behaviour is None:
        return 0.0
    limit = ((container.spec.get("resources") or {}).get("limits") or {}).get("cpu")
    return min(container.behaviour.cpu_cores, quantity(limit)) if limit else container.behaviour.cpu_cores


def _backends(ingress: Obj) -> set[str]:
    paths = [
        path for rule in ingress["spec"].get("rules") or () for path in (rule.get("http") or {}).get("paths") or ()
    ]
    return {str(((path.get("backend") or {}).get("service") or {}).get("name")) for path in paths}
