"""A Slack message as a flat sheet: titles, lines, `name: value` pairs, links, colour, who posted it and when.

Reads text, attachments (title, pretext, text, fields, fallback, actions, footer) and blocks (header, section with fields,
rich_text, context, actions, table, markdown), also those inside attachments. Every Slack reader of bot/sources uses it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bot.reading.text import LINK, MAX_TEXT, bare, is_url, plain, text_of, urls
from bot.reading.times import when
from bot.reading.walk import Leaf, snake

_PAIR = re.compile(r"^\W{0,6}(?P<key>[A-Za-z][\w ./()#-]{0,40}?)[\s*_`]*(?::|=|\u2192|->)[\s*_`]*(?P<value>\S.*)$")
_INLINE = re.compile(r"(?<![\w/?&])(?P<key>[A-Za-z_][\w.]{1,40})=(?P<value>\"[^\"]{0,200}\"|[^\s,;|\"]{1,200})")
_NAMED = re.compile(
    r"(?<![\w./-])(?P<key>namespace|cluster|env|environment|service|app|severity|priority|host|hostname|region|pod|instance)[*_`]*\s?[:=]"
    r"[ *_`]*(?P<value>[A-Za-z0-9][\w./-]{0,80})",
    re.IGNORECASE,
)
_SEPARATOR = re.compile(r"\s+[|\u2022\u00b7]\s+")
_PROSE_KEY = re.compile(r"https?|\d+", re.IGNORECASE)


@dataclass
class Sheet:
    """What a message shows, as plain text; *raw* keeps emoji and markup of all of it for those who read them."""

    titles: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    pairs: list[Leaf] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)
    raw: str = ""
    colour: str = ""
    username: str = ""
    footer: str = ""
    at: datetime | None = None
    person: bool = False

    @property
    def text(self) -> str:
        """All lines."""
        return "\n".join(self.lines)[:MAX_TEXT]

    def pair(self, *names: str) -> str:
        """Return the value of the first pair called one of *names* (snake_case); "" when none is."""
        for name in names:
            for leaf in self.pairs:
                if leaf.path[-1] == name:
                    return str(leaf.value)
        return ""


def sheet_of(message: dict[str, Any]) -> Sheet:
    """Flatten *message*; never raises, whatever is in it."""
    sheet = Sheet(at=when(message.get("ts")), username=_username(message), person=_is_person(message))
    raw: list[str] = []
    attachments = _dicts(message.get("attachments"))
    own = text_of(message.get("text"))
    for item in attachments:
        sheet.titles += filter(None, [plain(item.get("title"))])
    blocks = list(_block_texts(message.get("blocks")))
    sheet.titles += [text for kind, text in blocks if kind == "header"]
    _add(sheet, raw, [text for _, text in blocks] if blocks else [own])
    if blocks and own:  # with blocks, the text is what notifications show: often the only place that says the state
        raw.append(own)
    for item in attachments:
        _attachment(sheet, raw, item)
    if blocks and own and not any(sheet.lines):
        _add(sheet, raw, [own])
    sheet.titles += sheet.lines[:3] if not sheet.titles else []
    if own and plain(own) not in sheet.titles:
        sheet.titles.append(plain(own).partition("\n")[0])
    sheet.titles += [plain(item.get("fallback")).partition("\n")[0] for item in attachments if item.get("fallback")]
    sheet.raw = "\n".join(raw)[: 4 * MAX_TEXT]
    _links(sheet, message, attachments)
    return sheet


def _is_person(message: dict[str, Any]) -> bool:
    return bool(message.get("user")) and not message.get("bot_id") and not message.get("bot_profile")


def _username(message: dict[str, Any]) -> str:
    profile = message.get("bot_profile")
    named = text_of(profile.get("name"), 80) if isinstance(profile, dict) else ""
    return text_of(message.get("username"), 80) or named


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value[:20] if isinstance(item, dict)] if isinstance(value, list) else []


def _attachment(sheet: Sheet, raw: list[str], item: dict[str, Any]) -> None:
    blocks = list(_block_texts(item.get("blocks")))
    sheet.titles += [text for kind, text in blocks if kind == "header"]
    parts = [text_of(item.get(key)) for key in ("author_name", "pretext", "title", "text")]
    fields = _dicts(item.get("fields"))
    shown = [*parts, *(text for _, text in blocks)]
    _add(sheet, raw, shown if any(shown) or fields else [text_of(item.get("fallback"))])
    raw.append(text_of(item.get("fallback")))
    for one in fields:
        key, value = bare(plain(one.get("title"))), plain(one.get("value"))
        if key and value:
            _pair(sheet, key, value)
            sheet.lines.append(f"{key}: {value}")
            raw.append(text_of(one.get("value")))
        elif value or key:
            _add(sheet, raw, [value or key])
    sheet.colour = sheet.colour or text_of(item.get("color"), 20)
    sheet.footer = sheet.footer or plain(item.get("footer"))


def _add(sheet: Sheet, raw: list[str], texts: list[str]) -> None:
    for text in texts:
        raw.append(text)
        lines = [line.strip() for line in plain(text).splitlines() if line.strip()]
        sheet.lines += lines
        for number, line in enumerate(lines):
            _pairs_in(sheet, line, lines[number + 1] if number + 1 < len(lines) else "", text)


def _pairs_in(sheet: Sheet, line: str, following: str, text: str) -> None:
    """Read `name: value`, several of them with separators, `name=value`, and a bold name over its value."""
    for piece in _SEPARATOR.split(line)[:12]:
        match = _PAIR.match(piece)
        if match and not match["value"].startswith("//") and not _PROSE_KEY.fullmatch(match["key"].strip()):
            _pair(sheet, match["key"], match["value"])
    for match in [*list(_INLINE.finditer(line))[:30], *list(_NAMED.finditer(line))[:20]]:
        _pair(sheet, match["key"], match["value"].strip('"').rstrip("."))
    heading = re.fullmatch(r"[*_]+([A-Za-z][\w ./-]{1,30}?):?[*_]+:?", line)
    if following and (heading or re.fullmatch(r"[A-Za-z][\w ]{1,30}:\*?", line)) and len(text) < 600:
        _pair(sheet, heading[1] if heading else line.rstrip(":*"), following)


def _pair(sheet: Sheet, key: str, value: str) -> None:
    name = snake(bare(key))
    if name and len(sheet.pairs) < 200:
        sheet.pairs.append(Leaf((name,), bare(value) if not is_url(value) else value))


def _block_texts(value: Any, depth: int = 0) -> Iterator[tuple[str, str]]:
    """Yield (kind, text) of Block Kit blocks; the elements of a rich text section are one text."""
    if depth > 8 or not isinstance(value, list):
        return
    for block in value[:60]:
        if isinstance(block, dict):
            yield from _block(block, depth)


def _block(block: dict[str, Any], depth: int) -> Iterator[tuple[str, str]]:
    kind = text_of(block.get("type"), 40)
    text = _text(block.get("text"))
    if text and kind not in ("button", "actions", "image"):
        yield kind, text
    for one in _dicts(block.get("fields")):
        if _text(one):
            yield "field", _text(one)
    elements = block.get("elements")
    if kind in ("rich_text_section", "rich_text_preformatted", "rich_text_quote"):
        joined = "".join(_inline(one) for one in _dicts(elements))
        if joined.strip():
            yield kind, joined
    elif kind != "actions":
        yield from _block_texts(elements, depth + 1)
    for row in block.get("rows") or [] if isinstance(block.get("rows"), list) else []:
        cells = [" ".join(text for _, text in _block_texts([cell], depth + 1)) for cell in _dicts(row)]
        if any(cells):
            yield "row", f"{cells[0]}: {cells[1]}" if len(cells) == 2 else " | ".join(cells)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("text")
    return text_of(value) if isinstance(value, str) else ""


def _inline(element: dict[str, Any]) -> str:
    kind = element.get("type")
    if kind == "link":
        label, url = text_of(element.get("text")), text_of(element.get("url"))
        return f"<{url}|{label or url}>"
    if kind == "emoji":
        return f":{text_of(element.get('name'), 40)}:"
    style = element.get("style")
    bold = isinstance(style, dict) and style.get("bold")
    text = element.get("text")
    said = text if isinstance(text, str) else ""
    return f"*{said.strip()}* " if bold and said.strip() else said[:MAX_TEXT]


def _links(sheet: Sheet, message: dict[str, Any], attachments: list[dict[str, Any]]) -> None:
    found: list[tuple[str, str]] = [("source", text_of(item.get("title_link"))) for item in attachments]
    for holder in (message, *attachments):
        found += _buttons(holder.get("actions"), 0)
        found += _buttons(holder.get("blocks"), 0)
    found += [(snake(bare(link["label"] or ""))[:40], link["url"]) for link in LINK.finditer(sheet.raw)]
    found += [("", url) for url in urls(LINK.sub(" ", sheet.raw))]
    for label, url in found:
        if is_url(url) and url not in sheet.links.values() and len(sheet.links) < 10:
            name = label if label and not label.startswith("http") else f"link{len(sheet.links) + 1}"
            sheet.links.setdefault(name, url)


def _buttons(value: Any, depth: int) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for item in _dicts(value) if depth < 6 else []:
        if isinstance(item.get("url"), str) and item.get("type") != "link":
            found.append((snake(bare(_text(item.get("text"))))[:40], text_of(item["url"])))
        for key in ("elements", "accessory"):
            inner = item.get(key)
            found += _buttons(inner if isinstance(inner, list) else [inner], depth + 1)
    return found
