"""Sentry: issue, event, metric and old plug-in webhooks, and its Slack messages. An event is trouble unless it says resolved."""

import re
from typing import Any

from bot.reading import prose
from bot.reading.facts import Facts
from bot.reading.naming import title_of
from bot.reading.post import Post, part
from bot.reading.roles import facts_of
from bot.reading.text import tags_of, text_of
from bot.reading.times import when
from bot.reading.words import Status, severity_word


def matches(post: Post) -> bool:
    """Say whether Sentry posted it."""
    if post.kind == "slack":
        return post.from_app("sentry") or prose.linked(post, ".sentry.io", "sentry.io/")
    data = part(post.body, "data")
    if "action" in post.body and any(key in data for key in ("issue", "event", "metric_alert", "error", "issue_alert")):
        return True
    return (
        "project" in post.body
        and ("culprit" in post.body or isinstance(post.body.get("event"), dict))
        and "level" in post.body
    )


def parse(post: Post) -> list[Facts]:
    """Return its one issue or metric alert."""
    if post.kind == "slack":
        facts = prose.posted(post, "sentry", r"/issues/(\d+)")
        facts.status = (
            "resolved"
            if facts.status == "resolved" and not re.search(r"\bunresolved\b", post.sheet.text, re.IGNORECASE)
            else "firing"
        )
        project = re.match(r"\W*([A-Za-z][\w-]*?)-[A-Z0-9]{1,6}\b", post.sheet.footer)
        facts.service = post.sheet.pair("project") or facts.service or (project[1].lower() if project else "")
        facts.query_expected = False
        return [facts]
    data = part(post.body, "data")
    if "metric_alert" in data:
        return [_metric(post, part(data, "metric_alert"))]
    issue = part(data, "issue") or part(data, "event") or part(data, "error")
    return [_issue(post.body, issue or post.body)]


def _issue(body: dict[str, Any], issue: dict[str, Any]) -> Facts:
    event = part(issue, "event")
    facts = facts_of(issue)
    facts.sender, facts.query_expected = "sentry", False
    told = [text_of(one.get(key)) for one in (event, issue) for key in ("title",)] + [text_of(issue.get("message"))]
    facts.name = title_of(next(filter(None, told), "")) or facts.name
    facts.status = _state(text_of(body.get("action")), text_of(issue.get("status")))
    facts.severity = severity_word(text_of(issue.get("level")) or text_of(event.get("level")))
    project = issue.get("project")
    named = part(issue, "project")
    facts.service = (
        text_of(issue.get("project_slug"))
        or text_of(named.get("slug"))
        or text_of(project)
        or text_of(issue.get("project_name"))
    )
    tags = {**tags_of(issue.get("tags")), **tags_of(event.get("tags"))}
    environment = text_of(event.get("environment")) or text_of(issue.get("environment"))
    facts.labels = tags | ({"environment": environment} if environment else {})
    facts.service = tags.get("service", "") or ("" if facts.service.isdigit() else facts.service)
    facts.starts_at = (
        when(issue.get("firstSeen")) or when(event.get("timestamp")) or when(issue.get("timestamp")) or facts.at
    )
    facts.identity = text_of(issue.get("issue_id")) or text_of(issue.get("id")) or facts.name
    facts.annotations |= {"culprit": text_of(issue.get("culprit"))}
    link = text_of(issue.get("web_url")) or text_of(issue.get("permalink")) or text_of(issue.get("url"))
    facts.links = {
        "sentry": link,
        **{key: one for key, one in facts.links.items() if one != link and "api/" not in one},
    }
    return facts


def _state(action: str, status: str) -> Status:
    return "resolved" if action in ("resolved", "archived", "ignored") or status == "resolved" else "firing"


def _metric(post: Post, metric: dict[str, Any]) -> Facts:
    rule = part(metric, "alert_rule")
    facts = facts_of({**part(post.body, "data"), "metric_alert": metric})
    facts.sender = "sentry"
    facts.name = text_of(rule.get("name"), 200) or title_of(text_of(part(post.body, "data").get("description_title")))
    action = text_of(post.body.get("action"))
    facts.status = "resolved" if action == "resolved" else "firing"
    facts.severity = severity_word(action) or facts.severity
    projects = metric.get("projects")
    facts.service = text_of(projects[0]) if isinstance(projects, list) and projects else facts.service
    facts.starts_at = when(metric.get("date_started"))
    facts.ends_at = when(metric.get("date_closed"))
    facts.query = text_of(rule.get("query")) or text_of(rule.get("aggregate"))
    facts.identity = f"metric:{text_of(rule.get('id')) or facts.name}"
    return facts
