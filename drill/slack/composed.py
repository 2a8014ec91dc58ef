"""Turns what a person types into the composer into Slack's text and rich_text block; used by interact.py."""

import re

from drill.slack.errors import JsonDict
from drill.slack.state import State

_TOKEN = re.compile(
    r"(?P<url>https?://[^\s<>]+)|(?P<at>@[\w.-]+)|(?P<hash>#[\w-]+)|(?P<code>`[^`\n]+`)|(?P<b>\*[^*\n]+\*)"
)


def escape(text: str) -> str:
    """Escape the three characters that Slack's markup uses."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


Special = tuple[str, JsonDict]


def _special(state: State, match: re.Match[str]) -> Special | None:
    word = match.group()
    match match.lastgroup:
        case "url":
            return f"<{word}>", {"type": "link", "url": word}
        case "code":
            return escape(word), {"type": "text", "text": word[1:-1], "style": {"code": True}}
        case "b":
            return escape(word), {"type": "text", "text": word[1:-1], "style": {"bold": True}}
        case "hash":
            found = [item.id for item in state.channels.values() if item.name == word[1:]]
            return (f"<#{found[0]}|{word[1:]}>", {"type": "channel", "channel_id": found[0]}) if found else None
        case _:
            return _mention(state, word[1:])


def _mention(state: State, name: str) -> Special | None:
    if name in {"here", "channel", "everyone"}:
        return f"<!{name}>", {"type": "broadcast", "range": name}
    for user in state.users.values():
        if user.name == name.lower():
            return f"<@{user.id}>", {"type": "user", "user_id": user.id}
    for group in state.groups.values():
        if group.handle == name:
            return f"<!subteam^{group.id}>", {"type": "usergroup", "usergroup_id": group.id}
    return None


def compose(state: State, typed: str) -> JsonDict:
    """Return ``text`` and ``blocks`` for *typed*: names become mentions, addresses links, the rest is escaped."""
    text: list[str] = []
    parts: list[JsonDict] = []
    done = 0
    for match in _TOKEN.finditer(typed):
        special = _special(state, match)
        if special is None:
            continue
        _plain(typed[done : match.start()], text, parts)
        text.append(special[0])
        parts.append(special[1])
        done = match.end()
    _plain(typed[done:], text, parts)
    section = {"type": "rich_text_section", "elements": parts}
    return {"text": "".join(text), "blocks": [{"type": "rich_text", "elements": [section]}]}


def _plain(piece: str, text: list[str], parts: list[JsonDict]) -> None:
    if piece:
        text.append(escape(piece))
        parts.append({"type": "text", "text": piece})
