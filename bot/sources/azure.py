"""Azure Monitor: the common alert schema, and its messages in Slack (by way of Logic Apps). Sev0 and 1 are critical, 2 a warning."""

import re

from bot.reading import prose
from bot.reading.entries import filled
from bot.reading.facts import Facts
from bot.reading.post import Post, entries, part
from bot.reading.roles import facts_of
from bot.reading.text import bare, pairs_of, text_of
from bot.reading.times import when
from bot.reading.words import Status
from tools.records import Severity

_GRADES: tuple[Severity, ...] = ("critical", "critical", "warning", "info", "info")
_STATES: dict[str, Status] = {
    "fired": "firing",
    "activated": "firing",
    "resolved": "resolved",
    "deactivated": "resolved",
}


def matches(post: Post) -> bool:
    """Say whether it is in the common alert schema, or an app's message that speaks of an Azure Monitor alert."""
    if post.kind == "slack":
        return post.from_app("azure", "microsoft azure") or (
            not post.sheet.person and bool(re.search(r"\bAzure Monitor\b", post.sheet.text[:600]))
        )
    return bool(part(post.body, "data", "essentials")) or str(post.body.get("schemaId", "")).startswith("azureMonitor")


def parse(post: Post) -> list[Facts]:
    """Return its one alert; the target's last path segment stands for a service until a tag names one."""
    if post.kind == "slack":
        return [_message(post)]
    data = part(post.body, "data")
    essentials = part(data, "essentials")
    facts = filled(Facts(sender="azure"), facts_of(essentials or data))
    facts.sender = "azure"
    facts.name = text_of(essentials.get("alertRule"), 200) or facts.name
    facts.status = _STATES.get(text_of(essentials.get("monitorCondition")).lower()) or facts.status
    facts.severity = _grade(text_of(essentials.get("severity"))) or facts.severity
    properties = pairs_of(data.get("customProperties"))
    dimensions = {text_of(one.get("name")): text_of(one.get("value")) for one in _dimensions(data)}
    facts.labels = {key: text for key, text in {**dimensions, **properties}.items() if key and text}
    lowered = {key.lower(): text for key, text in facts.labels.items()}
    facts.service = next(
        (lowered[key] for key in ("service", "app", "application", "cloud_rolename") if key in lowered), ""
    )
    targets = essentials.get("configurationItems") or essentials.get("alertTargetIDs")
    target = text_of(targets[0]) if isinstance(targets, list) and targets else ""
    facts.guessed_service = target.rstrip("/").rpartition("/")[2]
    facts.starts_at, facts.ends_at = when(essentials.get("firedDateTime")), when(essentials.get("resolvedDateTime"))
    criteria = entries(part(data, "alertContext", "condition").get("allOf"))
    first = criteria[0] if criteria else {}
    facts.value = text_of(first.get("metricValue"))
    shape = [first.get(key) for key in ("timeAggregation", "metricName", "operator", "threshold")]
    facts.query = text_of(first.get("searchQuery")) or " ".join(filter(None, map(text_of, shape)))
    facts.identity = text_of(essentials.get("originAlertId")) or text_of(essentials.get("alertId"))
    return [facts]


def _dimensions(data: dict[str, object]) -> list[dict[str, object]]:
    criteria = entries(part(data, "alertContext", "condition").get("allOf"))
    return [one for item in criteria for one in entries(item.get("dimensions"))]


def _grade(text: str) -> Severity | None:
    match = re.search(r"\bSev(?:erity)?[ :]*([0-4])\b", text, re.IGNORECASE)
    return _GRADES[int(match[1])] if match else None


def _message(post: Post) -> Facts:
    facts = prose.posted(post, "azure")
    told = post.sheet.pair("severity")
    facts.severity = (
        _grade(told if not told.isdigit() else f"Sev{told}") or _grade(bare(post.sheet.text)) or facts.severity
    )
    facts.name = post.sheet.pair("alert_rule", "alert_name", "rule", "alert") or facts.name
    facts.status = _STATES.get(post.sheet.pair("monitor_condition", "condition", "state").lower()) or facts.status
    return facts
