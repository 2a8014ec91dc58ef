"""Alertmanager: its webhook (version 4; also vmalert's, Mimir's, and its API's alerts) and its Slack messages.

Slack messages are the default template (a title and nothing else) and the common customised ones: bot/reading/titles.py.
"""

from bot.reading import prometheus, titles
from bot.reading.facts import Facts
from bot.reading.post import Post, entries, part

_NOT_OURS = (
    "orgId",
    "dashboardURL",
    "condition",
    "ruleGroup",
    "evalMatches",
    "incident",
    "event",
    "monitor_id",
    "host_name",
)
_ALONE = frozenset(("labels", "summary", "description", "status", "fingerprint", "endsAt", "value"))
_OURS = ("annotations", "generatorURL", "startsAt", "activeAt")


def matches(post: Post) -> bool:
    """Say whether it is a list of alerts with labels, one such alert, or a message titled [FIRING...] or [RESOLVED]."""
    if post.kind == "slack":
        return bool(titles.titled(post.body)) and not post.from_app("grafana", "robusta")
    if any(key in post.body for key in _NOT_OURS):
        return False
    if isinstance(post.body.get("alerts"), list):
        listed = entries(post.body["alerts"])
        return not listed or any(_is_alert(one) and "dashboardURL" not in one for one in listed)
    return _is_alert(post.body)


def parse(post: Post) -> list[Facts]:
    """Return one entry per alert; an entry that is no alert is counted in the notes of the others.

    Raises ValueError when not one entry can be read.
    """
    if post.kind == "slack":
        return titles.parse(post, "alertmanager")
    listed = post.body.get("alerts")
    if not isinstance(listed, list):
        return [prometheus.entry(post.body, {}, "alertmanager")]
    readable = entries(listed)
    if not readable:
        msg = "The notification holds no alert: its list of alerts is empty or has no objects in it."
        raise ValueError(msg)
    notes = []
    if len(listed) > len(readable):
        notes.append(f"{len(listed) - len(readable)} unreadable alerts of the same notification")
    truncated = post.body.get("truncatedAlerts")
    if isinstance(truncated, int) and truncated > 0:
        notes.append(f"{truncated} alerts that Alertmanager left out (max_alerts)")
    found = [prometheus.entry(item, post.body, "alertmanager") for item in readable]
    for facts in found:
        facts.notes = tuple(notes)
    return found


def _is_alert(item: dict[str, object]) -> bool:
    labels = part(item, "labels")
    if labels and item.keys() <= _ALONE:
        return True
    return bool(labels) and (
        any(key in item for key in _OURS) or bool({"alertname", "job", "instance"} & labels.keys())
    )
