"""Two running bots, over HTTP and over Socket Mode, beside the practice Slack and the practice cluster; for bench/abuse.py and its cases."""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import uvicorn
from psycopg.rows import dict_row
from starlette.applications import Starlette

from agents.incident import Diagnosed
from bench.practice import Practice, actor_kubeconfig, practice
from bench.stage import TOKEN, Replica, free_port
from bot.lifecycle import Lifecycle
from drill import kubeconfig
from drill.slack import Workspace
from drill.slack.people import User
from tools.queue import Queue
from tools.records import Alert, Diagnosis, Scalar, Suggestion
from tools.store import embedded, incidents, proposals
from tools.store.db import Database
from tools.store.migrate import migrate

CHANNEL = "C0ALERTS"
POLICY = """
channels: {watch: [alerts], default: alerts}
services: {checkout: {namespace: shop}, cart: {namespace: shop}}
approvers: {default: [U0DANA, U0GIL, U0BOT, U0GONE, U0FAR]}
"""  # who may not is refused although the policy names them
STRANGERS = (
    User("U0BOT", "helper", "Helper", "A bot", "#111111", is_bot=True),
    User("U0GONE", "gone", "Gone", "Left", "#111111", is_deleted=True),
    User("U0FAR", "far", "Far", "Partner", "#111111", team="T0OTHER"),
)
REFUSED = re.compile(r'^(?:tocsin_refused_total\{.*\}|tocsin_approvals_total\{result="refused"\}) (\S+)$', re.MULTILINE)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


@dataclass
class Target:
    """One running bot: its Slack, its database, its address; *made* are proposals by what became of them."""

    slack: Workspace
    replica: Replica
    db: Database
    life: Lifecycle
    made: dict[str, str] = field(default_factory=dict)
    threads: dict[str, str] = field(default_factory=dict)

    async def refusals(self) -> float:
        """Return what the metrics count as refused."""
        async with httpx.AsyncClient() as http:
            text = (await http.get(f"{self.replica.url}/metrics")).text
        return sum(float(value) for value in REFUSED.findall(text))

    async def ask(self, query: str) -> dict[str, Any]:
        """Return the first row of *query*."""
        async with self.db.connection() as conn:
            return await (await conn.execute(query.encode())).fetchone() or {}

    async def diagnosed(self, action: str, params: dict[str, Scalar]) -> int:
        """Put a diagnosis on the record that suggests this, as a model that believes everything would; return the incident."""
        ts = await self.slack.post_incoming(CHANNEL, {"text": "", "attachments": [{"title": f"[FIRING:1] {action}"}]})
        ts = ts or str(time.time())
        alert = Alert(fingerprint=ts, sender="t", name="Slow", status="firing", service="checkout")
        wish = Suggestion(action=action, params=params, why="the log said so")
        told = Diagnosis(headline="h", by="rules", confidence=0.9, conclusive=True, suggestions=(wish,))
        async with self.life.db.transaction() as conn:
            incident, _ = await incidents.open_or_join(conn, f"k{ts}", alert, CHANNEL, ts, datetime.now(UTC))
            await self.life.record_on(conn, incident.id, Diagnosed(diagnosis=told))
        return incident.id

    async def proposed(self, name: str, action: str, params: dict[str, Scalar]) -> str:
        """Have a change proposed by the running bot; keep its id and thread under *name*."""
        number = await self.diagnosed(action, params)
        async with asyncio.timeout(60):
            while True:
                async with self.db.connection() as conn:
                    case = await incidents.case(conn, number)
                if case.proposals:
                    break
                await asyncio.sleep(0.1)
        self.made[name], self.threads[name] = case.proposals[0].id, case.incident.thread_ts
        return case.proposals[0].id

    async def mark(self, name: str, *states: str) -> None:
        """Bring a proposal into a later state, as its life would."""
        for state in states:
            async with self.db.transaction() as conn:
                await proposals.mark(conn, self.made[name], state, ("proposed", "approved", "running"))  # type: ignore[arg-type]


@dataclass
class World:
    """Both bots and the cluster."""

    http: Target
    socket: Target
    cluster: Practice


async def _slack(stack: contextlib.AsyncExitStack, events_url: str | None) -> Workspace:
    slack = Workspace(retry_after=(0.0,), events_url=events_url)
    slack.state.users |= {one.id: one for one in STRANGERS}
    listening = free_port()
    slack.base_url = f"http://127.0.0.1:{listening}"
    config = uvicorn.Config(
        Starlette(routes=slack.routes()), port=listening, log_level="error", lifespan="off", access_log=False,
        ws="websockets-sansio", timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = _Server(config)
    task = asyncio.create_task(server.serve())

    async def end() -> None:
        await slack.stop()
        server.should_exit = True
        await task

    stack.push_async_callback(end)
    return slack


async def _target(stack: contextlib.AsyncExitStack, folder: Path, dsn: str, cluster: Practice, *, http: bool) -> Target:
    name = "http" if http else "socket"
    mine = folder / name
    mine.mkdir()
    with psycopg.connect(dsn, autocommit=True, row_factory=dict_row) as conn:
        conn.execute(f"CREATE DATABASE {name}".encode())
    own = dsn.replace("/tocsin?", f"/{name}?")
    await migrate(own)
    replica = Replica(0, {}, mine)
    slack = await _slack(stack, f"{replica.url}/slack/events" if http else None)
    (mine / "tocsin.yaml").write_text(POLICY)
    reader = kubeconfig.write(mine / "reader.yaml", cluster.url, "r", "tocsin-reader")
    replica._environ |= {  # noqa: SLF001  # its port had to be known first
        "PATH": "/usr/bin:/bin", "HOME": str(mine), "DATABASE_URL": own, "SLACK_API_URL": f"{slack.base_url}/api/",
        "SLACK_BOT_TOKEN": slack.bot_token, "SLACK_APP_TOKEN": slack.app_token,
        "SLACK_SIGNING_SECRET": slack.signing_secret, "TOCSIN_SLACK_MODE": name, "TOCSIN_CONFIG": str(mine / "tocsin.yaml"),
        "TOCSIN_DATA_DIR": str(mine / "data"), "TOCSIN_WEBHOOK_TOKEN": TOKEN, "TOCSIN_LOG_LEVEL": "warning",
        "KUBECONFIG": str(reader), "TOCSIN_ACTOR_KUBECONFIG": actor_kubeconfig(mine, cluster),
    }  # fmt: skip
    stack.callback(replica.kill)
    replica.start()
    db = await Database.open(own, max_size=3)
    stack.push_async_callback(db.aclose)
    target = Target(slack, replica, db, Lifecycle(db, Queue(db), lambda: datetime.now(UTC), 15.0))
    await replica.ready(120)
    return target


async def _prepare(target: Target, *, full: bool) -> None:
    """Have proposals made and bring them into every state a button can meet."""
    shop: dict[str, Scalar] = {"namespace": "shop", "deployment": "cart"}
    names = ("open", "expired", "superseded", "done", "rejected") if full else ("open", "expired")
    for name in names:
        await target.proposed(name, "rollout_restart", shop)
    await target.mark("expired", "expired")
    if full:
        await target.mark("superseded", "superseded")
        await target.mark("done", "approved", "running", "done")
        await target.mark("rejected", "rejected")


@contextlib.asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    """Start everything."""
    data = folder / "data"
    data.mkdir()
    async with contextlib.AsyncExitStack() as stack:
        server = await embedded.start(data)
        stack.push_async_callback(server.stop)
        cluster = await stack.enter_async_context(practice())
        http, socket = await asyncio.gather(
            _target(stack, folder, server.dsn, cluster, http=True),
            _target(stack, folder, server.dsn, cluster, http=False),
        )
        await asyncio.gather(_prepare(http, full=True), _prepare(socket, full=False))
        yield World(http, socket, cluster)
