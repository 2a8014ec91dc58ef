"""The "Show evidence" view: everything that was seen, with the exact queries; called by bot/listeners/buttons.py."""

from typing import Any

from bot.blocks.kit import MAX_VIEW_BLOCKS, VIEW_CHARS, Block, context, divider, fit, plain_text, section
from bot.blocks.text import code, fence, link, moment, prose
from tools.records import Case, Evidence

MAX_EVIDENCE = 30
MAX_FINDINGS = 5


def view(case: Case) -> dict[str, Any]:
    """Return the view: per evidence its findings, query and link; what failed is shown with its error."""
    blocks: list[Block] = []
    if not case.evidence:
        blocks.append(section("Nothing has been gathered yet. Try again in a few seconds."))
    for evidence in case.evidence[:MAX_EVIDENCE]:
        blocks += _one(evidence)
    hidden = len(case.evidence) - MAX_EVIDENCE
    if hidden > 0:
        blocks.append(context(f"{hidden} more are on record."))
    return {
        "type": "modal",
        "title": plain_text(f"Evidence, incident {case.incident.id}", 24),
        "close": plain_text("Close", 24),
        "blocks": fit(blocks, MAX_VIEW_BLOCKS, VIEW_CHARS),
    }


def _one(evidence: Evidence) -> list[Block]:
    title = f"*{prose(evidence.title or evidence.tool, 200)}* {code(evidence.id, 40)}".rstrip()
    if evidence.error:
        told = f":warning: Could not be read: {prose(evidence.error, 800)}"
    else:
        told = prose(evidence.summary, 500) or "Nothing unusual."
    found = [f"• {prose(finding.statement, 280)}" for finding in evidence.findings[:MAX_FINDINGS]]
    took = f"{prose(evidence.tool, 60)}, {evidence.seconds:.1f} s at {moment(evidence.started_at, '{time_secs}')}"
    open_it = f" · {link(evidence.link, 'open the source')}" if evidence.link else ""
    cut = " · cut to size" if evidence.truncated else ""
    blocks = [section("\n".join([title, told, *found]))]
    if evidence.query:
        blocks.append(section(fence(evidence.query, 800)))
    return [*blocks, context(f"{took}{cut}{open_it}"), divider()]
