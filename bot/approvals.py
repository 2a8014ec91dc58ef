"""From a suggestion to a change somebody approved: plan, press, run, verify, expire. The only importer of tools.run.

Jobs (bot/jobs.py) call plan, run and verify; a button press arrives through bot/operations.py; the scheduler calls
expire. Each decision and the row it rests on change in one transaction under the incident's lock.
"""

from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from uuid import UUID, uuid4

from agents.executor import judge
from agents.incident import (
    Approved,
    Event,
    Expired,
    PlanFailed,
    PressRefused,
    Proposed,
    Rejected,
    RunEnded,
    RunStarted,
    State,
    TargetChanged,
    Verified,
)
from agents.risk import Context, assess
from bot.lifecycle import SYSTEM, Lifecycle
from bot.metrics import Metrics
from bot.policy import Policy
from bot.rights import Decision, Presser, needed, refusal
from bot.watch import look
from tools import run
from tools.errors import Permanent, Temporary, TocsinError
from tools.kube import Kube
from tools.records import Alert, Approval, Case, Outcome, Plan, Proposal, Suggestion, Verification
from tools.sources import Sources
from tools.store import incidents, proposals
from tools.store.db import Connection, NotFound

Members = Callable[[str], Awaitable[frozenset[str]]]


class Approvals:
    """Plans, decides, runs and verifies proposals; *actor* is the identity that may write, None when not configured."""

    def __init__(
        self,
        life: Lifecycle,
        policy: Policy,
        *,
        actor: Kube | None,
        sources: Sources,
        members: Members,
        team: str,
        metrics: Metrics,
    ) -> None:
        """*members* expands a Slack user group id; *team* is the workspace's id."""
        self._life = life
        self._policy = policy
        self._actor = actor
        self._sources = sources
        self._members = members
        self._team = team
        self._metrics = metrics

    async def plan(self, incident_id: int) -> None:
        """Show the first suggestion that the API server accepts in a dry-run; Temporary errors reach the job's retry."""
        async with self._life.db.connection() as conn:
            case = await incidents.case(conn, incident_id)
        if case.diagnosis is None or case.incident.state != "diagnosed":
            return
        for suggestion in case.diagnosis.suggestions:
            if await self._propose(case, suggestion):
                return

    async def _propose(self, case: Case, suggestion: Suggestion) -> bool:
        incident = case.incident
        if self._actor is None:
            reason = "no actor identity is configured (TOCSIN_ACTOR_KUBECONFIG), so nothing can be changed from here"
            await self._life.record(incident.id, PlanFailed(action=suggestion.action, reason=reason))
            return False
        try:
            plan, base = await run.plan_change(self._actor, suggestion.action, suggestion.params)
        except Permanent as error:
            await self._life.record(incident.id, PlanFailed(action=suggestion.action, reason=str(error)))
            return False
        risk, reasons = assess(base, _context(case, suggestion, plan))
        now = self._life.clock()
        proposal = Proposal(
            id=str(uuid4()),
            incident_id=incident.id,
            action=suggestion.action,
            params=suggestion.params,
            plan=plan,
            risk=risk,
            reasons=tuple(reasons),
            why=suggestion.why,
            evidence=suggestion.evidence,
            digest=run.proposal_digest(incident.id, suggestion.action, suggestion.params, plan),
            state="proposed",
            requested_by=_requester(incident.alert),
            created_at=now,
            expires_at=now + timedelta(minutes=self._policy.approval.expires_minutes),
        )
        shown = Proposed(
            proposal_id=proposal.id, digest=proposal.digest, line=plan.line, expires_at=proposal.expires_at
        )
        async with self._life.db.transaction() as conn:
            current, _ = await incidents.lock(conn, incident.id)
            if current.state in ("open", "diagnosed", "proposed"):  # else it resolved while the plan was made
                await proposals.insert(conn, proposal)
                await self._life.record_on(conn, incident.id, shown)
        return True

    async def press(self, decision: Decision, proposal_id: str, who: Presser, reason: str = "") -> str:
        """Record a decision; the sentence says why it did not count, "" when it did."""
        if not _is_uuid(proposal_id):
            return "This button names no proposal. Nothing was changed."
        try:
            async with self._life.db.connection() as conn:
                proposal = await proposals.get(conn, proposal_id)
                incident = await incidents.get(conn, proposal.incident_id)
        except NotFound:
            return "That proposal is not on record. Nothing was changed."
        try:
            named = self._policy.approvers_of(self._policy.service_of_target(proposal.params))
            allowed = await self._allowed(named)
        except Temporary as error:
            return f"I could not check who may approve ({error}). Nothing was changed; press again in a moment."
        async with self._life.db.transaction() as conn:
            # The incident first, then the proposal: the order that every writer keeps.
            incident, stored = await incidents.lock(conn, proposal.incident_id)
            current = await proposals.lock(conn, proposal_id)
            no = refusal(
                decision,
                current,
                incident,
                State.model_validate(stored),
                who,
                team=self._team,
                allowed=allowed,
                named=named,
                now=self._life.clock(),
            )
            if no:
                event = PressRefused(proposal_id=proposal_id, by=who.user, reason=no)
                await self._life.record_on(conn, incident.id, event, who.user or SYSTEM)
                self._metrics.approvals.labels("refused").inc()
                return no
            return await self._decide(conn, decision, current, who.user, reason)

    async def _allowed(self, named: Iterable[str]) -> frozenset[str]:
        """Return everybody whom *named* means, user groups expanded now, not when the card was drawn."""
        allowed: set[str] = set()
        for entry in named:
            allowed |= await self._members(entry) if entry.startswith("S") else {entry}
        return frozenset(allowed)

    async def _decide(self, conn: Connection, decision: Decision, proposal: Proposal, user: str, reason: str) -> str:
        approval = Approval(
            proposal_id=proposal.id,
            by=user,
            decision="approved" if decision == "approve" else "rejected",
            digest=proposal.digest,
            at=self._life.clock(),
            reason=reason,
        )
        approvers = await proposals.approve(conn, approval)
        event: Event
        if decision == "reject":
            await proposals.mark(conn, proposal.id, "rejected", from_states=("proposed",))
            event = Rejected(proposal_id=proposal.id, by=user, reason=reason)
        else:
            complete = approvers >= needed(proposal.risk)
            if complete:
                await proposals.mark(conn, proposal.id, "approved", from_states=("proposed",))
            event = Approved(proposal_id=proposal.id, digest=proposal.digest, by=user, complete=complete)
        await self._life.record_on(conn, proposal.incident_id, event, user)
        self._metrics.approvals.labels(approval.decision).inc()
        return ""

    async def run(self, proposal_id: str) -> None:
        """Carry out an approved proposal, once; a second call finds nothing to claim."""
        async with self._life.db.connection() as conn:
            proposal = await proposals.get(conn, proposal_id)
        if self._actor is None:
            return

        async def started(conn: Connection, claimed: Proposal) -> None:
            await self._life.record_on(conn, claimed.incident_id, RunStarted(proposal_id=claimed.id))

        async def ended(conn: Connection, outcome: Outcome) -> None:
            event: Event = RunEnded(outcome=outcome)
            if outcome.result == "refused":
                event = TargetChanged(proposal_id=outcome.proposal_id, detail=outcome.detail)
            await self._life.record_on(conn, proposal.incident_id, event)
            self._metrics.changes.labels(proposal.action, outcome.result).inc()

        await run.run_approved(
            self._life.db,
            self._actor,
            proposal_id,
            proposal.digest,
            started=started,
            ended=ended,
            clock=self._life.clock,
        )

    async def verify(self, proposal_id: str) -> None:
        """Look once whether the change worked; until its deadline an open question is asked again later."""
        async with self._life.db.connection() as conn:
            proposal = await proposals.get(conn, proposal_id)
            case = await incidents.case(conn, proposal.incident_id)
        if case.incident.state != "verifying" or self._actor is None:
            return
        try:
            check, detail = await run.verify_change(self._actor, proposal.action, proposal.params)
        except TocsinError as error:
            check, detail = None, f"the target could not be read: {error}"
        reading = await look(check, detail, self._sources, case)
        times = self._policy.approval
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
            await self._life.record_on(conn, proposal.incident_id, Verified(verification=verdict))
        await self._offer_undo(case, proposal, verdict)

    async def _offer_undo(self, case: Case, proposal: Proposal, verdict: Verification) -> None:
        if verdict.verdict == "recovered":
            return
        suggestion = run.undo_change(proposal.action, proposal.params, proposal.plan)
        if suggestion is not None:
            await self._propose(case, suggestion)

    async def expire(self) -> None:
        """Take proposals that nobody decided in time off the table."""
        async with self._life.db.connection() as conn:
            due = await proposals.due(conn, self._life.clock())
        for proposal in due:
            async with self._life.db.transaction() as conn:
                await incidents.lock(conn, proposal.incident_id)  # the order that every writer keeps
                if await proposals.mark(conn, proposal.id, "expired", from_states=("proposed", "approved")):
                    await self._life.record_on(conn, proposal.incident_id, Expired(proposal_id=proposal.id))


def _context(case: Case, suggestion: Suggestion, plan: Plan) -> Context:
    """Return what the risk policy may know about a planned change."""
    replicas = plan.precondition.get("replicas", "")
    wanted = suggestion.params.get("replicas")
    return Context(
        action=suggestion.action,
        namespace=str(suggestion.params.get("namespace") or ""),
        service=case.incident.alert.service,
        labels=case.incident.alert.labels,
        replicas=int(replicas) if replicas.isdigit() else None,
        to_replicas=wanted if isinstance(wanted, int) else None,
        confidence=case.diagnosis.confidence if case.diagnosis else 0.0,
        failed_before=sum(
            1 for proposal in case.proposals if proposal.action == suggestion.action and proposal.state == "failed"
        ),
    )


def _requester(alert: Alert) -> str:
    """Return who asked; only our own record of a person's question may say so, a sender's label may not."""
    return alert.labels.get("requested_by", SYSTEM) if alert.sender == "person" else SYSTEM


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
