"""A practice cluster behind its real HTTP API, for what holds every change: samples, targets, faults, a count of writes.

Used by bench/crash_lane.py, bench/abuse.py and tests/contract/test_actions.py. Nothing moves by itself: what is stored
changes by what an action writes, and when `step` lets the controllers act.
"""

import asyncio
import copy
import json
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import uvicorn
from starlette.applications import Starlette

from drill import kubeconfig
from drill.cluster import catalogue, kinds
from drill.cluster.cluster import Cluster
from drill.cluster.kubernetes_api import KubernetesApi
from drill.cluster.objects import Kind
from drill.cluster.rbac import Identities, Tokens
from drill.timeline import Timeline

Obj = dict[str, Any]
# What the server does with a write: drop makes it and closes the connection, late makes it when the client has gone.
Fault = Literal["apply", "refuse", "hang", "drop", "late"]
FAULTS: tuple[Fault, ...] = ("apply", "refuse", "hang", "drop", "late")
NOW = 1_700_000_000.0
LATE_S = 0.3
SHOP, CHECKOUT = {"namespace": "shop"}, {"namespace": "shop", "deployment": "checkout"}
POD, NODE = {"namespace": "shop", "pod": "POD"}, {"node": "worker-2"}
SAMPLES: dict[str, Obj] = {
    "rollout_restart": CHECKOUT, "rollout_undo": CHECKOUT, "rollout_pause": CHECKOUT, "rollout_resume": CHECKOUT,
    "scale": CHECKOUT | {"replicas": 5}, "set_image": CHECKOUT | {"image": "EARLIER"},
    "set_resources": CHECKOUT | {"memory_limit": "777Mi"}, "delete_pod": POD, "evict_pod": POD, "cordon": NODE,
    "uncordon": NODE, "drain_node": NODE | {"wait_seconds": 0}, "cronjob_suspend": SHOP | {"cronjob": "nightly"},
    "cronjob_resume": SHOP | {"cronjob": "nightly"}, "job_rerun": SHOP | {"job": "import"},
    "job_delete": SHOP | {"job": "import"}, "hpa_bounds": SHOP | {"autoscaler": "cart", "max_replicas": 9},
    "pvc_expand": SHOP | {"claim": "orders", "size": "20Gi"},
    "configmap_key_restore": SHOP | {"configmap": "shop-settings", "key": "currency", "value": "CHF"},
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Call:
    """One request to the API server; *applied* once it was carried out, whatever the client heard."""

    method: str
    path: str
    query: str
    dry_run: bool
    applied: bool = False

    @property
    def write(self) -> bool:
        """Whether it changes the cluster."""
        return self.method not in ("GET", "HEAD") and not self.dry_run and "selfsubject" not in self.path


@dataclass
class Practice:
    """The cluster, its address, and every request it got; *fault* is what happens to writes."""

    cluster: Cluster
    now: list[float]
    url: str = ""
    calls: list[Call] = field(default_factory=list)
    fault: Fault = "apply"
    _saved: tuple[Any, ...] = ()
    _late: set["asyncio.Task[None]"] = field(default_factory=set)

    def state(self) -> str:
        """Everything that is stored, as text."""
        store = self.cluster.store
        return json.dumps([list(store.list(kind)) for kind in kinds.KINDS], sort_keys=True)

    def writes(self) -> list[Call]:
        """Return the writes that were asked for and were no dry-run."""
        return [call for call in self.calls if call.write]

    def find(self, plural: str, namespace: str, name: str) -> Obj:
        """One object, copied."""
        return copy.deepcopy(self.cluster.store.get(kind_of(plural), namespace, name))

    def change(self, plural: str, obj: Obj, *, status: bool = False) -> None:
        """Write as somebody else."""
        obj["metadata"].pop("resourceVersion", None)
        self.cluster.store.update(kind_of(plural), obj, status=status)

    def step(self, seconds: float) -> None:
        """Let the controllers act for so long."""
        for _ in range(int(seconds * 5)):
            self.now[0] += 0.2
            self.cluster.step()

    def save(self) -> None:
        """Keep what is stored now for `restore`."""
        store = self.cluster.store
        self._saved = (copy.deepcopy(store._objects), store.version, self.now[0])  # noqa: SLF001  # the drill has no snapshot

    def restore(self) -> None:
        """Bring the cluster back to what was saved, and forget the requests."""
        objects, version, self.now[0] = self._saved
        self.cluster.store._objects = copy.deepcopy(objects)  # noqa: SLF001
        self.cluster.store.version = max(version, self.cluster.store.version) + 1
        self.calls.clear()

    async def late_writes(self) -> None:
        """Wait for the writes whose client has gone."""
        await asyncio.gather(*self._late)

    def params(self, name: str) -> Obj:
        """Return the sample of an action, with what only the running cluster knows."""
        store = self.cluster.store
        pods = [p for p in store.list(kinds.PODS, "shop") if p["metadata"]["labels"]["app"] == "checkout"]
        sets = [s for s in store.list(kinds.REPLICASETS, "shop") if s["metadata"]["labels"]["app"] == "checkout"]
        known = {
            "POD": pods[0]["metadata"]["name"],
            "EARLIER": sets[0]["spec"]["template"]["spec"]["containers"][0]["image"],
        }
        return {
            key: known.get(value, value) if isinstance(value, str) else value for key, value in SAMPLES[name].items()
        }

    def arrange(self, name: str) -> None:
        """Bring the sample's target into the state that the action is for."""
        wanted: tuple[str, str, str, str] | None = {
            "rollout_resume": ("deployments", "shop", "checkout", "paused"),
            "uncordon": ("nodes", "", "worker-2", "unschedulable"),
            "cronjob_resume": ("cronjobs", "shop", "nightly", "suspend"),
        }.get(name)
        if wanted:
            plural, namespace, target, field_ = wanted
            obj = self.find(plural, namespace, target)
            obj["spec"][field_] = True
            self.change(plural, obj)
        if name == "delete_pod":
            pod = self.find("pods", "shop", self.params(name)["pod"])
            waits = {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "ready": False}
            pod["status"]["containerStatuses"][0] |= waits
            self.change("pods", pod, status=True)

    async def serve(self, inner: Starlette, scope: Any, receive: Any, send: Any) -> None:
        """Take one request, note it, and do to a write what *fault* says."""
        if scope["type"] != "http":
            await inner(scope, receive, send)
            return
        query = scope["query_string"].decode()
        call = Call(scope["method"], scope["path"], query, "dryRun=All" in query)
        self.calls.append(call)
        if call.write and self.fault == "refuse":
            await _refused(send)
        elif call.write and self.fault == "hang":
            await _gone(receive)
        else:
            await self._made(call, inner, scope, await _read(receive), receive, send)

    async def _made(self, call: Call, inner: Starlette, scope: Any, body: bytes, receive: Any, send: Any) -> None:
        """Carry the request out; the answer goes out, is dropped, or comes when nobody waits any more."""
        fault = self.fault if call.write else "apply"

        async def given() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def noted(message: Any) -> None:
            if message["type"] == "http.response.start" and message["status"] < 300:
                self.calls[self.calls.index(call)] = replace(call, applied=True)
            if fault == "apply":
                await send(message)

        if fault == "late":
            await _gone(receive)
            task = asyncio.create_task(_later(inner(scope, given, noted)))
            self._late.add(task)
            task.add_done_callback(self._late.discard)
            return
        await inner(scope, given, noted)
        if fault == "drop":
            send.__self__.transport.abort()


async def _gone(receive: Any) -> None:
    """Wait until the client has given up."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _refused(send: Any) -> None:
    said = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403,
            "message": 'admission webhook "policy.example" denied the request: not now'}  # fmt: skip
    await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(said).encode()})


async def _later(write: Any) -> None:
    await asyncio.sleep(LATE_S)
    await write


async def _read(receive: Any) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


def kind_of(plural: str) -> Kind:
    """Return the kind of this plural name."""
    return next(kind for kind in kinds.KINDS if kind.plural == plural)


def _more(cluster: Cluster) -> None:
    """Make what the samples change, beside the practice services."""
    job_spec = {"template": {"metadata": {"labels": {"job-name": "import"}}, "spec": {
        "restartPolicy": "Never", "containers": [{"name": "import", "image": "shop/import:1"}]}}}  # fmt: skip
    failed = {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]}
    meta = {"namespace": "shop", "labels": {}}
    for plural, obj in (
        ("cronjobs", {"metadata": meta | {"name": "nightly"}, "spec": {
            "schedule": "0 3 * * *", "suspend": False, "jobTemplate": {"spec": job_spec}}}),
        ("jobs", {"metadata": meta | {"name": "import"}, "spec": job_spec, "status": failed}),
        ("horizontalpodautoscalers", {
            "metadata": meta | {"name": "cart"}, "status": {"currentReplicas": 2},
            "spec": {"minReplicas": 1, "maxReplicas": 4, "scaleTargetRef": {"kind": "Deployment", "name": "cart"},
                     "metrics": [{"type": "Resource", "resource": {
                         "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}}]},
        }),
        ("storageclasses", {"metadata": {"name": "fast"}, "allowVolumeExpansion": True}),
        ("persistentvolumeclaims", {
            "metadata": meta | {"name": "orders"}, "status": {"phase": "Bound", "capacity": {"storage": "10Gi"}},
            "spec": {"storageClassName": "fast", "volumeName": "v", "accessModes": ["ReadWriteOnce"],
                     "volumeMode": "Filesystem", "resources": {"requests": {"storage": "10Gi"}}},
        }),
    ):  # fmt: skip
        cluster.store.create(kind_of(plural), copy.deepcopy(obj))


def _built() -> Practice:
    now = [NOW]
    cluster = Cluster(catalogue.load(), Timeline(lambda: now[0]), random.Random(7), lambda *_: None)
    cluster.build()
    made = Practice(cluster, now)
    made.step(8)
    newer = copy.deepcopy(cluster.store.get(kinds.DEPLOYMENTS, "shop", "checkout"))
    container = newer["spec"]["template"]["spec"]["containers"][0]
    repository = container["image"].partition(":")[0]
    known = cluster.catalogue._images  # noqa: SLF001  # every tag it can pull
    images = (i for i in known if i.startswith(repository) and i != container["image"])
    container["image"] = next(images)
    cluster.store.update(kinds.DEPLOYMENTS, newer)
    made.step(12)
    _more(cluster)
    return made


@asynccontextmanager
async def practice() -> AsyncIterator[Practice]:
    """Build a practice cluster and serve its API on loopback; *url* leads to it."""
    made = _built()
    api = KubernetesApi(made.cluster.store, Identities(Tokens("r", "actor", "a")), lambda *_: "", lambda: None)
    inner = Starlette(routes=api.routes())

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await made.serve(inner, scope, receive, send)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1))
        task = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started:  # uvicorn has no event for it
            await asyncio.sleep(0.01)
        made.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        yield made
        server.should_exit = True
        await task


def actor_kubeconfig(folder: Path, made: Practice) -> str:
    """Write the kubeconfig of the identity that may change; return its path."""
    return str(kubeconfig.write(folder / f"actor-{made.url.rsplit(':', 1)[1]}", made.url, "actor", "tocsin-actor"))
