"""A real Prometheus over backfilled series, and the practice world as its own process."""

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from drill.metrics.series import Storage, labels_of

ROOT = Path(__file__).parents[3]
BASE = 1_700_000_000
STEP_S = 15
POINTS = 121
Rows = dict[tuple[str, tuple[tuple[str, str], ...]], list[tuple[int, float]]]


def series_rows(seed: int = 3) -> Rows:
    """Counters with resets and gaps, gauges with odd values, a histogram, info series; (t in s, value) each."""
    rng = random.Random(seed)
    rows: Rows = {}
    times = [BASE + i * STEP_S for i in range(POINTS)]
    for service, pod in (("checkout", "c-1"), ("checkout", "c-2"), ("cart", "k-1"), ("payment", "p-1")):
        for code in ("200", "500"):
            total, points = rng.uniform(0, 50), []
            for index, at in enumerate(times):
                total += rng.choice([0, 1, 2.5, 10])
                if rng.random() < 0.03:
                    total = rng.uniform(0, 3)
                if not (pod == "c-2" and 40 <= index < 75) and rng.random() > 0.05:
                    points.append((at, total))
            labels = (("code", code), ("pod", pod), ("service", service))
            rows["req_total", labels] = points
        rows["mem", (("pod", pod), ("service", service))] = [(t, rng.uniform(-5, 100)) for t in times]
        rows["info", (("node", f"n{len(pod) % 2}"), ("pod", pod))] = [(t, 1.0) for t in times]
        rows["flat", (("pod", pod),)] = [(t, 7.0 if pod != "k-1" else 3.0) for t in times]
        counts = [0.0] * 5
        for t in times:
            for i in range(rng.randint(0, 4), 5):
                counts[i] += rng.randint(0, 3)
            total = 0.0
            for le, c in zip(("0.1", "0.5", "1", "2.5", "+Inf"), counts, strict=True):
                total += c
                rows.setdefault(("lat_bucket", (("le", le), ("pod", pod))), []).append((t, total))
    odd = [0.0, 1.0, -1.0, float("inf"), float("-inf"), float("nan"), 0.5, -2.5]
    for index, value in enumerate(odd):
        rows["odd", (("i", str(index)),)] = [(t, value) for t in times]
    return rows


def _openmetrics(rows: Rows) -> str:
    lines = []
    for (name, labels), points in sorted(rows.items()):
        shown = ",".join(f'{k}="{v}"' for k, v in labels)
        lines += [f"{name}{{{shown}}} {value!r} {at}" for at, value in points]
    text = "\n".join(sorted(lines, key=lambda line: line.split("{")[0]))
    return text.replace(" inf ", " +Inf ").replace(" -inf ", " -Inf ").replace(" nan ", " NaN ") + "\n# EOF\n"


def free_port() -> int:
    """A port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@dataclass
class Twin:
    """The same series in a real Prometheus (*client*) and in the drill's store."""

    client: httpx.Client
    storage: Storage


@pytest.fixture(scope="session")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twin]:
    """Needs Debian's prometheus package; its absence is an error, not a skip."""
    prometheus, promtool = shutil.which("prometheus"), shutil.which("promtool")
    assert prometheus, "apt-get install prometheus"
    assert promtool, "apt-get install prometheus"
    folder = tmp_path_factory.mktemp("prometheus")
    rows = series_rows()
    (folder / "data.txt").write_text(_openmetrics(rows))
    (folder / "prometheus.yml").write_text("global: {}\n")
    made = subprocess.run(
        [promtool, "tsdb", "create-blocks-from", "openmetrics", "data.txt", "data"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
    port = free_port()
    process = subprocess.Popen(
        [prometheus, "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--storage.tsdb.retention.time=100y",
         f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    storage = Storage()
    for (name, labels), points in rows.items():
        series = storage.series(labels_of(name, dict(labels)))
        for at, value in points:
            series.append(at * 1000, value)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        try:
            wait_for(lambda: client.get("/-/ready").status_code == 200, 20)
            yield Twin(client, storage)
        finally:
            process.terminate()
            process.wait(10)


def wait_for(what: Any, seconds: float, every: float = 0.05) -> None:
    """Poll until *what* is true; fails loudly after *seconds*."""
    end = time.monotonic() + seconds
    while True:
        try:
            if what():
                return
        except httpx.TransportError:
            pass
        if time.monotonic() > end:
            pytest.fail(f"not within {seconds} s")
        time.sleep(every)


@dataclass
class Running:
    """The practice world as a process: its first line and a client for it."""

    said: dict[str, Any]
    client: httpx.Client
    process: subprocess.Popen[str]

    @property
    def url(self) -> str:
        return str(self.said["url"])

    def state(self) -> dict[str, Any]:
        return dict(self.client.get("/drill/state").json())

    def kubectl(self, *args: str) -> str:
        """Run kubectl as the cluster's administrator."""
        kubectl = shutil.which("kubectl")
        assert kubectl, "kubectl is needed"
        env = {**os.environ, "KUBECONFIG": self.said["admin_kubeconfig"]}
        done = subprocess.run([kubectl, *args], env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="session")
def drill() -> Iterator[Running]:
    """One world for the whole session; tests heal what they break."""
    process = subprocess.Popen(
        [sys.executable, "-m", "drill", "--port", "0", "--parent-pid", str(os.getpid())],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        said = json.loads(process.stdout.readline())
        with httpx.Client(base_url=said["url"], trust_env=False, timeout=10) as client:
            yield Running(said, client, process)
    finally:
        process.terminate()
        assert process.wait(15) == 0
        process.stdout.close()
