"""A scripted model: the OpenAI chat completions and embeddings API over HTTP, answering from a script, well or badly.

Tests and bench/ talk to it through the same client as to a real model. `python -m drill.model --script FILE` serves a JSON
list of replies and prints its address as JSON. The reply to a request is the one at the position that the conversation has
reached (the number of assistant messages in it), so conversations may run at the same time and be repeated.
"""

import argparse
import asyncio
import hashlib
import json
import math
import re
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

CHARS_PER_TOKEN = 4  # a rough rule, good enough for a scripted bill
KEPT = 50
DIMENSIONS = 384


@dataclass(frozen=True)
class Reply:
    """One answer: tool *calls* (name, arguments) or *text*, or a failure.

    *fail*: "hang" never answers, "garbage" answers 200 with *text* as the raw body, "cut" breaks the JSON of the tool
    arguments in half. *status* other than 200 answers with that error. *latency_s* comes first in any case.
    """

    calls: tuple[tuple[str, Mapping[str, object]], ...] = ()
    text: str = ""
    fail: Literal["", "hang", "garbage", "cut"] = ""
    status: int = 200
    latency_s: float = 0.0

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> "Reply":
        """Read a reply from JSON: the same fields, calls as [[name, {...}], ...]."""
        calls = tuple((str(name), dict(arguments)) for name, arguments in data.get("calls", ()))
        return cls(**{**data, "calls": calls})


@dataclass
class Model:
    """The endpoint: its script, and the last requests it was sent."""

    script: Sequence[Reply]
    requests: list[dict[str, Any]] = field(default_factory=list)
    served: int = 0

    def routes(self, prefix: str = "/v1") -> list[BaseRoute]:
        """Return the API's routes."""
        return [
            Route(f"{prefix}/chat/completions", self._complete, methods=["POST"]),
            Route(f"{prefix}/embeddings", self._embed, methods=["POST"]),
            Route(f"{prefix}/models", self._models),
        ]

    async def _embed(self, request: Request) -> Response:
        asked = json.loads(await request.body())
        texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
        data = [{"object": "embedding", "index": n, "embedding": _vector(text)} for n, text in enumerate(texts)]
        usage = {"prompt_tokens": sum(map(len, texts)) // CHARS_PER_TOKEN, "total_tokens": 0}
        return JSONResponse({"object": "list", "data": data, "model": asked["model"], "usage": usage})

    async def _models(self, _request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": "scripted", "object": "model", "owned_by": "drill"}]})

    async def _complete(self, request: Request) -> Response:
        asked = json.loads(await request.body())
        self.served += 1
        self.requests = [*self.requests[1 - KEPT :], asked]
        turn = sum(message["role"] == "assistant" for message in asked["messages"])
        reply = self.script[min(turn, len(self.script) - 1)]
        if reply.latency_s:
            await asyncio.sleep(reply.latency_s)
        if reply.fail == "hang":
            await _gone(request)
            return PlainTextResponse("")
        if reply.status != 200:
            body = {"error": {"message": "scripted failure", "type": "server_error", "code": None, "param": None}}
            return JSONResponse(body, reply.status)
        if reply.fail == "garbage":
            return PlainTextResponse(reply.text, media_type="application/json")
        message = _message(reply, turn)
        usage = _usage(asked, message)
        if asked.get("stream"):
            return StreamingResponse(_stream(asked, message, usage), media_type="text/event-stream")
        finish = "tool_calls" if reply.calls else "stop"
        choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
        return JSONResponse({**_head(asked, "chat.completion"), "choices": [choice], "usage": usage})


async def _gone(request: Request) -> None:
    """Wait until the caller gives up."""
    while not await request.is_disconnected():  # noqa: ASYNC110  # ASGI offers no event for it
        await asyncio.sleep(0.05)


def _head(asked: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return {
        "id": "chatcmpl-drill",
        "object": kind,
        "created": int(time.time()),
        "model": asked.get("model", "scripted"),
    }


def _message(reply: Reply, turn: int) -> dict[str, Any]:
    calls = []
    for number, (name, arguments) in enumerate(reply.calls):
        written = json.dumps(arguments)
        if reply.fail == "cut":
            written = written[: len(written) // 2]
        calls.append(
            {"id": f"call_{turn}_{number}", "type": "function", "function": {"name": name, "arguments": written}}
        )
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None, "refusal": None}
    return {**message, "tool_calls": calls} if calls else message


def _vector(text: str) -> list[float]:
    """Return a unit vector by feature hashing: texts that share words are near each other, and that is all it knows."""
    values = [0.0] * DIMENSIONS
    for word in re.findall(r"\w+", text.lower()):
        digest = hashlib.blake2b(word.encode(), digest_size=8).digest()
        values[int.from_bytes(digest[:4], "big") % DIMENSIONS] += 1.0 if digest[4] % 2 else -1.0
    length = math.sqrt(sum(value * value for value in values)) or 1.0
    return [value / length for value in values]


def _usage(asked: Mapping[str, Any], message: Mapping[str, Any]) -> dict[str, int]:
    sent = len(json.dumps(asked["messages"])) + len(json.dumps(asked.get("tools", [])))
    prompt, written = sent // CHARS_PER_TOKEN, len(json.dumps(message)) // CHARS_PER_TOKEN
    return {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written}


async def _stream(asked: Mapping[str, Any], message: Mapping[str, Any], usage: Mapping[str, int]) -> AsyncIterator[str]:
    """Send the same message as chunks: the text in words, each tool call as its name and then its arguments."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": word + " "} for word in (message["content"] or "").split()]
    for index, call in enumerate(message.get("tool_calls", ())):
        function = {"name": call["function"]["name"], "arguments": ""}
        deltas.append({"tool_calls": [{"index": index, "id": call["id"], "type": "function", "function": function}]})
        deltas.append({"tool_calls": [{"index": index, "function": {"arguments": call["function"]["arguments"]}}]})
    for delta in deltas:
        yield _chunk(asked, choices=[{"index": 0, "delta": delta, "finish_reason": None}])
    finish = "tool_calls" if message.get("tool_calls") else "stop"
    yield _chunk(asked, choices=[{"index": 0, "delta": {}, "finish_reason": finish}])
    if (asked.get("stream_options") or {}).get("include_usage"):
        yield _chunk(asked, choices=[], usage=usage)
    yield "data: [DONE]\n\n"


def _chunk(asked: Mapping[str, Any], **fields: Any) -> str:
    return f"data: {json.dumps({**_head(asked, 'chat.completion.chunk'), **fields})}\n\n"


@contextmanager
def serving(script: Sequence[Reply]) -> Iterator[tuple[Model, str]]:
    """Serve *script* on a free loopback port from a thread; yields the model and its base URL."""
    model = Model(script)
    bound = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(Starlette(routes=model.routes()), log_level="error", lifespan="off", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    try:
        yield model, f"http://127.0.0.1:{bound.getsockname()[1]}/v1"
    finally:
        server.should_exit = True
        server.force_exit = True
        thread.join(5)
        bound.close()


def main() -> None:
    """Serve a script from a file until interrupted."""
    parser = argparse.ArgumentParser(description="A scripted OpenAI-compatible model.")
    parser.add_argument("--script", type=Path, required=True, help="JSON list of replies")
    script = [Reply.read(item) for item in json.loads(parser.parse_args().script.read_text())]
    with serving(script) as (_model, url):
        print(json.dumps({"url": url}), flush=True)  # noqa: T201  # the address is this command's output
        threading.Event().wait()


if __name__ == "__main__":
    main()
