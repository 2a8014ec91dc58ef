"""Opsgenie (also Jira Service Management's alerts): its webhook {action, alert} and its Slack messages."""

import re

from bot.reading import prose
from bot.reading.facts import Facts
from bot.reading.naming import title_of
from bot.reading.post import Post, part
from bot.reading.roles import facts_of
from bot.reading.text import bare, pairs_of, tags_of, text_of
from bot.reading.times import when
from bot.reading.words import Status, severity_word

_OVER = frozenset(("Close", "Delete"))
_HEAD = re.compile(
    r"\W*(?:(?P<word>New alert|Alert (?:closed|created|acknowledged))\W*)?#(?P<number>\d+)\W+(?P<name>.+)",
    re.IGNORECASE,
)


def matches(post: Post) -> bool:
    """Say whether Opsgenie posted it."""
    if post.kind == "slack":
        return post.from_app("opsgenie", "jira service management") or prose.linked(post, "opsgenie.com", "opsg.in")
    alert = part(post.body, "alert")
    return "action" in post.body and ("alertId" in alert or "tinyId" in alert)


def parse(post: Post) -> list[Facts]:
    """Return its one alert."""
    if post.kind == "slack":
        return [_message(post)]
    alert = part(post.body, "alert")
    details = pairs_of(alert.get("details"))
    facts = facts_of({**post.body, "source": None})
    facts.sender, facts.name = "opsgenie", title_of(text_of(alert.get("message")))
    facts.status = "resolved" if str(post.body.get("action")) in _OVER else "firing"
    facts.severity = severity_word(text_of(alert.get("priority")))
    tags = {key: text for key, text in tags_of(alert.get("tags")).items() if text != "true"}
    facts.labels = {**tags, **details}
    lowered = {key.lower(): text for key, text in facts.labels.items()}
    facts.service = next((lowered[key] for key in ("service", "app", "application", "component") if key in lowered), "")
    facts.guessed_service = text_of(alert.get("entity"))
    created = alert.get("createdAt")
    facts.starts_at = when(created)
    facts.at = when(alert.get("updatedAt")) if facts.status == "resolved" else facts.starts_at
    facts.identity = text_of(alert.get("alias")) or text_of(alert.get("alertId"))
    facts.group_key = ""
    return [facts]


def _message(post: Post) -> Facts:
    facts = prose.posted(post, "opsgenie", r"/alert/(?:detail|show|V2)?/?([0-9a-f][\w-]{8,})")
    shown = " ".join(bare(line) for line in [*post.sheet.titles[:3], *post.sheet.lines[:3]])
    for line in [*post.sheet.titles, *post.sheet.lines]:
        match = _HEAD.match(bare(line))
        if match:
            facts.name, facts.identity = title_of(match["name"]), facts.identity or f"#{match['number']}"
            break
    closed: Status = (
        "resolved" if re.search(r"\b(closed|close[sd]? (?:the )?alert)\b", shown, re.IGNORECASE) else "firing"
    )
    facts.status = closed
    facts.severity = severity_word(post.sheet.pair("priority")) or facts.severity
    facts.labels |= {key: text for key, text in tags_of(post.sheet.pair("tags")).items() if text != "true"}
    return facts
