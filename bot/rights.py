"""Whether a press on Approve or Reject counts: pure, every refusal a sentence for the person. bot/approvals.py asks."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from agents.incident import State
from tools.records import Incident, Proposal, Risk

Decision = Literal["approve", "reject"]
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


def needed(risk: Risk) -> int:
    """How many different people must approve: two for key systems, else one."""
    return 2 if risk >= Risk.CRITICAL else 1


def refusal(
    decision: Decision,
    proposal: Proposal,
    incident: Incident,
    state: State,
    who: Presser,
    *,
    team: str,
    allowed: Collection[str],
    named: Collection[str],
    now: datetime,
) -> str:
    """Say why this press does not count, "" when it does.

    *allowed* are the user ids that may decide, *named* the entries of policy they come from (users U..., groups S...).
    """
    return _by_person(proposal, incident, who, team, allowed, named, decision) or _by_time(proposal, state, now)


def _by_person(
    proposal: Proposal,
    incident: Incident,
    who: Presser,
    team: str,
    allowed: Collection[str],
    named: Collection[str],
    decision: Decision,
) -> str:
    if not who.user or not team or who.team != team:
        return "This proposal belongs to another workspace. Nothing was changed."
    if who.channel != incident.channel:
        return "Decide it in the incident's own thread. A copied button does nothing."
    if who.user not in allowed:
        may = ", ".join(f"<!subteam^{entry}>" if entry.startswith("S") else f"<@{entry}>" for entry in named)
        remedy = f"{may} may." if may else "Nobody may yet: name approvers in tocsin.yaml."
        return f"You may not decide changes to {proposal.plan.target}. {remedy} Nothing was changed."
    if decision == "approve" and proposal.risk >= Risk.HIGH and who.user == proposal.requested_by:
        return f"You asked for this {proposal.risk.name} change, so somebody else must approve it."
    return ""


def _by_time(proposal: Proposal, state: State, now: datetime) -> str:
    if proposal.state == "expired" or proposal.expires_at <= now:
        return "Too late: this proposal has expired. `/diagnose` gives a fresh one."
    if proposal.state != "proposed" or state.proposal_id != proposal.id or state.digest != proposal.digest:
        return f"Too late: this proposal is {_BECAME.get(proposal.state, proposal.state)}. Nothing more was done."
    return ""
