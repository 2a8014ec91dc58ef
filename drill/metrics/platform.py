"""What exporters other than the services' own say: node-exporter, kubelet volumes, queues, certificates, jobs, autoscalers.

Names and labels are those of node_exporter, kube-state-metrics, the kubelet, cert-manager, blackbox_exporter and RabbitMQ.
"""

from collections.abc import Iterator

from drill.cluster import certificates, kinds
from drill.cluster.cluster import Cluster
from drill.cluster.objects import Obj, condition, from_iso, quantity
from drill.cluster.volumes import size
from drill.metrics.traffic import Traffic

Row = tuple[str, dict[str, str], float]
_PARTS = (("user", 0.7), ("system", 0.25), ("iowait", 0.05))


class Platform:
    """Rows of one scrape."""

    def __init__(self, cluster: Cluster, traffic: Traffic) -> None:
        self._cluster, self._traffic = cluster, traffic
        self._cpu: dict[str, list[float]] = {}
        self._at = 0.0

    def moving(self, now: float) -> Iterator[Row]:
        """Return what changes by itself: CPU of nodes, volumes, queues, certificates."""
        yield from self._nodes(now)
        for claim in self._cluster.store.list(kinds.CLAIMS):
            meta = claim["metadata"]
            labels = {"namespace": meta["namespace"], "persistentvolumeclaim": meta["name"]}
            total, used = size(claim), self._cluster.volumes.used(claim)
            yield "kubelet_volume_stats_capacity_bytes", labels, total
            yield "kubelet_volume_stats_used_bytes", labels, min(used, total)
            yield "kubelet_volume_stats_available_bytes", labels, max(total - used, 0.0)
        for queue in self._traffic.queues.all.values():
            labels = {"namespace": queue.namespace, "queue": queue.name, "vhost": "/"}
            yield "rabbitmq_queue_messages_ready", labels, queue.ready
            yield "rabbitmq_queue_messages_published_total", labels, queue.published
            yield "rabbitmq_queue_consumers", labels, float(queue.consumers)
            for pod, count in queue.done.items():
                mine = {"namespace": queue.namespace, "service": queue.consumer, "pod": pod, "queue": queue.name}
                yield "messages_processed_total", mine, count
        yield from self._certificates(now)

    def _nodes(self, now: float) -> Iterator[Row]:
        spent, self._at = max(now - self._at, 0.0) if self._at else 0.0, now
        for node in self._cluster.store.list(kinds.NODES):
            name, cores = node["metadata"]["name"], int(quantity(node["status"]["capacity"]["cpu"]))
            busy = min(self._traffic.node_cores(name), cores)
            known = self._cpu.setdefault(name, [0.0, 0.0])
            known[0] += busy * spent
            known[1] += (cores - busy) * spent
            base = {
                "instance": f"{node['status']['addresses'][0]['address']}:9100",
                "node": name,
                "job": "node-exporter",
            }
            for number in range(cores):
                cpu = base | {"cpu": str(number)}
                yield "node_cpu_seconds_total", cpu | {"mode": "idle"}, known[1] / cores
                for mode, share in _PARTS:
                    yield "node_cpu_seconds_total", cpu | {"mode": mode}, known[0] / cores * share

    def _certificates(self, now: float) -> Iterator[Row]:
        store = self._cluster.store
        for cert in store.list(kinds.CERTIFICATES):
            if "status" not in cert:
                continue
            meta = cert["metadata"]
            labels = {"namespace": meta["namespace"], "name": meta["name"]}
            ready = (condition(cert, "Ready") or {}).get("status")
            yield "certmanager_certificate_expiration_timestamp_seconds", labels, from_iso(cert["status"]["notAfter"])
            for state in ("True", "False"):
                yield "certmanager_certificate_ready_status", labels | {"condition": state}, float(ready == state)
        for ingress in store.list(kinds.INGRESSES):
            yield from self._probe(ingress, now)

    def _probe(self, ingress: Obj, now: float) -> Iterator[Row]:
        """Return what blackbox_exporter sees of the ingress's hosts; its target list names the service behind."""
        place, store = ingress["metadata"]["namespace"], self._cluster.store
        ends = {cert["spec"]["secretName"]: from_iso(cert["status"]["notAfter"])
                for cert in store.list(kinds.CERTIFICATES, place) if "status" in cert}  # fmt: skip
        paths = ingress["spec"]["rules"][0]["http"]["paths"]
        service = paths[0]["backend"]["service"]["name"]
        for tls in ingress["spec"].get("tls") or ():
            for host in tls.get("hosts") or ():
                labels = {"job": "blackbox", "instance": f"https://{host}/", "namespace": place, "service": service}
                over = certificates.expired(store, place, tls["secretName"], now)
                yield "probe_success", labels, float(not over)
                if tls["secretName"] in ends:
                    yield "probe_ssl_earliest_cert_expiry", labels, ends[tls["secretName"]]

    def still(self) -> Iterator[Row]:
        """Return what changes only with the cluster's objects."""
        store = self._cluster.store
        for node in store.list(kinds.NODES):
            name = node["metadata"]["name"]
            yield "kube_node_info", {"node": name, "internal_ip": node["status"]["addresses"][0]["address"]}, 1.0
            for resource, unit in (("cpu", "core"), ("memory", "byte")):
                labels = {"node": name, "resource": resource, "unit": unit}
                yield "kube_node_status_allocatable", labels, quantity(node["status"]["allocatable"][resource])
        for pod in store.list(kinds.PODS):
            yield from _volumes(pod)
        for hpa in store.list(kinds.HPAS):
            yield from _autoscaler(hpa)
        for job in store.list(kinds.JOBS):
            yield from _job(job)
        for cron in store.list(kinds.CRONJOBS):
            yield from _cron(cron)
        for quota in store.list(kinds.QUOTAS):
            meta = quota["metadata"]
            for kind in ("hard", "used"):
                for resource, value in ((quota.get("status") or {}).get(kind) or {}).items():
                    labels = {
                        "namespace": meta["namespace"],
                        "resourcequota": meta["name"],
                        "resource": resource,
                        "type": kind,
                    }
                    yield "kube_resourcequota", labels, quantity(value)


def _volumes(pod: Obj) -> Iterator[Row]:
    meta = pod["metadata"]
    for volume in pod["spec"].get("volumes") or ():
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if claim:
            labels = {"namespace": meta["namespace"], "pod": meta["name"], "volume": volume["name"]}
            yield "kube_pod_spec_volumes_persistentvolumeclaims_info", labels | {"persistentvolumeclaim": claim}, 1.0


def _autoscaler(hpa: Obj) -> Iterator[Row]:
    status, labels = (
        hpa.get("status"),
        {"namespace": hpa["metadata"]["namespace"], "horizontalpodautoscaler": hpa["metadata"]["name"]},
    )
    yield "kube_horizontalpodautoscaler_spec_max_replicas", labels, float(hpa["spec"]["maxReplicas"])
    yield "kube_horizontalpodautoscaler_spec_min_replicas", labels, float(hpa["spec"].get("minReplicas", 1))
    if status:
        yield "kube_horizontalpodautoscaler_status_current_replicas", labels, float(status["currentReplicas"])
        yield "kube_horizontalpodautoscaler_status_desired_replicas", labels, float(status["desiredReplicas"])


def _job(job: Obj) -> Iterator[Row]:
    meta, status = job["metadata"], job.get("status") or {}
    labels = {"namespace": meta["namespace"], "job_name": meta["name"]}
    for ref in meta.get("ownerReferences") or ():
        yield (
            "kube_job_owner",
            labels | {"owner_kind": ref["kind"], "owner_name": ref["name"], "owner_is_controller": "true"},
            1.0,
        )
    yield "kube_job_status_failed", labels, float(status.get("failed", 0))
    yield "kube_job_status_succeeded", labels, float(status.get("succeeded", 0))
    for kind, name in (("Failed", "kube_job_failed"), ("Complete", "kube_job_complete")):
        if (condition(job, kind) or {}).get("status") == "True":
            yield name, labels | {"condition": "true"}, 1.0


def _cron(cron: Obj) -> Iterator[Row]:
    meta, status = cron["metadata"], cron.get("status") or {}
    labels = {"namespace": meta["namespace"], "cronjob": meta["name"]}
    yield "kube_cronjob_spec_suspend", labels, float(bool(cron["spec"].get("suspend")))
    for key, name in (("lastScheduleTime", "schedule"), ("lastSuccessfulTime", "successful")):
        if status.get(key):
            yield f"kube_cronjob_status_last_{name}_time", labels, from_iso(status[key])
