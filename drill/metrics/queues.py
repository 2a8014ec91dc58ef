"""Queues between services: filled by one service's requests, emptied by another's pods; moved on by the traffic."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from drill.cluster.catalogue import Catalogue
from drill.metrics.flow import Flow


@dataclass
class Queue:
    """One queue: messages waiting, and counts since the start; *done* by consumer's pod."""

    name: str
    namespace: str
    consumer: str
    ready: float = 0.0
    published: float = 0.0
    consumers: int = 0
    done: dict[str, float] = field(default_factory=dict)


class Queues:
    """Every queue of the catalogue."""

    def __init__(self, catalogue: Catalogue, seed: int) -> None:
        self._catalogue, self._rng = catalogue, np.random.default_rng(seed + 2)
        self.all = {
            service.name: Queue(service.consumes.queue, service.namespace, service.name)
            for service in catalogue.services.values()
            if service.consumes
        }

    def tick(self, flows: Mapping[str, Flow], dt: float) -> None:
        """Let *dt* seconds of messages arrive and be worked off."""
        for name, queue in self.all.items():
            consumes, flow = self._catalogue.services[name].consumes, flows.get(name)
            if consumes is None or flow is None:
                continue
            source = flows.get(consumes.feeds)
            rate = source.rps * (1 - source.failing) if source and source.serving else 0.0
            come = float(self._rng.poisson(max(rate, 0.0) * dt))
            queue.published += come
            queue.consumers = len(flow.serving)
            waiting = queue.ready + come
            for instance in flow.serving:
                took = min(waiting, consumes.per_s * dt)
                waiting -= took
                pod = instance.pod["metadata"]["name"]
                queue.done[pod] = queue.done.get(pod, 0.0) + took
            queue.ready = waiting
            pods = {each.pod["metadata"]["name"] for each in flow.instances}
            queue.done = {pod: count for pod, count in queue.done.items() if pod in pods}
