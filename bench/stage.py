"""Real parts for the benches of intake: the practice Slack, embedded Postgres, Redis, and `tocsin run` processes.

bench/chaos.py and bench/intake.py use it. Only Slack is a practice one; it enforces Slack's rate limits.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette

from drill.slack import Workspace
from tools.store import embedded

ROOT = Path(__file__).parent.parent
TOKEN = "bench-webhook"
POLICY = """
channels: {watch: [alerts], default: alerts}
services: {%s}
caps: {at_once: 1000, per_channel: 1000, per_service: 1000, per_hour: 10000}
"""


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def alert_body(group: int, number: int, groups: int) -> dict[str, Any]:
    """Return Alertmanager's webhook notification of one alert, unlike any other; *number* is its label `n`."""
    service = f"service-{group}"
    labels = {"alertname": f"Broken{group}", "service": service, "severity": "critical", "n": str(number)}
    alert = {
        "status": "firing",
        "labels": labels,
        "annotations": {"summary": f"{service} answers errors (of {groups} groups)"},
        "startsAt": datetime.now(UTC).isoformat(),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "",
        "fingerprint": f"{number:016x}",
    }
    common = {"alertname": labels["alertname"], "service": service}
    return {
        "version": "4", "status": "firing", "receiver": "tocsin", "groupKey": f'{{}}:{{alertname="Broken{group}"}}',
        "groupLabels": common, "commonLabels": common, "commonAnnotations": {}, "externalURL": "", "truncatedAlerts": 0,
        "alerts": [alert],
    }  # fmt: skip


class Redis:
    """A redis-server on a socket of its own."""

    def __init__(self, folder: Path) -> None:
        self._socket = folder / "redis.sock"
        self.url = f"unix://{self._socket}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it."""
        program = shutil.which("redis-server") or "redis-server"
        command = [program, "--port", "0", "--unixsocket", str(self._socket), "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def kill(self) -> None:
        """SIGKILL it."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None


class Replica:
    """One `tocsin run`, that can be killed and started again."""

    def __init__(self, number: int, environ: dict[str, str], folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environ = {**environ, "TOCSIN_LISTEN": f"127.0.0.1:{self.port}"}
        self.log = folder / f"replica-{number}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; `ready` waits for it."""
        with self.log.open("ab") as out:
            command = [sys.executable, "-m", "bot", "run"]
            self.process = subprocess.Popen(command, cwd=ROOT, env=self._environ, stdout=out, stderr=out)

    def supervise(self) -> None:
        """Start it again when it ended by itself, as it does when Postgres is away at its start: a supervisor's work."""
        if self.process and self.process.poll() is not None:
            self.start()

    async def ready(self, seconds: float = 60.0) -> None:
        """Wait until /readyz says yes; TimeoutError with the end of its log otherwise."""
        deadline = time.monotonic() + seconds
        async with httpx.AsyncClient(timeout=2) as http:
            while time.monotonic() < deadline and (self.process is None or self.process.poll() is None):
                with contextlib.suppress(httpx.HTTPError):
                    if (await http.get(f"{self.url}/readyz")).status_code == 200:
                        return
                await asyncio.sleep(0.1)
        raise TimeoutError(self.log.read_text(errors="replace")[-3000:])

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it; a dead one is left alone."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait()

    def rss_mb(self) -> float:
        """Return its peak resident memory in MB."""
        status = Path(f"/proc/{self.process.pid if self.process else 0}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024


class Postgres:
    """The embedded server with its own durable settings."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._servers: list[embedded.Server] = []

    async def start(self) -> str:
        """Start it, or start it again; return its address."""
        self._servers.append(await embedded.start(self._folder))
        return self._servers[-1].dsn

    def crash(self) -> None:
        """End it at once, without a checkpoint: what is not in the log on disk is gone."""
        os.kill(self._pid(), signal.SIGQUIT)

    def cpu_s(self) -> float:
        """Return the CPU seconds of the server and all it has ended or still runs."""
        own, ticks = str(self._pid()), 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                pid, fields = stat.parent.name, stat.read_text().rsplit(")", 1)[1].split()
                if pid == own:
                    ticks += sum(map(int, fields[11:15]))
                elif fields[1] == own:
                    ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def _pid(self) -> int:
        pid_file = next(self._folder.glob("pg*/postmaster.pid"))
        return int(pid_file.read_text().split("\n", 1)[0])

    async def stop(self) -> None:
        """Leave it."""
        for server in self._servers:
            await server.stop()


class Stage:
    """Everything together; *slack* is in this process, so its messages can be read."""

    def __init__(self, folder: Path, slack: Workspace, postgres: Postgres, redis: Redis) -> None:
        self.folder, self.slack, self.postgres, self.redis = folder, slack, postgres, redis
        self.dsn = ""
        self.replicas: list[Replica] = []

    def add(self, groups: int, **more: str) -> Replica:
        """Add a replica in Socket Mode, with *more* environment; it is not started."""
        policy = self.folder / "tocsin.yaml"
        policy.write_text(POLICY % ", ".join(f"service-{group}: {{namespace: shop}}" for group in range(groups)))
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "DATABASE_URL": self.dsn,
            "REDIS_URL": self.redis.url,
            "SLACK_API_URL": f"{self.slack.base_url}/api/",
            "SLACK_BOT_TOKEN": self.slack.bot_token,
            "SLACK_APP_TOKEN": self.slack.app_token,
            "SLACK_SIGNING_SECRET": self.slack.signing_secret,
            "TOCSIN_SLACK_MODE": "socket",
            "TOCSIN_CONFIG": str(policy),
            "TOCSIN_DATA_DIR": str(self.folder / "data"),
            "TOCSIN_WEBHOOK_TOKEN": TOKEN,
            "TOCSIN_LOG_LEVEL": "warning",
            **more,
        }
        replica = Replica(len(self.replicas), environ, self.folder)
        self.replicas.append(replica)
        return replica

    def ours(self) -> list[tuple[int, str]]:
        """Return (incident, key) of every message of Tocsin's, in every channel."""
        found = []
        for messages in self.slack.state.messages.values():
            for message in messages.values():
                metadata = message.get("metadata") or {}
                if metadata.get("event_type") == "tocsin_post":
                    payload = metadata["event_payload"]
                    found.append((payload["incident_id"], payload["key"]))
        return found


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


@contextlib.asynccontextmanager
async def stage(folder: Path) -> AsyncIterator[Stage]:
    """Start Slack, Postgres and Redis; kill what was started on them at the end."""
    slack = Workspace(retry_after=(0.0, *[1.0] * 60))
    listening = socket.create_server(("127.0.0.1", 0))
    slack.base_url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    config = uvicorn.Config(
        Starlette(routes=slack.routes()), log_level="error", lifespan="off", access_log=False,
        ws="websockets-sansio", timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = _Server(config)
    served = asyncio.create_task(server.serve([listening]))
    data = folder / "data"
    data.mkdir()
    made = Stage(folder, slack, Postgres(data), Redis(folder))
    made.redis.start()
    made.dsn = await made.postgres.start()
    try:
        yield made
    finally:
        for replica in made.replicas:
            replica.kill()
        made.redis.kill()
        await made.postgres.stop()
        await slack.stop()
        server.should_exit = True
        await served
