"""CloudWatch: alarms in an SNS envelope or bare, EventBridge's state changes, and AWS Chatbot's (Amazon Q's) Slack messages.

A SubscriptionConfirmation is refused with the sentence that tells a person to open its link: Tocsin calls no address that a
request gave it.
"""

import json
import re
from typing import Any

from bot.reading import prose
from bot.reading.facts import Facts
from bot.reading.post import Post, entries, part
from bot.reading.roles import facts_of
from bot.reading.text import bare, pairs_of, text_of
from bot.reading.times import when
from bot.reading.words import Status

_STATES: dict[str, Status] = {"ALARM": "firing", "INSUFFICIENT_DATA": "firing", "OK": "resolved"}
_ALARM = re.compile(
    r"CloudWatch Alarm\s*\|\s*(?P<name>[^|]+?)\s*\|\s*(?P<region>[a-z]{2}(?:-[a-z]+)+-\d)", re.IGNORECASE
)
_NAMED = (
    "Application",
    "Service",
    "ServiceName",
    "FunctionName",
    "LoadBalancer",
    "ClusterName",
    "ApiName",
    "QueueName",
    "DBInstanceIdentifier",
)


def matches(post: Post) -> bool:
    """Say whether it is an alarm, an SNS envelope, or a message of AWS Chatbot."""
    if post.kind == "slack":
        return post.from_app("aws chatbot", "amazon q", "aws") or any(
            _ALARM.search(bare(title)) for title in post.sheet.titles
        )
    alarm = _alarm(post.body)
    if "AlarmName" in alarm or part(post.body, "detail").get("alarmName"):
        return True
    return post.body.get("Type") in ("SubscriptionConfirmation", "UnsubscribeConfirmation") and "TopicArn" in post.body


def parse(post: Post) -> list[Facts]:
    """Return its one alarm; ValueError for SNS's own confirmations."""
    if post.kind == "slack":
        return [_message(post)]
    if str(post.body.get("Type", "")).endswith("Confirmation"):
        what = (
            "wants the subscription confirmed: open its SubscribeURL once"
            if post.body["Type"].startswith("Sub")
            else "says that it was ended"
        )
        msg = f"This is no alarm: SNS {what} (topic {text_of(post.body.get('TopicArn'), 200)})."
        raise ValueError(msg)
    detail = part(post.body, "detail")
    return [_event(post.body, detail)] if detail.get("alarmName") else [_alert(_alarm(post.body))]


def _alarm(body: dict[str, Any]) -> dict[str, Any]:
    message = body.get("Message")
    if isinstance(message, str) and message.lstrip().startswith("{"):
        try:
            message = json.loads(message)
        except (ValueError, RecursionError):
            return {}
    return message if isinstance(message, dict) else body


def _alert(alarm: dict[str, Any]) -> Facts:
    facts = facts_of(alarm)
    facts.sender, facts.name = "cloudwatch", text_of(alarm.get("AlarmName"), 200)
    facts.status = _STATES.get(text_of(alarm.get("NewStateValue")).upper())
    facts.starts_at = when(alarm.get("StateChangeTime"))
    facts.ends_at = facts.starts_at if facts.status == "resolved" else None
    facts.starts_at = None if facts.status == "resolved" else facts.starts_at
    trigger = part(alarm, "Trigger")
    metric = {**alarm, **trigger}
    shape = [metric.get(key) for key in ("Statistic", "Namespace", "MetricName", "ComparisonOperator", "Threshold")]
    facts.query = _query(*map(text_of, shape))
    dimensions = {text_of(one.get("name")): text_of(one.get("value")) for one in entries(trigger.get("Dimensions"))}
    facts.labels = {**{key: value for key, value in facts.labels.items() if key != "namespace"}, **dimensions}
    facts.labels |= pairs_of(
        {"aws_namespace": metric.get("Namespace"), "metric": metric.get("MetricName"), "region": alarm.get("Region")}
    )
    facts.namespace = ""
    value = re.search(r"datapoints? \[?([-\d.eE]+)", text_of(alarm.get("NewStateReason")))
    facts.value = value[1] if value else ""
    named = (text_of(alarm.get(key)) or dimensions.get(key, "") for key in _NAMED)
    facts.service = next(filter(None, named), "")
    facts.guessed_service = next((value for value in dimensions.values() if value), "")
    facts.identity = (
        text_of(alarm.get("AlarmArn"))
        or f"{text_of(alarm.get('AWSAccountId'))}|{text_of(alarm.get('Region'))}|{facts.name}|{facts.service}"
    )
    return facts


def _event(body: dict[str, Any], detail: dict[str, Any]) -> Facts:
    facts = facts_of(detail)
    facts.sender, facts.name = "cloudwatch", text_of(detail.get("alarmName"), 200)
    state = part(detail, "state")
    facts.status = _STATES.get(text_of(state.get("value")).upper())
    at = when(state.get("timestamp")) or when(body.get("time"))
    facts.starts_at, facts.ends_at, facts.at = None, None, at
    arns = body.get("resources")
    facts.identity = text_of(arns[0]) if isinstance(arns, list) and arns else facts.name
    facts.value, facts.namespace = "", ""
    facts.annotations.setdefault("reason", text_of(state.get("reason")))
    return facts


def _query(statistic: str, namespace: str, metric: str, operator: str, threshold: str) -> str:
    if not metric:
        return ""
    sign = {
        "GreaterThanOrEqualToThreshold": ">=",
        "GreaterThanThreshold": ">",
        "LessThanThreshold": "<",
        "LessThanOrEqualToThreshold": "<=",
    }
    return " ".join(
        filter(None, [statistic, f"{namespace}/{metric}".strip("/"), sign.get(operator, operator), threshold])
    )


def _message(post: Post) -> Facts:
    facts = prose.posted(post, "cloudwatch")
    match = next(
        (found for title in [*post.sheet.titles, *post.sheet.lines] if (found := _ALARM.search(bare(title)))), None
    )
    name = post.sheet.pair("alarm_name", "alarm") or (match["name"] if match else "")
    facts.name = name or facts.name
    facts.identity, facts.fingerprint = (f"{match['region'] if match else ''}|{facts.name}", "")
    if match:
        facts.labels["region"] = match["region"]
    change = re.findall(
        r"\b(INSUFFICIENT_DATA|ALARM|OK)\b", post.sheet.pair("state_change", "state", "new_state") or ""
    )
    if change:
        facts.status = _STATES[change[-1]]
    return facts
