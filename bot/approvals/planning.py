"""A suggestion becomes a proposal: planned by dry-run, its risk assessed from what surrounds it, its rule looked up.

bot/approvals/__init__.py and running.py (for an undo) call it.
"""

from collections.abc import Mapping
from datetime import timedelta
from uuid import uuid4

from agents.incident import PlanFailed, Proposed
from agents.risk import Context, assess
from bot.approvals.parts import Parts
from bot.authority.change import Change, matches
from bot.lifecycle import SYSTEM
from bot.remediations.origin import UNKNOWN, by_hand
from tools import circumstances, run
from tools.circumstances import Circumstances
from tools.errors import Permanent
from tools.records import Alert, Case, ChangeTarget, Plan, Proposal, Risk, Scalar, Suggestion
from tools.store import changes, incidents, proposals

LOOK_BACK = timedelta(days=7)  # how long a change that did not help is held against the same change


class Planner:
    """Plans and shows changes."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._life = parts.life

    async def plan(self, incident_id: int) -> None:
        """Show the first suggestion that the API server accepts in a dry-run; Temporary errors reach the job's retry."""
        async with self._life.db.connection() as conn:
            case = await incidents.case(conn, incident_id)
        if case.diagnosis is None or case.incident.state != "diagnosed":
            return
        for suggestion in case.diagnosis.suggestions:
            if await self.propose(case, suggestion):
                return

    async def propose(self, case: Case, suggestion: Suggestion, cluster: str | None = None) -> bool:
        """Plan *suggestion* and put it on the table; False, with the reason on record, when it cannot be planned.

        It is planned in the cluster of the alert, or in *cluster* by its name.
        """
        actors = self._parts.actors
        try:
            actor = actors.for_alert(case.incident.alert) if cluster is None else actors.of(cluster)
            plan, base = await run.plan_change(actor, suggestion.action, suggestion.params)
        except Permanent as error:
            return await self._failed(case, suggestion, str(error))
        reader = self._parts.views.of(actor.cluster).kube or actor
        seen = await circumstances.read(actor, reader, suggestion.action, suggestion.params)
        proposal = await self._proposal(case, suggestion, plan, base, seen)
        shown = Proposed(
            proposal_id=proposal.id,
            digest=proposal.digest,
            line=plan.line,
            expires_at=proposal.expires_at,
            policy=proposal.policy,
        )
        async with self._life.db.transaction() as conn:
            current, _ = await incidents.lock(conn, case.incident.id)
            if current.state in ("open", "diagnosed", "proposed"):  # else it resolved while the plan was made
                await proposals.insert(conn, proposal)
                await self._life.record_on(conn, case.incident.id, shown)
        return True

    async def _failed(self, case: Case, suggestion: Suggestion, reason: str) -> bool:
        event = PlanFailed(action=suggestion.action, reason=reason, policy=self._parts.version)
        self._parts.metrics.refused.labels("plan", "plan_failed").inc()
        await self._life.record(case.incident.id, event)
        return False

    async def _proposal(
        self, case: Case, suggestion: Suggestion, plan: Plan, base: Risk, seen: Circumstances
    ) -> Proposal:
        """Assess the risk and look up the rule; the proposal carries both, and the version of the policy."""
        about = self._about(suggestion.params, seen, plan.cluster)
        bare = Change(suggestion.action, plan.target, about, base)
        risk, reasons = assess(base, await self._context(case, suggestion, bare, seen))
        change = Change(suggestion.action, plan.target, about, risk, _requester(case))
        async with self._life.db.connection() as conn:
            verdict = await self._parts.verdict_on(conn, change, "")
        now = self._parts.now()
        return Proposal(
            id=str(uuid4()),
            incident_id=case.incident.id,
            action=suggestion.action,
            params=suggestion.params,
            plan=plan,
            risk=risk,
            reasons=reasons,
            why=suggestion.why,
            evidence=suggestion.evidence,
            digest=run.proposal_digest(case.incident.id, suggestion.action, suggestion.params, plan),
            state="proposed",
            requested_by=change.requested_by,
            created_at=now,
            expires_at=now + timedelta(minutes=self._parts.policy.approval.expires_minutes),
            about=about,
            policy=self._parts.version,
            needed=verdict.count,
        )

    def _about(self, params: Mapping[str, Scalar], seen: Circumstances, cluster: str) -> ChangeTarget:
        """Return what the rules may know: all of it from the target, nothing from an alert, which anybody could write."""
        return ChangeTarget(
            cluster=cluster or self._parts.cluster,
            namespace=str(params.get("namespace") or ""),
            service=self._parts.policy.service_of_target(params),
            labels=seen.labels,
            takes_pods=seen.takes_pods,
            leaves=seen.leaves,
        )

    def _home(self, alert: Alert) -> str:
        """Return the name of the alert's cluster; what the alert calls it where no name is known."""
        clusters = self._parts.actors.clusters
        try:
            return clusters.of(alert) or alert.cluster
        except Permanent:
            return clusters.said_by(alert) or "no known cluster"

    async def _context(self, case: Case, suggestion: Suggestion, change: Change, seen: Circumstances) -> Context:
        """Return everything that is known about the change and its circumstances."""
        policy, alert, now, about = self._parts.policy, case.incident.alert, self._parts.now(), change.about
        async with self._life.db.connection() as conn:
            running = await changes.in_flight(conn)
            failed = await changes.without_effect(conn, change.action, change.target, now - LOOK_BACK)
        others = [one for one in running if _together(one, change)]
        freezes = [one for one in policy.changes.freezes if one.covers(now) and matches(one, change) is not False]
        wanted = suggestion.params.get("replicas")
        service = about.service or alert.service
        home = self._home(alert)
        named = bool(policy.clusters or policy.changes.cluster)  # else a kubeconfig's name, which alerts need not know
        elsewhere = named and home and about.cluster and home != about.cluster
        return Context(
            action=change.action,
            namespace=about.namespace,
            service=service,
            labels=alert.labels,
            target_labels=seen.labels or {},
            replicas=seen.replicas,
            to_replicas=wanted if isinstance(wanted, int) else None,
            takes_pods=seen.takes_pods,
            share=seen.share,
            share_of=seen.share_of,
            stateful=seen.stateful,
            budget=seen.budget,
            freeze=f'change freeze "{freezes[0].name}" is on' if freezes else "",
            business_hours=any(window.covers(now) for window in policy.changes.business_hours),
            confidence=_confidence(case),
            changes_in_flight=len(others),
            in_flight=f"another change is under way: {others[0].plan.line}" if others else "",
            key_system=policy.service(service).key_system,
            failed_before=failed,
            other_cluster=f"the alert is from {home}, this changes {about.cluster}" if elsewhere else "",
            unknown=tuple(seen.unknown),
            requester_unknown="who created its Remediation is not known, so two people decide" if by_hand(case) else "",
        )


def _together(other: Proposal, change: Change) -> bool:
    """Whether another proposal is about the same object or the same service."""
    same_service = bool(change.about.service) and other.about.service == change.about.service
    same_target = (other.about.cluster, other.plan.target) == (change.about.cluster, change.target)
    return same_target or same_service


def _requester(case: Case) -> str:
    """Return who asked; only our own record of a person's question may say so, a sender's label may not."""
    alert = case.incident.alert
    if by_hand(case):
        return UNKNOWN
    return alert.labels.get("requested_by", SYSTEM) if alert.sender == "person" else SYSTEM


def _confidence(case: Case) -> float:
    """Return how sure the diagnosis is; a change that a Remediation asks for rests on none, so there is none to doubt."""
    if by_hand(case):
        return 1.0
    return case.diagnosis.confidence if case.diagnosis else 0.0
