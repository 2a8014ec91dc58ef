"""Socket Mode: the websocket at /socket, envelopes and their acknowledgements; one Transport of delivery.py."""

import asyncio
import itertools
import json
import secrets
import uuid

from starlette.websockets import WebSocket, WebSocketDisconnect

from drill.slack import people
from drill.slack.delivery import Attempt, Kind, NotAckedError
from drill.slack.errors import JsonDict
from drill.slack.state import State

MAX_SOCKETS = 10  # https://docs.slack.dev/apis/events-api/using-socket-mode: up to ten connections per app
TICKET_SECONDS = 30.0


class Sockets:
    """The app's open websockets; envelopes go to them in turn."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.open: list[WebSocket] = []
        self.changed = asyncio.Event()
        self._tickets: dict[str, float] = {}
        self._turn = itertools.count()
        self._waiting: dict[str, asyncio.Future[JsonDict | None]] = {}

    def ticket(self) -> str:
        """Return a one-time address for a new connection (apps.connections.open)."""
        name = secrets.token_urlsafe(16)
        self._tickets[name] = self.state.clock() + TICKET_SECONDS
        return f"{self.state.base_url.replace('http', 'ws', 1)}/socket?ticket={name}&app_id={people.APP_ID}"

    async def serve(self, socket: WebSocket) -> None:
        """Hold one connection until either side closes it."""
        expires = self._tickets.pop(socket.query_params.get("ticket", ""), 0.0)
        if self.state.clock() > expires or len(self.open) >= MAX_SOCKETS:
            await socket.close(code=4001)
            return
        await socket.accept()
        self.open.append(socket)
        self._notify()
        try:
            await socket.send_json(self._hello())
            while True:
                self._heard(await socket.receive_text())
        except (WebSocketDisconnect, RuntimeError):
            pass  # the other side left, also in the middle of our sending
        finally:
            if socket in self.open:
                self.open.remove(socket)
            self._notify()

    def _notify(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()
        self.state.connected = len(self.open)
        self.state.live({"kind": "presence", "connected": len(self.open)})

    def _hello(self) -> JsonDict:
        return {
            "type": "hello",
            "num_connections": len(self.open),
            "debug_info": {"host": "drill", "build_number": 1, "approximate_connection_time": 18060},
            "connection_info": {"app_id": people.APP_ID},
        }

    def _heard(self, text: str) -> None:
        try:
            said = json.loads(text)
        except ValueError:
            return
        if not isinstance(said, dict):
            return
        waiting = self._waiting.pop(str(said.get("envelope_id")), None)
        if waiting is not None and not waiting.done():
            payload = said.get("payload")
            waiting.set_result(payload if isinstance(payload, dict) else None)

    async def send(self, kind: Kind, payload: JsonDict, attempt: Attempt, seconds: float) -> JsonDict | None:
        """Put *payload* into an envelope on the next socket in turn and wait *seconds* for its acknowledgement."""
        if not self.open:
            raise NotAckedError("no_connection")
        socket = self.open[next(self._turn) % len(self.open)]
        envelope: JsonDict = {
            "envelope_id": str(uuid.uuid4()),
            "type": kind,
            "accepts_response_payload": kind != "events_api",
            "payload": payload,
        }
        if kind == "events_api":
            envelope |= {"retry_attempt": attempt.number, "retry_reason": attempt.reason}
        waiting: asyncio.Future[JsonDict | None] = asyncio.get_running_loop().create_future()
        self._waiting[envelope["envelope_id"]] = waiting
        try:
            await socket.send_json(envelope)
            return await asyncio.wait_for(waiting, seconds)
        except TimeoutError:
            raise NotAckedError("timeout") from None
        except (WebSocketDisconnect, RuntimeError):
            raise NotAckedError("connection_failed") from None
        finally:
            self._waiting.pop(envelope["envelope_id"], None)

    async def disconnect(self, reason: str = "refresh_requested") -> None:
        """Tell every open socket to go, as Slack does every few hours, and close it."""
        for socket in tuple(self.open):
            self.open.remove(socket)
            try:
                await socket.send_json({"type": "disconnect", "reason": reason, "debug_info": {"host": "drill"}})
                await socket.close()
            except (WebSocketDisconnect, RuntimeError):
                continue  # it left first
        self._notify()
