"""Payloads that hold several alerts: which list holds them, and what all of them share. Used by readers of webhooks."""

from dataclasses import fields
from typing import Any

from bot.reading.facts import Facts
from bot.reading.post import entries
from bot.reading.walk import snake

LISTS = (
    *("alerts", "incidents", "events", "messages", "issues", "problems", "violations", "alarms", "notifications"),
    *("records", "items", "monitors", "checks", "results", "conditions", "data"),
)
_SIGNS = frozenset(
    [
        "status",
        "state",
        "severity",
        "priority",
        "alertname",
        "alert_name",
        "name",
        "title",
        "labels",
        "message_type",
        "event_type",
        "alert_status",
        "summary",
        "check",
        "service",
        "host",
        "level",
        "type",
        "event",
        "attributes",
        "incident",
        "alarm_name",
        "rule",
        "payload",
        "data",
        "fields",
        "eventname",
    ]
)
_ALSO = frozenset(("labels", "annotations", "links"))


def split(body: dict[str, Any], depth: int = 3) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the alerts listed in *body* and the rest of it; ([], body) when it is one alert itself."""
    for key, value in body.items():
        if snake(key) in LISTS and isinstance(value, list):
            listed = [
                item
                for item in entries(value)
                if len({snake(one) for one in item} & _SIGNS) >= 1 and "value" not in item
            ]
            if listed:
                return listed, {name: item for name, item in body.items() if name != key}
    if depth > 1:
        for key, value in body.items():
            if isinstance(value, dict) and snake(key) in (
                "data",
                "payload",
                "body",
                "event",
                "message",
                "detail",
                "content",
            ):
                listed, rest = split(value, depth - 1)
                if listed:
                    return listed, {**body, key: rest}
    return [], body


def filled(facts: Facts, shared: Facts) -> Facts:
    """Fill what *facts* does not say with what all entries *shared*; labels, annotations and links are joined."""
    for one in fields(Facts):
        own, common = getattr(facts, one.name), getattr(shared, one.name)
        if one.name in _ALSO:
            setattr(facts, one.name, {**common, **own})
        elif (
            one.name not in ("identity", "fingerprint", "words", "own_labels", "query_expected", "sender")
            and not own
            and common
        ):
            setattr(facts, one.name, common)
    return facts
