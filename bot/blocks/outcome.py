"""What became of an approved change, and the end of the incident; called by bot/blocks/thread.py.

The outcome is one message that moves on from applied to its verdict. Bad news and the end are messages of their own,
because Slack notifies nobody of an edited one.
"""

from bot import postmortem, story
from bot.blocks.kit import Block, Post, actions, button, context, fallback, fit, section
from bot.blocks.text import code, person, prose
from bot.story import duration
from tools.records import Case, Outcome, Proposal, Verification


def outcome(case: Case, one: Proposal, found: Outcome) -> Post:
    """Draw what applying *one* came to and, once known, whether it worked."""
    line = prose(one.plan.line, 400)
    verdict = story.verification(case, one.id)
    said = _applied(found, verdict) if found.result == "applied" else _not_applied(one, found)
    blocks: list[Block] = [section(f"{said}\n{line}")]
    if found.detail:
        blocks.append(context(prose(found.detail, 600)))
    if verdict and verdict.detail:
        blocks.append(context(_measured(verdict)))
    return Post(f"outcome:{one.id}", fallback(f"{said.replace('*', '')} {line}"), fit(blocks))


def verdict(case: Case, one: Proposal, found: Verification) -> Post | None:
    """Draw bad news about a change that was made; None when it is good."""
    if found.verdict == "recovered":
        return None
    headline = {
        "not_recovered": ":x: *It did not help.* The alert's condition still holds.",
        "worse": ":rotating_light: *It got worse after the change.*",
        "unknown": ":grey_question: *I cannot tell whether it helped.* Please look.",
    }[found.verdict]
    newer = any(other.created_at > one.created_at and other.state == "proposed" for other in case.proposals)
    undo = "What I suggest now is proposed below." if newer else f"To undo it: {prose(one.plan.undo, 500)}"
    blocks = [
        section(f"{headline} {_measured(found)}".rstrip()),
        section(f"{undo}\nTarget: {code(one.plan.target)}"),
        actions(button("Show evidence", "show_evidence", case.incident.id)),
    ]
    text = f"{headline.partition(' ')[2].replace('*', '')} {prose(one.plan.line, 300)}"
    return Post(f"verdict:{one.id}", fallback(text), fit(blocks))


def resolved(case: Case) -> Post:
    """Draw the end: what it was, what ended it, how long each step took."""
    subject = prose(story.subject(case), 100)
    figures = postmortem.figures(case)
    fixed_by = story.fix(case)
    lasted = f" after {duration(figures.lasted_s)}" if figures.lasted_s is not None else ""
    said = f":white_check_mark: *Resolved: {subject}{lasted}.*"
    if fixed_by:
        people = " and ".join(person(approval.by) for approval in story.approvals(case, fixed_by)[:5])
        said += f"\nWhat ended it: {prose(fixed_by.plan.line, 400)}" + (f", approved by {people}" if people else "")
    else:
        said += "\nThe alert ended without a change of mine."
    steps = " · ".join(f"{name} {duration(seconds)}" for name, seconds in figures.steps)
    blocks = [section(said)]
    if steps:
        blocks.append(context(f"After the alert began: {steps}"))
    blocks.append(actions(button("Post-mortem", "postmortem", case.incident.id)))
    return Post("resolved", fallback(f"Resolved: {subject}{lasted}"), fit(blocks))


def _applied(found: Outcome, verdict: Verification | None) -> str:
    if verdict is None:
        return ":hourglass_flowing_sand: *Applied.* Now watching whether the alert's own condition clears."
    if verdict.verdict == "recovered":
        return (
            f":white_check_mark: *Applied, and it recovered* {duration((verdict.at - found.at).total_seconds())} later."
        )
    return ":warning: *Applied, but it did not recover.* See below."


def _not_applied(one: Proposal, found: Outcome) -> str:
    if found.result == "unknown":
        return (
            ":grey_question: *The answer was lost, so the change may or may not have been made.* "
            f"Please look at {code(one.plan.target)}."
        )
    if found.result == "refused":
        return ":no_entry: *Not made: the cluster refused it.*"
    return ":x: *Not made: it failed.*"


def _measured(found: Verification) -> str:
    value = f" (now {prose(found.value, 60)})" if found.value else ""
    return f"{prose(found.detail, 500)}{value}"
