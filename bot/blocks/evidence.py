"""The "Show evidence" view: everything that was seen, page by page, with exact queries and links; called by bot/listeners/buttons.py.

A view holds 100 blocks and 250,000 characters of JSON; a page holds less than people read at once. One long piece of evidence may
take several pages: nothing is left out.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from bot.blocks.kit import VIEW_CHARS, Block, actions, button, context, divider, fit, plain_text, section, weight
from bot.blocks.text import code, escape, fence, link, moment, prose, size
from tools.records import Case, Evidence, Finding

PAGE_BLOCKS = 60
PAGE_CHARS = 12_000
FENCE_CHARS = 2_880  # escaped, without the fence itself
FINDINGS = 8  # of one paragraph
TURN = ("evidence_earlier", "evidence_later")


def view(case: Case, page: int = 0) -> dict[str, Any]:
    """Return page *page* (from 0; one beyond the last is the last) of all evidence; what failed is shown with its error."""
    pages = list(_pages(case))
    at = min(max(page, 0), len(pages) - 1)
    blocks = list(pages[at])
    if len(pages) > 1:
        turns = [
            button(label, action, to)
            for label, action, to in (("Earlier", TURN[0], at - 1), ("More evidence", TURN[1], at + 1))
            if 0 <= to < len(pages)
        ]
        blocks += [context(f"Page {at + 1} of {len(pages)}"), actions(*turns)]
    return {
        "type": "modal",
        "title": plain_text(f"Evidence, incident {case.incident.id}", 24),
        "close": plain_text("Close", 24),
        "private_metadata": str(case.incident.id),
        "blocks": fit(blocks, PAGE_BLOCKS + 10, VIEW_CHARS),
    }


def _pages(case: Case) -> Iterator[list[Block]]:
    """Yield the pages, each within its limits; at least one."""
    made: list[Block] = []
    room = PAGE_CHARS
    for block in _all(case):
        length = weight(block)
        if made and (len(made) >= PAGE_BLOCKS or length > room):
            yield made
            made, room = [], PAGE_CHARS
        made.append(block)
        room -= length
    yield made or [section("Nothing has been gathered yet. Try again in a few seconds.")]


def _all(case: Case) -> Iterator[Block]:
    for evidence in case.evidence:
        yield from _one(evidence)


def _one(evidence: Evidence) -> Iterator[Block]:
    title = f"*{prose(evidence.title or evidence.tool, 200)}* {code(evidence.id, 40)}".rstrip()
    if evidence.error:
        told = f":warning: Could not be read: {prose(evidence.error, 800)}"
    else:
        told = prose(evidence.summary, 500) or "Nothing unusual."
    yield section(f"{title}\n{told}")
    for start in range(0, len(evidence.findings), FINDINGS):
        yield section("\n".join(map(_found, evidence.findings[start : start + FINDINGS])))
    for part in _parts(evidence.query):
        yield section(fence(part, 2900))
    for part in _parts(evidence.body):
        yield section(fence(part, 2900))
    took = f"{prose(evidence.tool, 60)}, {evidence.seconds:.1f} s at {moment(evidence.started_at, '{time_secs}')}"
    open_it = f" · {link(evidence.link, 'open the source')}" if evidence.link else ""
    cut = " · cut to size" if evidence.truncated else ""
    yield context(f"{took}{cut}{open_it}")
    yield divider()


def _found(finding: Finding) -> str:
    return f"• {prose(finding.statement, 300)}"


def _parts(text: str) -> Sequence[str]:
    """Return *text* in pieces that fit a paragraph once they are escaped, broken between lines where possible."""
    pieces: list[str] = []
    rest = text.strip("\n")
    while rest:
        cut = min(len(rest), FENCE_CHARS)
        while (sent := size(escape(rest[:cut]))) > FENCE_CHARS:
            cut = max(cut * FENCE_CHARS // sent - 1, 1)
        if cut < len(rest):
            between = rest.rfind("\n", 1, cut)
            cut = between if between > cut // 2 else cut
        pieces.append(rest[:cut])
        rest = rest[cut:].lstrip("\n")
    return pieces
