"""The load of bench/intake.py: Slack's events over 100 HTTP connections, or 100 envelopes under way on one socket."""

import asyncio
import hashlib
import hmac
import json
import time
from typing import Any

from bench.intake_served import SECRET
from bench.stage import free_port

CONNECTIONS = 100
LONGEST_S = 60.0  # of one burst


def event(name: str) -> dict[str, Any]:
    """Return one Slack event of about 1 kB, as another bot's alert message comes."""
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


class HttpSide:
    """A Slack that posts events to *address*, a port."""

    def __init__(self) -> None:
        self.address = str(free_port())

    async def start(self) -> None:
        """Do nothing: the other side is the server."""

    async def connected(self) -> None:
        """Wait until the server listens."""
        async with asyncio.timeout(LONGEST_S):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", int(self.address))
                except OSError:
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    return

    async def burst(self, prefix: str, count: int) -> tuple[float, list[float]]:
        """Send *count* events over CONNECTIONS; return acknowledgements per second and each one's milliseconds."""
        waiting = [request(f"{prefix}-{number}") for number in range(count)]
        took: list[float] = []
        began = time.perf_counter()
        async with asyncio.timeout(LONGEST_S):
            await asyncio.gather(*(self._connection(waiting, took) for _ in range(CONNECTIONS)))
        return count / (time.perf_counter() - began), took

    async def _connection(self, waiting: list[bytes], took: list[float]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(self.address))
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

    async def aclose(self) -> None:
        """Do nothing."""


class SocketSide:
    """A Slack that only opens one socket and sends envelopes on it; *address* is its API."""

    def __init__(self) -> None:
        self._port = free_port()
        self.address = f"http://127.0.0.1:{self._port}/api/"
        self._open = asyncio.Event()
        self._runner: Any = None
        self._socket: Any = None
        self._sent: dict[str, float] = {}
        self._took: list[float] = []
        self._room = asyncio.Semaphore(CONNECTIONS)

    async def start(self) -> None:
        """Serve."""
        from aiohttp import web

        async def opened(_: Any) -> Any:
            return web.json_response({"ok": True, "url": f"ws://127.0.0.1:{self._port}/link"})

        app = web.Application()
        app.router.add_post("/api/apps.connections.open", opened)
        app.router.add_get("/link", self._link)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()

    async def connected(self) -> None:
        """Wait until the other side has opened its socket."""
        async with asyncio.timeout(LONGEST_S):
            await self._open.wait()

    async def _link(self, request_: Any) -> Any:
        from aiohttp import WSMsgType, web

        self._socket = web.WebSocketResponse()
        await self._socket.prepare(request_)
        await self._socket.send_json({"type": "hello", "num_connections": 1, "connection_info": {"app_id": "A1"}})
        self._open.set()
        async for message in self._socket:
            if message.type == WSMsgType.TEXT:
                began = self._sent.pop(json.loads(message.data).get("envelope_id", ""), None)
                if began is not None:
                    self._took.append(1000 * (time.perf_counter() - began))
                    self._room.release()
        return self._socket

    async def burst(self, prefix: str, count: int) -> tuple[float, list[float]]:
        """Send *count* envelopes, CONNECTIONS under way; return acknowledgements per second and each one's milliseconds."""
        self._took = []
        texts = []
        for number in range(count):
            name = f"{prefix}-{number}"
            envelope = {"envelope_id": name, "type": "events_api", "accepts_response_payload": False}
            texts.append((name, json.dumps({**envelope, "payload": event(name)})))
        began = time.perf_counter()
        async with asyncio.timeout(LONGEST_S):
            for name, text in texts:
                await self._room.acquire()
                self._sent[name] = time.perf_counter()
                await self._socket.send_str(text)
            while len(self._took) < count:
                await asyncio.sleep(0.001)
        return count / (time.perf_counter() - began), self._took

    async def aclose(self) -> None:
        """Stop serving."""
        await self._runner.cleanup()
