"""`tocsin demo`: the practice world beside the real product, one address to open.

The practice world runs as another process and is met over HTTP alone; from here on Tocsin is what it is in production,
with other addresses. The store is an embedded Postgres in a temporary folder, gone when the demo ends.
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bot import log
from bot.compose import serve
from bot.settings import demonstration
from tools.errors import Permanent

ROOT = Path(__file__).parent.parent
START_S = 30.0


def main(port: int, *, http: bool = False, open_browser: bool = False) -> int:
    """Run until Ctrl-C. *http*: Slack's events come over HTTP instead of Socket Mode. Returns the exit code."""
    listen = _free_port()
    events = f"http://127.0.0.1:{listen}/slack/events" if http else ""
    with tempfile.TemporaryDirectory(prefix="tocsin-demo-") as folder, _world(port, events) as world:
        settings = demonstration(
            {
                **world["env"],
                "TOCSIN_SLACK_MODE": "http" if http else "socket",
                "TOCSIN_LISTEN": f"127.0.0.1:{listen}",
                "TOCSIN_DATA_DIR": folder,
                "TOCSIN_CONFIG": str(ROOT / "drill" / "tocsin.yaml"),
            }
        )
        log.configure("warning", settings.log_format)

        def ready() -> None:
            model = settings.openai_model or "none configured (rules diagnose)"
            print(f"\n  Tocsin's practice workspace: {world['url']}\n", flush=True)  # noqa: T201  # this is the product
            print(f"  Model: {model}. Bot: http://127.0.0.1:{listen}/readyz. Stop with Ctrl-C.\n", flush=True)  # noqa: T201
            if open_browser:
                webbrowser.open(world["url"])

        asyncio.run(serve(settings, ready))
    return 0


@contextmanager
def _world(port: int, events: str) -> Iterator[dict[str, Any]]:
    """Start the practice world; yield its first line: its address and the environment that leads to it."""
    command = [sys.executable, "-m", "drill", "--port", str(port), "--parent-pid", str(os.getpid())]
    command += ["--events-url", events] if events else []
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)  # noqa: S603
    try:
        line = process.stdout.readline() if process.stdout else ""
        try:
            world: dict[str, Any] = json.loads(line)
        except ValueError as error:
            raise Permanent(
                f"The practice world did not start on port {port}; is the port taken? Choose another: --port 0"
            ) from error
        yield world
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number
