"""Alertmanager's webhook, version 4 (also spoken by Grafana, vmalert and Mimir): every alert of the notification."""

from collections.abc import Collection
from typing import Any
from urllib.parse import parse_qs, urlsplit

from bot import parsing
from tools.records import Alert

KIND = ("webhook",)


def matches(payload: dict[str, Any]) -> bool:
    """Say whether this is a notification: an object with a list of alerts."""
    return isinstance(payload.get("alerts"), list)


def parse(payload: dict[str, Any], known_services: Collection[str] = ()) -> list[Alert]:
    """Return one Alert per entry; an entry that is no alert is named in `missing` of the others.

    Raises ValueError when not one entry can be read.
    """
    entries = [entry for entry in payload["alerts"] if isinstance(entry, dict)]
    if not entries:
        msg = "The notification holds no alert: its list of alerts is empty or has no objects in it."
        raise ValueError(msg)
    notes = []
    lost = len(payload["alerts"]) - len(entries)
    if lost:
        notes.append(f"{lost} unreadable alerts of the same notification")
    truncated = payload.get("truncatedAlerts")
    if isinstance(truncated, int) and truncated > 0:
        notes.append(f"{truncated} alerts that Alertmanager left out (max_alerts)")
    return [_alert(entry, payload, known_services, tuple(notes)) for entry in entries]


def _alert(entry: dict[str, Any], payload: dict[str, Any], known: Collection[str], notes: tuple[str, ...]) -> Alert:
    labels = parsing.pairs_of(entry.get("labels"))
    annotations = parsing.pairs_of(entry.get("annotations"))
    name = labels.get("alertname", "") or annotations.get("summary", "")
    status = entry.get("status", payload.get("status"))
    generator = parsing.text_of(entry.get("generatorURL"))
    links = {
        "source": generator,
        "alertmanager": parsing.text_of(payload.get("externalURL")),
        "runbook": annotations.get("runbook_url", "") or annotations.get("runbook", ""),
        "dashboard": parsing.text_of(entry.get("dashboardURL")) or annotations.get("dashboard_url", ""),
        "silence": parsing.text_of(entry.get("silenceURL")),
    }
    alert = Alert(
        fingerprint=parsing.fingerprint(labels) if labels else parsing.text_fingerprint(name),
        sender="alertmanager",
        name=name[: parsing.MAX_NAME] or "unnamed alert",
        status="resolved" if status == "resolved" else "firing",
        starts_at=parsing.when(entry.get("startsAt")),
        ends_at=parsing.when(entry.get("endsAt")) if status == "resolved" else None,
        labels=labels,
        annotations=annotations,
        value=parsing.text_of(entry.get("valueString"), parsing.MAX_NAME) or annotations.get("value", ""),
        query=expression(generator),
        links={kind: link for kind, link in links.items() if link.startswith(("http://", "https://"))},
        group_key=parsing.text_of(payload.get("groupKey")),
        missing=notes if name else (*notes, "name"),
    )
    return parsing.complete(alert, known)


def expression(generator_url: str) -> str:
    """Return the PromQL in the link back to the rule (g0.expr of Prometheus' graph page); "" when there is none."""
    try:
        found = parse_qs(urlsplit(generator_url).query).get("g0.expr", [""])
    except ValueError:
        return ""
    return found[0].strip()
