"""The metric plug-ins against a real Prometheus whose history is backfilled: a service that breaks, one that stays well."""

import asyncio
import json
import math
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import numpy as np
import pytest

from agents.raw import standing
from tools import alertexpr
from tools.errors import Permanent
from tools.evidence import alert_query, neighbourhood, service_metrics
from tools.prometheus import Prometheus
from tools.records import Alert, Scope
from tools.sources import Sources

pytestmark = pytest.mark.slow
# ruff: noqa: ASYNC110, B023  # Prometheus is polled; the lambdas are called before the loop goes on

STEP = 15
MINUTES = 45
BROKEN_FOR = 180  # seconds between the fault and "now"
EXPR = 'sum by (service) (rate(http_requests_total{code=~"5.."}[1m])) / sum by (service) (rate(http_requests_total[1m])) > 0.05'


def _history(now: int) -> str:
    """OpenMetrics text: checkout breaks BROKEN_FOR seconds before *now*, catalogue does not; a little into the future."""
    times = range(now - MINUTES * 60, now + 120, STEP)
    rng = np.random.default_rng(7)
    out: dict[str, list[str]] = {}

    def counter(name: str, labels: str, per_s) -> None:
        total = 0.0
        for t in times:
            total += max(0.0, per_s(t)) * STEP
            out.setdefault(name, []).append(f"{name}{{{labels}}} {total:.3f} {t}")

    def gauge(name: str, labels: str, value) -> None:
        for t in times:
            out.setdefault(name, []).append(f"{name}{{{labels}}} {value(t):.3f} {t}")

    def noisy(base: float) -> float:
        return base * (1 + 0.05 * rng.standard_normal())

    for number in range(60):
        counter("http_requests_total", f'namespace="many",service="s{number}",code="200"', lambda _: 1.0)
    broken = now - BROKEN_FOR
    for service, breaks in (("checkout", True), ("catalogue", False)):
        at = f'namespace="shop",service="{service}",pod="{service}-5d9f8c7b6d-abcde"'
        bad = lambda t, breaks=breaks: breaks and t >= broken  # noqa: E731
        counter("http_requests_total", f'{at},code="200"', lambda t: noisy(28 if bad(t) else 40))
        counter("http_requests_total", f'{at},code="500"', lambda t: noisy(12.0 if bad(t) else 0.04))
        for le, share in (("0.05", 0.7), ("0.1", 0.97), ("0.5", 0.99), ("2.5", 1.0), ("+Inf", 1.0)):
            slow = {"0.05": 0.3, "0.1": 0.5, "0.5": 0.7}
            counter(
                "http_request_duration_seconds_bucket",
                f'{at},le="{le}"',
                lambda t, s=share, le=le: 40 * (slow.get(le, 1.0) if bad(t) else s),
            )
        container = f'namespace="shop",pod="{service}-5d9f8c7b6d-abcde",container="{service}"'
        gauge(
            "container_memory_working_set_bytes",
            container,
            lambda t: (250 if bad(t) else 120) * 2**20 + rng.normal(0, 2**20),
        )
        gauge("kube_pod_container_resource_limits", f'{container},resource="memory",unit="byte"', lambda _: 256 * 2**20)
        counter("container_cpu_usage_seconds_total", container, lambda _: noisy(0.1))
        gauge("kube_pod_container_resource_limits", f'{container},resource="cpu",unit="core"', lambda _: 0.5)
        counter("http_client_requests_total", f'{at},peer="payment",code="200"', lambda t: noisy(4 if bad(t) else 36))
        counter("http_client_requests_total", f'{at},peer="payment",code="error"', lambda t: 32.0 if bad(t) else 0.0)
        counter("http_client_requests_total", f'{at},peer="cart",code="200"', lambda _: noisy(40))
    lines = []
    for name, samples in out.items():
        kind = "counter" if name.endswith(("_total", "_bucket")) else "gauge"
        lines += [
            f"# TYPE {name.removesuffix('_total')} {kind if not name.endswith('_bucket') else 'unknown'}",
            *samples,
        ]
    return "\n".join([*lines, "# EOF", ""])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    folder = tmp_path_factory.mktemp("prometheus")
    now = int(time.time())
    (folder / "history.om").write_text(_history(now))
    rule = {"alert": "HighErrorRate", "expr": EXPR, "for": "0s", "labels": {"severity": "critical"}}
    twin = {"alert": "HighErrorRate", "expr": "vector(1) > 2", "labels": {"severity": "info"}}
    (folder / "rules.yml").write_text(json.dumps({"groups": [{"name": "g", "rules": [twin, rule]}]}))
    config = {"global": {"evaluation_interval": "1s"}, "rule_files": [str(folder / "rules.yml")]}
    (folder / "prometheus.yml").write_text(json.dumps(config))
    promtool, prometheus = shutil.which("promtool"), shutil.which("prometheus")
    assert promtool, "apt-get install prometheus"
    assert prometheus, "apt-get install prometheus"
    made = subprocess.run(
        [promtool, "tsdb", "create-blocks-from", "openmetrics", folder / "history.om", folder / "data"],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [prometheus, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}"],
            stdout=log, stderr=log,
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(200):
            try:
                if httpx.get(f"{url}/-/ready").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        else:
            pytest.fail((folder / "log").read_text())
        yield url, now
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
async def prometheus(server):
    client = Prometheus(server[0])
    yield client
    await client.aclose()


def scope(server, service: str = "checkout", **alert: object) -> Scope:
    end = datetime.fromtimestamp(server[1], UTC)
    start = end - timedelta(seconds=60)
    made = Alert(
        fingerprint="f", sender="alertmanager", name="HighErrorRate", status="firing", service=service, namespace="shop",
        severity="critical", starts_at=start, labels={"alertname": "HighErrorRate", "service": service, "severity": "critical"},
    ).model_copy(update=alert)  # fmt: skip
    return Scope(
        alert=made, service=service, namespace="shop", start=start - timedelta(minutes=30), end=end, logs_start=start
    )


async def look(prometheus, where: Scope, plugin=service_metrics):
    seen = await plugin.collect(where, Sources(prometheus=prometheus))
    assert not seen.error, seen.error
    return seen


async def test_the_four_signals_move_at_the_fault(server, prometheus):
    seen = await look(prometheus, scope(server))
    found = {finding.data["metric"]: finding for finding in seen.findings if finding.kind == "metric_shift"}
    assert set(found) == {"error ratio", "p95 latency", "memory of limit"}
    errors = found["error ratio"]
    assert errors.data["before"] < 0.003
    assert 0.25 < errors.data["after"] < 0.33
    assert errors.data["signal"] == "errors"
    assert found["p95 latency"].data["before"] < 0.11
    assert found["p95 latency"].data["after"] > 0.5
    assert found["memory of limit"].data["after"] == pytest.approx(0.977, abs=0.02)
    for finding in found.values():
        assert abs(finding.at.timestamp() - (server[1] - BROKEN_FOR)) <= 75, finding.statement
        assert finding.data["ongoing"]


async def test_errors_by_dependency(server, prometheus):
    seen = await look(prometheus, scope(server))
    (found,) = [finding for finding in seen.findings if finding.kind == "dependency_errors"]
    assert found.data["peer"] == "payment"
    assert found.data["ratio"] == pytest.approx(0.89, abs=0.05)


async def test_a_healthy_service_has_no_finding(server, prometheus):
    seen = await look(prometheus, scope(server, "catalogue"))
    assert not seen.findings
    assert seen.summary == "rate, errors, latency and saturation are at their usual levels"
    assert 'sum(rate(http_requests_total{service="catalogue",namespace="shop"}[60s]))' in seen.query
    assert seen.link.startswith(server[0])


async def test_an_unknown_service_says_what_was_looked_for(server, prometheus):
    seen = await look(prometheus, scope(server, 'no"such{}'))
    assert "no known request" in seen.summary
    assert not seen.findings


async def test_the_neighbourhood_is_read_in_a_few_queries(server, prometheus):
    seen = await look(prometheus, scope(server, "catalogue"), neighbourhood)
    assert {one.service for one in seen.signals.series} == {"checkout", "catalogue"}
    assert {one.metric for one in seen.signals.series} == {
        "request rate",
        "error ratio",
        "p95 latency",
        "cpu",
        "memory",
    }
    assert {("checkout", "payment"), ("checkout", "cart")} <= seen.signals.calls
    assert len(seen.query.splitlines()) <= 8
    assert "checkout: error ratio rose" in seen.body
    assert "catalogue: " not in seen.body
    found = standing([seen.model_copy(update={"id": "E1"})], scope(server, "catalogue"), {})
    assert max(found.scores, key=found.scores.get) == "checkout"
    assert found.sightings["checkout"][0].evidence == ("E1",)


async def test_a_large_neighbourhood_is_bounded_and_says_so(server, prometheus):
    seen = await look(prometheus, scope(server, "s55").model_copy(update={"namespace": "many"}), neighbourhood)
    read = {one.service for one in seen.signals.series if one.metric == "request rate"}
    assert "s55" in read
    assert len(read) == 50
    assert seen.signals.cut == "50 of 60 services were read."
    assert seen.truncated
    empty = await look(prometheus, scope(server).model_copy(update={"namespace": "nowhere"}), neighbourhood)
    assert "no known metric of services in nowhere" in empty.summary


RATIO = EXPR.removesuffix(" > 0.05")
ALL = "sum by (service) (rate(http_requests_total[1m]))"
FAILED = 'sum by (service) (rate(http_requests_total{code=~"5.."}[1m]))'


@pytest.mark.parametrize(
    ("expression", "firing", "bound"),
    [
        (f"{EXPR} and {ALL} > 10", True, 0.05),
        (f"{EXPR} and {ALL} > 1000", False, 0.05),
        (f"{EXPR} unless {ALL} > 10", False, 0.05),
        (f"{EXPR} and on () vector(1)", True, 0.05),
        (f"{ALL} > 1000 or {EXPR}", True, 0.05),
        (f"({RATIO} > bool 0.05) == 1", True, 0.05),
        (f"0.05 < {RATIO}", True, 0.05),
        (f"{FAILED} > on (service) group_left () ({ALL} * 0.1)", True, 4.0),
        (f"{FAILED} > on (service) group_left () ({ALL} * 0.9)", False, 36.0),
        (f"{RATIO.replace('[1m]', '[1m] offset 10m')} > 0.05", False, 0.05),
    ],
)
async def test_a_compound_expression_is_judged_as_a_whole(server, prometheus, expression, firing, bound):
    seen = await look(prometheus, scope(server).model_copy(update={"query": expression}), alert_query)
    (found,) = seen.findings
    assert found.data["firing"] is firing, seen.summary
    assert found.data["threshold"] == pytest.approx(bound, rel=0.2)
    assert seen.chart is not None
    if firing:
        assert -5 <= found.at.timestamp() - (server[1] - BROKEN_FOR) <= 60
        assert seen.chart.onset == found.at


async def test_an_absent_series_fires_by_having_a_result(server, prometheus):
    where = scope(server).model_copy(update={"query": 'absent(http_requests_total{service="gone"})'})
    (found,) = (await look(prometheus, where, alert_query)).findings
    assert found.data["firing"] is True
    assert found.data["threshold"] is None


async def test_of_several_series_the_one_that_fires_is_told(server, prometheus):
    labels = {"alertname": "HighErrorRate", "severity": "critical"}
    where = scope(server, labels=labels).model_copy(update={"query": EXPR})
    seen = await look(prometheus, where, alert_query)
    assert seen.findings[0].data["firing"] is True
    assert "(1 of 2 series)" in seen.summary


@pytest.mark.parametrize("query", [EXPR, ""])
async def test_the_alerts_own_query_is_found_and_dated(server, prometheus, query):
    if not query:  # the rules are evaluated once a second
        while not any(rule.alerts for rule in await prometheus.rules()):
            await asyncio.sleep(0.1)
    where = scope(server).model_copy(update={"query": query})
    seen = await look(prometheus, where, alert_query)
    (found,) = seen.findings
    assert seen.query == EXPR
    assert found.data["threshold"] == 0.05
    assert found.data["value"] == pytest.approx(0.3, abs=0.05)
    assert found.data["firing"] is True
    assert -5 <= found.at.timestamp() - (server[1] - BROKEN_FOR) <= 60
    healthy = await look(
        prometheus, scope(server, "catalogue", query=EXPR).model_copy(update={"query": EXPR}), alert_query
    )
    assert healthy.findings[0].data["firing"] is False


async def test_an_alert_nobody_knows_says_so(server, prometheus):
    seen = await alert_query.collect(scope(server, name="Odd"), Sources(prometheus=prometheus))
    assert "no alerting rule named 'Odd'" in seen.error
    assert "/api/v1/rules" in seen.query


async def test_rules_carry_their_active_alerts(prometheus):
    while not any(rule.alerts for rule in await prometheus.rules()):
        await asyncio.sleep(0.1)
    twin, rule = sorted(await prometheus.rules(), key=lambda rule: rule.query)[::-1]
    assert (rule.name, twin.name, rule.duration_s) == ("HighErrorRate", "HighErrorRate", 0)
    assert rule.alerts[0].labels["service"] == "checkout"
    assert rule.alerts[0].state == "firing"
    found = await alertexpr.rule_of(prometheus, scope((prometheus.url, 0)).alert)
    assert found is not None
    assert found.query == EXPR


async def test_what_prometheus_says_about_a_wrong_query_is_passed_on(prometheus):
    with pytest.raises(Permanent, match=r"sum\(: HTTP 400.*parse error.*unclosed left parenthesis"):
        await prometheus.query("sum(")


async def test_scalars_long_queries_and_not_a_number(server, prometheus):
    (sample,) = await prometheus.query("scalar(vector(3))")
    assert sample.value == 3
    (sample,) = await prometheus.query("0/0 * vector(1)", at=datetime.fromtimestamp(server[1], UTC))
    assert math.isnan(sample.value)
    (sample,) = await prometheus.query(
        "vector(1) + " * 5000 + "vector(1)" if False else " + ".join(["vector(1)"] * 2000)
    )
    assert sample.value == 2000
