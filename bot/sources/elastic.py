"""Elastalert and Kibana: rule actions as webhooks, and both senders' Slack messages."""

from bot.reading import prose
from bot.reading.facts import Facts
from bot.reading.naming import title_of
from bot.reading.post import Post, part
from bot.reading.roles import facts_of
from bot.reading.text import bare, text_of
from bot.reading.words import status_word


def matches(post: Post) -> bool:
    """Say whether Elastalert or Kibana posted it."""
    if post.kind == "slack":
        return post.from_app("elastalert", "kibana", "elastic") or prose.linked(
            post, "/app/discover", "/app/management/insightsAndAlerting"
        )
    keys = post.body.keys()
    if {"rule", "context"} <= keys and isinstance(post.body["rule"], dict):
        return True
    return bool(
        {"ruleName", "ruleId", "alertId", "rule_id", "kibanaBaseUrl", "actionGroup"} & keys
        and {"alertActionGroup", "kibanaBaseUrl", "actionGroup", "actionGroupName", "num_hits"} & keys
    )


def parse(post: Post) -> list[Facts]:
    """Return its one alert; Elastalert says nothing when the trouble ends, so its messages are firing."""
    if post.kind == "slack":
        facts = prose.posted(post, "elastic")
        facts.name = title_of(bare(post.sheet.titles[0])) if post.sheet.titles else facts.name
        facts.status = facts.status or "firing"
        return [facts]
    rule, alert = part(post.body, "rule"), part(post.body, "alert")
    facts = facts_of(post.body)
    facts.sender = "elastic"
    facts.name = text_of(rule.get("name"), 200) or text_of(post.body.get("ruleName"), 200) or facts.name
    group = (
        text_of(alert.get("actionGroup"))
        or text_of(post.body.get("actionGroup"))
        or text_of(post.body.get("alertActionGroup"))
    )
    facts.status = (
        "resolved"
        if group == "recovered"
        else status_word(post.body.get("status")) or facts.status or ("firing" if group else None)
    )
    about = text_of(alert.get("id")) or text_of(post.body.get("alertId"))
    identity = text_of(rule.get("id")) or text_of(post.body.get("ruleId")) or facts.name
    facts.identity = f"{identity}|{about}"
    return [facts]
