"""`tocsin run`: serve until told to stop."""

import asyncio
import socket
from pathlib import Path

from bot import compose
from bot.commands.start import begin
from tools.errors import Permanent


def main(config: Path | None, *, debug: bool) -> None:
    """Serve Slack and HTTP until SIGTERM or SIGINT."""
    settings = begin(config, debug=debug, need_slack=True, quiet=False)
    require_free(settings.listen_host, settings.listen_port)
    asyncio.run(compose.serve(settings))


def require_free(host: str, port: int) -> None:
    """Raise Permanent when nothing can listen there: said now, before a database is started and Slack is connected."""
    try:
        family, kind, number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, number) as probe:
            probe.setsockopt(
                socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
            )  # as uvicorn does: a closing connection is no user
            probe.bind(address)
    except OSError as error:
        raise Permanent(
            f'TOCSIN_LISTEN="{host}:{port}" cannot be listened on: {error.strerror}; choose another address or port'
        ) from error
