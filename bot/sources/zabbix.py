"""Zabbix: webhooks made of its macros (event_*, trigger_*, host_*), and the messages of its Slack media type."""

import re

from bot.reading import prose
from bot.reading.facts import Facts
from bot.reading.naming import title_of
from bot.reading.post import Post
from bot.reading.roles import facts_of
from bot.reading.text import bare, tags_of, text_of
from bot.reading.walk import snake
from bot.reading.words import severity_word, status_word
from tools.records import Severity

_SIGNS = (
    "event_nseverity",
    "trigger_severity",
    "event_value",
    "trigger_nseverity",
    "trigger_id",
    "event_update_status",
    "hostid",
    "triggerid",
)
_GRADES: tuple[Severity, ...] = ("info", "info", "warning", "warning", "critical", "critical")
_HEAD = re.compile(
    r"\W*(?P<state>Problem|Resolved(?: in [^:]+)?|Updated problem(?: in [^:]+)?|OK)\s*:\s*(?P<name>.+)", re.IGNORECASE
)


def matches(post: Post) -> bool:
    """Say whether Zabbix posted it."""
    if post.kind == "slack":
        return post.from_app("zabbix") or prose.linked(post, "tr_events.php", "zabbix")
    keys = {snake(key) for key in post.body}
    return len(
        keys & {*_SIGNS, "event_name", "trigger_name", "trigger_status", "event_severity", "host_name"}
    ) >= 2 and bool(keys & {*_SIGNS})


def parse(post: Post) -> list[Facts]:
    """Return its one event; {EVENT.ID} is the same when the problem ends."""
    if post.kind == "slack":
        return [_message(post)]
    body = {snake(key): value for key, value in post.body.items()}
    facts = facts_of(post.body)
    facts.sender = "zabbix"
    facts.name = title_of(text_of(body.get("event_name")) or text_of(body.get("trigger_name")) or facts.name)
    value = text_of(body.get("event_value"))
    if value in ("0", "1") and text_of(body.get("event_source")) in ("", "0"):
        facts.status = "firing" if value == "1" else "resolved"
    told = text_of(body.get("event_nseverity")) or text_of(body.get("trigger_nseverity"))
    graded = severity_word(
        text_of(body.get("event_severity")) or text_of(body.get("trigger_severity")) or text_of(body.get("severity"))
    )
    facts.severity = graded or (_GRADES[int(told)] if re.fullmatch("[0-5]", told) else facts.severity)
    tags = tags_of(body.get("event_tags") or body.get("tags"))
    facts.labels |= {key: text for key, text in tags.items() if text != "true"}
    facts.service = next(
        (
            tags[key]
            for key in ("service", "Service", "application", "Application", "app")
            if tags.get(key, "true") != "true"
        ),
        facts.service,
    )
    event = text_of(body.get("event_id")) or text_of(body.get("eventid"))
    facts.identity = (
        f"event:{event}" if event else f"{text_of(body.get('trigger_id'))}|{facts.name}|{facts.guessed_service}"
    )
    return [facts]


def _message(post: Post) -> Facts:
    facts = prose.posted(post, "zabbix", r"eventid=(\d+)")
    for line in [*post.sheet.titles, *post.sheet.lines]:
        match = _HEAD.match(bare(line))
        if match:
            facts.name = match["name"].strip()
            facts.status = "resolved" if match["state"].lower().startswith(("resolved", "ok")) else "firing"
            break
    facts.status = facts.status or status_word(post.sheet.pair("status"))
    return facts
