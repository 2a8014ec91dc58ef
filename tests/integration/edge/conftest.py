"""What the edge's tests talk to: small servers on loopback that speak the real protocols, and the practice world."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

ROOT = Path(__file__).parents[3]
Serve = Callable[[Starlette], str]


class Quiet(uvicorn.Server):
    """A server in a thread; the test stops it."""

    def install_signal_handlers(self) -> None:
        pass


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return a function that serves an app on a free port until the test ends, and returns its address."""
    running: list[tuple[Quiet, threading.Thread]] = []

    def start(app: Starlette) -> str:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # so that a connection made before the thread runs waits instead of failing
        server = Quiet(uvicorn.Config(app, log_config=None, lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join()


@pytest.fixture
def api_server(serve: Serve, tmp_path: Path) -> Callable[[set[tuple[str, str, str]]], str]:
    """Return a function: the rights of an identity -> a kubeconfig for an API server that reviews them."""

    def make(rights: set[tuple[str, str, str]]) -> str:
        async def review(request: Request) -> Response:
            asked = (await request.json())["spec"]["resourceAttributes"]
            kind = asked["resource"] + (f"/{asked['subresource']}" if asked.get("subresource") else "")
            return JSONResponse({"status": {"allowed": (asked["group"], kind, asked["verb"]) in rights}}, 201)

        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        url = serve(Starlette(routes=[Route(path, review, methods=["POST"])]))
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": url}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        file = tmp_path / f"kubeconfig-{len(list(tmp_path.iterdir()))}"
        file.write_text(json.dumps(config))
        return str(file)

    return make


@pytest.fixture
def endpoint(serve: Serve) -> Callable[[Any], str]:
    """Return a function: what a model's endpoint answers (JSON, or a Response) -> its base address."""

    def make(answer: Any) -> str:
        async def completions(_: Request) -> Response:
            return answer if isinstance(answer, Response) else JSONResponse(answer)

        paths = ("/v1/chat/completions", "/v1/embeddings")
        return serve(Starlette(routes=[Route(path, completions, methods=["POST"]) for path in paths])) + "/v1"

    return make


@pytest.fixture(scope="session")
def practice() -> Iterator[dict[str, str]]:
    """Run the practice world as another process; yield the environment that leads to it."""
    command = [sys.executable, "-m", "drill", "--port", "0", "--parent-pid", str(os.getpid())]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as world:
        try:
            yield json.loads(world.stdout.readline() if world.stdout else "")["env"]
        finally:
            world.terminate()
