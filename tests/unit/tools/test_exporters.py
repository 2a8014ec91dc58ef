"""How a metric is read: by the type that its target says, else by its name; and whether an earlier day moved alike."""

import numpy as np
import pytest

from tools.exporters import KNOWN, known, read
from tools.levels import shift
from tools.season import same_then

NAMES = {
    "a_total", "b", "c_bucket", "c_sum", "c_count", "d_sum", "d_count", "d", "e", "f_created", "g_info", "h_count", "i",
}  # fmt: skip
TYPES = {"a_total": "counter", "b": "gauge", "c": "histogram", "d": "summary", "e": "histogram", "i": "counter"}


def kinds(types: dict[str, str]) -> dict[str, str]:
    return {metric.base: metric.kind for metric in read(NAMES, types)}


def test_the_type_decides():
    found = kinds(TYPES)
    assert found == {
        "a_total": "counter",
        "b": "gauge",
        "c": "classic",
        "d": "mean",
        "e": "native",
        "h_count": "counter",
        "i": "counter",
    }


def test_without_types_the_name_decides():
    found = kinds({})
    assert found == {
        "a_total": "counter",
        "b": "gauge",
        "c": "classic",
        "d": "mean",
        "e": "gauge",
        "h_count": "counter",
        "i": "gauge",
    }


@pytest.mark.parametrize(
    ("name", "promql"),
    [
        ("a_total", 'sum(rate(a_total{x="1"}[60s]))'),
        ("b", 'sum(b{x="1"})'),
        ("c", 'histogram_quantile(0.95, sum by (le) (rate(c_bucket{x="1"}[60s])))'),
        ("d", 'sum(rate(d_sum{x="1"}[60s])) / sum(rate(d_count{x="1"}[60s]))'),
        ("e", 'histogram_quantile(0.95, sum(rate(e{x="1"}[60s])))'),
    ],
)
def test_each_kind_has_its_query(name, promql):
    (metric,) = [metric for metric in read(NAMES, TYPES) if metric.base == name]
    assert metric.promql('x="1"', "60s") == promql


@pytest.mark.parametrize(
    ("name", "exporter"),
    [
        ("kube_pod_container_status_restarts_total", "kube-state-metrics"), ("container_oom_events_total", "cAdvisor"),
        ("node_pressure_io_waiting_seconds_total", "node-exporter"), ("jvm_memory_used_bytes", "JVM"), ("go_goroutines", "Go"),
        ("hikaricp_connections_pending", "HikariCP"), ("pg_locks_count", "postgres_exporter"),
        ("redis_evicted_keys_total", "redis_exporter"), ("kafka_consumergroup_lag", "Kafka exporter"),
        ("kafka_network_requestmetrics_totaltimems", "Kafka JMX"), ("http_server_request_duration_seconds", "OpenTelemetry"),
        ("response_latency_ms", "Linkerd"), ("nginx_connections_active", "nginx"), ("istio_tcp_connections_closed_total", "Istio"),
    ],
)  # fmt: skip
def test_the_usual_exporters_are_known(name, exporter):
    found = known(name)
    assert found is not None
    assert found.exporter == exporter
    assert known(f"my_{name}_of_mine") is None


def test_no_entry_hides_another():
    assert len({each.names for each in KNOWN}) == len(KNOWN)


TIMES = np.arange(0.0, 3600.0, 15.0)
ONSET = 3000.0


def stepped(low: float, high: float, at: float = ONSET) -> np.ndarray:
    return np.where(at <= TIMES, high, low) + 0.01 * np.sin(TIMES)


@pytest.mark.parametrize(
    ("then", "same"),
    [
        (stepped(1, 3), True), (stepped(1, 1), False), (stepped(3, 3), False), (stepped(3, 1), False),
        (stepped(1, 3, ONSET - 200), True), (stepped(1, 1.5), False), (np.full(TIMES.size, np.nan), None),
        (stepped(1, 9), True),
    ],
    ids=["alike", "flat", "always high", "the other way", "a little earlier", "less than half", "no data", "more"],
)  # fmt: skip
def test_an_earlier_day_moved_alike_only_from_the_same_level_to_one_as_far(then, same):
    moved = shift(TIMES, stepped(1, 3), ONSET + 60, 0.1)
    assert moved is not None
    assert same_then(TIMES, then, moved) is same
