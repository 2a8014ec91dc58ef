"""The life of one container: waiting, pulled, started, ready, killed, restarted; owned by the kubelet stand-in."""

import hashlib
import random
from collections.abc import Callable

from drill.cluster import kinds
from drill.cluster.catalogue import Behaviour, Catalogue
from drill.cluster.events import Recorder
from drill.cluster.objects import Kind, Obj, iso, quantity
from drill.cluster.store import Store

Sink = Callable[[Obj, str, str, str], None]
"""Receives (pod, container, level, text) for each line that a container writes."""

_PULL_S = 0.4
_FIRST_RESTART_S = 0.5
_BACKOFF_S, _BACKOFF_MAX_S = 2.0, 40.0  # a real kubelet: 10 s doubling up to 5 min; the drill is brisker
_WARM_S = 2.5  # a process reaches its full memory within this time
_MIB = 2.0**20


class Container:
    """One container of one pod; *now* is when its pod was scheduled."""

    def __init__(self, spec: Obj, catalogue: Catalogue, sink: Sink, rng: random.Random, now: float) -> None:
        self.spec, self.name, self.image = spec, str(spec["name"]), str(spec["image"])
        self.behaviour: Behaviour | None = catalogue.behaviour(self.image)
        self.restarts = self.starts = 0
        self.running = self.ready = self.over = False
        self.started_at = 0.0
        self.instance = 0
        self._sink, self._rng = sink, rng
        self._due, self._phase = now + _PULL_S, "pull"
        self._waiting = {"reason": "ContainerCreating"}
        self._last: Obj = {}
        self._id = ""
        self._digest = hashlib.sha256(self.image.encode()).hexdigest()
        self.crashed_at = 0.0
        self._pulls = 0
        self._jitter = rng.uniform(0.8, 1.15)
        limit = (spec.get("resources") or {}).get("limits", {}).get("memory")
        self.memory_limit = quantity(limit) if limit else 0.0

    def step(self, pod: Obj, store: Store, events: Recorder) -> bool:
        """Do what is due; True when the pod's status must be written again."""
        now = store.clock()
        if self.running:
            return self._watch(pod, store, events, now)
        if self._phase in ("stopped", "over") or now < self._due:
            return self._phase == "pull" and self._pulls == 0 and self._announce(pod, events)
        problem = self._config_problem(pod, store)
        if problem:
            return self._cannot(pod, events, "CreateContainerConfigError", problem, now)
        if self.behaviour is None:
            return self._pull_failed(pod, events, now)
        self._start(pod, events, now)
        return True

    def stop(self) -> None:
        """Return the pod goes: nothing runs or starts any more."""
        self.running = self.ready = False
        self._phase = "stopped"

    def memory(self, now: float, busy: float = 1.0) -> float:
        """Bytes in use: grows to the version's working set while it warms up; *busy* is load relative to normal."""
        if self.behaviour is None or not self.running:
            return 0.0
        warm = min(1.0, max(0.0, (now - self.started_at) / _WARM_S))
        return self.behaviour.memory_mi * _MIB * (0.35 + 0.65 * warm) * self._jitter_memory() * (0.97 + 0.03 * busy)

    def _jitter_memory(self) -> float:
        return 0.98 + 0.04 * (self._jitter - 0.8) / 0.35

    def status(self) -> Obj:
        """Return the containerStatus."""
        if self.running:
            state: Obj = {"running": {"startedAt": iso(self.started_at)}}
        elif self.over:
            state = {"terminated": dict(self._last)}
        else:
            state = {"waiting": dict(self._waiting)}
        return {
            "name": self.name,
            "state": state,
            "lastState": {"terminated": dict(self._last)} if self._last and not self.over else {},
            "ready": self.ready,
            "restartCount": self.restarts,
            "image": self.image,
            "imageID": f"{self.image.partition(':')[0]}@sha256:{self._digest}" if self.starts else "",
            "containerID": self._id,
            "started": self.running,
        }

    @property
    def last_reason(self) -> str:
        """Why it ended the last time, or ""."""
        return str(self._last.get("reason", ""))

    @property
    def waiting_reason(self) -> str:
        """Why it does not run, or ""."""
        return "" if self.running or self._phase in ("stopped", "over") else str(self._waiting["reason"])

    def _announce(self, pod: Obj, events: Recorder) -> bool:
        self._pulls = 1
        events.record(pod, "Pulling", f'Pulling image "{self.image}"', by="kubelet")
        return True

    def _start(self, pod: Obj, events: Recorder, now: float) -> None:
        took = int(self._rng.uniform(180, 420))
        line = f'Successfully pulled image "{self.image}" in {took}ms ({took}ms including waiting)'
        if self.starts:
            line = f'Container image "{self.image}" already present on machine'
        events.record(pod, "Pulled", line, by="kubelet")
        events.record(pod, "Created", f"Created container: {self.name}", by="kubelet")
        events.record(pod, "Started", f"Started container {self.name}", by="kubelet")
        self.running, self.started_at, self._phase = True, now, "run"
        self.starts += 1
        self.instance += 1
        self._id = f"containerd://{self._rng.getrandbits(256):064x}"
        self._sink(pod, self.name, "info", f"starting {self.name} {self.image.rsplit(':', 1)[-1]}")

    def _watch(self, pod: Obj, store: Store, events: Recorder, now: float) -> bool:
        behaviour = self.behaviour
        if behaviour is None:
            return False
        age = now - self.started_at
        if self.memory_limit and self.memory(now) > self.memory_limit:
            self._out_of_memory(pod, store, events)
            return self._ended(pod, events, "OOMKilled", 137, now)
        if behaviour.exit_after_s is not None and age >= behaviour.exit_after_s:
            return self._exit(pod, events, behaviour, now)
        return self._probe(pod, events, behaviour, now)

    def _exit(self, pod: Obj, events: Recorder, behaviour: Behaviour, now: float) -> bool:
        for line in behaviour.exit_lines:
            self._sink(pod, self.name, "error", line)
        wrong = self._wrong_argument(behaviour)
        if wrong:
            self._sink(pod, self.name, "error", wrong)
        elif not behaviour.exit_code:
            self._sink(pod, self.name, "info", "done")
        code = 2 if wrong else behaviour.exit_code
        return self._ended(pod, events, "Error" if code else "Completed", code, now)

    def _wrong_argument(self, behaviour: Behaviour) -> str:
        """Return what the program says about an argument that it does not accept, or ""."""
        for argument in self.spec.get("args") or ():
            flag, _, value = str(argument).partition("=")
            if flag in behaviour.accepts and value not in behaviour.accepts[flag]:
                return f'invalid argument {flag}: unknown value "{value}", want one of {", ".join(behaviour.accepts[flag])}'
        return ""

    def _probe(self, pod: Obj, events: Recorder, behaviour: Behaviour, now: float) -> bool:
        """Ask the readiness probe when it is due; a container without one is ready once it has started."""
        probe = self.spec.get("readinessProbe") or {}
        path = (probe.get("httpGet") or {}).get("path", "/ready")
        served = path in behaviour.ready_paths
        if served and not behaviour.unready:
            if self.ready or now - self.started_at < behaviour.startup_s * self._jitter:
                return False
            self.ready = True
            if probe:
                self._sink(pod, self.name, "info", "listening on :8080")
            return True
        if now - self.started_at > behaviour.startup_s and now >= self._due:
            self._due = now + float(probe.get("periodSeconds", 5))
            line = f"Readiness probe failed: HTTP probe failed with statuscode: {503 if served else 404}"
            events.record(pod, "Unhealthy", line, by="kubelet", warning=True)
        return False

    def _out_of_memory(self, pod: Obj, store: Store, events: Recorder) -> None:
        node = store.find(kinds.NODES, "", pod["spec"]["nodeName"])
        if node is None:
            return
        used = int(self.memory_limit / 1024)
        line = (
            f"Memory cgroup out of memory: Killed process {self._rng.randint(3000, 60000)} ({self.name}) "
            f"total-vm:{used * 6}kB, anon-rss:{used}kB, file-rss:{used // 9}kB, shmem-rss:0kB, UID:65532 "
            f"pgtables:{used // 400}kB oom_score_adj:936"
        )
        events.record(node, "OOMKilling", line, by="kernel-monitor", warning=True)

    def _ended(self, pod: Obj, events: Recorder, reason: str, code: int, now: float) -> bool:
        self._last = {
            "exitCode": code,
            "reason": reason,
            "startedAt": iso(self.started_at),
            "finishedAt": iso(now),
            "containerID": self._id,
        }
        self.running = self.ready = False
        policy = pod["spec"].get("restartPolicy", "Always")
        if policy == "Never" or (policy == "OnFailure" and code == 0):
            self.over, self._phase = True, "over"
            return True
        self._phase, self.crashed_at = "restart", now
        wait = _FIRST_RESTART_S if not self.restarts else min(_BACKOFF_S * 2 ** (self.restarts - 1), _BACKOFF_MAX_S)
        self.restarts += 1
        self._due = now + wait
        meta = pod["metadata"]
        where = f"{meta['name']}_{meta['namespace']}({meta['uid']})"
        self._waiting = {
            "reason": "CrashLoopBackOff",
            "message": f"back-off {max(wait, 1):.0f}s restarting failed container={self.name} pod={where}",
        }
        line = f"Back-off restarting failed container {self.name} in pod {where}"
        events.record(pod, "BackOff", line, by="kubelet", warning=True)
        return True

    def _pull_failed(self, pod: Obj, events: Recorder, now: float) -> bool:
        """Alternate between ErrImagePull (just tried) and ImagePullBackOff (waiting), as the kubelet does."""
        if self._waiting["reason"] == "ErrImagePull":
            self._waiting = {"reason": "ImagePullBackOff", "message": f'Back-off pulling image "{self.image}"'}
            line = f'Back-off pulling image "{self.image}"'
            events.record(pod, "BackOff", line, by="kubelet")
            events.record(pod, "Failed", "Error: ImagePullBackOff", by="kubelet", warning=True)
            self._due = now + min(2.0 * 2**self._pulls, _BACKOFF_MAX_S)
            return True
        self._pulls += 1
        detail = (
            f'rpc error: code = NotFound desc = failed to pull and unpack image "{self.image}": failed to resolve '
            f'reference "{self.image}": {self.image}: not found'
        )
        events.record(pod, "Failed", f'Failed to pull image "{self.image}": {detail}', by="kubelet", warning=True)
        events.record(pod, "Failed", "Error: ErrImagePull", by="kubelet", warning=True)
        self._waiting = {"reason": "ErrImagePull", "message": detail}
        self._due = now + 1.0
        return True

    def _config_problem(self, pod: Obj, store: Store) -> str:
        namespace = pod["metadata"]["namespace"]
        for kind, key, source in _references(self.spec):
            if source.get("optional"):
                continue
            found = store.find(kind, namespace, source["name"])
            word = kind.kind.lower()
            if found is None:
                return f'{word} "{source["name"]}" not found'
            if key and key not in {**found.get("data", {}), **found.get("stringData", {})}:
                return f"couldn't find key {key} in {kind.kind} {namespace}/{source['name']}"
        return ""

    def _cannot(self, pod: Obj, events: Recorder, reason: str, message: str, now: float) -> bool:
        self._due = now + 2.0
        events.record(pod, "Failed", f"Error: {message}", by="kubelet", warning=True)
        fresh = {"reason": reason, "message": message}
        changed = fresh != self._waiting
        self._waiting = fresh
        return changed


def _references(spec: Obj) -> list[tuple[Kind, str, Obj]]:
    """Return the config maps and secrets that a container's environment needs, with the key."""
    found = []
    for env in spec.get("env") or ():
        source = env.get("valueFrom") or {}
        if "configMapKeyRef" in source:
            found.append((kinds.CONFIGMAPS, source["configMapKeyRef"]["key"], source["configMapKeyRef"]))
        if "secretKeyRef" in source:
            found.append((kinds.SECRETS, source["secretKeyRef"]["key"], source["secretKeyRef"]))
    for env in spec.get("envFrom") or ():
        if "configMapRef" in env:
            found.append((kinds.CONFIGMAPS, "", env["configMapRef"]))
        if "secretRef" in env:
            found.append((kinds.SECRETS, "", env["secretRef"]))
    return found
