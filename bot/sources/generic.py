"""Every other sender: what keys and words mean, and by name what they do not say. Asked after every other reader."""

import re

from bot.reading.choose import pick, told
from bot.reading.entries import filled, split
from bot.reading.facts import Facts
from bot.reading.post import Post
from bot.reading.prose import facts_of_sheet
from bot.reading.roles import facts_of
from bot.reading.text import pairs_of

_NO_NEWS = frozenset(
    [
        "message_changed",
        "message_deleted",
        "thread_broadcast",
        "channel_join",
        "channel_leave",
        "channel_topic",
        "channel_purpose",
        "channel_name",
        "channel_archive",
        "channel_unarchive",
        "bot_add",
        "bot_remove",
        "tombstone",
        "pinned_item",
        "unpinned_item",
        "reminder_add",
    ]
)
_SENDER = ("monitoring_tool", "monitoring_system", "sender", "product", "vendor", "provider")


def matches(post: Post) -> bool:
    """Everything is worth a try."""
    return post.kind in ("slack", "webhook")


def parse(post: Post) -> list[Facts]:
    """Return what can be told; ValueError for a message that is no news, and where nothing tells of trouble."""
    return _message(post) if post.kind == "slack" else _webhook(post)


def _message(post: Post) -> list[Facts]:
    subtype = post.body.get("subtype")
    if isinstance(subtype, str) and subtype in _NO_NEWS:
        msg = f"A {subtype} message is not an alert."
        raise ValueError(msg)
    if not any(re.search(r"\w", title) for title in [*post.sheet.titles, *post.sheet.lines]):
        msg = "The message has no words in it."
        raise ValueError(msg)
    facts = facts_of_sheet(post.sheet, known=list(post.known))
    facts.sender = "person" if post.sheet.person else post.sheet.username or "unknown bot"
    return [facts]


def _webhook(post: Post) -> list[Facts]:
    listed, rest = split(post.body)
    shared = facts_of(rest)
    found = [filled(facts_of(item), shared) for item in listed] if listed else [shared]
    named = [
        facts
        for facts in found
        if facts.name or (facts.status and (facts.service or facts.guessed_service or facts.severity))
    ]
    for facts, item in zip(found, listed or [post.body], strict=True):
        labels = item.get("labels")
        if isinstance(labels, dict) and pairs_of(labels) and not facts.identity:
            facts.labels, facts.own_labels = pairs_of(labels), True
        facts.sender = (pick(post.leaves, _SENDER, told) or "generic")[:80]
    return named
