"""Discovery, types and seasons against a real Prometheus with a week behind it: what moved today alone, what moves every day."""

import json
import math
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import pytest

from tools.evidence import exporters, service_metrics
from tools.prometheus import Prometheus
from tools.records import Alert, Scope
from tools.sources import Sources

pytestmark = pytest.mark.slow
STEP, MINUTES, MOVED = 15, 40, 400  # seconds between samples, minutes of each day, seconds since the change of level
DAYS = (7, 1, 0)
AT = 'namespace="shop",service="checkout",pod="checkout-5d9f8c7b6d-abcde"'
POD = 'namespace="shop",pod="checkout-5d9f8c7b6d-abcde",container="checkout"'


def history(now: int) -> str:
    """OpenMetrics text of the same 40 minutes today, yesterday and a week ago."""
    rng = np.random.default_rng(5)
    kinds: dict[str, str] = {}
    rows: dict[str, list[str]] = {}

    def series(name: str, labels: str, kind: str, level: Callable[[int, bool], float], of: str = "") -> None:
        """*level* of the days ago and whether it is after the change; a counter's is a rate."""
        kinds.setdefault(of or name, kind)
        total = 0.0
        for days in DAYS:
            for at in range(now - MINUTES * 60, now + (90 if not days else 0), STEP):
                noise = 1 + 0.03 * rng.standard_normal()
                value = level(days, at >= now - MOVED) * noise
                total += value * STEP
                point = total if kind in {"counter", "histogram", "summary"} else value
                rows.setdefault(of or name, []).append(f"{name}{{{labels}}} {point:.4f} {at - days * 86400}")

    def today(quiet: float, loud: float) -> Callable[[int, bool], float]:
        return lambda days, late: loud if late and not days else quiet

    def daily(quiet: float, loud: float) -> Callable[[int, bool], float]:
        return lambda _days, late: loud if late else quiet

    series("http_requests_total", f'{AT},code="200"', "counter", daily(20, 60))
    series("http_requests_total", f'{AT},code="500"', "counter", today(0.02, 9))
    series("hikaricp_connections_pending", AT, "gauge", today(1, 25))
    series("redis_blocked_clients", AT, "gauge", daily(3, 30))
    series("go_goroutines", AT, "gauge", today(120, 121))
    series("orders_stuck", AT, "gauge", today(5, 50))
    series("jvm_gc_pause_seconds_sum", AT, "summary", today(0.02, 0.9), "jvm_gc_pause_seconds")
    series("jvm_gc_pause_seconds_count", AT, "summary", today(1, 1), "jvm_gc_pause_seconds")
    series("container_cpu_cfs_throttled_periods_total", POD, "counter", today(0.1, 8))
    for le, quiet, loud in (("0.1", 9, 1), ("1.0", 9.9, 3), ("5.0", 10, 10), ("+Inf", 10, 10)):
        series("pool_wait_seconds_bucket", f'{AT},le="{le}"', "histogram", today(quiet, loud), "pool_wait_seconds")
    lines: list[str] = []
    for family, points in rows.items():
        kind = "unknown" if kinds[family] in {"histogram", "summary"} else kinds[family]
        lines += [f"# TYPE {family.removesuffix('_total')} {kind}", *points]
    return "\n".join([*lines, "# EOF", ""])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    folder: Path = tmp_path_factory.mktemp("seasons")
    now = int(time.time())
    (folder / "history.om").write_text(history(now))
    (folder / "prometheus.yml").write_text(json.dumps({"global": {}}))
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
            [prometheus, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log,
        )  # fmt: skip
    try:
        for _ in range(200):
            try:
                if httpx.get(f"http://127.0.0.1:{port}/-/ready").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        else:
            pytest.fail((folder / "log").read_text())
        yield f"http://127.0.0.1:{port}", now
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
async def looked(server: tuple[str, int]):
    url, now = server
    end = datetime.fromtimestamp(now, UTC)
    began = end - timedelta(seconds=MOVED - 60)
    alert = Alert(
        fingerprint="f", sender="s", name="A", status="firing", service="checkout", namespace="shop", starts_at=began
    )
    scope = Scope(
        alert=alert, service="checkout", namespace="shop", start=end - timedelta(minutes=30), end=end, logs_start=began
    )
    client = Prometheus(url)
    yield scope, Sources(prometheus=client)
    await client.aclose()


async def test_what_exists_is_found_and_what_moved_is_told_with_its_meaning(looked):
    scope, sources = looked
    seen = await exporters.collect(scope, sources)
    assert not seen.error
    moved = {found.data["metric"]: found for found in seen.findings}
    assert {"hikaricp_connections_pending", "orders_stuck", "jvm_gc_pause_seconds", "pool_wait_seconds",
            "container_cpu_cfs_throttled_periods_total"} <= set(moved)  # fmt: skip
    assert "go_goroutines" not in moved  # it did not move
    assert "go_goroutines (goroutines): now 12" in seen.body  # and was looked at
    assert "http_requests" not in seen.body  # another tool's
    assert moved["hikaricp_connections_pending"].data["exporter"] == "HikariCP"
    assert "calls waiting for a database connection" in moved["hikaricp_connections_pending"].statement
    kinds = {name: found.data["type"] for name, found in moved.items()}
    assert kinds["pool_wait_seconds"] == "classic"  # a quantile, of buckets that nobody here knew
    assert kinds["jvm_gc_pause_seconds"] == "mean"
    assert kinds["container_cpu_cfs_throttled_periods_total"] == "counter"
    assert moved["pool_wait_seconds"].data["after"] > 1 > moved["pool_wait_seconds"].data["before"]
    assert seen.findings[0].data["metric"] == "hikaricp_connections_pending"  # what is known to matter comes first


async def test_a_shift_of_every_day_is_said_to_be_usual(looked):
    scope, sources = looked
    found = {one.data["metric"]: one for one in (await exporters.collect(scope, sources)).findings}
    assert found["redis_blocked_clients"].data["usual"] == "yesterday and a week ago"
    assert "which is usual: it did so yesterday and a week ago at this hour" in found["redis_blocked_clients"].statement
    assert found["hikaricp_connections_pending"].data["usual"] == ""
    assert found["redis_blocked_clients"].score < 0.3 < found["orders_stuck"].score
    shifts = {one.data["metric"]: one for one in (await service_metrics.collect(scope, sources)).findings}
    assert shifts["requests"].data["usual"] == "yesterday and a week ago"
    assert shifts["error ratio"].data["usual"] == ""
    assert shifts["requests"].score < 0.3 < shifts["error ratio"].score
    assert math.isclose(shifts["requests"].data["ratio"], 3.4, rel_tol=0.25)
