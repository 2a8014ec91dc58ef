"""What a scrape of the practice cluster finds: the services' own metrics, cAdvisor's and kube-state-metrics'.

Called by the world once a second (and, for the history, once per past step).
"""

from drill.cluster import kinds
from drill.cluster.cluster import Cluster
from drill.cluster.container import Container
from drill.cluster.objects import Obj, quantity
from drill.metrics.platform import Platform
from drill.metrics.series import Scrape, Series, Storage, labels_of
from drill.metrics.traffic import BUCKETS, Counters, Traffic

_EDGES = [*(f"{edge:g}" for edge in BUCKETS), "+Inf"]


class Exporter:
    """Writes one scrape of everything into the store."""

    def __init__(self, cluster: Cluster, traffic: Traffic, storage: Storage) -> None:
        self._cluster, self._traffic, self._storage = cluster, traffic, storage
        self._scrape = Scrape(storage)
        self._platform = Platform(cluster, traffic)
        self._known: dict[tuple[str, ...], Series] = {}
        self._static: list[tuple[str, dict[str, str], float]] = []
        self._static_version = -1

    def scrape(self, now: float) -> None:
        """One round at *now* (epoch seconds)."""
        self._scrape.begin(now)
        self._services(now)
        for name, labels, value in self._platform.moving(now):
            self._put(name, labels, value)
        if self._static_version != self._cluster.store.version:
            self._static_version = self._cluster.store.version
            self._static = [*self._deployments(), *self._pods(), *self._platform.still()]
            self._known = {key: series for key, series in self._known.items() if series.times}
        for name, labels, value in self._static:
            self._put(name, labels, value)
        self._scrape.end()

    def _put(self, name: str, labels: dict[str, str], value: float) -> None:
        key = (name, *labels.values())
        series = self._known.get(key)
        if series is None or not series.times:
            series = self._known[key] = self._storage.series(labels_of(name, labels))
        self._scrape.put(series, value)

    def _services(self, now: float) -> None:
        for pod in self._cluster.store.list(kinds.PODS):
            meta = pod["metadata"]
            app = (meta.get("labels") or {}).get("app", "")
            base = {"namespace": meta["namespace"], "service": app, "pod": meta["name"]}
            counters = self._traffic.counters.get(meta["uid"])
            running = [c for c in self._cluster.kubelet.containers(pod) if c.running]
            serves = app in self._traffic.flows
            if pod["spec"].get("nodeName") and serves:
                self._put("up", base | {"job": app}, 1.0 if running and counters else 0.0)
            if running and counters:
                if serves:
                    self._service(base, counters)
                busy = self._busy(app)
                for container in running:
                    self._container(base, container, counters, now, busy)

    def _busy(self, app: str) -> float:
        flow = self._traffic.flows.get(app)
        return min(2.0, flow.rps / 20.0) if flow else 1.0

    def _service(self, base: dict[str, str], counters: Counters) -> None:
        for code, value in counters.requests.items():
            self._put("http_requests_total", base | {"code": code}, value)
        for (peer, code), value in counters.calls.items():
            self._put("http_client_requests_total", base | {"peer": peer, "code": code}, value)
        total = 0
        for edge, count in zip(_EDGES, counters.buckets, strict=True):
            total += int(count)
            self._put("http_request_duration_seconds_bucket", base | {"le": edge}, total)
        self._put("http_request_duration_seconds_count", base, total)
        self._put("http_request_duration_seconds_sum", base, counters.seconds)

    def _container(
        self, base: dict[str, str], container: Container, counters: Counters, now: float, busy: float
    ) -> None:
        labels = {"namespace": base["namespace"], "pod": base["pod"], "container": container.name}
        self._put("container_memory_working_set_bytes", labels, float(int(container.memory(now, busy))))
        self._put("container_cpu_usage_seconds_total", labels, counters.cpu)

    def _deployments(self) -> list[tuple[str, dict[str, str], float]]:
        rows: list[tuple[str, dict[str, str], float]] = []
        for obj in self._cluster.store.list(kinds.DEPLOYMENTS):
            meta, status = obj["metadata"], obj.get("status", {})
            labels = {"namespace": meta["namespace"], "deployment": meta["name"]}
            values = {
                "kube_deployment_spec_replicas": obj["spec"]["replicas"],
                "kube_deployment_status_replicas": status.get("replicas", 0),
                "kube_deployment_status_replicas_available": status.get("availableReplicas", 0),
                "kube_deployment_status_replicas_ready": status.get("readyReplicas", 0),
                "kube_deployment_status_replicas_unavailable": status.get("unavailableReplicas", 0),
                "kube_deployment_status_replicas_updated": status.get("updatedReplicas", 0),
                "kube_deployment_metadata_generation": meta["generation"],
                "kube_deployment_status_observed_generation": status.get("observedGeneration", 0),
            }
            rows += [(name, labels, float(value)) for name, value in values.items()]
        return rows

    def _pods(self) -> list[tuple[str, dict[str, str], float]]:
        rows: list[tuple[str, dict[str, str], float]] = []
        for pod in self._cluster.store.list(kinds.PODS):
            meta, status = pod["metadata"], pod["status"]
            base = {"namespace": meta["namespace"], "pod": meta["name"]}
            ref = (meta.get("ownerReferences") or [{}])[0]
            owner = {"created_by_kind": ref.get("kind", ""), "created_by_name": ref.get("name", "")}
            rows.append(("kube_pod_info", base | {"node": pod["spec"].get("nodeName", "")} | owner, 1.0))
            ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", ()))
            rows.append(("kube_pod_status_ready", base | {"condition": "true"}, float(ready)))
            rows += [
                ("kube_pod_status_phase", base | {"phase": phase}, float(status.get("phase") == phase))
                for phase in ("Pending", "Running", "Succeeded", "Failed", "Unknown")
            ]
            for spec in pod["spec"]["containers"]:
                rows += _resources(base | {"container": spec["name"]}, spec)
            for container in self._cluster.kubelet.containers(pod):
                rows += _states(base | {"container": container.name}, container)
        return rows


def _resources(labels: dict[str, str], spec: Obj) -> list[tuple[str, dict[str, str], float]]:
    rows = []
    for part in ("limits", "requests"):
        for resource, value in ((spec.get("resources") or {}).get(part) or {}).items():
            unit = "byte" if resource == "memory" else "core"
            more = {"resource": str(resource), "unit": unit}
            rows.append((f"kube_pod_container_resource_{part}", labels | more, quantity(value)))
    return rows


def _states(labels: dict[str, str], container: Container) -> list[tuple[str, dict[str, str], float]]:
    rows = [
        ("kube_pod_container_status_restarts_total", labels, float(container.restarts)),
        ("kube_pod_container_status_ready", labels, float(container.ready)),
        ("kube_pod_container_status_running", labels, float(container.running)),
    ]
    if container.last_reason:
        more = labels | {"reason": container.last_reason}
        rows.append(("kube_pod_container_status_last_terminated_reason", more, 1.0))
    if container.waiting_reason:
        rows.append(("kube_pod_container_status_waiting_reason", labels | {"reason": container.waiting_reason}, 1.0))
    return rows
