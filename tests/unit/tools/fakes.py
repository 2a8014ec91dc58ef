"""Small servers on loopback that answer as the real APIs do; used by the tests of tools and the plug-in contracts."""

import copy
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

Obj = dict[str, Any]
Answer = tuple[int, Any]
Handler = Callable[[str, str, dict[str, list[str]], bytes, dict[str, str]], Answer]
HANG = object()
DROP = object()


@contextmanager
def serve(handler: Handler, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve *handler* on loopback, over TLS with *tls*; an answer of HANG never comes, DROP closes the connection, bytes are sent as they are."""
    over = threading.Event()

    class Requests(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = parse_qs(url.query, keep_blank_values=True)
            if self.headers.get("Content-Type", "").startswith("application/x-www-form"):
                query |= parse_qs(body.decode())
            status, answer = handler(self.command, url.path, query, body, dict(self.headers.items()))
            if answer is HANG:
                over.wait(20)
            if answer in (HANG, DROP):
                self.close_connection = True
                return
            raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_PATCH = do_DELETE = _do  # noqa: N815

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Requests)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    finally:
        over.set()
        server.shutdown()
        server.server_close()


def kubeconfig(folder: Path, url: str, token: str = "reader") -> str:
    path = folder / f"kubeconfig-{token}-{url.rsplit(':', 1)[-1].replace('/', '-')}"
    named = {
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "c", "user": {"token": token}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
    }  # fmt: skip
    path.write_text(json.dumps(named))
    return str(path)


class FakeCluster:
    """A Kubernetes API over a few objects: lists with selectors, JSON Patch with tests, dry-run, generation, refusals."""

    def __init__(self) -> None:
        self.objects: dict[str, Obj] = {}
        self.writes: list[tuple[str, list[Obj]]] = []
        self.requests: list[tuple[str, str, dict[str, list[str]]]] = []
        self.refuse: dict[str, tuple[int, str]] = {}
        self.before_write: Callable[[], None] = lambda: None
        self.after_write: object = None  # DROP or HANG: the write happens, its answer is lost
        self.absent = ("horizontalpodautoscalers",)

    def put(self, collection: str, obj: Obj) -> Obj:
        name = obj["metadata"]["name"]
        obj["metadata"].setdefault("uid", f"uid-{collection.rsplit('/', 1)[-1]}-{name}")
        self.objects[f"{collection}/{name}"] = obj
        return obj

    def __call__(
        self, method: str, path: str, query: dict[str, list[str]], body: bytes, headers: dict[str, str]
    ) -> Answer:
        self.requests.append((method, path, query))
        for part, (status, message) in self.refuse.items():
            if part in f"{method} {path}":
                return status, {"kind": "Status", "message": message, "code": status}
        if method == "PATCH":
            return self._patch(path, query, json.loads(body))
        if path.endswith("selfsubjectaccessreviews"):
            return 201, {"status": {"allowed": json.loads(body)["spec"]["resourceAttributes"]["verb"] != "delete"}}
        if path in self.objects:
            return 200, self.objects[path]
        plural = path.rsplit("/", 1)[-1]
        if plural in {"deployments", "statefulsets", "daemonsets", "replicasets", "pods", "services", "events"}:
            return 200, {"kind": "List", "metadata": {}, "items": list(self._listed(path, plural, query))}
        if plural == "horizontalpodautoscalers" and plural not in self.absent:
            return 200, {
                "kind": "List",
                "items": [o for p, o in self.objects.items() if "/horizontalpodautoscalers/" in p],
            }
        return 404, {"kind": "Status", "message": f"{path} not found", "code": 404}

    def _listed(self, path: str, plural: str, query: dict[str, list[str]]) -> Iterator[Obj]:
        for where, obj in self.objects.items():
            collection = where.rsplit("/", 1)[0]
            everywhere = "/namespaces/" not in path and collection.endswith(f"/{plural}")
            if collection != path and not everywhere:
                continue
            labels = obj["metadata"].get("labels") or {}
            wanted = [pair.split("=") for pair in ",".join(query.get("labelSelector", [])).split(",") if pair]
            named = [pair.split("=")[1] for pair in query.get("fieldSelector", [])]
            if all(labels.get(k) == v for k, v in wanted) and all(obj["metadata"]["name"] == n for n in named):
                yield obj

    def _patch(self, path: str, query: dict[str, list[str]], patch: list[Obj]) -> Answer:
        dry = query.get("dryRun") == ["All"]
        if not dry:
            self.before_write()
        if path not in self.objects:
            return 404, {"message": f"{path} not found"}
        old = self.objects[path]
        new = copy.deepcopy(old)
        for operation in patch:
            if not self._operate(new, operation):
                return 422, {"message": f"the request is invalid: {operation['op']} {operation['path']} failed"}
        if new["spec"] != old["spec"] or new["metadata"].get("annotations") != old["metadata"].get("annotations"):
            new["metadata"]["generation"] = old["metadata"].get("generation", 1) + 1
        if dry:
            return 200, new
        self.objects[path] = new
        self.writes.append((path, patch))
        return 200, self.after_write or new

    @staticmethod
    def _operate(obj: Any, operation: Obj) -> bool:
        parts = [p.replace("~1", "/").replace("~0", "~") for p in operation["path"].split("/")[1:]]
        for part in parts[:-1]:
            if not isinstance(obj, dict) or part not in obj:
                return False
            obj = obj[part]
        last, op = parts[-1], operation["op"]
        if op == "test":
            return bool(obj.get(last) == operation["value"])
        if op in {"remove", "replace"} and last not in obj:
            return False
        if op == "remove":
            del obj[last]
        else:
            obj[last] = operation["value"]
        return True


APPS = "/apis/apps/v1/namespaces/shop"
CORE = "/api/v1/namespaces/shop"


def ago(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - seconds))


def template(name: str, image: str, *, env: dict[str, str] | None = None, memory: str = "256Mi", **more: Any) -> Obj:
    container = {
        "name": name, "image": image, "env": [{"name": k, "value": v} for k, v in (env or {}).items()],
        "resources": {"limits": {"memory": memory, "cpu": "500m"}},
    }  # fmt: skip
    return {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container | more]}}


def add_service(
    cluster: FakeCluster,
    name: str,
    templates: list[Obj],
    *,
    replicas: int = 2,
    ages: list[float] | None = None,
    ready: int | None = None,
) -> Obj:
    """A Deployment with one revision per template (newest last), its Service and the newest revision's pods."""
    ready = replicas if ready is None else ready
    meta = {
        "name": name,
        "namespace": "shop",
        "labels": {"app": name},
        "generation": len(templates),
        "creationTimestamp": ago(9e5),
    }
    meta["annotations"] = {"deployment.kubernetes.io/revision": str(len(templates))}
    status = {
        "observedGeneration": len(templates), "replicas": replicas, "updatedReplicas": replicas, "readyReplicas": ready,
        "availableReplicas": ready,
        "conditions": [
            {"type": "Available", "status": "True"},
            {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable", "lastUpdateTime": ago(600)},
        ],
    }  # fmt: skip
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": copy.deepcopy(templates[-1])}
    deployment = cluster.put(
        f"{APPS}/deployments", {"kind": "Deployment", "metadata": meta, "spec": spec, "status": status}
    )
    cluster.put(
        f"{CORE}/services",
        {"kind": "Service", "metadata": {"name": name, "namespace": "shop"}, "spec": {"selector": {"app": name}}},
    )
    ages = ages or [9e5 - 1000 * n for n in range(len(templates))]
    for number, tmpl in enumerate(templates, 1):
        hashed = copy.deepcopy(tmpl)
        hashed["metadata"]["labels"]["pod-template-hash"] = f"hash{number}"
        newest = number == len(templates)
        replica_set = cluster.put(f"{APPS}/replicasets", {
            "kind": "ReplicaSet",
            "metadata": {
                "name": f"{name}-hash{number}", "namespace": "shop", "labels": {"app": name, "pod-template-hash": f"hash{number}"},
                "annotations": {"deployment.kubernetes.io/revision": str(number)}, "creationTimestamp": ago(ages[number - 1]),
                "ownerReferences": [{"kind": "Deployment", "name": name, "uid": deployment["metadata"]["uid"], "controller": True}],
            },
            "spec": {"replicas": replicas if newest else 0, "template": hashed},
        })  # fmt: skip
    for index in range(replicas):
        add_pod(cluster, replica_set, f"{name}-hash{len(templates)}-pod{index}x", ready=index < ready)
    return deployment


def add_pod(
    cluster: FakeCluster,
    replica_set: Obj,
    name: str,
    *,
    ready: bool = True,
    age: float = 600,
    container: Obj | None = None,
    **status: Any,
) -> Obj:
    app = replica_set["metadata"]["labels"]["app"]
    state = container or {"state": {"running": {"startedAt": ago(age - 1)}}, "lastState": {}}
    return cluster.put(f"{CORE}/pods", {
        "kind": "Pod",
        "metadata": {
            "name": name, "namespace": "shop", "labels": {"app": app}, "creationTimestamp": ago(age),
            "ownerReferences": [{"kind": "ReplicaSet", "name": replica_set["metadata"]["name"], "uid": replica_set["metadata"]["uid"]}],
        },
        "spec": replica_set["spec"]["template"]["spec"],
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": str(ready), "lastTransitionTime": ago(age - 5)}],
            "containerStatuses": [{"name": app, "image": "i", "ready": ready, "restartCount": 0, **state}],
        } | status,
    })  # fmt: skip


def add_event(
    cluster: FakeCluster, kind: str, name: str, reason: str, message: str, *, age: float = 60, count: int = 1
) -> None:
    cluster.put(f"{CORE}/events", {
        "kind": "Event", "metadata": {"name": f"{name}.{reason}.{len(cluster.objects)}", "namespace": "shop"},
        "involvedObject": {"kind": kind, "name": name, "namespace": "shop"}, "reason": reason, "message": message,
        "count": count, "lastTimestamp": ago(age), "firstTimestamp": ago(age), "type": "Warning",
    })  # fmt: skip
