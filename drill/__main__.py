"""``python -m drill``: serve the practice world on loopback; the first line on stdout says where, as JSON."""

import argparse
import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import uvicorn

from drill import app, kubeconfig
from drill.cluster.rbac import Tokens
from drill.slack.workspace import Workspace
from drill.timeline import Timeline
from drill.world import World

_PARENT_EVERY_S = 1.0


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m drill", description="A practice world for Tocsin, over HTTP.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: loopback alone)")
    parser.add_argument("--port", type=int, default=0, help="port; 0 takes a free one")
    parser.add_argument("--events-url", default="", help="HTTP mode: where Slack posts events (default: Socket Mode)")
    parser.add_argument("--webhook-url", default="", help="where Alertmanager also posts its version 4 webhook")
    parser.add_argument("--parent-pid", type=int, default=0, help="end when this process has ended")
    parser.add_argument("--seed", type=int, default=7, help="seed of names and traffic")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Serve until SIGINT, SIGTERM or the end of the parent."""
    given = arguments(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # until the server takes over: clean-up still happens
    listening = socket.create_server((given.host, given.port))
    host, port = listening.getsockname()[:2]
    url = f"http://{host}:{port}"
    tokens = Tokens(*(f"{name}-{secrets.token_urlsafe(18)}" for name in ("reader", "actor", "admin")))
    world = World(Timeline(), tokens, seed=given.seed, webhook_url=given.webhook_url)
    world.build()
    slack = Workspace(base_url=url, events_url=given.events_url or None)
    world.address(url, slack.webhook_url)
    config = uvicorn.Config(
        app.build(world, slack),
        log_level="warning",
        access_log=False,
        ws="websockets-sansio",
        timeout_graceful_shutdown=3,
    )
    with tempfile.TemporaryDirectory(prefix="tocsin-drill-") as folder:
        print(json.dumps(_first_line(url, slack, tokens, Path(folder))), flush=True)  # noqa: T201 - the contract with the parent
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_serve(_Server(config), listening, given.parent_pid))


class _Server(uvicorn.Server):
    """Ends quietly on a signal, where uvicorn's own would raise it again and skip our clean-up."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM ask for the end; a second one does not wait for open requests."""
        loop = asyncio.get_running_loop()
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(each, self.handle_exit, each, None)
        yield


async def _serve(server: uvicorn.Server, listening: socket.socket, parent: int) -> None:
    watching = asyncio.create_task(_watch_parent(server, parent)) if parent else None
    try:
        await server.serve(sockets=[listening])
    finally:
        if watching is not None:
            watching.cancel()


async def _watch_parent(server: uvicorn.Server, parent: int) -> None:
    # A child is handed on when its parent ends, even while that lingers as a zombie; of others only the id can be asked.
    own = os.getppid() == parent
    while os.getppid() == parent if own else _alive(parent):  # noqa: ASYNC110 - a process that is not our child gives no event
        await asyncio.sleep(_PARENT_EVERY_S)
    server.should_exit = True


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _first_line(url: str, slack: Workspace, tokens: Tokens, folder: Path) -> dict[str, object]:
    reader = kubeconfig.write(folder / "reader.yaml", url, tokens.reader, "tocsin-reader")
    actor = kubeconfig.write(folder / "actor.yaml", url, tokens.actor, "tocsin-actor")
    admin = kubeconfig.write(folder / "admin.yaml", url, tokens.admin, "kubernetes-admin", for_kubectl=True)
    env = {
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_APP_TOKEN": slack.app_token,
        "SLACK_SIGNING_SECRET": slack.signing_secret,
        "SLACK_API_URL": f"{url}/api/",
        "PROMETHEUS_URL": f"{url}/prometheus",
        "LOKI_URL": url,
        "JAEGER_URL": f"{url}/jaeger",
        "ALERTMANAGER_URL": f"{url}/alertmanager",
        "KUBECONFIG": str(reader),
        "TOCSIN_ACTOR_KUBECONFIG": str(actor),
    }
    return {"url": url, "env": env, "admin_kubeconfig": str(admin)}


if __name__ == "__main__":
    main()
