"""Somebody decides: approve, reject, or break the glass. bot/approvals/__init__.py calls it.

Who pressed, from where, comes from Slack's signed payload; what about, from the record; whether it counts, from the policy
in force now. A press under another version of the policy than the card was drawn under takes the card off the table and has
the change planned again, so that everybody approves what the same rules were applied to.
"""

from uuid import UUID

from agents.incident import Approved, Event, PressRefused, Rejected, State, Withdrawn
from bot.approvals.parts import Parts
from bot.authority.change import of_proposal
from bot.authority.decide import Verdict
from bot.blocks.text import prose
from bot.lifecycle import SYSTEM
from bot.rights import Decision, Presser, refusal
from tools.errors import TocsinError
from tools.records import Approval, Incident, Proposal
from tools.store import incidents, proposals
from tools.store.db import Connection, NotFound

CHANGED = "The policy was changed since this was proposed, so it is planned and shown again. Nothing was changed."
NO_PROPOSAL = "This button names no proposal. Nothing was changed."
NOT_ON_RECORD = "That proposal is not on record. Nothing was changed."
UNFOUND = frozenset({NO_PROPOSAL, NOT_ON_RECORD})  # no incident's record can hold these refusals


class Presses:
    """Takes decisions about proposals."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._life = parts.life

    async def press(self, decision: Decision, proposal_id: str, who: Presser, reason: str = "") -> str:
        """Record a decision; the sentence says why it did not count, "" when it did."""
        if not _is_uuid(proposal_id):
            return NO_PROPOSAL
        broken = decision == "break_glass"
        try:
            async with self._life.db.connection() as conn:
                proposal = await proposals.get(conn, proposal_id)
        except NotFound:
            return NOT_ON_RECORD
        named = (await self._parts.verdict(proposal, broken=broken)).approvers
        try:
            may = await self._parts.people.may(who.user, named)
        except TocsinError as error:
            return f"I could not check who may approve ({error}). Nothing was changed; press again in a moment."
        async with self._life.db.transaction() as conn:
            # The incident first, then the proposal: the order that every writer keeps.
            incident, stored = await incidents.lock(conn, proposal.incident_id)
            current = await proposals.lock(conn, proposal_id)
            verdict = await self._parts.verdict_on(conn, of_proposal(current), proposal_id, broken=broken)
            state = State.model_validate(stored)
            no = refusal(
                decision, current, incident, state, who,
                team=self._parts.team, may=may, verdict=verdict, reason=reason, now=self._parts.now(),
            )  # fmt: skip
            if no:
                return await self._refused(conn, current, who, no)
            if decision != "reject" and current.policy != self._parts.version:
                return await self._outdated(conn, current, who)
            await self._decide(conn, decision, current, who.user, reason, verdict)
            if broken:
                await self._loudly(conn, incident, current, who.user, reason)
            return ""

    async def _refused(self, conn: Connection, proposal: Proposal, who: Presser, no: str) -> str:
        event = PressRefused(proposal_id=proposal.id, by=who.user, reason=no, policy=self._parts.version)
        await self._life.record_on(conn, proposal.incident_id, event, who.user or SYSTEM)
        self._parts.metrics.approvals.labels("refused").inc()
        return no

    async def _outdated(self, conn: Connection, proposal: Proposal, who: Presser) -> str:
        await proposals.mark(conn, proposal.id, "superseded", from_states=("proposed",))
        why = f"the policy was changed from version {proposal.policy or 'unknown'} to {self._parts.version}"
        event = Withdrawn(proposal_id=proposal.id, reason=why, policy=self._parts.version)
        await self._life.record_on(conn, proposal.incident_id, event, who.user)
        self._parts.metrics.approvals.labels("refused").inc()
        return CHANGED

    async def _decide(
        self, conn: Connection, decision: Decision, proposal: Proposal, user: str, reason: str, verdict: Verdict
    ) -> None:
        version, broken = self._parts.version, decision == "break_glass"
        approval = Approval(
            proposal_id=proposal.id,
            by=user,
            decision="rejected" if decision == "reject" else "approved",
            digest=proposal.digest,
            at=self._parts.now(),
            reason=reason,
            policy=version,
            rule=verdict.rule,
            broke_glass=broken,
        )
        given = await proposals.approve(conn, approval)
        event: Event
        if decision == "reject":
            await proposals.mark(conn, proposal.id, "rejected", from_states=("proposed",))
            event = Rejected(proposal_id=proposal.id, by=user, reason=reason, policy=version)
        else:
            complete = given >= (verdict.count if broken else max(verdict.count, proposal.needed))
            if complete:
                await proposals.mark(conn, proposal.id, "approved", from_states=("proposed",))
            event = Approved(
                proposal_id=proposal.id,
                digest=proposal.digest,
                by=user,
                complete=complete,
                policy=version,
                rule=verdict.rule,
                broke_glass=broken,
                reason=reason,
            )
        await self._life.record_on(conn, proposal.incident_id, event, user)
        self._parts.metrics.approvals.labels("broke_glass" if broken else approval.decision).inc()

    async def _loudly(self, conn: Connection, incident: Incident, proposal: Proposal, user: str, reason: str) -> None:
        """Tell the channel, not only the thread; the record has it already."""
        channel = incident.channel or self._parts.policy.channels.default
        text = (
            f":rotating_light: *Glass broken* by <@{user}> (incident {incident.id}): {prose(proposal.plan.line, 400)}. "
            f"Reason given: {prose(reason, 500)}. Rules, hours, freezes and caps of the policy were set aside; it is on the record."
        )
        key = f"glass:{proposal.id}:{user}"
        await self._life.queue.defer(conn, "say", lock=key, channel=channel, thread_ts="", key=key, text=text)


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
