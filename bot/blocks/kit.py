"""Block Kit's parts and limits: every part built here fits Slack, whatever it is given; called by bot/blocks/*.

Limits: https://docs.slack.dev/reference/block-kit/blocks. The text arguments of mrkdwn parts are already safe (see
text.py); those of plain text parts are made safe here.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from bot.blocks.text import clip, plain, size

Block = dict[str, Any]

MAX_SECTION = 3000
MAX_CONTEXT = 2000
MAX_HEADER = 150
MAX_BUTTON = 75
MAX_VALUE = 2000
MAX_BLOCKS = 50
MAX_VIEW_BLOCKS = 100
MAX_FALLBACK = 1000
# All text of a message together: beyond about 13,200 characters Slack answers msg_blocks_too_long (measured).
MESSAGE_CHARS = 12_000
# A view may hold 250,000 characters of JSON; well under it, and still more than anybody reads.
VIEW_CHARS = 30_000
_FENCE = "\n```"


class Post(NamedTuple):
    """One message that a thread should hold; *key* names it within its incident, *text* is the notification."""

    key: str
    text: str
    blocks: list[Block]
    broadcast: bool = False


def mrkdwn(safe: str, limit: int = MAX_SECTION) -> Block:
    """Return a mrkdwn object; *verbatim* keeps Slack from linking addresses and names in foreign text."""
    return {"type": "mrkdwn", "text": _clip_fenced(safe, limit) or " ", "verbatim": True}


def plain_text(text: str, limit: int) -> Block:
    """Return a plain text object without emoji codes."""
    return {"type": "plain_text", "text": plain(text, limit) or "-", "emoji": False}


def header(text: str) -> Block:
    """Return a heading, at most 150 characters."""
    return {"type": "header", "text": plain_text(text, MAX_HEADER)}


def section(safe: str) -> Block:
    """Return a paragraph, at most 3,000 characters."""
    return {"type": "section", "text": mrkdwn(safe)}


def context(*safe: str) -> Block:
    """Return a line of small print; at most ten elements."""
    return {"type": "context", "elements": [mrkdwn(text, MAX_CONTEXT) for text in safe if text][:10]}


def divider() -> Block:
    """Return a rule between parts."""
    return {"type": "divider"}


def lines(title: str, items: Sequence[str]) -> list[Block]:
    """Return a paragraph under a bold title, one safe line per item; nothing for no items."""
    if not items:
        return []
    return [section("\n".join([f"*{title}*", *(f"• {item}" for item in items)]))]


def button(label: str, action_id: str, value: str | int, style: str = "", confirm: Block | None = None) -> Block:
    """Return a button; *value* is an id and nothing else, since what it decides is looked up when it is pressed."""
    made: Block = {
        "type": "button",
        "text": plain_text(label, MAX_BUTTON),
        "action_id": action_id,
        "value": plain(str(value), MAX_VALUE),
    }
    if style:
        made["style"] = style
    if confirm:
        made["confirm"] = confirm
    return made


def confirm(title: str, safe: str, yes: str, no: str, style: str = "primary") -> Block:
    """Return the question asked before a press counts."""
    return {
        "title": plain_text(title, 100),
        "text": mrkdwn(safe, 300),
        "confirm": plain_text(yes, 30),
        "deny": plain_text(no, 30),
        "style": style,
    }


def actions(*buttons: Block) -> Block:
    """Return a row of buttons."""
    return {"type": "actions", "elements": list(buttons)[:25]}


def fallback(text: str) -> str:
    """Return the notification text of a message: one safe line that stands alone."""
    return clip(text, MAX_FALLBACK) or "Tocsin"


def fit(blocks: Sequence[Block], most: int = MAX_BLOCKS, chars: int = MESSAGE_CHARS) -> list[Block]:
    """Return *blocks* cut to what one message (or view) may hold: buttons stay, the last paragraphs go."""
    kept_buttons = [block for block in blocks if block["type"] == "actions"]
    room = chars - sum(map(weight, kept_buttons)) - 100
    places = most - len(kept_buttons) - 1
    made: list[Block] = []
    cut = False
    for block in blocks:
        if block["type"] == "actions":
            made.append(block)
            continue
        length = weight(block)
        if cut or places <= 0 or length > room:
            if not cut and block["type"] == "section" and room > 200 and places > 0:
                made.append(section(_clip_fenced(block["text"]["text"], room)))
            cut = True
            continue
        made.append(block)
        room -= length
        places -= 1
    if cut:
        made.insert(_before_buttons(made), context("There is more than one message can show."))
    return made[:most]


def key_of(value: object) -> str:
    """Return *value* as JSON that is the same for the same content, for hashing."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _before_buttons(blocks: Sequence[Block]) -> int:
    return next((at for at in range(len(blocks), 0, -1) if blocks[at - 1]["type"] != "actions"), 0)


def _clip_fenced(safe: str, limit: int) -> str:
    if size(safe) <= limit or not safe.endswith(_FENCE):
        return clip(safe, limit)
    return clip(safe, limit - len(_FENCE)) + _FENCE


def weight(part: object) -> int:
    """Count the characters that a reader would see in *part*."""
    if isinstance(part, dict):
        text = part.get("text")
        own = size(text) if isinstance(text, str) else 0
        return own + sum(weight(value) for value in part.values() if isinstance(value, dict | list))
    if isinstance(part, list):
        return sum(map(weight, part))
    return 0
