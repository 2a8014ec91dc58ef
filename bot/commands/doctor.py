"""`tocsin doctor`: print what the checks of bot/doctor found."""

import asyncio
import json
from dataclasses import asdict
from pathlib import Path

import typer

from bot.commands.start import begin
from bot.doctor import examine
from bot.doctor.check import Check
from tools.redact import redact

_MARK = {
    "ok": ("ok  ", typer.colors.GREEN),
    "warn": ("warn", typer.colors.YELLOW),
    "fail": ("FAIL", typer.colors.RED),
    "off": ("off ", None),
}


def main(config: Path | None, *, as_json: bool, debug: bool) -> int:
    """Check everything; return 1 when something failed, else 0."""
    checks = asyncio.run(examine(begin(config, debug=debug)))
    if as_json:
        typer.echo(redact(json.dumps([asdict(check) for check in checks], indent=2, ensure_ascii=False)))
    else:
        for check in checks:
            _show(check)
        counts = {state: sum(1 for check in checks if check.state == state) for state in ("fail", "warn", "ok", "off")}
        typer.echo(", ".join(f"{count} {state}" for state, count in counts.items()))
    return 1 if any(check.state == "fail" for check in checks) else 0


def _show(check: Check) -> None:
    mark, colour = _MARK[check.state]
    typer.echo(f"{typer.style(mark, fg=colour)}  {check.name}: {redact(' '.join(check.says.split()))}")
    if check.remedy:
        typer.echo(f"      -> {check.remedy}")
