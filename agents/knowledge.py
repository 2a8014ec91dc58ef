"""The knowledge manager: what to recall for an incident, what to keep of one, and how well its solution worked.

Called by agents/coordinator.py (recall) and by the job that remembers a finished incident. Pure; storing is the port's.
"""

from collections.abc import Sequence
from datetime import datetime

from tools.records import Alert, Case, Lesson, Proposal, Scope, Suspect, TimelineEntry

QUERY_CHARS = 600
# How much a verdict says about the solution; "unknown" is no evidence either way, so it stays at the prior.
EFFECT = {"recovered": 1.0, "unknown": 0.5, "not_recovered": 0.1, "worse": 0.0}
SELF_HEALED = 0.3  # the alert ended without a change of ours: the lesson holds a cause, hardly a solution


def query_text(scope: Scope, suspects: Sequence[Suspect]) -> str:
    """Return what to search runbooks and lessons for: the alert's own words, then the strongest suspects."""
    alert = scope.alert
    said = [alert.annotations.get(key, "") for key in ("summary", "description")]
    words = [alert.name, scope.service, *said, *(f"{each.kind} {each.statement}" for each in suspects[:3])]
    return " ".join(filter(None, words))[:QUERY_CHARS]


def lesson_from(case: Case, at: datetime) -> Lesson | None:
    """Return what *case* taught, or None if it ended with neither a cause nor a change worth remembering."""
    diagnosis, incident = case.diagnosis, case.incident
    done = [proposal for proposal in case.proposals if proposal.state in ("done", "unknown")]
    last = done[-1] if done else None
    if last is None and (diagnosis is None or not diagnosis.conclusive):
        return None
    best = diagnosis.hypotheses[0] if diagnosis and diagnosis.hypotheses else None
    service = best.service if best and best.service else incident.alert.service
    alert = incident.alert
    return Lesson(
        id=f"lesson-{incident.id}",
        incident_id=incident.id,
        alert_name=alert.name,
        service=alert.service or service,
        severity=alert.severity,
        cause=best.cause if best else "",
        title=(diagnosis.headline if diagnosis else alert.name)[:200],
        symptoms=_symptoms(alert, case),
        solution=_solution(last),
        action=last.action if last else "",
        effectiveness=_effectiveness(last, case.timeline),
        confirmed_by=_approver(last, case),
        at=at,
    )


def _symptoms(alert: Alert, case: Case) -> str:
    said = [alert.name, alert.annotations.get("summary", "")]
    found = sorted((each for item in case.evidence for each in item.findings), key=lambda each: -each.score)
    return ". ".join(dict.fromkeys(filter(None, [*said, *(each.statement for each in found[:5])])))[:1000]


def _solution(last: Proposal | None) -> str:
    return f"{last.action}: {last.plan.line}" if last else "No change was made; it ended by itself."


def _effectiveness(last: Proposal | None, timeline: Sequence[TimelineEntry]) -> float:
    if last is None:
        return SELF_HEALED
    for entry in reversed(timeline):
        seen = entry.body.get("verification")
        if entry.kind == "verified" and isinstance(seen, dict) and seen.get("proposal_id") == last.id:
            return EFFECT.get(str(seen.get("verdict")), EFFECT["unknown"])
    return EFFECT["unknown"]


def _approver(last: Proposal | None, case: Case) -> str:
    if last is None:
        return ""
    named = (each.by for each in case.approvals if each.proposal_id == last.id and each.decision == "approved")
    return next(named, "")
