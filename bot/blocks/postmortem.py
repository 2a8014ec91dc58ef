"""The post-mortem draft in the thread, and the form that keeps its lesson; called by bot/blocks/thread.py and listeners."""

from typing import Any

from bot.blocks.kit import (
    MAX_VIEW_BLOCKS,
    VIEW_CHARS,
    Block,
    Post,
    actions,
    button,
    context,
    fallback,
    fit,
    header,
    lines,
    plain_text,
    section,
)
from bot.blocks.text import clean, clip, moment, person, prose
from bot.postmortem import Draft, draft
from bot.story import last, text_of
from tools.records import Case

KEEP_LESSON = "keep_lesson"
MAX_ROWS = 30
EFFECTS = (("1.0", "It ended the problem"), ("0.5", "It helped in part"), ("0.0", "It did not help"))


def postmortem(case: Case) -> Post:
    """Draw the draft with its timeline, and the button that opens the form."""
    one = draft(case)
    rows = [_row(row.who, row.what, moment(row.at, "{time_secs}")) for row in one.timeline]
    kept = last(case, "lesson_kept")
    blocks: list[Block] = [
        header(f"Post-mortem draft: {one.title}"),
        section(f"*Summary*\n{prose(one.summary, 900)}"),
        section(f"*Impact*\n{prose(one.impact, 600)}"),
        section(f"*Cause*\n{prose(one.cause, 600)}"),
        *lines("Evidence", [prose(text, 280) for text in one.evidence[:8]]),
        *lines("What was done", [prose(text, 280) for text in one.done[:8]]),
        *lines("Still open", [prose(text, 280) for text in one.open_points[:8]]),
        *lines("Timeline", rows[:MAX_ROWS]),
    ]
    if len(rows) > MAX_ROWS:
        blocks.append(context(f"{len(rows) - MAX_ROWS} more rows: `/tocsin why {case.incident.id}`"))
    if kept:
        blocks.append(
            context(f":white_check_mark: Lesson kept by {person(text_of(kept, 'by'))}. It will be recalled next time.")
        )
    label = "Change the lesson" if kept else "Edit and keep the lesson"
    blocks.append(actions(button(label, KEEP_LESSON, case.incident.id)))
    return Post("postmortem", fallback(f"Post-mortem draft: {prose(one.title, 200)}"), fit(blocks))


def form(case: Case) -> dict[str, Any]:
    """Return the view in which a person edits the lesson before it is kept."""
    one: Draft = draft(case)
    blocks = [
        _input("title", "What happened, in one line", one.lesson_title, 200),
        _input("cause", "Cause", one.lesson_cause, 2000, multiline=True),
        _input("solution", "What to do next time", one.lesson_solution, 2000, multiline=True),
        _effect(one.effectiveness),
    ]
    return {
        "type": "modal",
        "callback_id": KEEP_LESSON,
        "private_metadata": str(case.incident.id),
        "title": plain_text("Keep the lesson", 24),
        "submit": plain_text("Keep", 24),
        "close": plain_text("Cancel", 24),
        "blocks": fit(blocks, MAX_VIEW_BLOCKS, VIEW_CHARS),
    }


def kept(sentence: str) -> dict[str, Any]:
    """Return the view that replaces the form once the lesson is kept (or not); *sentence* is safe mrkdwn."""
    return {
        "type": "modal",
        "title": plain_text("Keep the lesson", 24),
        "close": plain_text("Close", 24),
        "blocks": [section(sentence)],
    }


def _input(name: str, label: str, initial: str, most: int, *, multiline: bool = False) -> Block:
    element: Block = {"type": "plain_text_input", "action_id": name, "multiline": multiline, "max_length": most}
    start = editable(initial, most)
    if start:
        element["initial_value"] = start
    return {"type": "input", "block_id": name, "label": plain_text(label, 2000), "element": element}


def editable(text: str, most: int) -> str:
    """Return *text* for an input field, where Slack parses nothing: one line of at most *most* characters."""
    return clip(" ".join(clean(text).split()), most)


def _effect(effectiveness: float) -> Block:
    options = [{"text": plain_text(label, 75), "value": value} for value, label in EFFECTS]
    nearest = min(options, key=lambda option: abs(float(str(option["value"])) - effectiveness))
    element = {"type": "static_select", "action_id": "effectiveness", "options": options, "initial_option": nearest}
    return {
        "type": "input",
        "block_id": "effectiveness",
        "label": plain_text("Did that end it?", 2000),
        "element": element,
    }


def _row(who: str, what: str, when: str) -> str:
    return f"{when} {person(who)}: {prose(what, 220)}"
