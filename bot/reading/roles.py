"""Which keys mean what: name, status, severity, service, times, value, query, identity, in order of how sure they are.

`facts_of` reads any JSON (or the pairs of a Slack message) by these lists. A sender's reader overrules what it knows
better; for senders without a reader this is all there is. Keys are compared in snake_case, alone and with their parent's.
"""

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import cache, lru_cache
from typing import Any, TypeVar

from bot.reading import keys
from bot.reading.facts import Facts
from bot.reading.text import MAX_PAIRS, SERVICE_LABELS, is_url, text_of
from bot.reading.times import when
from bot.reading.walk import LABEL_HOLDERS, Leaf, leaves
from bot.reading.words import Status, only_state, severity_word, status_word
from tools.records import Severity

T = TypeVar("T")

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
_OWN_NAME = frozenset(
    keys.listed(
        "alert alarm rule monitor check condition policy problem trigger incident event issue error test violation anomaly"
        " item data payload body attributes alerts events incidents issues detail message"
    )
)
_CONTEXT = frozenset(
    keys.listed(
        "namespace environment env region cluster host hostname instance pod node container team zone availability_zone"
        " datacenter job deployment queue database customer device"
    )
)
_IDENTIFIER = re.compile(
    r"[0-9a-fA-F-]{16,}|[\d.:/ -]+|[A-Za-z]+[-_]?\d{6,}|arn:\S+|projects/\S+|\$\S+\$|\{\{.*\}\}|null|none|n/a|true|false",
    re.IGNORECASE,
)
_PREFIX = re.compile(
    r"^[\W_]*(?:\[?\b(?:re-?)?(?:firing|fired|alerting|triggered(?: on [^\]]{1,80})?|resolved|recovered|recovery|problem|alert|ok|up|down"
    r"|warning|warn|critical|crit|no data|new alert|alert closed|closed|open(?:ed)?|info|error|high|medium|low|acknowledged"
    r"|[ps](?:ev)?-?[0-5]|incident|alarm)"
    r"(?:(?: alert| incident| problem)?(?:[: ]\s*\d+)?\s*(?:\]|[:|\u2013\u2014]|\s-)|\s*#\d+[\s:]*|\](?=.))[\s:|\u2013\u2014-]*)+",
    re.IGNORECASE,
)
_SUFFIX = re.compile(
    r"\s*(?:[:\-\u2013\u2014|]\s*|\bis(?: now)?\s+|\bhas\s+|\bwas\s+)"
    r"(?:resolved|recovered|triggered|firing|alerting|ok|down|up|critical|warning|problem|failed|closed|open|fixed)[.!]?$",
    re.IGNORECASE,
)


def pick(found: Iterable[Leaf], keys_: tuple[str, ...], accept: Callable[[Leaf], T | None]) -> T | None:
    """Return what *accept* makes of the best leaf it takes: the earliest key of *keys_*, then the least deep, then the first."""
    rank = _ranks(keys_)
    ranked = []
    for order, leaf in enumerate(found):
        best = min((rank[name] + loss for name, loss in spellings(leaf) if name in rank), default=None)
        if best is not None:
            ranked.append((best, len(leaf.path), order, leaf))
    for *_, leaf in sorted(ranked, key=lambda entry: entry[:3]):
        taken = accept(leaf)
        if taken is not None:
            return taken
    return None


@cache
def _ranks(keys_: tuple[str, ...]) -> dict[str, int]:
    return {key.replace("_", ""): index for index, key in reversed(list(enumerate(keys_)))}


@lru_cache(maxsize=4096)
def _spellings(path: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
    last = path[-1]
    words = last.split("_")
    ends = ["".join(words[at:]) for at in range(1, len(words) - 1)]
    return (("".join(words), 0), ("".join(path).replace("_", ""), 0), *((end, 0.5) for end in ends))


def spellings(leaf: Leaf) -> tuple[tuple[str, float], ...]:
    """Its key and its parent's with its own, without underscores (MONITORNAME is monitor_name), and the key's last words.

    "health_rule_name" is also a rule_name, a little less surely; one last word alone says too little.
    """
    return _spellings(leaf.path[-2:]) if leaf.path else ()


def told(leaf: Leaf) -> str | None:
    """Accept any text or number that is not just "null"."""
    text = text_of(leaf.value)
    return text if text and text.lower() not in ("null", "none", "n/a", "-", "undefined") else None


def title_of(text: str, limit: int = 200) -> str:
    """Take the state and severity off a title, so that firing and resolved have one name; the title itself if nothing stays."""
    line = next((line.strip() for line in text.splitlines() if re.search(r"\w", line)), "")
    short = _SUFFIX.sub("", _PREFIX.sub("", line)).strip(" \t*_`:|-\u2013\u2014")
    return (short or line)[:limit]


def _name(leaf: Leaf) -> str | None:
    text = text_of(leaf.value)
    last = leaf.names[0]
    if not re.search(r"[^\W\d_]{2}", text) or is_url(text) or _IDENTIFIER.fullmatch(text) or "\n" in text[:3]:
        return None
    if only_state(text):
        return None
    if last == "name" and not _is_own_name(leaf):
        return None
    return title_of(text)


def _is_own_name(leaf: Leaf) -> bool:
    """Tell a `name` at the top, or in an object that stands for the alert, from the name of something else."""
    return len(leaf.path) < 2 or any(word in _OWN_NAME for word in leaf.path[-2].split("_"))


def _status(leaf: Leaf) -> Status | None:
    if isinstance(leaf.value, str) and len(leaf.value.split()) <= 4:
        return status_word(leaf.value)
    return None


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
    facts.name = pick(found, keys.NAME, _name) or ""
    read_status(facts, found)
    read_severity(facts, found)
    read_service(facts, found)
    facts.value = (pick(found, keys.VALUE, told) or "")[:200]
    facts.query = pick(found, keys.QUERY, _query) or ""
    facts.namespace = (
        pick(found, ("namespace", "kube_namespace", "exported_namespace", "k8s_namespace_name"), _place) or ""
    )
    facts.cluster = pick(found, ("cluster", "cluster_name", "kube_cluster_name", "k8s_cluster_name"), _place) or ""
    facts.labels = labels_of(found)
    facts.annotations = annotations_of(found)
    facts.links = links_of(found)
    facts.identity = identity_of(found)
    return facts


def read_status(facts: Facts, found: list[Leaf]) -> None:
    """Fill in the status and the times."""
    facts.status = pick(found, keys.STATUS, _status) or _flag(found)
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


def read_service(facts: Facts, found: list[Leaf]) -> None:
    """Fill in the service where a key says service or the like; a host or resource is a guess at it."""
    facts.service = pick(found, keys.SERVICE, _place) or ""
    facts.guessed_service = pick(found, keys.PLACE, _place) or ""
    facts.words = [str(leaf.value) for leaf in found if isinstance(leaf.value, str) and len(leaf.value) <= 80]


def _place(leaf: Leaf) -> str | None:
    """Accept a short value that can name a service or a host; where a list of names stands, the first."""
    text = (told(leaf) or "").strip("[]\"' ")
    host = re.match(r"https?://([^/:?#]+)", text)
    text = host[1] if host else text.split(",")[0].strip()
    if not text or len(text) > 100 or not re.search(r"[^\W\d_]", text) or text.startswith(("AWS/", "arn:", "{{", "$")):
        return None
    if text.lower() in ("true", "false", "unknown", "default", "all", "*", "production", "prod", "metric alert"):
        return None
    return text if len(text.split()) <= 6 else None


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
    place = pick(found, keys.PLACE, _place) or ""
    return f"{definition}|{place}" if definition else ""
