"""Which keys mean what: name, status, severity, service, times, value, query, identity, in order of how sure they are.

`facts_of` reads any JSON (or the pairs of a Slack message) by these lists. A sender's reader overrules what it knows
better; for senders without a reader this is all there is. Keys are compared in snake_case, alone and with their parent's.
"""

import re
from datetime import datetime
from typing import Any

from bot.reading import keys
from bot.reading.choose import pick, told
from bot.reading.facts import Facts
from bot.reading.naming import name_in
from bot.reading.subject import place, read_service
from bot.reading.text import MAX_PAIRS, SERVICE_LABELS, is_url, text_of
from bot.reading.times import when
from bot.reading.walk import LABEL_HOLDERS, Leaf, leaves
from bot.reading.words import Status, merely_over, severity_word, status_word
from tools.records import Severity

FLAGS: dict[str, tuple[Status, Status]] = {
    **dict.fromkeys(
        ("resolved", "is_resolved", "closed", "ok", "recovered", "cleared", "healthy", "up"), ("resolved", "firing")
    ),
    **dict.fromkeys(
        (
            "firing",
            "is_firing",
            "active",
            "is_active",
            "open",
            "is_open",
            "triggered",
            "in_alarm",
            "alerting",
            "down",
            "failing",
        ),
        ("firing", "resolved"),
    ),
}
_CONTEXT = frozenset(
    keys.listed(
        "namespace environment env region cluster host hostname instance pod node container team zone availability_zone"
        " datacenter job deployment queue database customer device"
    )
)


def _certain(leaf: Leaf) -> Status | None:
    """Accept a state that says how it went: "completed" is said of what failed too."""
    found = _status(leaf)
    return None if found == "resolved" and merely_over(leaf.value) else found


def _status(leaf: Leaf) -> Status | None:
    if isinstance(leaf.value, str) and len(leaf.value.split()) <= 4:
        return status_word(leaf.value)
    return None


def _over(leaf: Leaf) -> Status | None:
    """Read "clear" where others say how grave it is: for some senders the end of trouble is its last severity."""
    return "resolved" if text_of(leaf.value).lower() in ("clear", "cleared", "ok", "resolved", "recovered") else None


def _flag(found: list[Leaf]) -> Status | None:
    for leaf in found:
        if isinstance(leaf.value, bool) and leaf.names[0] in FLAGS and len(leaf.path) <= 3:
            return FLAGS[leaf.names[0]][0 if leaf.value else 1]
    return None


def severity_leaf(leaf: Leaf) -> Severity | None:
    """Read a severity field; a bare number only where its scale is certain."""
    key = leaf.names[0]
    text = text_of(leaf.value)
    if re.fullmatch(r"\d{1,2}(\.0)?", text):
        return _number(key, int(float(text)))
    if key == "alert_type" and text.lower() in ("success", "user_update"):
        return None
    return severity_word(text)


def _number(key: str, number: int) -> Severity | None:
    """Read the levels of rules, which count up to 15 (OSSEC, Wazuh); other numbers are no more than a guess."""
    if key in ("level", "rule_level") and number <= 16:
        return "critical" if number >= 12 else "warning" if number >= 7 else "info"
    return None


def _priority_number(leaf: Leaf) -> Severity | None:
    """Read 1..5 as most do, 1 the gravest (ITIL); some count the other way, so it is a guess."""
    grades: dict[str, Severity] = {
        "0": "critical",
        "1": "critical",
        "2": "critical",
        "3": "warning",
        "4": "info",
        "5": "info",
    }
    return grades.get(text_of(leaf.value)) if leaf.names[0] in ("priority", "urgency", "sev", "severity") else None


def _time(leaf: Leaf) -> datetime | None:
    return when(leaf.value) if not isinstance(leaf.value, bool) else None


def facts_of(value: Any) -> Facts:
    """Return what the keys of any JSON *value* tell about one alert."""
    found = leaves(value) if not isinstance(value, list) or not all(isinstance(one, Leaf) for one in value) else value
    facts = Facts()
    facts.name = _shortest(pick(found, keys.NAME, name_in) or "", found) or pick(found, keys.DEFINITION, name_in) or ""
    read_status(facts, found)
    read_severity(facts, found)
    read_service(facts, found)
    facts.value = (pick(found, keys.VALUE, told) or "")[:200]
    facts.query = pick(found, keys.QUERY, _query) or ""
    facts.namespace = (
        pick(found, ("namespace", "kube_namespace", "exported_namespace", "k8s_namespace_name"), place) or ""
    )
    facts.cluster = pick(found, ("cluster", "cluster_name", "kube_cluster_name", "k8s_cluster_name"), place) or ""
    facts.labels = labels_of(found)
    facts.annotations = annotations_of(found)
    facts.links = links_of(found)
    facts.identity = identity_of(found)
    return facts


def _shortest(title: str, found: list[Leaf]) -> str:
    """Return the name that a title repeats with more around it ("Alert for device sw-1 - Port down" of the rule "Port down")."""
    own = [text for leaf in found if leaf.path[-1:] == ("name",) and (text := name_in(leaf)) and len(text) > 5]
    return next((text for text in own if text != title and (title.endswith(text) or title.startswith(text))), title)


def read_status(facts: Facts, found: list[Leaf]) -> None:
    """Fill in the status and the times."""
    facts.status = pick(found, keys.STATUS, _certain) or _flag(found) or pick(found, keys.SEVERITY, _over)
    facts.status = facts.status or pick(found, keys.STATUS, _status)
    facts.starts_at = pick(found, keys.STARTED, _time)
    facts.at = pick(found, keys.SEEN, _time)
    ended = pick(found, keys.ENDED, _time)
    if facts.status is None and ended and (facts.starts_at is None or ended >= facts.starts_at):
        facts.status = "resolved"
    facts.ends_at = ended if facts.status == "resolved" else None


def read_severity(facts: Facts, found: list[Leaf]) -> None:
    """Fill in the severity: as told, else as a state says it (CRITICAL), else as "down" suggests."""
    facts.severity = pick(found, keys.SEVERITY, severity_leaf)
    if facts.severity is None:
        states = [leaf for leaf in found if isinstance(leaf.value, str) and len(leaf.value) < 30]
        facts.severity = pick(states, keys.STATE_SEVERITY, lambda leaf: severity_word(str(leaf.value)))
    if facts.severity is None:
        down = pick(
            found,
            keys.STATE_SEVERITY,
            lambda leaf: str(leaf.value).lower() in ("down", "offline", "unreachable") or None,
        )
        facts.guessed_severity = "critical" if down else pick(found, keys.SEVERITY, _priority_number)


def _query(leaf: Leaf) -> str | None:
    text = text_of(leaf.value)
    return text if re.search(r"[(<>=!~*{]|\w\s+\w", text) and not is_url(text) else None


def labels_of(found: list[Leaf]) -> dict[str, str]:
    """Return what stands in labels, tags or dimensions, and the fields that place the trouble (host, region, ...)."""
    labels: dict[str, str] = {}
    for leaf in found:
        text = text_of(leaf.value)
        if text and any(step in LABEL_HOLDERS for step in leaf.path[:-1]):
            labels.setdefault(leaf.path[-1], text[:200])
    for leaf in found:
        text = text_of(leaf.value)
        if text and leaf.names[0] in (*_CONTEXT, *SERVICE_LABELS) and len(leaf.path) <= 4 and "\n" not in text:
            labels.setdefault(leaf.names[0], text[:200])
    return dict(list(labels.items())[:MAX_PAIRS])


def annotations_of(found: list[Leaf]) -> dict[str, str]:
    """Return the prose of the payload by its key, the first of each key."""
    told_of: dict[str, str] = {}
    for leaf in sorted(found, key=lambda leaf: len(leaf.path)):
        text = text_of(leaf.value)
        inside = any(step in ("annotations", "common_annotations") for step in leaf.path[:-1])
        if text and (inside or leaf.names[0] in keys.ANNOTATIONS) and len(told_of) < 20:
            told_of.setdefault(leaf.names[0], text)
    return told_of


def links_of(found: list[Leaf]) -> dict[str, str]:
    """Return the addresses a person can open, by their key without its ending ("runbook", "dashboard", "alert")."""
    links: dict[str, str] = {}
    for leaf in found:
        text = text_of(leaf.value)
        if is_url(text) and not re.search(
            r"icon|logo|avatar|image|photo|webhook|api_url|unsubscribe|callback", "_".join(leaf.path)
        ):
            name = re.sub(r"_?(url|link|href|uri|html)$", "", leaf.names[0]) or "_".join(leaf.path[-2:-1]) or "source"
            if len(links) < 10 and text not in links.values():
                links.setdefault(name, text)
    return links


def identity_of(found: list[Leaf]) -> str:
    """Return the sender's own id of this alert's life: of the incident, else of the rule and what it is about; "" if none."""
    incident = pick(found, keys.INCIDENT, told)
    if incident:
        return incident
    definition = pick(found, keys.DEFINITION, told)
    where = pick(found, keys.PLACE, place) or ""
    return f"{definition}|{where}" if definition else ""
