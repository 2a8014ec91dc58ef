"""The alerts of an incident as one life on its card: joined, graver, over in part, fired again; called by bot/blocks/card.py."""

from typing import Any

from bot import story
from bot.blocks.kit import Block, context
from bot.blocks.text import moment, prose
from bot.story import duration
from tools.records import Case, TimelineEntry

MAX_NAMES = 6


def life(case: Case) -> list[Block]:
    """Return one line about what was heard after the first alert; none when that was all."""
    told = [*_more(case), *_graver(case), *_over(case), *_again(case)]
    return [context(*told)] if told else []


def _more(case: Case) -> list[str]:
    heard = [entry for entry in story.entries(case, "joined", "reopened") if _alert(entry).get("status") != "resolved"]
    if not heard:
        return []
    names = dict.fromkeys(prose(str(_alert(entry).get("name", "")), 60) for entry in heard)
    some = ", ".join(list(names)[:MAX_NAMES]) + (
        f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    )
    number, lasted = len(heard), duration((heard[-1].at - case.incident.opened_at).total_seconds())
    return [f"{number} more alert {'message' if number == 1 else 'messages'} in {lasted}: {some}"]


def _graver(case: Case) -> list[str]:
    """Say when the severity was raised: from what, to what."""
    raised = [
        entry for entry in story.entries(case, "joined") if story.text_of(entry, "reason").startswith("escalated: ")
    ]
    if not raised:
        return []
    was = prose(story.text_of(raised[-1], "reason").removeprefix("escalated: "), 40)
    return [f":arrow_up: graver since {moment(raised[-1].at)}: {was}"]


def _over(case: Case) -> list[str]:
    ended = [entry for entry in story.entries(case, "joined") if _alert(entry).get("status") == "resolved"]
    if not ended or case.incident.state in story.OVER:
        return []
    names = dict.fromkeys(prose(str(_alert(entry).get("name", "")), 60) for entry in ended)
    return [f"over by now, while others still fire: {', '.join(list(names)[:MAX_NAMES])}"]


def _again(case: Case) -> list[str]:
    """Say how often it was over and came back; a reopening while it was still open is only one more message."""
    back, over = [], False
    for entry in story.entries(case, "alert_resolved", "joined", "reopened"):
        if entry.kind == "alert_resolved":
            over = True
        elif over and _alert(entry).get("status") != "resolved":
            back.append(entry)
            over = False
    if not back:
        return []
    times = f"{len(back)} times, last" if len(back) > 1 else "once,"
    return [f":repeat: was over and fires again: {times} {moment(back[-1].at)}"]


def _alert(entry: TimelineEntry) -> dict[str, Any]:
    alert = entry.body.get("alert")
    return alert if isinstance(alert, dict) else {}
