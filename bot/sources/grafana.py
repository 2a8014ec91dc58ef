"""Grafana alerting: unified (webhook in Alertmanager's shape with more, default Slack template), legacy, and a bare rule."""

import re

from bot.reading import prometheus, prose, titles
from bot.reading.facts import Facts
from bot.reading.post import Post, entries, part
from bot.reading.roles import facts_of
from bot.reading.text import bare, pairs_of, text_of
from bot.reading.words import status_word

_LEGACY = re.compile(r"\W*\[(?P<state>Alerting|OK|No Data|Pending|Paused|Unknown)\]\s*(?P<name>.+)", re.IGNORECASE)


def matches(post: Post) -> bool:
    """Say whether Grafana posted it: its footer or name in Slack, its own keys in a webhook."""
    if post.kind == "slack":
        return post.from_app("grafana")
    if isinstance(post.body.get("alerts"), list):
        return "orgId" in post.body or any(
            "dashboardURL" in one or "valueString" in one for one in entries(post.body["alerts"])
        )
    return (
        post.has("ruleName", "state")
        or {"ruleGroup", "title"} <= post.body.keys()
        or {"rule_group", "title"} <= post.body.keys()
    )


def parse(post: Post) -> list[Facts]:
    """Return one entry per alert of a unified notification, else one."""
    if post.kind == "slack":
        return _message(post)
    if isinstance(post.body.get("alerts"), list):
        return [_unified(item, post.body) for item in entries(post.body["alerts"])]
    return [_legacy(post)] if "ruleName" in post.body else [_rule(post)]


def _unified(item: dict[str, object], payload: dict[str, object]) -> Facts:
    facts = prometheus.entry(item, payload, "grafana")
    facts.fingerprint = text_of(item.get("fingerprint"), 16)
    facts.own_labels = bool(facts.labels)
    values = pairs_of(item.get("values"))
    facts.value = ", ".join(f"{name}={value}" for name, value in values.items())[:200] or facts.value
    return facts


def _legacy(post: Post) -> Facts:
    facts = facts_of(post.body)
    facts.sender, facts.name = "grafana", text_of(post.body.get("ruleName"), 200)
    facts.identity = f"rule:{text_of(post.body.get('ruleId')) or facts.name}"
    facts.status = status_word(post.body.get("state"))
    measured = entries(post.body.get("evalMatches"))
    facts.value = ", ".join(f"{text_of(one.get('metric'))}={text_of(one.get('value'))}" for one in measured)[:200]
    facts.labels = pairs_of(post.body.get("tags"))
    return facts


def _rule(post: Post) -> Facts:
    facts = facts_of(post.body)
    facts.sender, facts.labels = "grafana", pairs_of(post.body.get("labels"))
    facts.annotations |= pairs_of(part(post.body, "annotations"))
    facts.identity = (
        text_of(post.body.get("uid"))
        or f"{text_of(post.body.get('folderUID'))}|{text_of(post.body.get('ruleGroup'))}|{facts.name}"
    )
    facts.status = status_word(post.body.get("state"))
    return facts


def _message(post: Post) -> list[Facts]:
    if titles.titled(post.body):
        return titles.parse(post, "grafana")
    facts = prose.posted(post, "grafana")
    legacy = next((match for title in post.sheet.titles if (match := _LEGACY.match(bare(title)))), None)
    if legacy:
        facts.name, facts.status = legacy["name"].strip(), status_word(legacy["state"])
        facts.value = ", ".join(
            f"{leaf.path[-1]}={leaf.value}"
            for leaf in post.sheet.pairs
            if re.fullmatch(r"-?[\d.]+(e[+-]?\d+)?", str(leaf.value))
        )
    return [facts]
