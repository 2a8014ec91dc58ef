"""Robusta: findings as its webhook sink posts them, and its Slack messages about Prometheus alerts and Kubernetes events."""

import re

from bot.reading import prose
from bot.reading.facts import Facts
from bot.reading.naming import title_of
from bot.reading.post import Post
from bot.reading.roles import facts_of
from bot.reading.text import bare, fingerprint, text_of
from bot.reading.words import severity_word

_SOURCE = re.compile(r"(?P<cluster>[^/\s]+)/(?P<namespace>[^/\s]+)/(?P<name>[^/\s]+)")


def matches(post: Post) -> bool:
    """Say whether Robusta posted it."""
    if post.kind == "slack":
        return post.from_app("robusta") or prose.linked(post, "robusta.dev")
    return {"aggregation_key", "title"} <= post.body.keys() or {"finding_type", "title"} <= post.body.keys()


def parse(post: Post) -> list[Facts]:
    """Return its one finding; the workload in its source line is the service."""
    if post.kind == "slack":
        return [_message(post)]
    body = post.body
    facts = facts_of(body)
    facts.sender = "robusta"
    facts.name = title_of(text_of(body.get("aggregation_key")) or text_of(body.get("title")))
    facts.service = text_of(body.get("service_name")) or text_of(body.get("subject_name")) or facts.service
    facts.namespace = text_of(body.get("subject_namespace")) or facts.namespace
    facts.fingerprint = (
        text_of(body.get("fingerprint"), 16) if re.fullmatch("[0-9a-f]{16}", text_of(body.get("fingerprint"))) else ""
    )
    return [facts]


def _message(post: Post) -> Facts:
    facts = prose.posted(post, "robusta")
    text = bare(post.sheet.text)
    source = _SOURCE.search(post.sheet.pair("source") or "")
    if source:
        facts.cluster, facts.namespace = source["cluster"], source["namespace"]
        facts.service = facts.service or source["name"]
    shown = re.search(r"\b(critical|high|medium|low|info)\b(?: severity)?", text[:400], re.IGNORECASE)
    facts.severity = facts.severity or (severity_word(shown[1]) if shown else None)
    labels = {
        leaf.path[-1]: str(leaf.value)
        for leaf in post.sheet.pairs
        if leaf.path[-1] in ("alertname", "namespace", "pod", "container", "severity", "job", "deployment")
    }
    facts.labels |= labels
    if labels.get("alertname"):
        facts.name, facts.fingerprint = labels["alertname"], fingerprint(labels)
    return facts
