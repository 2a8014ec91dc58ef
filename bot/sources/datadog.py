"""Datadog monitors: its webhook (the keys its documentation suggests) and its Slack messages ("Triggered: [P2] ...")."""

import re

from bot.reading import prose
from bot.reading.facts import Facts
from bot.reading.naming import title_of
from bot.reading.post import Post
from bot.reading.roles import facts_of
from bot.reading.text import bare, tags_of, text_of
from bot.reading.words import severity_word, status_word
from tools.records import Severity

_SIGNS = frozenset(
    (
        "alert_transition",
        "alert_cycle_key",
        "aggreg_key",
        "event_msg",
        "alert_scope",
        "alert_metric",
        "scopes",
        "monitor_id",
    )
)
_LEAD = re.compile(
    r"^(?:\s*(?:\[P[1-5]\]|\[?(?:Re-)?(?:Triggered|Recovered|Warn|Alert|No data|Renotify)\b(?: on [^\]]*)?(?:\]|:)|Monitor:))+\s*",
    re.IGNORECASE,
)
_PRIORITIES: tuple[Severity, ...] = ("critical", "critical", "warning", "info", "info")


def matches(post: Post) -> bool:
    """Say whether Datadog posted it."""
    if post.kind == "slack":
        return post.from_app("datadog") or prose.linked(post, "datadoghq.", "ddog-gov.")
    title = any(key in post.body for key in ("title", "alert_title", "event_title"))
    return title and bool(_SIGNS & post.body.keys()) and "alerts" not in post.body


def parse(post: Post) -> list[Facts]:
    """Return its one alert; a monitor that alerts by group is one alert per group."""
    if post.kind == "slack":
        facts = prose.posted(post, "datadog", r"/monitors/(\d+)")
        _title(facts, post.sheet.titles[0] if post.sheet.titles else facts.name)
        facts.labels |= tags_of(post.sheet.pair("tags"))
        facts.service = facts.service or facts.labels.get("service", "")
        return [facts]
    return [_webhook(post)]


def _webhook(post: Post) -> Facts:
    body = post.body
    facts = facts_of(body)
    facts.sender, facts.severity = "datadog", None
    title = next(filter(None, (text_of(body.get(key)) for key in ("alert_title", "title", "event_title"))), "")
    facts.status = status_word(body.get("alert_transition") or body.get("transition") or body.get("alert_status"))
    _title(facts, title)
    facts.severity = _priority(body) or severity_word(text_of(body.get("alert_type"))) or facts.severity
    facts.labels = {key: text for key, text in tags_of(body.get("tags")).items() if text != "true"}
    scopes = body.get("scopes") or body.get("alert_scope") or body.get("hostname") or ""
    scope = ",".join(map(text_of, scopes)) if isinstance(scopes, list) else text_of(scopes)
    place = tags_of(scope)
    facts.service = facts.labels.get("service", "") or place.get("service", "")
    facts.guessed_service = (
        place.get("host", "") or scope.partition(",")[0] or facts.labels.get("host", "") or facts.guessed_service
    )
    monitor = text_of(body.get("alert_id")) or text_of(body.get("monitor_id"))
    facts.identity = f"{monitor or facts.name}|{scope or text_of(body.get('aggreg_key'))}"
    facts.query = text_of(body.get("query")) or text_of(body.get("alert_query"))
    if {*place} and not facts.labels.get("host") and place.get("host"):
        facts.labels["host"] = place["host"]
    return facts


def _title(facts: Facts, title: str) -> None:
    """Take name, state and priority from a title such as "[P2] [Triggered on {host:a}] CPU is high"."""
    text = bare(title)
    lead = _LEAD.match(text)
    if lead:
        facts.status = facts.status or status_word(re.sub(r"\[P\d\]| on .*", " ", lead[0]))
        graded = re.search(r"\[?P[1-5]\b", lead[0])
        facts.severity = (
            severity_word(graded[0]) if graded else facts.severity or ("warning" if "Warn" in lead[0] else None)
        )
    facts.name = title_of(text[lead.end() :] if lead else text) or facts.name


def _priority(body: dict[str, object]) -> Severity | None:
    """P1..P5, or the number alone; $PRIORITY is only "normal" or "low" and says nothing."""
    for key in ("alert_priority", "priority", "severity"):
        text = text_of(body.get(key)).upper().removeprefix("P")
        if re.fullmatch(r"[1-5]", text):
            return _PRIORITIES[int(text) - 1]
    return severity_word(text_of(body.get("severity")))
