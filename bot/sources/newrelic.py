"""New Relic: workflow webhooks (issues), the older incident webhook, and its Slack messages."""

from bot.reading import prose
from bot.reading.facts import Facts
from bot.reading.naming import title_of
from bot.reading.post import Post, entries
from bot.reading.roles import facts_of
from bot.reading.text import text_of
from bot.reading.walk import leaves
from bot.reading.words import severity_word, status_word


def matches(post: Post) -> bool:
    """Say whether New Relic posted it."""
    if post.kind == "slack":
        return post.from_app("new relic", "newrelic") or prose.linked(post, "newrelic.com", "aiops.service.newrelic")
    keys = post.body.keys()
    return (
        bool({"impactedEntities", "issueUrl", "issuePageUrl", "violationChartUrl"} & keys)
        or {"policy_name", "condition_name", "current_state"} <= keys
    )


def parse(post: Post) -> list[Facts]:
    """Return its one issue."""
    if post.kind == "slack":
        facts = prose.posted(post, "newrelic", r"issues?/([0-9a-f-]{8,})")
        facts.severity = severity_word(post.sheet.pair("priority")) or facts.severity
        return [facts]
    body = post.body
    facts = facts_of(body)
    facts.sender = "newrelic"
    conditions = body.get("alertConditionNames")
    first = text_of(conditions[0]) if isinstance(conditions, list) and conditions else ""
    facts.name = title_of(text_of(body.get("title"))) or text_of(body.get("condition_name"), 200) or first or facts.name
    if "condition_name" in body:
        facts.name = text_of(body.get("condition_name"), 200) or facts.name
    facts.status = status_word(body.get("state")) or status_word(body.get("current_state")) or facts.status
    facts.severity = severity_word(text_of(body.get("priority")) or text_of(body.get("severity"))) or facts.severity
    facts.guessed_service = _entity(body) or facts.guessed_service
    keyed = {
        leaf.path[-1]: text_of(leaf.value)
        for leaf in leaves(body.get("labels") if isinstance(body.get("labels"), dict) else {})
    }
    facts.service = keyed.get("service", "") or _application(body) or facts.service
    facts.identity = (
        text_of(body.get("id")) or text_of(body.get("issueId")) or text_of(body.get("incident_id")) or facts.identity
    )
    return [facts]


def _entity(body: dict[str, object]) -> str:
    impacted = body.get("impactedEntities")
    if isinstance(impacted, list) and impacted:
        return text_of(impacted[0])
    return next((text_of(one.get("name")) for one in entries(body.get("targets"))), "")


def _application(body: dict[str, object]) -> str:
    """Name the service: an impacted entity is it itself where New Relic says so, or where its APM agent is the product."""
    for one in entries(body.get("targets")):
        if "application" in text_of(one.get("type")).lower() or "apm" in text_of(one.get("product")).lower():
            return text_of(one.get("name"))
    return ""
