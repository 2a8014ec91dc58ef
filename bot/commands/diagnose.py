"""`tocsin diagnose SERVICE`: one investigation, told in the terminal; reads only, needs no Slack."""

import asyncio
import re
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import typer

from agents.ports import Investigation
from bot import compose
from bot.commands.start import begin
from bot.intake import asked
from bot.settings import Settings
from tools.records import Alert, Evidence

_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
)  # a log line must not drive a terminal


def main(config: Path | None, service: str, alert_name: str, *, as_json: bool, debug: bool) -> None:
    """Investigate *service* (for the alert *alert_name*, when given) and print what was found."""
    settings = begin(config, debug=debug)
    found = asyncio.run(_investigate(settings, service, alert_name, quiet=as_json))
    typer.echo(found.model_dump_json(indent=2) if as_json else report(found))


async def _investigate(settings: Settings, service: str, alert_name: str, *, quiet: bool) -> Investigation:
    alert = asked(service, "", "", f"terminal:{datetime.now(UTC).isoformat()}")
    if alert_name:
        labels = {"alertname": alert_name, "service": service}
        alert = alert.model_copy(update={"name": alert_name, "sender": "terminal", "labels": labels})

    async def show(evidence: Evidence) -> None:
        if not quiet:
            typer.echo(
                _plain(f"  {evidence.tool}: {evidence.error or evidence.summary or 'nothing unusual'}"), err=True
            )

    async with compose.base(settings) as parts:
        return await compose.investigator(parts)(_placed(alert, settings), show)


def _placed(alert: Alert, settings: Settings) -> Alert:
    return alert.model_copy(update={"namespace": settings.policy.service(alert.service).namespace})


def report(found: Investigation) -> str:
    """Tell an investigation in plain text, 100 columns wide."""
    said = found.diagnosis
    sure = "conclusive" if said.conclusive else "not conclusive"
    lines = [said.headline, f"by {said.by}, {said.confidence:.0%} sure, {sure}", ""]
    lines += [f"- {item.statement} ({item.confidence:.0%}) [{', '.join(item.evidence)}]" for item in said.hypotheses]
    if said.suggestions:
        lines += ["", "It would propose (in Slack, for somebody to approve):"]
    for change in said.suggestions:
        params = ", ".join(f"{name}={value}" for name, value in change.params.items())
        lines.append(f"- {change.action} ({params}): {change.why}")
    if said.advice and not said.suggestions:
        lines += ["", f"No change of the cluster is proposed. {said.advice}"]
    lines += ["", "Evidence:"]
    lines += [f"- {seen.id} {seen.title}: {seen.error or seen.summary or 'nothing unusual'}" for seen in found.evidence]
    for title, notes in (("Not seen:", said.blind_spots), ("Corrected:", said.notes)):
        lines += ["", title, *(f"- {note}" for note in notes)] if notes else []
    if found.recalled:
        lines += ["", "Recalled:", *(f"- {item.title} ({item.kind})" for item in found.recalled)]
    return "\n".join(textwrap.fill(_plain(line), 100, subsequent_indent="  ") for line in lines)


def _plain(text: str) -> str:
    return _CONTROL.sub("\ufffd", " ".join(text.split()))
