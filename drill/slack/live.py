"""The page's side: what it shows at first, what changes while it is open (SSE), and what the person on it does."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from drill.slack import messages, people
from drill.slack.errors import JsonDict, SlackError
from drill.slack.interact import People
from drill.slack.state import State
from drill.slack.views import modals

PAGE = Path(__file__).parent / "page"
KEPT = 2000  # changes a page can catch up on after its connection broke
SHOWN = 400  # messages per channel a page is given at first
BEAT_SECONDS = 15.0


class Feed:
    """Every visible change, numbered; pages follow it and resume from the last number they saw."""

    def __init__(self) -> None:
        self.seq = 0
        self._kept: deque[JsonDict] = deque(maxlen=KEPT)
        self._more = asyncio.Event()
        self.closed = False

    def add(self, change: JsonDict) -> None:
        """Append one change and wake the pages."""
        self.seq += 1
        self._kept.append({"seq": self.seq, **change})
        self._wake()

    def _wake(self) -> None:
        self._more.set()
        self._more = asyncio.Event()

    def close(self) -> None:
        """End every page's stream."""
        self.closed = True
        self._wake()

    async def follow(self, since: int, user: str) -> AsyncIterator[JsonDict | None]:
        """Yield the changes after *since* that *user* may see; None is a heartbeat."""
        if since > self.seq or (self._kept and since < self._kept[0]["seq"] - 1):
            yield {"seq": self.seq, "kind": "reload"}
            since = self.seq
        while not self.closed:
            more = self._more
            fresh = [change for change in self._kept if change["seq"] > since]
            for change in fresh:
                since = change["seq"]
                if change.get("for", user) == user:
                    yield change
            if fresh:
                continue
            try:
                await asyncio.wait_for(more.wait(), BEAT_SECONDS)
            except TimeoutError:
                yield None


class Page:
    """The routes that the page in page/ uses."""

    def __init__(self, state: State, feed: Feed, acting: People) -> None:
        self.state = state
        self.feed = feed
        self.acting = acting

    def boot(self, user: str) -> JsonDict:
        """Return everything *user* sees when the page opens."""
        state = self.state
        mine = {channel.id for channel in state.channels.values() if user in channel.members}
        whispers = [held for held in state.ephemerals.values() if held["user"] == user]
        home = state.views.get(state.homes.get(user, ""))
        return {
            "seq": self.feed.seq,
            "me": user,
            "connected": self.state.connected,
            "team": people.TEAM_NAME,
            "bot": {"user": people.BOT_USER, "id": people.BOT_ID},
            "users": [asdict(item) for item in state.users.values()],
            "groups": [asdict(group) for group in state.groups.values()],
            "channels": [
                {"id": item.id, "name": item.name, "topic": item.topic, "im": item.is_im}
                for item in state.channels.values()
                if item.id in mine
            ],
            "messages": {
                channel: [messages.public(item) for item in list(state.messages[channel].values())[-SHOWN:]]
                for channel in mine
            },
            "ephemerals": [{"channel": held["channel"], "message": held["message"]} for held in whispers],
            "views": [view.data for view in modals(state, user)],
            "home": home.data if home else None,
            "commands": [asdict(command) for command in state.manifest.commands],
            "messages_tab": state.manifest.messages_tab,
            "shortcuts": [asdict(shortcut) for shortcut in state.manifest.shortcuts],
        }

    async def start(self, request: Request) -> Response:
        """GET /drill/slack/boot?user=."""
        user = request.query_params.get("user", "U0DANA")
        found = self.state.users.get(user)
        if found is None or found.is_bot:
            user = "U0DANA"
        return JSONResponse(self.boot(user))

    async def live(self, request: Request) -> Response:
        """GET /drill/live?user=&since= as server-sent events; Last-Event-ID wins over since."""
        user = request.query_params.get("user", "U0DANA")
        given = request.headers.get("last-event-id") or request.query_params.get("since") or str(self.feed.seq)
        since = int(given) if given.isdecimal() else self.feed.seq

        async def stream() -> AsyncIterator[str]:
            yield "retry: 1000\n\n"
            async for change in self.feed.follow(since, user):
                yield ": beat\n\n" if change is None else f"id: {change['seq']}\ndata: {json.dumps(change)}\n\n"

        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(stream(), media_type="text/event-stream", headers=headers)

    async def act(self, request: Request) -> Response:
        """POST /drill/slack/act: one action of the person on the page; 400 with Slack's code when refused."""
        origin = request.headers.get("origin")
        if origin and origin.partition("://")[2] != request.headers.get("host"):
            return PlainTextResponse("another site may not act here", 403)
        try:
            said = json.loads(await request.body())
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict):
            return JSONResponse({"error": "invalid_json"}, 400)
        try:
            return JSONResponse(await self._do(str(said.get("user")), said))
        except SlackError as refusal:
            return JSONResponse({"error": refusal.code}, 400)

    async def _do(self, user: str, said: JsonDict) -> JsonDict:
        acting, channel, ts, view = self.acting, said.get("channel"), said.get("ts"), said.get("view_id")
        answer: JsonDict
        match said.get("do"):
            case "say":
                answer = await acting.say(user, channel, said.get("text"), said.get("thread_ts"))
            case "press":
                answer = await acting.press(user, said)
            case "submit":
                answer = await acting.submit(user, view, said.get("values"))
            case "close":
                answer = await acting.close(user, view, cleared=bool(said.get("cleared")))
            case "shortcut":
                answer = await acting.shortcut(user, said.get("callback_id"), channel, ts)
            case "react":
                answer = acting.react(user, channel, ts, said.get("name"))
            case "home":
                answer = acting.home(user, str(said.get("tab") or "home"))
            case "dismiss":
                answer = self._dismiss(user, ts)
            case _:
                raise SlackError("unknown_action")
        return answer

    def _dismiss(self, user: str, ts: Any) -> JsonDict:
        held = self.state.ephemerals.get(str(ts))
        if held is not None and held["user"] == user:
            messages.unwhisper(self.state, str(ts))
        return {}

    async def index(self, _request: Request) -> Response:
        """GET / and permalinks: the page itself."""
        policy = "default-src 'self'; img-src 'self' https: http: data:; style-src 'self' 'unsafe-inline'"
        headers = {"content-security-policy": policy, "cache-control": "no-cache"}
        return FileResponse(PAGE / "index.html", headers=headers)

    def routes(self) -> list[BaseRoute]:
        """Return the page's routes."""
        return [
            Route("/", self.index),
            Route("/archives/{channel}/{ts}", self.index),
            Route("/drill/live", self.live),
            Route("/drill/slack/boot", self.start),
            Route("/drill/slack/act", self.act, methods=["POST"]),
            Mount("/page", StaticFiles(directory=PAGE)),
        ]
