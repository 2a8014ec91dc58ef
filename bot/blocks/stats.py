"""Noise in figures, and why an alert did not become an incident: answers to `/tocsin stats` and `/tocsin why <alert>`."""

from collections.abc import Mapping, Sequence

from bot.blocks.kit import Block, Post, context, fit, header, lines, section
from bot.blocks.text import code, moment, prose
from tools.store.decisions import Day, Decided

# What became nothing of its own; the rest opened, joined or ended an incident.
SUPPRESSED = (
    *("repeated", "silenced", "silenced_in_alertmanager", "maintenance", "stale", "late", "late_resolved"),
    *("resolved_again", "resolved_unknown", "resolved_while_waiting"),
)


def stats(days: Sequence[Day]) -> Post:
    """Show, day by day, how many alerts came in, how many incidents came out, and what was suppressed by which reason."""
    if not days:
        said = "No alert has arrived yet."
        return Post("stats", said, [section(said)])
    blocks: list[Block] = [header("Alerts in, incidents out")]
    for day in days:
        hidden = {reason: n for reason, n in day.reasons.items() if reason in SUPPRESSED}
        said = f"*{day.day:%a %d %b}*: {day.alerts} alerts in, {day.incidents} incidents out"
        blocks.append(section(f"{said}\nSuppressed: {_counts(hidden)}\nOther decisions: {_counts(_rest(day.reasons))}"))
    blocks.append(context("Days are UTC. The same figures are at /metrics as tocsin_intake_decisions_total."))
    today = days[0]
    return Post("stats", f"{today.alerts} alerts in, {today.incidents} incidents out", fit(blocks))


def decided(name: str, rows: Sequence[Decided]) -> Post | str:
    """List what became of the newest alerts called *name*."""
    if not rows:
        return f"I have decided about no alert called {code(name, 60)}. `/tocsin status` lists what is open."
    told = [_row(row) for row in rows]
    blocks = [block for at in range(0, len(told), 10) for block in lines(prose(name, 100), told[at : at + 10])]
    return Post("why", f"{len(rows)} decisions about {name}", fit(blocks))


def about_incident(counts: Mapping[str, int]) -> list[Block]:
    """Return one line with how often each reason was given about an incident's alerts."""
    return [context(f"Decisions about its alerts: {_counts(counts)}")] if counts else []


def _row(row: Decided) -> str:
    where = f", incident {row.incident_id}" if row.incident_id else ""
    detail = f" ({prose(row.detail, 150)})" if row.detail else ""
    return f"{moment(row.at, '{date_short_pretty} {time_secs}')} {row.status}: *{_words(row.reason)}*{detail}{where}"


def _rest(reasons: Mapping[str, int]) -> dict[str, int]:
    return {reason: n for reason, n in reasons.items() if reason not in SUPPRESSED}


def _counts(reasons: Mapping[str, int]) -> str:
    ranked = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{_words(reason)} {n}" for reason, n in ranked) or "none"


def _words(reason: str) -> str:
    return prose(reason.replace("_", " "), 60)
