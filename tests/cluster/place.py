"""Where the suite runs in a cluster: a namespace of its own, two nodes that are only names, three identities; made and removed.

Whatever it makes outside its namespace carries its label and is removed with it. Used by conftest.py.
"""

import contextlib
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from deploy import actor_role
from tests.cluster.api import Answer, Api, Obj

LABEL = "tocsin.dev/test"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
CLEAN_S = 120.0
_READER = Path(actor_role.FILE).parent / "reader.yaml"
_CLUSTER_WIDE = (
    f"{RBAC}/clusterrolebindings", f"{RBAC}/clusterroles", "/api/v1/nodes", "/api/v1/persistentvolumes",
    "/apis/storage.k8s.io/v1/storageclasses",
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
)  # fmt: skip


@dataclass
class Place:
    """A cluster as the suite sees it: the administrator, the reader and the actor of deploy/, and our namespace."""

    admin: Api
    reader: Api
    actor: Api
    stranger: Api
    namespace: str
    nodes: tuple[str, str]
    stand_in: bool
    home: str
    """A node on which pods run: a real one, or the first of ours."""

    @property
    def local(self) -> bool:
        """Whether the server is on this machine, so that it reaches a webhook on loopback."""
        return urlsplit(self.admin.access.url).hostname in ("127.0.0.1", "::1", "localhost")

    @property
    def labels(self) -> dict[str, str]:
        """What our cluster-wide objects carry."""
        return {LABEL: self.namespace}

    @cached_property
    def version(self) -> str:
        """``v1.20.2``."""
        return str(self.admin.get("/version").body["gitVersion"])

    @cached_property
    def guarded(self) -> bool:
        """Whether the server asks RBAC at all: one nobody granted anything to must be refused."""
        return self.stranger.get(f"/api/v1/namespaces/{self.namespace}/secrets").code == 403

    def serves(self, group: str, resource: str, *versions: str) -> str:
        """Return the first of *versions* in which discovery offers the resource, "" for none."""
        return next((version for version in versions if resource in self._resources(group, version)), "")

    def _resources(self, group: str, version: str) -> set[str]:
        answer = self.admin.get(f"/apis/{group}/{version}" if group else f"/api/{version}")
        return {row["name"] for row in answer.body["resources"]} if answer.ok else set()


@contextlib.contextmanager
def made(admin: Api) -> Iterator[Place]:
    """Make the place and, at the end, remove it and see that it is gone."""
    namespace = f"tocsin-test-{secrets.token_hex(3)}"
    real = _ready_nodes(admin)
    admin.must(admin.post("/api/v1/namespaces", {"metadata": {"name": namespace, "labels": {LABEL: namespace}}}))
    try:
        _wait_for_account(admin, namespace)
        tokens = {name: _identity(admin, namespace, name) for name in ("reader", "actor", "stranger")}
        _roles(admin, namespace)
        nodes = (f"{namespace}-a", f"{namespace}-b")
        for name in nodes:
            admin.must(admin.post("/api/v1/nodes", _node(name, namespace, tainted=bool(real))))
        who = {name: admin.as_token(token) for name, token in tokens.items()}
        home = real[0] if real else nodes[0]
        yield Place(admin, who["reader"], who["actor"], who["stranger"], namespace, nodes, not real, home)
    finally:
        _clean(admin, namespace)


def _ready_nodes(admin: Api) -> list[str]:
    rows = admin.must(admin.get("/api/v1/nodes"))["items"]
    conditions = [(row["metadata"]["name"], each) for row in rows for each in row["status"].get("conditions") or []]
    return [name for name, each in conditions if (each["type"], each["status"]) == ("Ready", "True")]


def _wait_for_account(admin: Api, namespace: str) -> None:
    """Pods need the namespace's default account where its admission is on; without a controller manager none comes."""
    until = time.monotonic() + 15
    while time.monotonic() < until:
        if admin.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/default").ok:
            return
        time.sleep(0.2)


def _identity(admin: Api, namespace: str, name: str) -> str:
    where = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    admin.must(admin.post(where, {"metadata": {"name": name}}))
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 7200}}
    return str(admin.must(admin.post(f"{where}/{name}/token", asked))["status"]["token"])


def _roles(admin: Api, namespace: str) -> None:
    """The roles of deploy/ under names of our own: a Tocsin that is installed in that cluster keeps its own."""
    shipped = [*yaml.safe_load_all(actor_role.text()), *yaml.safe_load_all(_READER.read_text())]
    for role in (each for each in shipped if each["kind"] == "ClusterRole"):
        name = f"{namespace}-{role['metadata']['name']}"
        meta = {"name": name, "labels": {LABEL: namespace}}
        admin.must(admin.post(f"{RBAC}/clusterroles", role | {"metadata": meta}))
        reader = role["metadata"]["name"] == "tocsin-reader"
        subject = {"kind": "ServiceAccount", "name": "reader" if reader else "actor", "namespace": namespace}
        binding = {
            "metadata": meta,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [subject],
        }
        spaced = role["metadata"]["name"] == "tocsin-actor"  # the others are bound to the whole cluster
        where = f"{RBAC}/namespaces/{namespace}/rolebindings" if spaced else f"{RBAC}/clusterrolebindings"
        admin.must(admin.post(where, binding))


def _node(name: str, namespace: str, *, tainted: bool) -> Obj:
    """A node without a machine; on a cluster with real ones a taint keeps everybody's pods away from it."""
    spec: Obj = {"taints": [{"key": LABEL, "effect": "NoSchedule"}]} if tainted else {}
    return {"metadata": {"name": name, "labels": {LABEL: namespace, "kubernetes.io/hostname": name}}, "spec": spec}


def _clean(admin: Api, namespace: str) -> None:
    for path in _CLUSTER_WIDE:
        admin.ask("DELETE", path, labelSelector=f"{LABEL}={namespace}")
    for other in _rows(admin.get("/api/v1/namespaces", labelSelector=f"{LABEL}={namespace}")):
        if other["metadata"]["name"] != namespace:
            admin.delete(f"/api/v1/namespaces/{other['metadata']['name']}")
    until = time.monotonic() + CLEAN_S
    _end_pods(admin, namespace, until)
    admin.delete(f"/api/v1/namespaces/{namespace}")
    left: Answer = admin.get(f"/api/v1/namespaces/{namespace}")
    while left.code != 404 and time.monotonic() < until:
        time.sleep(0.2)
        left = admin.get(f"/api/v1/namespaces/{namespace}")
    if left.code != 404:
        raise RuntimeError(f"namespace {namespace} is still there after {CLEAN_S:g} s: {left.body.get('status')}")


def _end_pods(admin: Api, namespace: str, until: float) -> None:
    """Pods and claims first: the namespace's controller comes back only after seconds for what it finds in use."""
    space = f"namespaces/{namespace}"
    for path in (
        f"/apis/apps/v1/{space}/deployments",
        f"/apis/batch/v1/{space}/jobs",
        f"/api/v1/{space}/persistentvolumeclaims",
    ):
        admin.delete(path, {"propagationPolicy": "Background"})
    pods = f"/api/v1/{space}/pods"
    left = _rows(admin.get(pods))
    while left and time.monotonic() < until:
        for pod in left:  # the kubelet of our nodes is gone, nobody else takes their pods away
            if pod["spec"].get("nodeName", namespace).startswith(namespace):
                admin.ask("DELETE", f"{pods}/{pod['metadata']['name']}", gracePeriodSeconds=0)
        time.sleep(0.2)
        left = _rows(admin.get(pods))


def _rows(answer: Answer) -> list[Any]:
    return list(answer.body.get("items") or []) if answer.ok else []
