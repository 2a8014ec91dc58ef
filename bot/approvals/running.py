"""What was approved is held against the policy once more, carried out once, and verified. bot/approvals/__init__.py calls it.

Between the press and the run somebody may have left the group, the hours or the policy may have changed, a freeze begun, a
cap been reached. Each of these takes the proposal off the table with the reason; it is planned and shown again. Caps are
counted in the transaction that claims, one run after the other, so that two runs cannot both be the last one allowed.
"""

from datetime import timedelta

from agents.executor import judge
from agents.incident import Event, Expired, RunEnded, RunStarted, TargetChanged, Verified, Withdrawn
from bot.approvals.parts import Parts
from bot.approvals.planning import Planner
from bot.authority.change import of_proposal
from bot.authority.decide import Verdict
from bot.watch import look
from tools import run
from tools.errors import Permanent, TocsinError
from tools.kube import Kube
from tools.records import Approval, Case, Outcome, Proposal, Risk, Verification
from tools.store import incidents, proposals
from tools.store.db import Connection


class _NotAllowedError(Exception):
    """The policy does not allow the run; the message says why."""


class Runner:
    """Carries out, verifies and expires proposals."""

    def __init__(self, parts: Parts, planner: Planner) -> None:
        self._parts = parts
        self._planner = planner
        self._life = parts.life

    async def run(self, proposal_id: str) -> None:
        """Carry out an approved proposal, once; a second call finds nothing to claim.

        Raises Temporary when it cannot be found out who may approve: nothing was done, call again.
        """
        async with self._life.db.connection() as conn:
            proposal = await proposals.get(conn, proposal_id)
            given = await proposals.approvals(conn, proposal_id)
        try:
            actor = self._parts.actors.of(proposal.plan.cluster)
        except Permanent as error:
            await self._withdraw(proposal, str(error))
            return
        try:
            if proposal.state == "approved":
                await self._still_allowed(proposal, given)
            await self._carry_out(proposal, actor)
        except _NotAllowedError as no:
            await self._withdraw(proposal, str(no))

    async def _still_allowed(self, proposal: Proposal, given: list[Approval]) -> None:
        """Raise _NotAllowedError unless enough of those who approved may still do so, under the policy of their press."""
        counted = [one for one in given if one.decision == "approved" and one.digest == proposal.digest]
        versions = {proposal.policy, *(one.policy for one in counted)}
        if versions != {self._parts.version}:
            raise _NotAllowedError("the policy was changed after it was approved")
        broken = any(one.broke_glass for one in counted)
        verdict = await self._parts.verdict(proposal, broken=broken)
        entries = list(verdict.approvers)
        if broken:
            entries += (await self._parts.verdict(proposal)).approvers
        asked = proposal.requested_by if proposal.risk >= Risk.HIGH else ""
        people = sorted({one.by for one in counted} - {asked})
        gone = [user for user in people if not await self._parts.people.may(user, entries)]
        left = len(people) - len(gone)
        needed = verdict.count if broken else max(verdict.count, proposal.needed)
        if left < needed:
            who = f": {', '.join(f'<@{user}>' for user in gone)} may no longer approve it" if gone else ""
            raise _NotAllowedError(f"{left} of {needed} approvals count now{who}")
        _refuse(verdict)

    async def _carry_out(self, proposal: Proposal, actor: Kube) -> None:
        version = self._parts.version

        async def started(conn: Connection, claimed: Proposal) -> None:
            event = RunStarted(proposal_id=claimed.id, policy=version)
            await self._life.record_on(conn, claimed.incident_id, event)
            # The record's end is locked now, until the commit, for every process: runs are counted one after the other.
            given = await proposals.approvals(conn, claimed.id)
            broken = any(one.broke_glass and one.decision == "approved" for one in given)
            _refuse(await self._parts.verdict_on(conn, of_proposal(claimed), claimed.id, broken=broken))

        async def ended(conn: Connection, outcome: Outcome) -> None:
            event: Event = RunEnded(outcome=outcome, policy=version)
            if outcome.result == "refused":
                event = TargetChanged(proposal_id=outcome.proposal_id, detail=outcome.detail, policy=version)
            await self._life.record_on(conn, proposal.incident_id, event)
            self._parts.metrics.changes.labels(proposal.action, outcome.result).inc()

        await run.run_approved(
            self._life.db,
            actor,
            proposal.id,
            proposal.digest,
            started=started,
            ended=ended,
            clock=self._life.clock,
        )

    async def _withdraw(self, proposal: Proposal, why: str) -> None:
        """Take it off the table, unless somebody else has claimed or decided it meanwhile."""
        async with self._life.db.transaction() as conn:
            await incidents.lock(conn, proposal.incident_id)  # the order that every writer keeps
            if await proposals.mark(conn, proposal.id, "superseded", from_states=("approved",)):
                event = Withdrawn(proposal_id=proposal.id, reason=why, policy=self._parts.version)
                await self._life.record_on(conn, proposal.incident_id, event)
                self._parts.metrics.changes.labels(proposal.action, "not_allowed").inc()

    async def verify(self, proposal_id: str) -> None:
        """Look once whether the change worked; until its deadline an open question is asked again later."""
        async with self._life.db.connection() as conn:
            proposal = await proposals.get(conn, proposal_id)
            case = await incidents.case(conn, proposal.incident_id)
        if case.incident.state != "verifying":
            return
        try:
            actor = self._parts.actors.of(proposal.plan.cluster)
            check, detail = await run.verify_change(actor, proposal.action, proposal.params)
        except TocsinError as error:
            check, detail = None, f"the target could not be read: {error}"
        reading = await look(check, detail, self._parts.views.of(proposal.plan.cluster), case)
        times = self._parts.policy.approval
        started = next((row.at for row in reversed(case.timeline) if row.kind == "run_ended"), self._life.clock())
        late = self._life.clock() >= started + timedelta(seconds=times.verify_deadline_seconds)
        verdict = judge(proposal, reading, final=late, at=self._life.clock())
        async with self._life.db.transaction() as conn:
            if verdict is None:
                again = self._life.clock() + timedelta(seconds=times.verify_every_seconds)
                await self._life.queue.defer(
                    conn, "verify", lock=f"verify:{proposal_id}", at=again, proposal_id=proposal_id
                )
                return
            event = Verified(verification=verdict, policy=self._parts.version)
            await self._life.record_on(conn, proposal.incident_id, event)
        await self._offer_undo(case, proposal, verdict)

    async def _offer_undo(self, case: Case, proposal: Proposal, verdict: Verification) -> None:
        if verdict.verdict == "recovered":
            return
        suggestion = run.undo_change(proposal.action, proposal.params, proposal.plan)
        if suggestion is not None:
            await self._planner.propose(case, suggestion, proposal.plan.cluster)

    async def expire(self) -> None:
        """Take proposals that nobody decided in time off the table."""
        async with self._life.db.connection() as conn:
            due = await proposals.due(conn, self._life.clock())
        for proposal in due:
            async with self._life.db.transaction() as conn:
                await incidents.lock(conn, proposal.incident_id)  # the order that every writer keeps
                if await proposals.mark(conn, proposal.id, "expired", from_states=("proposed", "approved")):
                    event = Expired(proposal_id=proposal.id, policy=self._parts.version)
                    await self._life.record_on(conn, proposal.incident_id, event)


def _refuse(verdict: Verdict) -> None:
    if not verdict.allowed:
        raise _NotAllowedError(verdict.why_not)
