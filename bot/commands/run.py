"""`tocsin run`: serve until told to stop."""

import asyncio
from pathlib import Path

from bot import compose
from bot.commands.start import begin


def main(config: Path | None, *, debug: bool) -> None:
    """Serve Slack and HTTP until SIGTERM or SIGINT."""
    settings = begin(config, debug=debug, need_slack=True, quiet=False)
    asyncio.run(compose.serve(settings))
