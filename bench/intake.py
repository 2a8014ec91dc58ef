"""What durable intake costs: acknowledgements per second beside an empty Bolt listener, and a storm through the service.

`make bench-intake`. Both sides serve Slack's events with the same Bolt app shape (signature, authorization, one listener
for messages; HTTP: Starlette under uvicorn; Socket Mode: Bolt's aiohttp handler), each in a fresh process. The durable side
is Tocsin's own: bot/web.py's door, bot/slack.py's app, bot/inbox.py on an embedded Postgres with synchronous commit; its
worker is off, as the empty listener has none. Load: this process, 100 connections (Socket Mode: 100 envelopes under way on
one socket), bursts of 1,000 and 10,000 distinct events of about 1 kB, the sides turn about, the better of two passes each.

The storm is 10,000 alerts of 40 groups by webhook into one whole `tocsin run` beside the practice Slack with its limits.
"""

import argparse
import asyncio
import hashlib
import hmac
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx

from bench.chaos import ask, settle
from bench.stage import TOKEN, Postgres, alert_body, free_port, stage

SECRET = "bench"
CONNECTIONS = 100
BURSTS = (1_000, 10_000)
PASSES = 2
GROUPS = 40
STORM = 10_000


def event(name: str) -> dict[str, Any]:
    """Return one Slack event, as another bot's alert message comes."""
    title = "[FIRING:1] HighErrorRate checkout (demo shop checkout-7d9f critical payments)"
    attachment = {
        "title": title,
        "fallback": title,
        "title_link": "http://am/#/alerts",
        "text": "x" * 200,
        "color": "danger",
    }
    message = {
        "type": "message", "subtype": "bot_message", "bot_id": "B0ALERTS", "channel": "C0ALERTS", "ts": "100.1",
        "event_ts": "100.1", "channel_type": "channel", "text": "", "attachments": [attachment],
    }  # fmt: skip
    return {
        "token": "t", "team_id": "T1", "api_app_id": "A1", "type": "event_callback", "event_id": name,
        "event_time": 100, "event": message, "event_context": "4-x", "is_ext_shared_channel": False,
        "authorizations": [{"team_id": "T1", "user_id": "U0BOT", "is_bot": True, "is_enterprise_install": False}],
    }  # fmt: skip


# ---- the served side, in a process of its own -------------------------------------------------------------------------


async def serve(kind: str, mode: str, address: str, dsn: str) -> None:
    """Serve until killed: *kind* empty or durable, *mode* http (on port *address*) or socket (Slack at *address*)."""
    from slack_bolt.app.async_app import AsyncApp
    from slack_bolt.authorization import AuthorizeResult
    from slack_sdk.web.async_client import AsyncWebClient

    client = AsyncWebClient(token="xoxb-b", base_url=address if mode == "socket" else "http://127.0.0.1:1/")

    async def authorize() -> AuthorizeResult:
        return AuthorizeResult(
            enterprise_id=None, team_id="T1", bot_user_id="U0BOT", bot_id="B0BOT", bot_token="xoxb-b"
        )

    async def nothing() -> None:
        pass

    app = AsyncApp(signing_secret=SECRET, client=client, authorize=authorize, process_before_response=True)
    receive: Any = None
    if kind == "durable":
        receive = await _writer(dsn)

        async def keep(body: dict[str, Any], next_: Callable[[], Awaitable[None]]) -> None:
            kept = {key: value for key, value in body.items() if key != "token"}
            await receive(f"slack:{body['event_id']}", "slack_event", kept)
            await next_()

        app.middleware(keep)
    app.event("message")(nothing)
    await (_serve_http(app, int(address), receive) if mode == "http" else _serve_socket(app))


async def _writer(dsn: str) -> Any:
    from bot.inbox import Inbox
    from tools.queue import Queue
    from tools.store.db import Database

    db = await Database.open(dsn)
    queue = Queue(db)
    return Inbox(db, queue).receive


async def _serve_http(app: Any, port: int, receive: Any) -> None:
    import uvicorn
    from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
    from starlette.applications import Starlette
    from starlette.routing import Route

    handler = AsyncSlackRequestHandler(app)
    web = Starlette(routes=[Route("/slack/events", handler.handle, methods=["POST"])])
    if receive:
        from bot.metrics import Metrics
        from bot.web import Doors, create_app

        async def ready() -> dict[str, Any]:
            return {}

        web = create_app(
            Doors(
                receive=receive,
                ready=ready,
                metrics=Metrics(),
                now=time.time,
                signing_secret=SECRET,
                slack=handler.handle,
            )
        )
    config = uvicorn.Config(web, port=port, log_config=None, access_log=False, lifespan="off")
    await uvicorn.Server(config).serve()


async def _serve_socket(app: Any) -> None:
    from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler

    await AsyncSocketModeHandler(app, "xapp-b").connect_async()  # type: ignore[no-untyped-call]
    await asyncio.Event().wait()


# ---- the load ---------------------------------------------------------------------------------------------------------


def request(name: str) -> bytes:
    """Return a signed HTTP request with one event."""
    body = json.dumps(event(name)).encode()
    at = str(int(time.time()))
    signed = hmac.new(SECRET.encode(), b"v0:" + at.encode() + b":" + body, hashlib.sha256).hexdigest()
    head = (
        f"POST /slack/events HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        f"x-slack-request-timestamp: {at}\r\nx-slack-signature: v0={signed}\r\n\r\n"
    )
    return head.encode() + body


async def burst_http(port: int, prefix: str, count: int) -> tuple[float, list[float]]:
    """Send *count* events over CONNECTIONS; return acknowledgements per second and each one's milliseconds."""
    waiting = [request(f"{prefix}-{number}") for number in range(count)]
    took: list[float] = []

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while waiting:
            sent = waiting.pop()
            began = time.perf_counter()
            writer.write(sent)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head[:200])
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            took.append(1000 * (time.perf_counter() - began))
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    return count / (time.perf_counter() - began), took


class SocketSide:
    """A Slack that only opens one socket and sends envelopes on it."""

    def __init__(self) -> None:
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}/api/"
        self.connected = asyncio.Event()
        self._socket: Any = None
        self._sent: dict[str, float] = {}
        self._took: list[float] = []
        self._room = asyncio.Semaphore(CONNECTIONS)

    async def start(self) -> Any:
        """Serve; return what `cleanup` ends."""
        from aiohttp import web

        async def opened(_: Any) -> Any:
            return web.json_response({"ok": True, "url": f"ws://127.0.0.1:{self.port}/link"})

        app = web.Application()
        app.router.add_post("/api/apps.connections.open", opened)
        app.router.add_get("/link", self._link)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        return runner

    async def _link(self, request_: Any) -> Any:
        from aiohttp import WSMsgType, web

        self._socket = web.WebSocketResponse()
        await self._socket.prepare(request_)
        await self._socket.send_json({"type": "hello", "num_connections": 1, "connection_info": {"app_id": "A1"}})
        self.connected.set()
        async for message in self._socket:
            if message.type == WSMsgType.TEXT:
                began = self._sent.pop(json.loads(message.data).get("envelope_id", ""), None)
                if began is not None:
                    self._took.append(1000 * (time.perf_counter() - began))
                    self._room.release()
        return self._socket

    async def burst(self, prefix: str, count: int) -> tuple[float, list[float]]:
        """Send *count* envelopes, CONNECTIONS under way; return as burst_http does."""
        self._took = []
        texts = []
        for number in range(count):
            payload = event(f"{prefix}-{number}")
            name = payload["event_id"]
            envelope = {
                "envelope_id": name,
                "type": "events_api",
                "accepts_response_payload": False,
                "payload": payload,
            }
            texts.append((name, json.dumps(envelope)))
        began = time.perf_counter()
        for name, text in texts:
            await self._room.acquire()
            self._sent[name] = time.perf_counter()
            await self._socket.send_str(text)
        async with asyncio.timeout(60):
            while len(self._took) < count:
                await asyncio.sleep(0.001)
        return count / (time.perf_counter() - began), self._took


async def measured(kind: str, mode: str, dsn: str, turn: int) -> dict[int, tuple[float, list[float]]]:
    """Measure one side in a fresh process: by burst, acknowledgements per second and milliseconds."""
    side = SocketSide()
    runner = await side.start() if mode == "socket" else None
    port = free_port()
    address = side.address if mode == "socket" else str(port)
    command = [sys.executable, "-m", "bench.intake", "--serve", kind, mode, address, dsn]
    process = subprocess.Popen(command)
    prefix = f"{kind}-{mode}-{turn}"
    found = {}
    try:
        if mode == "socket":
            async with asyncio.timeout(30):
                await side.connected.wait()
        else:
            await _listening(port)
        for count in (200, *BURSTS):  # the first is the warm-up
            name = f"{prefix}-{count}"
            found[count] = await (side.burst(name, count) if runner else burst_http(port, name, count))
    finally:
        process.kill()
        process.wait()
        if runner:
            await runner.cleanup()
    return found


async def _listening(port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


async def doors(dsn: str, mode: str) -> tuple[float, float]:
    """Print both sides of *mode*; return the ratio at the long burst and the worst durable p99 in ms."""
    best: dict[tuple[str, int], tuple[float, list[float]]] = {}
    for turn in range(PASSES):
        for kind in ("empty", "durable"):
            for count, found in (await measured(kind, mode, dsn, turn)).items():
                if found[0] > best.get((kind, count), (0.0, []))[0]:
                    best[kind, count] = found
    worst = 0.0
    for kind in ("empty", "durable"):
        for count in BURSTS:
            rate, took = best[kind, count]
            cuts = statistics.quantiles(took, n=100)
            print(
                f"{mode:6} {kind:7} burst={count:<6} acks_per_s={rate:.0f} p50_ms={cuts[49]:.1f} p99_ms={cuts[98]:.1f}"
            )
            worst = max(worst, cuts[98] if kind == "durable" else 0.0)
    return best["durable", BURSTS[-1]][0] / best["empty", BURSTS[-1]][0], worst


async def storm(folder: Path, alerts: int) -> str:
    """Send the storm; return the second half of the last line."""
    async with stage(folder) as made:
        replica = made.add(GROUPS)
        replica.start()
        await replica.ready()
        numbers = iter(range(alerts))
        began = time.monotonic()

        async def send(http: httpx.AsyncClient) -> None:
            for number in numbers:
                body = alert_body(number % GROUPS, number, GROUPS)
                while not (await http.post(f"{replica.url}/webhook/alertmanager", json=body)).is_success:
                    await asyncio.sleep(0.5)

        async with httpx.AsyncClient(timeout=30, headers={"Authorization": f"Bearer {TOKEN}"}) as http:
            await asyncio.gather(*(send(http) for _ in range(16)))
        kept = time.monotonic() - began
        left = await settle(made.dsn, 900)
        quiet = time.monotonic() - began
        incidents = ask(made.dsn, "SELECT count(*) FROM incidents")[0][0]
        diagnosed = ask(made.dsn, "SELECT count(*) FROM incident_events WHERE kind = 'diagnosed'")[0][0]
        print(f"storm: {alerts} alerts kept in {kept:.1f} s; posts={len(made.ours())}; left={left}")
        rss = replica.rss_mb()
    return f"incidents={incidents} investigations={diagnosed} quiet_s={quiet:.0f} rss_mb={rss:.0f}"


async def bench(alerts: int) -> str:
    """Run it all; return the last line."""
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        from tools.store.migrate import migrate

        postgres = Postgres(Path(folder))
        dsn = await postgres.start()
        try:
            await migrate(dsn)
            http, http_p99 = await doors(dsn, "http")
            socket, socket_p99 = await doors(dsn, "socket")
        finally:
            await postgres.stop()
    line = f"ratio_http={http:.2f} ratio_socket={socket:.2f} p99_ms={max(http_p99, socket_p99):.0f}"
    if alerts:
        with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
            line += " " + await storm(Path(folder), alerts)
    return line


def main() -> None:
    """Read the command line; print the figures."""
    parser = argparse.ArgumentParser(description="The cost of durable intake.")
    parser.add_argument("--serve", nargs=4, metavar=("KIND", "MODE", "ADDRESS", "DSN"), help="used by the bench itself")
    parser.add_argument("--storm", type=int, default=STORM, help="alerts of the storm; 0 leaves it out")
    given = parser.parse_args()
    if given.serve:
        asyncio.run(serve(*given.serve))
    else:
        print(asyncio.run(bench(given.storm)))


if __name__ == "__main__":
    main()
