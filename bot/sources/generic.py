"""Any other Slack message: what can be told from its words, and by name what cannot. Asked after every other reader.

A person's text is read too (the shortcut "Diagnose this message" hands it in); its `sender` is then "person", so that
intake never opens an incident because people talk.
"""

import html
import re
from collections.abc import Collection, Iterator
from typing import Any

from bot import parsing
from tools.records import Alert

KIND = ("slack",)
_NO_NEWS = {"message_changed", "message_deleted", "thread_broadcast", "channel_join", "channel_leave", "channel_topic"}
_NO_NEWS |= {
    "channel_purpose",
    "channel_name",
    "channel_archive",
    "channel_unarchive",
    "bot_add",
    "bot_remove",
    "tombstone",
}
_PROSE = {
    "high",
    "low",
    "medium",
    "average",
    "minor",
    "moderate",
    "none",
    "error",
    "disaster",
    "notice",
    "page",
    "information",
}
_LINK = re.compile(r"<(?P<url>https?://[^|<>]+)(?:\|(?P<label>[^<>]*))?>")
_MENTION = re.compile(r"<[@#!][^<>]*>")
_STATUS = re.compile(
    r"^[\W_]*(?::[a-z0-9_+-]+:\s*)*(\[?\b(firing|alerting|triggered|resolved|recovered|problem|alert|ok|warning|critical|no data)"
    r"(:\s*\d+)?\b\]?\s*[:\-\u2013\u2014|]*\s*)+",
    re.IGNORECASE,
)
_PLACE = re.compile(
    r"\b(?P<name>namespace|cluster|env|environment)\s*[:=]\s*[`\"'*]*(?P<value>[A-Za-z0-9][\w.-]{0,62})", re.IGNORECASE
)


def matches(message: dict[str, Any]) -> bool:
    """Everything is worth a try."""
    return bool(message) or not message


def parse(message: dict[str, Any], known_services: Collection[str] = ()) -> list[Alert]:
    """Return one Alert with what the text tells; ValueError for a message that is no news or has no words."""
    subtype = parsing.text_of(message.get("subtype"), 60)
    if subtype in _NO_NEWS:
        msg = f"A {subtype} message is not an alert."
        raise ValueError(msg)
    raw = "\n".join(text for text in _texts(message) if text)[: parsing.MAX_TEXT]
    text = html.unescape(_MENTION.sub("", _LINK.sub(lambda link: link["label"] or link["url"], raw))).strip()
    title = next((line.strip() for line in text.splitlines() if re.search(r"\w", line)), "")[:500]
    if not title:
        msg = "The message has no words in it."
        raise ValueError(msg)
    name = _STATUS.sub("", title).strip(" *_`:-")[:120] or title[:120]
    status = parsing.status_of(title)
    if status == "firing" and _colour(message) == "good":
        status = "resolved"
    at = parsing.when(message.get("ts"))
    places = {match["name"].lower(): match["value"] for match in _PLACE.finditer(text)}
    words = [word for word in re.findall(r"[\w.-]+", text) if word.lower() not in _PROSE]
    links = [match["url"] for match in _LINK.finditer(raw)][:5]
    alert = Alert(
        fingerprint=parsing.text_fingerprint(re.sub(r"\d+(\.\d+)?", "#", name)),
        sender=_sender(message),
        name=name,
        status=status,
        namespace=places.get("namespace", ""),
        cluster=places.get("cluster", ""),
        starts_at=at if status == "firing" else None,
        ends_at=at if status == "resolved" else None,
        annotations={"title": title[:500], "description": text},
        links={f"link{number}": link for number, link in enumerate(links, 1)},
        missing=("labels",),
    )
    return [parsing.complete(alert, known_services, words=words)]


def _sender(message: dict[str, Any]) -> str:
    if message.get("user") and not message.get("bot_id") and not message.get("bot_profile"):
        return "person"
    profile = message.get("bot_profile")
    named = parsing.text_of(profile.get("name"), 80) if isinstance(profile, dict) else ""
    return parsing.text_of(message.get("username"), 80) or named or "unknown bot"


def _texts(message: dict[str, Any]) -> Iterator[str]:
    yield parsing.text_of(message.get("text"))
    attachments = message.get("attachments")
    for item in attachments[:20] if isinstance(attachments, list) else []:
        if isinstance(item, dict):
            parts = [parsing.text_of(item.get(key)) for key in ("pretext", "title", "text")]
            yield from parts if any(parts) else [parsing.text_of(item.get("fallback"))]
            fields = item.get("fields")
            for field in fields[:20] if isinstance(fields, list) else []:
                if isinstance(field, dict):
                    yield f"{parsing.text_of(field.get('title'))}: {parsing.text_of(field.get('value'))}"
            yield from _block_texts(item.get("blocks"))
    if not message.get("text"):
        yield from _block_texts(message.get("blocks"))


def _block_texts(value: Any, depth: int = 0) -> Iterator[str]:
    """Yield every "text" of Block Kit blocks, to a depth that no real message has."""
    if depth > 8:
        return
    if isinstance(value, list):
        for item in value[:50]:
            yield from _block_texts(item, depth + 1)
    elif isinstance(value, dict):
        text = value.get("text")
        if isinstance(text, str):
            yield parsing.text_of(text)
        for key in ("text", "fields", "elements"):
            if not isinstance(value.get(key), str):
                yield from _block_texts(value.get(key), depth + 1)


def _colour(message: dict[str, Any]) -> str:
    attachments = message.get("attachments")
    first = attachments[0] if isinstance(attachments, list) and attachments else {}
    colour = parsing.text_of(first.get("color"), 10).lstrip("#").lower() if isinstance(first, dict) else ""
    return "good" if colour in ("good", "2eb886", "36a64f") else colour
