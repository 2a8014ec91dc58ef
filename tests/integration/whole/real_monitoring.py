"""A real Prometheus and a real Alertmanager (Debian's packages) on loopback, over one metric that a test can move."""

import contextlib
import json
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

RULES = """
groups:
- name: shop
  interval: 1s
  rules:
  - alert: QueueTooLong
    expr: max by (service) (queue_length) > 100
    for: 1s
    labels: {severity: critical, namespace: shop}
    annotations: {summary: "the queue of {{ $labels.service }} is {{ $value }} long"}
"""


ROOT = Path(__file__).parents[3]


@contextlib.contextmanager
def started(command: list[str], env: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    """Run *command* at the project's root; end it with SIGTERM."""
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=25)
        finally:
            process.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(ready: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError, OSError):
            if ready():
                return
        time.sleep(0.1)
    raise AssertionError(f"{what} did not happen within {seconds:g} s")


class Exporter:
    """Serves one gauge; *value* may be changed at any time."""

    def __init__(self) -> None:
        self.value = 5.0
        exporter = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = f'# TYPE queue_length gauge\nqueue_length{{service="checkout"}} {exporter.value}\n'.encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@contextlib.contextmanager
def alertmanager(folder: Path, slack_hook: str, webhook: str, token: str) -> Iterator[str]:
    """Run Alertmanager with its DEFAULT Slack template and a v4 webhook; yield its address."""
    config = {
        "route": {
            "receiver": "both",
            "group_by": ["alertname", "service"],
            "group_wait": "1s",
            "group_interval": "1s",
            "repeat_interval": "1h",
        },
        "receivers": [
            {
                "name": "both",
                "slack_configs": [{"api_url": slack_hook, "channel": "#alerts", "send_resolved": True}],
                "webhook_configs": [
                    {
                        "url": webhook,
                        "send_resolved": True,
                        "http_config": {"authorization": {"type": "Bearer", "credentials": token}},
                    }
                ],
            }
        ],
    }
    path = folder / "alertmanager.yml"
    path.write_text(json.dumps(config))  # JSON is YAML
    port = free_port()
    command = [
        "prometheus-alertmanager", f"--config.file={path}", f"--storage.path={folder / 'am'}",
        f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=",
    ]  # fmt: skip
    with _running(command, folder / "alertmanager.log"):
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: httpx.get(f"{url}/-/ready").is_success, 15, "Alertmanager ready")
        yield url


@contextlib.contextmanager
def prometheus(folder: Path, exporter: Exporter, alertmanager_url: str) -> Iterator[str]:
    """Run Prometheus over the exporter; yield its address."""
    (folder / "rules.yml").write_text(RULES)
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(folder / "rules.yml")],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager_url.removeprefix("http://")]}]}]},
        "scrape_configs": [{"job_name": "queue", "static_configs": [{"targets": [f"127.0.0.1:{exporter.port}"]}]}],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))
    port = free_port()
    command = [
        "prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    with _running(command, folder / "prometheus.log"):
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: httpx.get(f"{url}/-/ready").is_success, 15, "Prometheus ready")
        yield url


@contextlib.contextmanager
def _running(command: list[str], log: Path) -> Iterator[None]:
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
