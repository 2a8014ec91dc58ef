"""Whether a press on a proposal's buttons counts: pure, every refusal a sentence for the person. bot/approvals asks."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from agents.incident import State
from bot.authority.decide import Verdict
from bot.policy_changes import ONCALL
from tools.records import Incident, Proposal

Decision = Literal["approve", "reject", "break_glass"]
_BECAME = {
    "approved": "already approved",
    "running": "being carried out now",
    "done": "already carried out",
    "failed": "already tried, and it failed",
    "unknown": "already tried; nobody knows yet what came of it",
    "superseded": "no longer on the table",
}


@dataclass(frozen=True)
class Presser:
    """Who is asking, from where: all of it from Slack's signed payload, none of it from the button."""

    user: str
    team: str
    channel: str
    thread: str = ""


def refusal(
    decision: Decision,
    proposal: Proposal,
    incident: Incident,
    state: State,
    who: Presser,
    *,
    team: str,
    may: bool,
    verdict: Verdict,
    reason: str,
    now: datetime,
) -> str:
    """Say why this press does not count, "" when it does.

    *verdict* is what the policy says to the change now, *may* whether the presser is among those it names.
    """
    return (
        _by_place(incident, who, team)
        or _by_right(decision, proposal, who, may, verdict)
        or _by_time(proposal, state, now)
        or _by_policy(decision, verdict, reason)
    )


def mention(entry: str) -> str:
    """Return an entry of the policy as Slack shows it: a member, a user group, or whoever is on call."""
    if entry.startswith(ONCALL):
        return f"whoever is on call for {entry.removeprefix(ONCALL)}"
    return f"<!subteam^{entry}>" if entry.startswith("S") else f"<@{entry}>"


def _by_place(incident: Incident, who: Presser, team: str) -> str:
    if not who.user or not team or who.team != team:
        return "This proposal belongs to another workspace. Nothing was changed."
    if who.channel != incident.channel:
        return "Decide it in the incident's own thread. A copied button does nothing."
    if who.thread and incident.thread_ts and who.thread != incident.thread_ts:
        return "Decide it in the incident's own thread. A copied button does nothing."
    return ""


def _by_right(decision: Decision, proposal: Proposal, who: Presser, may: bool, verdict: Verdict) -> str:
    if not may:
        named = ", ".join(mention(entry) for entry in verdict.approvers)
        remedy = (
            f"{named} may." if named else f"Nobody may: {verdict.why_not or 'no approvers are named'} (tocsin.yaml)."
        )
        doing = "break the glass for" if decision == "break_glass" else "decide"
        return f"You may not {doing} changes to {proposal.plan.target}. {remedy} Nothing was changed."
    if decision != "reject" and not verdict.requester_may and who.user == proposal.requested_by:
        return f"You asked for this {proposal.risk.name} change, so somebody else must approve it."
    return ""


def _by_time(proposal: Proposal, state: State, now: datetime) -> str:
    if proposal.state == "expired" or proposal.expires_at <= now:
        return "Too late: this proposal has expired. `/diagnose` gives a fresh one."
    if proposal.state != "proposed" or state.proposal_id != proposal.id or state.digest != proposal.digest:
        return f"Too late: this proposal is {_BECAME.get(proposal.state, proposal.state)}. Nothing more was done."
    return ""


def _by_policy(decision: Decision, verdict: Verdict, reason: str) -> str:
    """Say what of the policy stands against it now; a rejection is always taken."""
    if decision == "reject" or (verdict.allowed and (decision == "approve" or reason.strip())):
        return ""
    if not verdict.allowed:
        return f"Not now: {verdict.why_not}. Nothing was changed."
    return "Breaking the glass needs a reason, which is posted and kept. Nothing was changed."
