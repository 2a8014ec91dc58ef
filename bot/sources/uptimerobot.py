"""UptimeRobot: its webhook (alertType 1 is down, 2 is up, 3 a certificate that expires) and its Slack messages."""

import re

from bot.reading import prose
from bot.reading.facts import Facts
from bot.reading.post import Post
from bot.reading.roles import facts_of
from bot.reading.text import bare, text_of
from bot.reading.times import when
from bot.reading.words import Status, status_word
from tools.records import Severity

_TYPES: dict[str, tuple[Status, Severity | None]] = {
    "1": ("firing", "critical"),
    "2": ("resolved", None),
    "3": ("firing", "warning"),
}
_LINE = re.compile(
    r"\W*Monitor is (?P<state>DOWN|UP)\W+(?P<name>.+?)\s*(?:\(|- Reason|$)|(?P<name2>.+?) is (?P<state2>down|up)\b",
    re.IGNORECASE,
)


def matches(post: Post) -> bool:
    """Say whether UptimeRobot posted it."""
    if post.kind == "slack":
        return post.from_app("uptimerobot", "uptime robot") or prose.linked(post, "uptimerobot.com")
    return "monitorFriendlyName" in post.body or {"monitorID", "alertType"} <= post.body.keys()


def parse(post: Post) -> list[Facts]:
    """Return its one monitor; that a page is down is taken as critical, and named as a guess."""
    if post.kind == "slack":
        facts = prose.posted(post, "uptimerobot", r"/(?:monitors|dashboard)[/#](\d+)")
        for line in [*post.sheet.titles, *post.sheet.lines]:
            match = _LINE.match(bare(line))
            if match:
                facts.name = (match["name"] or match["name2"]).strip(" :-")
                facts.status = status_word(match["state"] or match["state2"])
                break
        facts.guessed_service, facts.query_expected = facts.name, False
        facts.guessed_severity = "critical" if facts.status == "firing" else None
        return [facts]
    body = post.body
    facts = facts_of(body)
    facts.sender, facts.query_expected = "uptimerobot", False
    facts.name = text_of(body.get("monitorFriendlyName"), 200) or facts.name
    known = _TYPES.get(text_of(body.get("alertType")))
    facts.status, facts.guessed_severity = known or (
        status_word(body.get("alertTypeFriendlyName")),
        facts.guessed_severity,
    )
    facts.guessed_service = facts.name or facts.guessed_service
    facts.at = when(body.get("alertDateTime"))
    facts.identity = text_of(body.get("monitorID"))
    return [facts]
