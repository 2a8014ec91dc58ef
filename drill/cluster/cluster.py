"""The practice cluster as one thing: store, controllers and kubelet, moved on by `step`; owned by the world."""

import random

from drill.cluster import baseline, defaults, deletion, disruption, kinds, platform, quota
from drill.cluster.autoscaler import Autoscaler
from drill.cluster.catalogue import Catalogue
from drill.cluster.certificates import Certificates
from drill.cluster.container import Sink
from drill.cluster.deployments import Deployments
from drill.cluster.endpoints import EndpointsController
from drill.cluster.events import Recorder
from drill.cluster.jobs import Jobs
from drill.cluster.kubelet import Kubelet
from drill.cluster.objects import Obj
from drill.cluster.replicasets import ReplicaSets
from drill.cluster.store import Store
from drill.cluster.volumes import Volumes
from drill.timeline import Clock

_BY_PLURAL = {kind.plural: kind for kind in kinds.KINDS}
_EXPIRE_EVERY_S = 60.0


class Cluster:
    """Everything inside the cluster; what a client sees of it is kubernetes_api.py."""

    def __init__(self, catalogue: Catalogue, clock: Clock, rng: random.Random, sink: Sink) -> None:
        self.catalogue, self.clock = catalogue, clock
        self.store = Store(clock, rng)
        self.events = Recorder(self.store)
        self.kubelet = Kubelet(self.store, self.events, catalogue, sink)
        self._deployments = Deployments(self.store, self.events)
        self._replica_sets = ReplicaSets(self.store, self.events)
        self._endpoints = EndpointsController(self.store)
        self.volumes = Volumes(self.store, self.events)
        self.certificates = Certificates(self.store, self.events)
        self.jobs = Jobs(self.store, self.events)
        self.autoscaler = Autoscaler(self.store, self.events)
        self._settled = -1
        self._expire_at = 0.0

    def build(self) -> None:
        """Create the baseline: nodes, namespaces, services and their Deployments."""
        for node in baseline.nodes():
            self.store.create(kinds.NODES, node)
        self.restore()
        platform.create(self.store)

    def restore(self) -> None:
        """Create what is missing of the namespaces and of what is in them; a namespace that is being deleted stays after all."""
        spaces = {service.namespace for service in self.catalogue.services.values()}
        for name in sorted({"default", "kube-system"} | spaces):
            known = self.store.find(kinds.NAMESPACES, "", name)
            if known is not None and "deletionTimestamp" not in known["metadata"]:
                continue
            if known is not None:
                self.store.delete(kinds.NAMESPACES, "", name)
            space = {"metadata": {"name": name}, "status": {"phase": "Active"}}
            defaults.apply(kinds.NAMESPACES, space)
            self.store.create(kinds.NAMESPACES, space)
        for plural, obj in baseline.objects(self.catalogue):
            kind = _BY_PLURAL[plural]
            if self.store.find(kind, obj["metadata"]["namespace"], obj["metadata"]["name"]) is None:
                defaults.apply(kind, obj)
                self.store.create(kind, obj)

    def step(self) -> None:
        """Let the kubelet and the controllers act on what is due now; most controllers rest while nothing changes."""
        self.kubelet.step()
        self.jobs.reconcile()
        self.autoscaler.reconcile()
        self.certificates.reconcile()
        deletion.reconcile(self.store)
        if self._replica_sets.waiting:
            self._settled = -1  # a refused pod is asked for again
        for _ in range(4):  # one controller's write is the next one's input
            if self.store.version == self._settled:
                break
            before = self.store.version
            self._deployments.reconcile()
            self._replica_sets.reconcile()
            self._endpoints.reconcile()
            self.volumes.reconcile()
            quota.reconcile(self.store)
            disruption.reconcile(self.store)
            if self.store.version == before:
                self._settled = before
        if self.clock() >= self._expire_at:
            self._expire_at = self.clock() + _EXPIRE_EVERY_S
            self.events.expire()
            self._settled = -1  # also looks at deadlines that pass without any change

    def names_resolve(self) -> bool:
        """Whether the cluster's DNS has a pod that answers."""
        found = self.store.find(kinds.ENDPOINTS, "kube-system", "kube-dns")
        return found is None or any(subset.get("addresses") for subset in found["subsets"])

    def ready_pods(self, service: str, namespace: str) -> list[Obj]:
        """Return the pods a Service sends requests to."""
        endpoints = self.store.find(kinds.ENDPOINTS, namespace, service)
        names = [a["targetRef"]["name"] for s in (endpoints or {}).get("subsets", ()) for a in s.get("addresses", ())]
        return [pod for name in names if (pod := self.store.find(kinds.PODS, namespace, name))]
