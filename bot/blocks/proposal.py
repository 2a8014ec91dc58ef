"""One proposed change and where it stands; called by bot/blocks/thread.py.

The buttons are there only while a press can count. Each state is said in words, never by colour or sign alone.
"""

from bot import story
from bot.blocks.kit import Block, Post, actions, button, confirm, context, fallback, fit, section
from bot.blocks.text import code, fence, moment, person, prose
from bot.story import Facts
from tools.records import Case, Proposal, ProposalState, Risk

RISKS = {
    Risk.LOW: "low risk",
    Risk.MEDIUM: "medium risk",
    Risk.HIGH: ":warning: high risk",
    Risk.CRITICAL: ":rotating_light: critical risk",
}
DIFF_CHARS = 2400
MAX_REASONS = 4
EXPIRY = "{time}"


def proposal(case: Case, one: Proposal, facts: Facts) -> Post:
    """Draw one proposal in its present state."""
    line = prose(one.plan.line, 400) or prose(f"{one.action} {one.plan.target}", 400)
    title = "Proposed" if one.state == "proposed" else "Proposal"
    blocks: list[Block] = [
        section(f"*{title}: {line}*"),
        section("\n".join(_facts(one))),
        section(fence(one.plan.diff, DIFF_CHARS)),
        section(_standing(case, one, facts)),
    ]
    if one.state == "proposed":
        blocks += [context(_who(one, facts)), _buttons(one, line)]
    return Post(f"proposal:{one.id}", fallback(_notice(case, one, line, facts)), fit(blocks))


def _facts(one: Proposal) -> list[str]:
    reasons = "; ".join(prose(reason, 200) for reason in one.reasons[:MAX_REASONS])
    rows = [
        ("Where", code(one.plan.target)),
        ("Why", prose(one.why, 500)),
        ("Evidence", " ".join(code(evidence, 40) for evidence in one.evidence[:10])),
        ("Risk", RISKS[one.risk] + (f": {reasons}" if reasons else "")),
        ("Undo", prose(one.plan.undo, 400)),
    ]
    return [f"*{name}:* {value}" for name, value in rows if value]


def _who(one: Proposal, facts: Facts) -> str:
    allowed = facts.approvers.get(one.id, ())[:20]
    if not allowed:
        return "Nobody may approve this yet: name people under `approvers` or `changes` in tocsin.yaml."
    who = " ".join(person(name) for name in allowed)
    if one.risk >= facts.two_people_from:
        return f"May approve: {who}. Two people are needed."
    if one.risk >= Risk.HIGH:
        return f"May approve: {who}. Not the person who asked for it."
    return f"May approve: {who}."


def _buttons(one: Proposal, line: str) -> Block:
    question = None
    if one.risk >= Risk.HIGH:
        question = confirm("Make this change?", line, "Yes, approve", "No, go back", "danger")
    return actions(
        button("Approve", "approve", one.id, "primary", question),
        button("Reject", "reject", one.id, "danger"),
    )


def _notice(case: Case, one: Proposal, line: str, facts: Facts) -> str:
    subject = prose(story.subject(case), 100)
    if one.state == "proposed":
        return f"Your decision, {subject}: {line} ({RISKS[one.risk].rpartition(': ')[2]})"
    return f"{subject}: {line}. {_standing(case, one, facts)}"


def _standing(case: Case, one: Proposal, facts: Facts) -> str:
    by = _approvers(case, one)
    detail = _detail(case, one)
    said: dict[ProposalState, str] = {
        "proposed": _waiting(case, one, facts),
        "approved": f":ballot_box_with_check: *Approved* by {by}. Starting.",
        "running": f":hourglass_flowing_sand: *Running.* Approved by {by}.",
        "done": f":white_check_mark: *Done.* Approved by {by}.",
        "failed": f":x: *Failed.* {detail} Nothing else was changed.",
        "unknown": f":grey_question: *Unknown: please look at {code(one.plan.target)}.* {detail}",
        "rejected": _rejected(case, one),
        "expired": f":hourglass: *Expired* at {moment(one.expires_at)}: nobody decided in time. Nothing was changed.",
        "superseded": _superseded(case, one),
    }
    return said[one.state]


def _waiting(case: Case, one: Proposal, facts: Facts) -> str:
    given = story.approvals(case, one)
    until = f"Expires at {moment(one.expires_at, EXPIRY)}."
    if not given:
        return f":point_down: *Nothing happens until somebody approves.* {until}"
    needed = 2 if one.risk >= facts.two_people_from else 1
    return f":point_down: *Approved by {len(given)} of {needed}:* {_approvers(case, one)}. One more is needed. {until}"


def _superseded(case: Case, one: Proposal) -> str:
    withdrawn = story.text_of(story.about(case, one.id, "withdrawn"), "reason")
    if withdrawn:
        return f":no_entry_sign: *Not run:* {prose(withdrawn, 500)}. Nothing was changed."
    changed = story.text_of(story.about(case, one.id, "target_changed"), "detail")
    why = (
        f"the target is no longer what was shown ({prose(changed, 300)})" if changed else "something newer replaced it"
    )
    return f":leftwards_arrow_with_hook: *No longer offered:* {why}. Nothing was changed."


def _rejected(case: Case, one: Proposal) -> str:
    entry = story.about(case, one.id, "rejected")
    reason = story.text_of(entry, "reason")
    by = person(story.text_of(entry, "by")) if entry else "somebody"
    return f":no_entry_sign: *Rejected* by {by}. Nothing was changed." + (
        f" Reason: {prose(reason, 300)}" if reason else ""
    )


def _approvers(case: Case, one: Proposal) -> str:
    people = [person(approval.by) for approval in story.approvals(case, one)]
    if not people:
        entry = story.about(case, one.id, "approved")
        people = [person(story.text_of(entry, "by"))] if entry else ["somebody"]
    return " and ".join(people[:5])


def _detail(case: Case, one: Proposal) -> str:
    found = story.outcome(case, one.id)
    return prose(found.detail, 500) if found else ""
