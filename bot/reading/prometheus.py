"""Alerts in Prometheus' shape ({labels, annotations, startsAt, generatorURL}), whoever sends them, and their expression."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

from bot.reading.facts import Facts
from bot.reading.naming import title_of
from bot.reading.text import SERVICE_LABELS, first_label, pairs_of, text_of
from bot.reading.times import when
from bot.reading.words import severity_word, status_word

_SEVERITY = ("severity", "priority", "level", "urgency")


def entry(item: dict[str, Any], payload: dict[str, Any], sender: str) -> Facts:
    """Return the facts of one entry of a notification; *payload* holds what the whole notification says."""
    labels = pairs_of(item.get("labels"))
    annotations = pairs_of(item.get("annotations"))
    for key in ("summary", "description"):
        if not annotations.get(key) and text_of(item.get(key)):
            annotations[key] = text_of(item.get(key))
    generator = text_of(item.get("generatorURL"))
    status = item.get("status", payload.get("status"))
    state = status.get("state") if isinstance(status, dict) else status  # Alertmanager's API v2 nests it
    links = {
        "source": generator,
        "alertmanager": text_of(payload.get("externalURL")),
        "runbook": annotations.get("runbook_url", "") or annotations.get("runbook", ""),
        "dashboard": text_of(item.get("dashboardURL")) or annotations.get("dashboard_url", ""),
        "panel": text_of(item.get("panelURL")),
        "silence": text_of(item.get("silenceURL")),
    }
    summary = annotations.get("summary", "") or annotations.get("description", "")
    return Facts(
        sender=sender,
        name=labels.get("alertname", "") or text_of(item.get("name"), 200) or title_of(summary),
        status="resolved" if state == "resolved" else status_word(state) or (None if state is None else "firing"),
        severity=severity_word(first_label(labels, _SEVERITY)),
        starts_at=when(item.get("startsAt") or item.get("activeAt")),
        ends_at=when(item.get("endsAt")),
        labels=labels,
        annotations=annotations,
        value=text_of(item.get("valueString"), 200) or text_of(item.get("value"), 200) or annotations.get("value", ""),
        query=expression(generator),
        links=links,
        own_labels=bool(labels),
        group_key=text_of(payload.get("groupKey")),
        guessed_service=guessed_service(labels),
    )


def guessed_service(labels: dict[str, str]) -> str:
    """Return the host or the like that labels name when they name no service."""
    found = first_label(labels, ("host", "hostname", "node", "instance", "queue", "database"))
    return "" if first_label(labels, SERVICE_LABELS) else found


def expression(generator_url: str) -> str:
    """Return the PromQL in the link back to the rule (g0.expr of Prometheus' graph page); "" when there is none."""
    try:
        found = parse_qs(urlsplit(generator_url).query)
    except ValueError:
        return ""
    return next((found[key][0].strip() for key in ("g0.expr", "expr") if found.get(key)), "")
