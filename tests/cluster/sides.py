"""The two sides of a comparison: the practice API and a real one, asked the same by the same code; used by test_conformance.py."""

import asyncio
import contextlib
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette

from drill.cluster import catalogue
from drill.cluster.cluster import Cluster
from drill.cluster.kubernetes_api import KubernetesApi
from drill.cluster.rbac import Identities, Tokens
from tests.cluster.api import Access, Answer, Api, Obj
from tests.cluster.place import Place

_VERSIONS = ("v2", "v2beta2", "v1", "v1beta1")
_STEP_S = 0.05


@dataclass(frozen=True)
class Asked:
    """One request that both sides got: what it is called, its answer here, what was sent, and whether status counts."""

    label: str
    answer: Answer
    sent: Any
    status: bool
    since: int = 0
    fields: tuple[str, ...] | None = None
    until: int = 999


@dataclass
class Side:
    """One API: who asks (by name), the namespace, the nodes, and what was asked so far."""

    apis: dict[str, Api]
    namespace: str
    nodes: tuple[str, str]
    real: bool
    home: str
    asked: list[Asked] = field(default_factory=list)
    _versions: dict[tuple[str, str], str] = field(default_factory=dict)

    def ask(
        self,
        label: str,
        method: str,
        path: str,
        body: Any = None,
        *,
        by: str = "admin",
        status: bool = False,
        since: int = 0,
        until: int = 999,
        fields: tuple[str, ...] | None = None,
        **more: Any,
    ) -> Answer:
        """Ask and note; *path* is absolute, or ``configmaps/a`` for one of our namespace (see `path`).

        *since*, *until*: servers before, or from, that minor version on answer otherwise and are not compared; *fields*: of
        the answer only these.
        """
        answer = self.apis[by].ask(method, self.path(path), body, **more)
        self.asked.append(Asked(label, answer, body, status, since, fields, until))
        return answer

    def note(self, label: str, answer: Answer, *, status: bool = True) -> None:
        """Note an answer that was come by otherwise: a watch's events, kubectl's output."""
        self.asked.append(Asked(label, answer, None, status))

    def quiet(self, method: str, path: str, body: Any = None, **more: Any) -> Answer:
        """Ask without comparing: preparations."""
        return self.apis["admin"].ask(method, self.path(path), body, **more)

    def path(self, path: str) -> str:
        """``deployments/web`` as the API path in our namespace, in the version that this side offers."""
        if path.startswith("/"):
            return path
        plural = path.partition("/")[0].partition("?")[0]
        group = GROUPS.get(plural, "")
        base = f"/apis/{group}/{self.version(group, plural)}" if group else "/api/v1"
        space = "" if plural in CLUSTER else f"/namespaces/{self.namespace}"
        return f"{base}{space}/{path}"

    def version(self, group: str, plural: str) -> str:
        """The first version that discovery offers the resource in."""
        if (group, plural) not in self._versions:
            offered = ""
            for version in _VERSIONS:
                answer = self.apis["admin"].get(f"/apis/{group}/{version}")
                if answer.ok and any(row["name"] == plural for row in answer.body["resources"]):
                    offered = version
                    break
            self._versions[group, plural] = offered
        return self._versions[group, plural]

    def until(self, done: Callable[[], Any], seconds: float = 20.0) -> bool:
        """Wait for the controllers; False when they did not come that far."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if done():
                return True
            time.sleep(0.1)
        return False


GROUPS = {
    "deployments": "apps", "replicasets": "apps", "statefulsets": "apps", "daemonsets": "apps", "jobs": "batch",
    "cronjobs": "batch", "poddisruptionbudgets": "policy", "horizontalpodautoscalers": "autoscaling",
    "storageclasses": "storage.k8s.io", "validatingwebhookconfigurations": "admissionregistration.k8s.io",
    "ingresses": "networking.k8s.io", "networkpolicies": "networking.k8s.io",
}  # fmt: skip
CLUSTER = {"nodes", "namespaces", "persistentvolumes", "storageclasses", "validatingwebhookconfigurations"}


def of_place(place: Place) -> Side:
    """The real side, in a place that is made already."""
    return Side(
        {"admin": place.admin, "reader": place.reader, "actor": place.actor, "nobody": place.admin.as_token("no-such-token")},
        place.namespace, place.nodes, real=True, home=place.home,
    )  # fmt: skip


@contextlib.contextmanager
def practice(namespace: str) -> Iterator[Side]:
    """The practice API over HTTP with its controllers, in a thread, and a namespace of that name."""
    cluster = Cluster(catalogue.load(), time.time, random.Random(7), lambda *_: None)
    cluster.build()
    tokens = {"reader": "r", "actor": "a", "admin": "k"}
    api = KubernetesApi(cluster.store, Identities(Tokens(**tokens)), lambda *_: "", cluster.step)
    with socket.socket() as free, contextlib.ExitStack() as stack:
        free.bind(("127.0.0.1", 0))
        free.listen()
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        app = Starlette(routes=api.routes())
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        thread = threading.Thread(target=lambda: asyncio.run(_serve(server, free, cluster)), daemon=True)
        thread.start()
        apis = {name: Api(Access(url), token, "/kubernetes") for name, token in (tokens | {"nobody": "no"}).items()}
        for each in apis.values():
            stack.callback(each.close)
        while not server.started:
            time.sleep(0.01)
        apis["admin"].must(apis["admin"].post("/api/v1/namespaces", {"metadata": {"name": namespace}}))
        try:
            yield Side(apis, namespace, ("worker-1", "worker-2"), real=False, home="worker-1")
        finally:
            api.close()
            server.should_exit = True
            thread.join(20)


async def _serve(server: uvicorn.Server, free: socket.socket, cluster: Cluster) -> None:
    serving = asyncio.create_task(server.serve(sockets=[free]))
    while not serving.done():
        cluster.step()
        await asyncio.sleep(_STEP_S)
    await serving


IMAGE = "registry.k8s.io/pause"  # runs on every cluster, a real kubelet's too


def container(tag: str = "3.9", **more: Any) -> Obj:
    """One container as the requests have it."""
    return {"name": "app", "image": f"{IMAGE}:{tag}"} | more


def deployment(name: str, **spec: Any) -> Obj:
    """A Deployment as the requests have it; paused, so that no controller moves between a request and its answer."""
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container()]}}
    whole = {"replicas": 2, "paused": True, "selector": {"matchLabels": labels}, "template": template} | spec
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": labels}, "spec": whole}


def config(name: str, **data: str) -> Obj:
    """A ConfigMap as the requests have it."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data or {"a": "1"}}
