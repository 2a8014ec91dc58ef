"""What the metrics of common exporters and instrumentations mean, as data; used by tools.evidence.exporters.

Names and meanings: kube-state-metrics, cAdvisor, node-exporter, Istio, Linkerd, nginx and ingress-nginx, Micrometer and the JVM
client, HikariCP, the Go, Python and Node.js clients, postgres_exporter, redis_exporter, kafka_exporter and Kafka's JMX, and the
OpenTelemetry semantic conventions as Prometheus names them. A metric that is not here is read by its type alone.
"""

import re
from dataclasses import dataclass
from typing import Literal

Bad = Literal["up", "down", "either", "none"]
ALONE = 0.35  # of a metric that nobody here knows: it moved, and that is all


@dataclass(frozen=True)
class Known:
    """Metrics whose names match *names* whole: what they count, in which *unit*, which way is *bad*, what a shift is worth."""

    names: str
    says: str
    unit: str = ""
    bad: Bad = "up"
    worth: float = 0.6
    exporter: str = ""


KNOWN: tuple[Known, ...] = (
    # kube-state-metrics
    Known("kube_pod_container_status_restarts_total", "container restarts", "/s", "up", 0.8, "kube-state-metrics"),
    Known("kube_pod_container_status_waiting_reason", "containers waiting", "", "up", 0.75, "kube-state-metrics"),
    Known("kube_(deployment|statefulset)_status_replicas_(unavailable|available|ready)", "replicas", "", "down", 0.7, "kube-state-metrics"),
    Known("kube_horizontalpodautoscaler_status_(current|desired)_replicas", "autoscaler's replicas", "", "either", 0.4, "kube-state-metrics"),
    # cAdvisor
    Known("container_cpu_cfs_throttled_(periods_total|seconds_total)", "CPU throttling", "/s", "up", 0.7, "cAdvisor"),
    Known("container_oom_events_total", "out-of-memory kills", "/s", "up", 0.85, "cAdvisor"),
    Known("container_memory_(working_set_bytes|rss)", "memory", "bytes", "up", 0.5, "cAdvisor"),
    Known("container_cpu_usage_seconds_total", "CPU", " cores", "up", 0.5, "cAdvisor"),
    Known("container_network_(receive|transmit)_(errors|packets_dropped)_total", "network errors", "/s", "up", 0.75, "cAdvisor"),
    Known("container_fs_(reads|writes)_total", "disk operations", "/s", "either", 0.3, "cAdvisor"),
    # node-exporter
    Known("node_load(1|5)", "node load", "", "up", 0.5, "node-exporter"),
    Known("node_memory_MemAvailable_bytes", "node memory available", "bytes", "down", 0.6, "node-exporter"),
    Known("node_filesystem_(avail|free)_bytes", "disk space available", "bytes", "down", 0.6, "node-exporter"),
    Known("node_disk_io_time_seconds_total", "disk busy", " s/s", "up", 0.6, "node-exporter"),
    Known("node_pressure_(cpu|io|memory)_waiting_seconds_total", "node pressure", " s/s", "up", 0.65, "node-exporter"),
    # meshes and proxies
    Known("istio_tcp_connections_(opened|closed)_total", "TCP connections", "/s", "either", 0.4, "Istio"),
    Known("envoy_cluster_upstream_(rq_pending_overflow|cx_connect_fail|rq_timeout)", "upstream failures", "/s", "up", 0.8, "Envoy"),
    Known("(request|response)_total", "requests", "/s", "either", 0.4, "Linkerd"),
    Known("response_latency_ms", "response latency", " ms", "up", 0.75, "Linkerd"),
    Known("nginx_connections_(active|waiting|reading|writing)", "nginx connections", "", "up", 0.5, "nginx"),
    Known("nginx(_ingress_controller)?_(http_requests_total|requests)", "nginx requests", "/s", "either", 0.4, "nginx"),
    # JVM: Micrometer, the Prometheus client, pools
    Known("jvm_gc_(pause_seconds|collection_seconds|duration_seconds)", "garbage collection", " s", "up", 0.65, "JVM"),
    Known("jvm_memory_(used_bytes|bytes_used|used_after_last_gc_bytes)", "heap in use", "bytes", "up", 0.5, "JVM"),
    Known("jvm_threads_(live_threads|current|live|blocked|states_threads)|jvm_thread_count", "threads", "", "up", 0.5, "JVM"),
    Known("(hikaricp|jdbc)_connections_pending", "calls waiting for a database connection", "", "up", 0.85, "HikariCP"),
    Known("hikaricp_connections_timeout_total", "database connection timeouts", "/s", "up", 0.9, "HikariCP"),
    Known("(hikaricp|jdbc)_connections_(active|idle|usage_seconds|acquire_seconds)", "database connections", "", "either", 0.5, "HikariCP"),
    Known("(tomcat|jetty)_threads_(busy|config_max)(_threads)?", "busy request threads", "", "up", 0.6, "JVM"),
    Known("resilience4j_circuitbreaker_(state|failure_rate)", "circuit breaker", "", "up", 0.75, "JVM"),
    # clients of Go, Python and Node.js
    Known("go_goroutines", "goroutines", "", "up", 0.6, "Go"),
    Known("go_memstats_(heap_inuse|heap_alloc|alloc)_bytes", "heap in use", "bytes", "up", 0.45, "Go"),
    Known("go_gc_duration_seconds", "garbage collection", " s", "up", 0.5, "Go"),
    Known("go_sql_(in_use_connections|wait_count_total|wait_duration_seconds_total)", "waits for a database connection", "", "up", 0.75, "Go"),
    Known("nodejs_eventloop_lag(_p99)?_seconds", "event loop lag", " s", "up", 0.75, "Node.js"),
    Known("process_open_fds", "open files", "", "up", 0.5, "process"),
    Known("process_resident_memory_bytes", "memory", "bytes", "up", 0.45, "process"),
    Known("process_cpu_seconds_total", "CPU", " cores", "up", 0.45, "process"),
    # postgres_exporter
    Known("pg_up|redis_up|mysql_up|up|probe_success|kafka_brokers", "answers its exporter", "", "down", 0.9, "exporters"),
    Known("pg_stat_activity_(count|max_tx_duration)", "sessions", "", "up", 0.65, "postgres_exporter"),
    Known("pg_stat_database_(deadlocks|conflicts|xact_rollback)(_total)?", "deadlocks and rollbacks", "/s", "up", 0.8, "postgres_exporter"),
    Known("pg_locks_count", "locks", "", "up", 0.7, "postgres_exporter"),
    Known("pg_replication_lag(_seconds)?", "replication lag", " s", "up", 0.75, "postgres_exporter"),
    Known("pg_stat_database_(blks_read|temp_bytes)(_total)?", "blocks read from disk", "/s", "up", 0.55, "postgres_exporter"),
    # redis_exporter
    Known("redis_(blocked_clients|connected_clients)", "clients", "", "up", 0.6, "redis_exporter"),
    Known("redis_(rejected_connections|evicted_keys)_total", "refused connections and evicted keys", "/s", "up", 0.85, "redis_exporter"),
    Known("redis_keyspace_misses_total|redis_slowlog_length", "misses and slow commands", "", "up", 0.6, "redis_exporter"),
    Known("redis_memory_used_bytes", "memory", "bytes", "up", 0.5, "redis_exporter"),
    # Kafka
    Known("kafka_consumer_?group_lag(_sum|_max)?|kafka_consumergroup_group_(max_)?lag(_seconds)?", "consumer lag", "", "up", 0.8, "Kafka exporter"),
    Known("kafka_consumer_(fetch_manager_)?records_lag(_max)?", "consumer lag", "", "up", 0.8, "Kafka client"),
    Known("kafka_topic_partition_under_replicated_partition|kafka_server_replicamanager_underreplicatedpartitions", "partitions short of replicas", "", "up", 0.8, "Kafka"),
    Known("kafka_network_requestmetrics_totaltimems.*", "request time", " ms", "up", 0.7, "Kafka JMX"),
    # OpenTelemetry
    Known("http_server_active_requests|rpc_server_active_requests", "requests under way", "", "up", 0.65, "OpenTelemetry"),
    Known("(http|rpc)_server_(request_)?duration(_seconds|_milliseconds)?", "latency", " s", "up", 0.75, "OpenTelemetry"),
    Known("(http|rpc)_client_(request_)?duration(_seconds|_milliseconds)?", "latency of its own calls", " s", "up", 0.75, "OpenTelemetry"),
    Known("db_client_(operation_duration_seconds|connections?_(usage|count|pending_requests|wait_time.*|timeouts_total))", "database calls", "", "up", 0.75, "OpenTelemetry"),
    Known("messaging_(client_operation_duration_seconds|process_duration_seconds|receive_duration.*)", "message handling", " s", "up", 0.7, "OpenTelemetry"),
)  # fmt: skip
_COMPILED = tuple((re.compile(known.names), known) for known in KNOWN)
SUFFIXES = ("_bucket", "_count", "_sum")


def known(base: str) -> Known | None:
    """Return what is known of the metric *base* (a histogram's or summary's without its suffix); None for a stranger."""
    return next((found for pattern, found in _COMPILED if pattern.fullmatch(base)), None)


@dataclass(frozen=True)
class Metric:
    """One metric of a service to look at: how to read it follows from its type."""

    base: str
    kind: Literal["counter", "gauge", "classic", "native", "mean"]
    means: Known | None

    def promql(self, picked: str, window: str) -> str:
        """Return the query for its level over time; *picked* are the matchers that choose the service, without braces."""
        chosen = f"{{{picked}}}"
        if self.kind == "counter":
            return f"sum(rate({self.base}{chosen}[{window}]))"
        if self.kind == "classic":
            return f"histogram_quantile(0.95, sum by (le) (rate({self.base}_bucket{chosen}[{window}])))"
        if self.kind == "native":
            return f"histogram_quantile(0.95, sum(rate({self.base}{chosen}[{window}])))"
        if self.kind == "mean":
            return f"sum(rate({self.base}_sum{chosen}[{window}])) / sum(rate({self.base}_count{chosen}[{window}]))"
        over = "min" if self.means and self.means.unit == "" and self.means.bad == "down" else "sum"
        return f"{over}({self.base}{chosen})"


def read(names: set[str], types: dict[str, str]) -> list[Metric]:
    """Return how to read the metrics *names*: by the type that their target says, else by how they are named.

    A histogram or summary of three names is one metric. What is told by another (a summary's quantiles, ``_created``, ``_info``)
    is left out.
    """
    found: dict[str, Metric] = {}
    for name in sorted(names):
        metric = _one(name, names, types)
        if metric is not None:
            found.setdefault(metric.base, metric)
    return list(found.values())


def _one(name: str, names: set[str], types: dict[str, str]) -> Metric | None:
    if name.endswith(("_created", "_info", "_max_fds")):
        return None
    stem = next((name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix)), "")
    if stem and (f"{stem}_bucket" in names or types.get(stem) == "histogram"):
        return Metric(stem, "classic", known(stem)) if f"{stem}_bucket" in names else None
    if stem and {f"{stem}_sum", f"{stem}_count"} <= names:
        return Metric(stem, "mean", known(stem))
    said = types.get(name, "")
    if said == "histogram":
        return Metric(name, "native", known(name))
    if said == "summary" or (not said and {f"{name}_sum", f"{name}_count"} <= names):
        return None  # its quantiles; the mean is told by its sum and count
    counter = said == "counter" or types.get(name.removesuffix("_total")) == "counter"
    counter = counter or (said in {"", "unknown"} and name.endswith(("_total", "_count", "_sum")))
    return Metric(name, "counter" if counter else "gauge", known(name))
