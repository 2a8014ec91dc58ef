"""Questions that the record of one incident answers; called by bot/blocks/*, bot/thread.py and bot/postmortem.py.

Events are read leniently: a row that an older or newer version wrote differently is passed over, never an error.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import ValidationError

from tools.records import Approval, Case, Evidence, Finding, Outcome, Proposal, Risk, TimelineEntry, Verification
from tools.signals import Chart

CHANGES = frozenset({"rollout", "scaled", "restarted", "config_changed"})
OVER = ("resolved",)
NATIVE = "native"


@dataclass(frozen=True)
class Facts:
    """What the thread shows beside the record: who may decide each proposal (Slack ids), where earlier threads are.

    *two_people_from* is the risk from which two people must approve. *chart* is how its series is drawn: natively, as the picture
    that Slack keeps under this file id, or (empty) not at all.
    """

    approvers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    two_people_from: Risk = Risk.CRITICAL
    threads: dict[int, str] = field(default_factory=dict)
    chart: str = NATIVE


def entries(case: Case, *kinds: str) -> Iterator[TimelineEntry]:
    """Yield the rows of these kinds, oldest first."""
    return (entry for entry in case.timeline if entry.kind in kinds)


def first(case: Case, *kinds: str) -> TimelineEntry | None:
    """Return the first row of these kinds."""
    return next(entries(case, *kinds), None)


def last(case: Case, *kinds: str) -> TimelineEntry | None:
    """Return the last row of these kinds."""
    return next((entry for entry in reversed(case.timeline) if entry.kind in kinds), None)


def text_of(entry: TimelineEntry | None, key: str) -> str:
    """Return one text field of a row; "" when there is no row, no field or no text."""
    value = entry.body.get(key) if entry else None
    return value if isinstance(value, str) else ""


def subject(case: Case) -> str:
    """Return what the incident is about in a word: the service, else the alert's name."""
    alert = case.incident.alert
    return alert.service or alert.name or f"incident {case.incident.id}"


def proposal_of(case: Case, proposal_id: str) -> Proposal | None:
    """Return the proposal of this id."""
    return next((proposal for proposal in case.proposals if proposal.id == proposal_id), None)


def outcome(case: Case, proposal_id: str) -> Outcome | None:
    """Return what applying a proposal came to, the last word if there are several."""
    found = None
    for entry in entries(case, "run_ended"):
        try:
            one = Outcome.model_validate(entry.body.get("outcome"))
        except ValidationError:
            continue
        found = one if one.proposal_id == proposal_id else found
    return found


def verification(case: Case, proposal_id: str) -> Verification | None:
    """Return whether a proposal worked, the last word if there are several."""
    found = None
    for entry in entries(case, "verified"):
        try:
            one = Verification.model_validate(entry.body.get("verification"))
        except ValidationError:
            continue
        found = one if one.proposal_id == proposal_id else found
    return found


def about(case: Case, proposal_id: str, *kinds: str) -> TimelineEntry | None:
    """Return the last row of these kinds that names this proposal."""
    named = (entry for entry in entries(case, *kinds) if text_of(entry, "proposal_id") == proposal_id)
    return max(named, key=lambda entry: entry.seq, default=None)


def approvals(case: Case, proposal: Proposal) -> list[Approval]:
    """Return one approval per person for exactly what the proposal shows now."""
    by_person = {
        approval.by: approval
        for approval in case.approvals
        if approval.proposal_id == proposal.id
        and approval.decision == "approved"
        and approval.digest == proposal.digest
    }
    return list(by_person.values())


def fix(case: Case) -> Proposal | None:
    """Return the change after which the incident recovered, if one did."""
    for proposal in reversed(case.proposals):
        verified = verification(case, proposal.id)
        if verified and verified.verdict == "recovered":
            return proposal
    return None


def resolved_at(case: Case) -> datetime | None:
    """Return when it was over, None while it is not."""
    if case.incident.state not in OVER:
        return None
    entry = last(case, "alert_resolved", "verified")
    return case.incident.resolved_at or (entry.at if entry else None)


def telling(case: Case) -> list[tuple[Evidence, Finding | None]]:
    """Return what was seen, most telling first: evidence the best hypothesis cites, then by its strongest finding.

    Evidence that failed, or says nothing, is left out: `blind` names it; so is what `changes` says already.
    """
    hypotheses = case.diagnosis.hypotheses if case.diagnosis else ()
    cited = hypotheses[0].evidence if hypotheses else ()
    seen: list[tuple[Evidence, Finding | None]] = []
    for evidence in case.evidence:
        states = [finding for finding in evidence.findings if finding.kind not in CHANGES]
        if evidence.error or (evidence.findings and not states) or not (states or evidence.summary):
            continue
        seen.append((evidence, max(states, key=lambda finding: finding.score, default=None)))

    def order(item: tuple[Evidence, Finding | None]) -> tuple[int, float]:
        evidence, finding = item
        place = cited.index(evidence.id) if evidence.id in cited else len(cited)
        return place, -(finding.score if finding else 0.0)

    return sorted(seen, key=order)


def chart(case: Case) -> Chart | None:
    """Return the telling series: the alert's own query where it crossed its threshold, else what the best hypothesis cites."""
    cited = case.diagnosis.hypotheses[0].evidence if case.diagnosis and case.diagnosis.hypotheses else ()

    def order(item: Evidence) -> tuple[bool, bool, bool]:
        drawn = item.chart
        return drawn is None or drawn.onset is None, drawn is None or drawn.threshold is None, item.id not in cited

    drawn = [item for item in case.evidence if item.chart is not None and not item.error]
    return min(drawn, key=order).chart if drawn else None


def changes(case: Case) -> list[tuple[Evidence, Finding]]:
    """Return what changed shortly before, most telling first."""
    found = [
        (evidence, finding) for evidence in case.evidence for finding in evidence.findings if finding.kind in CHANGES
    ]
    return sorted(found, key=lambda item: -item[1].score)


def blind(case: Case) -> list[str]:
    """Return what could not be seen: as the diagnosis says, else the tools that failed."""
    if case.diagnosis:
        return list(case.diagnosis.blind_spots)
    return [f"{evidence.title}: {evidence.error}" for evidence in case.evidence if evidence.error]


def duration(seconds: float) -> str:
    """Return a length of time as people say it: `38 s`, `4 min 12 s`, `2 h 5 min`, `3 d 4 h`."""
    total = max(int(seconds), 0)
    for unit, smaller, length, part in (("d", "h", 86400, 3600), ("h", "min", 3600, 60), ("min", "s", 60, 1)):
        if total >= length:
            whole, rest = divmod(total, length)
            return f"{whole} {unit} {rest // part} {smaller}" if rest // part else f"{whole} {unit}"
    return f"{total} s"
