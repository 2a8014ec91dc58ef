"""What ends or goes away under real processes: a replica told to stop, one that is killed, Redis, Postgres.

The seconds are printed (pytest -s); the bounds of the waits are those that docs/operations.md promises.
"""

import asyncio
import contextlib
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from bench.chaos import settle
from bench.stage import TOKEN, Replica, Stage, alert_body, stage

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

GROUPS = 4
DRAIN_S, TAKEOVER_S = 20, 30
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder outside pytest's own, whose mode another session of pytest takes back under a running Postgres."""
    with tempfile.TemporaryDirectory(prefix="tocsin-test-", ignore_cleanup_errors=True) as made:
        yield Path(made)


class SlowPrometheus:
    """Answers each query after *delay* seconds, and remembers from which port of loopback it was asked."""

    def __init__(self) -> None:
        self.delay = 2.5
        self.asked: list[tuple[float, int]] = []
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}"

    async def query(self, request: Request) -> JSONResponse:
        self.asked.append((time.monotonic(), request.client.port if request.client else 0))
        await asyncio.sleep(self.delay)
        return JSONResponse({"status": "success", "data": {"resultType": "vector", "result": []}})

    async def other(self, request: Request) -> JSONResponse:
        found: Any = {"groups": []} if request.url.path.endswith("/rules") else []
        return JSONResponse({"status": "success", "data": found})

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        slow, quick = ["GET", "POST"], ["GET", "POST"]
        routes = [
            Route("/api/v1/query", self.query, methods=slow),
            Route("/api/v1/query_range", self.query, methods=slow),
            Route("/{path:path}", self.other, methods=quick),
        ]
        server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), log_level="critical", lifespan="off"))
        served = asyncio.create_task(server._serve([self.listening]))
        try:
            yield
        finally:
            server.should_exit, server.force_exit = True, True
            await served


def owner(replicas: list[Replica], port: int) -> Replica:
    """Return the replica whose process has the local end of this connection, from what the kernel shows."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {row[9] for row in rows if int(row[1].partition(":")[2], 16) == port}
    for replica in replicas:
        pid = replica.process.pid if replica.process else 0
        for handle in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if handle.readlink().name.removeprefix("socket:[").rstrip("]") in inodes:
                    return replica
    raise AssertionError(f"no replica has a connection from port {port}")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


async def until(what: str, seconds: float, seen: Callable[[], Any]) -> float:
    """Wait until *seen*; return how long it took."""
    began = time.monotonic()
    while not await asyncio.to_thread(seen):
        assert time.monotonic() - began < seconds, f"{what}: not within {seconds:g} s"
        await asyncio.sleep(0.05)
    return time.monotonic() - began


def rows(made: Stage, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(made.dsn, autocommit=True, connect_timeout=5) as conn:
        return conn.execute(query.encode()).fetchall()


async def send(replica: Replica, number: int, body: dict[str, Any] | None = None) -> httpx.Response:
    async with httpx.AsyncClient(timeout=10, headers=HEADERS) as http:
        told = body or alert_body(number % GROUPS, number, GROUPS)
        return await http.post(f"{replica.url}/webhook/alertmanager", json=told)


async def parts(replica: Replica) -> tuple[int, dict[str, Any]]:
    async with httpx.AsyncClient(timeout=10) as http:
        answer = await http.get(f"{replica.url}/readyz")
    return answer.status_code, answer.json()["parts"]


async def settled(made: Stage, incidents: int) -> None:
    """Wait until all is done; every incident is there once, diagnosed once, with one card."""
    left = await settle(made.dsn, 60)
    assert left == dict.fromkeys(left, 0)
    assert rows(made, "SELECT count(*) FROM incidents") == [(incidents,)]
    diagnosed = rows(made, "SELECT incident_id, count(*) FROM incident_events WHERE kind = 'diagnosed' GROUP BY 1")
    assert sorted(count for _, count in diagnosed) == [1] * incidents
    ours = made.ours()
    assert len(ours) == len(set(ours))
    assert sum(key == "card" for _, key in ours) == incidents


async def test_a_replica_told_to_stop_drains_and_a_killed_one_is_replaced(folder: Path):
    prometheus = SlowPrometheus()
    async with prometheus.running(), stage(folder) as made:
        replicas = [made.add(GROUPS, PROMETHEUS_URL=prometheus.url) for _ in range(2)]
        for replica in replicas:
            replica.start()
        await asyncio.gather(*(replica.ready() for replica in replicas))

        assert (await send(replicas[0], 0)).status_code == 202
        await until("investigation", 30, lambda: prometheus.asked)
        told = owner(replicas, prometheus.asked[0][1])
        began = time.monotonic()
        told.process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(told.process.wait, DRAIN_S)
        say(f"SIGTERM while an investigation was under way: exit code {code} after {time.monotonic() - began:.1f} s")
        assert code == 0
        told.start()
        await asyncio.gather(settled(made, 1), told.ready())

        prometheus.asked.clear()
        assert (await send(replicas[0], 1)).status_code == 202
        await until("investigation", 30, lambda: prometheus.asked)
        dead = owner(replicas, prometheus.asked[0][1])
        died = time.monotonic()
        dead.kill()

        def taken() -> bool:
            return any(at > died for at, _ in prometheus.asked)

        waited = await until("the dead replica's job taken over", TAKEOVER_S, taken)
        say(f"SIGKILL while an investigation was under way: taken over after {waited:.1f} s")
        prometheus.delay = 0.0
        await settled(made, 2)


async def test_redis_and_postgres_go_and_come_back(folder: Path):
    async with stage(folder) as made:
        made.redis.kill()
        replica = made.add(GROUPS)
        replica.start()
        await replica.ready()
        status, seen = await parts(replica)
        assert (status, seen["cache"]["ok"], seen["cache"]["detail"]) == (
            200,
            False,
            "Redis is away: limits are per process",
        )
        assert (await send(replica, 0)).status_code == 202
        await settled(made, 1)

        made.redis.start()
        waited = await _cache(replica, here=True)
        made.redis.kill()
        lost = await _cache(replica, here=False)
        assert (await send(replica, 1)).status_code == 202
        await settled(made, 2)
        say(f"Redis came back: seen after {waited:.1f} s; lost: seen after {lost:.1f} s; alerts went on in between")

        made.postgres.crash()
        body = alert_body(2, 2, GROUPS)
        refused = await send(replica, 2, body)
        while refused.is_success:  # the server was still on its way down
            refused = await send(replica, 2, alert_body(2, 2, GROUPS))
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) >= 1
        status, seen = await parts(replica)
        assert (status, seen["postgres"]["ok"]) == (503, False)
        channel = next(key for key, about in made.slack.state.channels.items() if about.name == "alerts")
        title = "[FIRING:1] Slow3 service-3 (demo critical)"
        posting = asyncio.create_task(
            made.slack.post_incoming(channel, {"attachments": [{"title": title, "fallback": title, "text": ""}]})
        )
        await asyncio.sleep(2.0)
        await made.postgres.start()
        began = time.monotonic()
        for _ in range(3):  # as a sender does that did not see the answer
            await _accepted(replica, body)
        say(f"Postgres came back: a webhook was taken after {time.monotonic() - began:.1f} s")
        await posting
        await until("Slack's message", 60, lambda: len(rows(made, "SELECT 1 FROM incidents")) == 4)
        await settled(made, 4)
        kept = rows(made, "SELECT count(*) FROM inbox WHERE kind = 'webhook'")
        assert kept == [(3,)]
    made.redis.kill()


async def _cache(replica: Replica, *, here: bool) -> float:
    began = time.monotonic()
    while (await parts(replica))[1]["cache"]["ok"] is not here:
        assert time.monotonic() - began < 30, "Redis' state is not told"
        await asyncio.sleep(0.1)
    return time.monotonic() - began


async def _accepted(replica: Replica, body: dict[str, Any]) -> None:
    began = time.monotonic()
    while not (await send(replica, 2, body)).is_success:
        assert time.monotonic() - began < 60, "the webhook is not taken"
        await asyncio.sleep(0.2)
