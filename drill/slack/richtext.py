"""The rich_text block and what stands inside it, as rules for blocks.py."""

from drill.slack.schema import Rule, array, boolean, choice, integer, link, record, string, typed

_ID = string(255, 1)
_STYLE = record({}, dict.fromkeys(("bold", "italic", "strike", "code", "underline", "highlight"), boolean))
_CLIENT_STYLE = record(
    {}, dict.fromkeys(("bold", "italic", "strike", "highlight", "client_highlight", "unlink"), boolean)
)


def _part(kind: str, required: dict[str, Rule], optional: dict[str, Rule] | None = None) -> Rule:
    return record({"type": choice(kind), **required}, optional or {})


PARTS: dict[str, Rule] = {
    "text": _part("text", {"text": string(least=1)}, {"style": _STYLE}),
    "link": _part("link", {"url": link}, {"text": string(), "style": _STYLE, "unsafe": boolean}),
    "emoji": _part(
        "emoji", {"name": string(100, 1)}, {"unicode": string(), "skin_tone": integer(1, 6), "style": _STYLE}
    ),
    "user": _part("user", {"user_id": _ID}, {"style": _CLIENT_STYLE}),
    "channel": _part("channel", {"channel_id": _ID}, {"style": _CLIENT_STYLE}),
    "usergroup": _part("usergroup", {"usergroup_id": _ID}, {"style": _CLIENT_STYLE}),
    "team": _part("team", {"team_id": _ID}, {"style": _CLIENT_STYLE}),
    "broadcast": _part("broadcast", {"range": choice("here", "channel", "everyone")}, {"style": _STYLE}),
    "color": _part("color", {"value": string(20, 1)}, {"style": _STYLE}),
    "date": _part(
        "date",
        {"timestamp": integer(0, 10**11), "format": string(200, 1)},
        {"url": link, "fallback": string(), "style": _STYLE},
    ),
}

_SECTION = _part("rich_text_section", {"elements": array(typed(PARTS))})
_BORDER: dict[str, Rule] = {"border": integer(0, 1)}
_RICH: dict[str, Rule] = {
    "rich_text_section": _SECTION,
    "rich_text_list": _part(
        "rich_text_list",
        {"elements": array(typed({"rich_text_section": _SECTION})), "style": choice("bullet", "ordered")},
        {"indent": integer(0, 8), "offset": integer(0, 10**6), **_BORDER},
    ),
    "rich_text_preformatted": _part(
        "rich_text_preformatted",
        {"elements": array(typed(PARTS, {"text", "link"}))},
        {"language": string(50), **_BORDER},
    ),
    "rich_text_quote": _part("rich_text_quote", {"elements": array(typed(PARTS))}, _BORDER),
}

RICH_TEXT = record({"type": choice("rich_text"), "elements": array(typed(_RICH))}, {"block_id": string(255, 1)})
