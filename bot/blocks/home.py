"""The App Home: what is open now; called by bot/listeners/home.py."""

from collections.abc import Sequence
from typing import Any

from bot import story
from bot.blocks.card import SEVERITY, sureness
from bot.blocks.kit import MAX_VIEW_BLOCKS, VIEW_CHARS, Block, context, divider, fit, header, section
from bot.blocks.text import link, moment, prose
from tools.records import Case

STATES = {
    "open": "being looked at",
    "diagnosed": "diagnosed, no change pending",
    "proposed": "waits for a decision",
    "running": "a change is being made",
    "verifying": "a change is being watched",
    "recovered": "recovered, alert not over yet",
    "resolved": "resolved",
}
MAX_CASES = 20


def thread_link(workspace_url: str, channel: str, thread_ts: str) -> str:
    """Return the address of a message in Slack; "" when the workspace's address or the thread is not known."""
    if not (workspace_url and channel and thread_ts):
        return ""
    return f"{workspace_url.rstrip('/')}/archives/{channel}/p{thread_ts.replace('.', '')}"


def home(cases: Sequence[Case], workspace_url: str) -> dict[str, Any]:
    """Return the home view for the open *cases*, newest first."""
    blocks: list[Block] = [header("Open incidents")]
    if not cases:
        blocks.append(section(":white_check_mark: Nothing is open."))
    for case in cases[:MAX_CASES]:
        blocks += [divider(), *summary(case, workspace_url)]
    blocks += [
        divider(),
        context(
            "`/diagnose &lt;service&gt;` looks at a service now. `/tocsin help` says the rest. To read one message, use its menu."
        ),
    ]
    return {"type": "home", "blocks": fit(blocks, MAX_VIEW_BLOCKS, VIEW_CHARS)}


def summary(case: Case, workspace_url: str) -> list[Block]:
    """Return one incident in two lines: what, and where it stands."""
    incident = case.incident
    said = f"{case.diagnosis.headline} {sureness(case.diagnosis)}" if case.diagnosis else incident.alert.name
    url = thread_link(workspace_url, incident.channel, incident.thread_ts)
    where = f" · {link(url, 'open the thread')}" if url else ""
    since = moment(incident.opened_at, "{date_short_pretty} {time}")
    return [
        section(f"*{prose(story.subject(case), 100)}*: {prose(said, 400)}"),
        context(
            f"{SEVERITY[incident.alert.severity]} · {STATES[incident.state]} · since {since} · incident {incident.id}{where}"
        ),
    ]
