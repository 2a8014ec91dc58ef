"""PagerDuty: webhooks V3 and V2, the Events API's own event, and its Slack messages ("*Triggered #12*: ...")."""

import re
from typing import Any

from bot.reading import prose
from bot.reading.facts import Facts
from bot.reading.naming import title_of
from bot.reading.post import Post, entries, part
from bot.reading.roles import facts_of
from bot.reading.text import bare, pairs_of, text_of
from bot.reading.times import when
from bot.reading.words import severity_word, status_word

_HEAD = re.compile(
    r"\W*(?P<state>Triggered|Acknowledged|Resolved|Escalated|Reassigned)\W*#(?P<number>\d+)\W*(?P<name>.*)",
    re.IGNORECASE | re.DOTALL,
)


def matches(post: Post) -> bool:
    """Say whether PagerDuty sent it, or it is written for PagerDuty's Events API."""
    if post.kind == "slack":
        return post.from_app("pagerduty") or prose.linked(post, "pagerduty.com")
    kind = part(post.body, "event").get("event_type")
    if isinstance(kind, str) and kind.startswith("incident."):
        return True
    if any(
        "incident" in one and str(one.get("event", "")).startswith("incident.")
        for one in entries(post.body.get("messages"))
    ):
        return True
    return ("routing_key" in post.body or "event_action" in post.body) and isinstance(post.body.get("payload"), dict)


def parse(post: Post) -> list[Facts]:
    """Return one entry per incident."""
    if post.kind == "slack":
        return [_message(post)]
    if "messages" in post.body:
        return [_incident(part(one, "incident"), text_of(one.get("event"))) for one in entries(post.body["messages"])]
    if isinstance(post.body.get("payload"), dict):
        return [_event(post.body)]
    event = part(post.body, "event")
    data = part(event, "data")
    return [_incident(part(data, "incident") or data, text_of(event.get("event_type")))]


def _incident(incident: dict[str, Any], event: str) -> Facts:
    facts = facts_of(incident)
    facts.sender = "pagerduty"
    facts.name = title_of(
        text_of(incident.get("title")) or text_of(incident.get("summary")) or text_of(incident.get("description"))
    )
    facts.status = status_word(incident.get("status")) or status_word(event)
    service = part(incident, "service")
    facts.service = text_of(service.get("summary")) or text_of(service.get("name"))
    priority = part(incident, "priority")
    graded = severity_word(text_of(priority.get("summary")) or text_of(priority.get("name")))
    facts.severity = graded or severity_word(text_of(incident.get("urgency")))
    facts.starts_at = when(incident.get("created_at"))
    facts.ends_at = when(incident.get("resolved_at")) or when(incident.get("last_status_change_at"))
    facts.identity = text_of(incident.get("incident_key")) or text_of(incident.get("id"))
    facts.group_key = f"pagerduty:{text_of(incident.get('id'))}" if incident.get("id") else ""
    facts.links = {"pagerduty": text_of(incident.get("html_url"))}
    return facts


def _event(body: dict[str, Any]) -> Facts:
    payload = part(body, "payload")
    facts = facts_of({"links": body.get("links"), **payload})
    facts.sender = "pagerduty"
    facts.name = title_of(text_of(payload.get("summary")))
    facts.status = status_word(body.get("event_action"))
    facts.severity = severity_word(text_of(payload.get("severity")))
    details = pairs_of(payload.get("custom_details"))
    facts.service = (
        text_of(payload.get("component")) or details.get("service", "") or text_of(payload.get("group")) or ""
    )
    facts.guessed_service = text_of(payload.get("source"))
    facts.labels = {**details, **pairs_of({key: payload.get(key) for key in ("source", "component", "group", "class")})}
    facts.identity = text_of(body.get("dedup_key")) or f"{facts.name}|{facts.guessed_service}"
    return facts


def _message(post: Post) -> Facts:
    facts = prose.posted(post, "pagerduty", r"/incidents/([A-Z0-9]+)")
    for line in [*post.sheet.titles, *post.sheet.lines]:
        match = _HEAD.match(bare(line))
        if match:
            facts.status = status_word(match["state"])
            facts.name = title_of(match["name"]) or facts.name
            facts.identity = facts.identity or f"#{match['number']}"
            break
    facts.severity = (
        severity_word(post.sheet.pair("priority")) or severity_word(post.sheet.pair("urgency")) or facts.severity
    )
    return facts
