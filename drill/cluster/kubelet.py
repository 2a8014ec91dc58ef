"""The kubelet and scheduler stand-in: what becomes of a pod follows from its spec and its image; run by the world.

A container is pulled, started and becomes ready within about a second. An image no registry has is not pulled; a process
that needs more memory than its limit is OOM-killed and restarted with growing back-off.
"""

from collections.abc import Iterator

from drill.cluster import kinds
from drill.cluster.catalogue import Catalogue
from drill.cluster.container import Container, Sink
from drill.cluster.events import Recorder
from drill.cluster.objects import Obj, clone, iso
from drill.cluster.scheduling import why_unschedulable
from drill.cluster.store import Store

_STOP_S = 0.8  # how long a container takes to stop when asked


class Kubelet:
    """Drives every pod of the cluster; one call to `step` is one look at all of them."""

    def __init__(self, store: Store, events: Recorder, catalogue: Catalogue, sink: Sink) -> None:
        self._store, self._events, self._catalogue, self._sink = store, events, catalogue, sink
        self._containers: dict[str, list[Container]] = {}
        self._stopping: dict[str, float] = {}
        self._next_ip = 10

    def step(self) -> None:
        """Schedule, start, kill, restart and remove whatever is due."""
        seen = set()
        for pod in list(self._store.list(kinds.PODS)):
            uid = pod["metadata"]["uid"]
            seen.add(uid)
            if "deletionTimestamp" in pod["metadata"]:
                self._stop(pod)
            elif not pod["spec"].get("nodeName"):
                self._schedule(pod)
            else:
                self._run(pod)
        for uid in list(self._containers):
            if uid not in seen:
                self._containers.pop(uid)
                self._stopping.pop(uid, None)

    def running(self) -> Iterator[tuple[Obj, Container]]:
        """Every pod with a started container, for the traffic and the metrics."""
        for pod in self._store.list(kinds.PODS):
            for container in self._containers.get(pod["metadata"]["uid"], ()):
                if container.running:
                    yield pod, container

    def crashed_since(self, at: float) -> Iterator[tuple[Obj, Container]]:
        """Pods with a container that ended by itself after *at*."""
        for pod in self._store.list(kinds.PODS):
            for container in self._containers.get(pod["metadata"]["uid"], ()):
                if container.crashed_at > at:
                    yield pod, container

    def containers(self, pod: Obj) -> list[Container]:
        """Return the containers of one pod, running or not."""
        return self._containers.get(pod["metadata"]["uid"], [])

    def _schedule(self, pod: Obj) -> None:
        nodes, pods = list(self._store.list(kinds.NODES)), list(self._store.list(kinds.PODS))
        node, why = why_unschedulable(pod, nodes, pods)
        fresh, now = clone(pod), self._store.clock()
        if node is None:
            mark = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": why}
            known = [c for c in fresh["status"].get("conditions", ()) if c["type"] == "PodScheduled"]
            if not known or known[0]["message"] != why:
                fresh["status"]["conditions"] = [mark | {"lastTransitionTime": iso(now), "lastProbeTime": None}]
                self._store.update(kinds.PODS, fresh, status=True)
                self._events.record(pod, "FailedScheduling", why, by="default-scheduler", warning=True)
            return
        name = node["metadata"]["name"]
        fresh["spec"]["nodeName"] = name
        fresh = clone(self._store.update(kinds.PODS, fresh))
        meta = pod["metadata"]
        line = f"Successfully assigned {meta['namespace']}/{meta['name']} to {name}"
        self._events.record(fresh, "Scheduled", line, by="default-scheduler")
        self._admit(fresh)

    def _admit(self, fresh: Obj) -> None:
        """Take up a pod that has its node, from the scheduler or from whoever made it."""
        self._next_ip += 1
        now = self._store.clock()
        address = f"10.244.{self._next_ip // 250}.{self._next_ip % 250 + 1}"
        status: Obj = {"phase": "Pending", "hostIP": "10.0.0.1", "podIP": address, "startTime": iso(now)}
        fresh["status"] |= status | {"podIPs": [{"ip": address}]}
        self._containers[fresh["metadata"]["uid"]] = [
            Container(spec, self._catalogue, self._sink, self._store.rng, now) for spec in fresh["spec"]["containers"]
        ]
        self._write(fresh)

    def _run(self, pod: Obj) -> None:
        containers = self._containers.get(pod["metadata"]["uid"])
        if containers is None:
            if not pod["status"].get("startTime"):
                self._admit(clone(pod))
            return
        changed = False
        for container in containers:
            changed |= container.step(pod, self._store, self._events)
        if changed:
            self._write(clone(pod))

    def _write(self, fresh: Obj) -> None:
        """Bring the pod's status in line with its containers."""
        containers = self._containers[fresh["metadata"]["uid"]]
        now = iso(self._store.clock())
        ready = all(container.ready for container in containers)
        waiting = "" if ready else "[" + " ".join(c.name for c in containers if not c.ready) + "]"
        old = {c["type"]: c for c in fresh["status"].get("conditions", ())}
        conditions = []
        for kind in ("Initialized", "Ready", "ContainersReady", "PodScheduled"):
            value = "True" if kind in ("Initialized", "PodScheduled") or ready else "False"
            known = old.get(kind)
            if known is None or known["status"] != value:
                known = {"type": kind, "status": value, "lastProbeTime": None, "lastTransitionTime": now}
                if value == "False":
                    known |= {"reason": "ContainersNotReady", "message": f"containers with unready status: {waiting}"}
            conditions.append(known)
        fresh["status"] |= {
            "phase": _phase(containers),
            "conditions": conditions,
            "containerStatuses": [container.status() for container in containers],
        }
        self._store.update(kinds.PODS, fresh, status=True)

    def _stop(self, pod: Obj) -> None:
        uid, now = pod["metadata"]["uid"], self._store.clock()
        if uid not in self._stopping:
            self._stopping[uid] = now
            for container in self._containers.get(uid, ()):
                if container.running:
                    line = f"Stopping container {container.name}"
                    self._events.record(pod, "Killing", line, by="kubelet")
                container.stop()
        elif now - self._stopping[uid] >= _STOP_S:
            self._store.delete(kinds.PODS, pod["metadata"]["namespace"], pod["metadata"]["name"])


def _phase(containers: list[Container]) -> str:
    if all(container.over for container in containers):
        return "Failed" if any(container.last_reason != "Completed" for container in containers) else "Succeeded"
    return "Running" if any(container.starts for container in containers) else "Pending"
