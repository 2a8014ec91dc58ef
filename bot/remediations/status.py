"""The status of a Remediation, from the record alone: nothing that stands in the cluster is read as a decision. Pure.

bot/remediations/keeping.py writes it. Whatever somebody else wrote into the status is overwritten at the next look.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tools.records import Approval, Case, Proposal, TimelineEntry

Status = dict[str, Any]
SETTLED = frozenset({"Recovered", "NotRecovered", "Worse", "Unknown", "Rejected", "Expired", "Refused"})
_VERDICTS = {"recovered": "Recovered", "not_recovered": "NotRecovered", "worse": "Worse", "unknown": "Unknown"}
_ENDED = {"refused": "Proposed", "failed": "Refused", "unknown": "Unknown"}
_TEXTS = (
    "target",
    "risk",
    "proposalId",
    "digest",
    "approvedBy",
    "proposedAt",
    "approvedAt",
    "startedAt",
    "endedAt",
    "verifiedAt",
)


def refused(reason: str) -> Status:
    """Return the status of a resource that leads to no proposal."""
    return {"phase": "Refused", "message": reason}


def waiting(reason: str) -> Status:
    """Return the status of a resource that was not taken up yet."""
    return {"phase": "Proposed", "message": reason}


def of_case(case: Case, proposal: Proposal | None) -> Status:
    """Return the status of the change *proposal* of *case*; None: it is being planned, or could not be."""
    if proposal is None:
        failed = _last(case, "plan_failed")
        if failed:
            return refused(f"it cannot be planned: {failed.body.get('reason', '')}") | {"incident": case.incident.id}
        return waiting("it is being planned") | {"incident": case.incident.id}
    rows = [row for row in case.timeline if _about(row) == proposal.id]
    phase, message = _phase(case, proposal, rows)
    given = [one for one in case.approvals if _counts(one, proposal)]
    times = {row.kind: row.at for row in rows}
    return {
        "phase": phase,
        "message": message,
        "target": proposal.plan.target,
        "risk": proposal.risk.name,
        "proposalId": proposal.id,
        "digest": proposal.digest,
        "incident": case.incident.id,
        "approvers": sorted({one.by for one in given}),
        "approvedBy": ",".join(sorted({one.by for one in given})),
        "proposedAt": _iso(proposal.created_at),
        "approvedAt": _iso(max(one.at for one in given)) if given else "",
        "startedAt": _iso(times.get("run_started")),
        "endedAt": _iso(times.get("run_ended")),
        "verifiedAt": _iso(times.get("verified")),
    }


def complete(
    status: Status, generation: int, before: Mapping[str, Any], now: datetime, *, same: bool, edited: str = ""
) -> Status:
    """Return every field of the status; *same*: the spec is what the record holds, *edited* says so where it is not.

    A condition keeps the time that *before*, the status in the cluster, has for the same value.
    """
    made: Status = {"incident": 0, "approvers": []} | dict.fromkeys(_TEXTS, "") | status
    if edited:
        made["message"] = f"{edited} {made['message']}".strip()
    made["message"] = str(made["message"])[:1000]
    made["observedGeneration"] = generation
    phase = made["phase"]
    approved = (
        "True"
        if made["approvers"] and phase not in ("Proposed", "AwaitingApproval", "Rejected", "Expired")
        else "False"
    )
    settled = "True" if phase in SETTLED else "False"
    made["conditions"] = [
        _condition("Approved", approved, phase, made["message"], generation, before, now),
        _condition("Finished", settled, phase, made["message"], generation, before, now),
        _condition(
            "SpecMatchesRecord",
            "True" if same else "False",
            "AsRecorded" if same else "Edited",
            edited,
            generation,
            before,
            now,
        ),
    ]
    return made


def _condition(
    kind: str, value: str, reason: str, message: str, generation: int, before: Mapping[str, Any], now: datetime
) -> Status:
    found = before.get("conditions")
    known = [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []
    old = next((one for one in known if one.get("type") == kind and one.get("status") == value), {})
    return {
        "type": kind, "status": value, "reason": reason, "message": message, "observedGeneration": generation,
        "lastTransitionTime": str(old.get("lastTransitionTime") or _iso(now)),
    }  # fmt: skip


def _phase(case: Case, proposal: Proposal, rows: list[TimelineEntry]) -> tuple[str, str]:  # noqa: PLR0911  # one for each state
    last = {row.kind: row for row in rows}
    match proposal.state:
        case "proposed":
            return "AwaitingApproval", f"it waits for approval in Slack (incident {case.incident.id})"
        case "approved":
            return "Approved", "it is approved and about to run"
        case "running":
            return "Running", "it is being carried out"
        case "rejected":
            return "Rejected", _said(last.get("rejected"), "reason", "it was rejected")
        case "expired":
            return "Expired", "nobody decided in time; create a new Remediation to ask again"
        case "superseded":
            return _superseded(case, proposal, last)
        case _:
            return _ended(last)


def _ended(last: Mapping[str, TimelineEntry]) -> tuple[str, str]:
    """Return what a change that was carried out came to."""
    if "verified" in last:
        verdict = last["verified"].body.get("verification")
        told = verdict if isinstance(verdict, Mapping) else {}
        return _VERDICTS.get(str(told.get("verdict")), "Unknown"), str(told.get("detail") or "")
    outcome = last["run_ended"].body.get("outcome") if "run_ended" in last else None
    told = outcome if isinstance(outcome, Mapping) else {}
    return _ENDED.get(str(told.get("result")), "Verifying"), str(told.get("detail") or "it is being verified")


def _superseded(case: Case, proposal: Proposal, last: Mapping[str, TimelineEntry]) -> tuple[str, str]:
    why = _said(last.get("withdrawn"), "reason", "") or _said(last.get("target_changed"), "detail", "")
    newer = [one for one in case.proposals if one.created_at > proposal.created_at]
    failed = _last(case, "plan_failed")
    if newer:
        return "Refused", f"another change was proposed in its place: {newer[-1].plan.line}"
    if failed and failed.at >= proposal.created_at:
        return "Refused", f"it cannot be planned again: {failed.body.get('reason', '')}"
    if case.incident.state in ("resolved", "recovered"):
        return "Refused", why or "it was taken off the table: what it was for is over"
    return "Proposed", f"it is planned again: {why}" if why else "it is planned again"


def _counts(one: Approval, proposal: Proposal) -> bool:
    return one.proposal_id == proposal.id and one.decision == "approved" and one.digest == proposal.digest


def _said(row: TimelineEntry | None, key: str, otherwise: str) -> str:
    return str(row.body.get(key) or "") or otherwise if row else otherwise


def _about(row: TimelineEntry) -> str:
    """Return the proposal that an event is about."""
    inner = row.body.get("outcome") or row.body.get("verification")
    told = inner if isinstance(inner, Mapping) else row.body
    return str(told.get("proposal_id") or "")


def _last(case: Case, kind: str) -> TimelineEntry | None:
    return next((row for row in reversed(case.timeline) if row.kind == kind), None)


def _iso(at: datetime | None) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else ""
