"""The thread of an incident as a view of its record; called by bot/thread.py.

The same record always gives the same posts, in the same order, under the same keys.
"""

from bot import story
from bot.blocks.card import SEVERITY, card
from bot.blocks.kit import Post, context, fallback, fit, section
from bot.blocks.outcome import outcome, resolved, verdict
from bot.blocks.postmortem import postmortem
from bot.blocks.proposal import proposal
from bot.blocks.text import moment, prose
from bot.story import Facts
from tools.records import Case

ROOT = "root"


def desired(case: Case, facts: Facts) -> list[Post]:
    """Return what the incident's thread should hold now."""
    posts = [card(case, facts)]
    for one in case.proposals:
        posts.append(proposal(case, one, facts))
        found = story.outcome(case, one.id)
        if found:
            posts.append(outcome(case, one, found))
        judged = story.verification(case, one.id)
        bad_news = verdict(case, one, judged) if judged else None
        if bad_news:
            posts.append(bad_news)
    if case.incident.state in story.OVER and case.diagnosis:
        posts.append(resolved(case))
    if story.last(case, "postmortem_drafted"):
        posts.append(postmortem(case))
    return posts


def root(case: Case) -> Post:
    """Return the message that starts a thread when no message of Slack's did: a webhook's alert, or /diagnose."""
    alert = case.incident.alert
    told = alert.annotations.get("summary") or alert.annotations.get("description") or ""
    said = f"*{prose(alert.name or story.subject(case), 200)}*"
    if alert.service and alert.service != alert.name:
        said += f" on {prose(alert.service, 100)}"
    blocks = [section(said + (f"\n{prose(told, 600)}" if told else ""))]
    blocks.append(context(f"{SEVERITY[alert.severity]} · since {moment(alert.starts_at or case.incident.opened_at)}"))
    return Post(ROOT, fallback(f"{prose(alert.name, 200)}: {prose(told, 300)}"), fit(blocks))
