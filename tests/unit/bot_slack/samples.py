"""A realistic case of a bad rollout, at every stage of its life, for the tests of what Slack shows."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tools.records import (
    Alert,
    Approval,
    Case,
    Diagnosis,
    Evidence,
    Finding,
    Hypothesis,
    Incident,
    Outcome,
    Plan,
    Proposal,
    Recalled,
    Risk,
    TimelineEntry,
    Verification,
)

T0 = datetime(2026, 11, 23, 3, 0, 0, tzinfo=UTC)
PROPOSAL_ID = "0b6f8a52-6b1c-4f7e-9a53-1f1a2f3d4c5b"


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


ALERT = Alert(
    fingerprint="f1",
    sender="alertmanager",
    name="CheckoutHighErrors",
    status="firing",
    severity="critical",
    service="checkout",
    namespace="shop",
    starts_at=T0,
    annotations={"summary": "More than 5 % of checkout's requests fail."},
    links={"alertmanager": "https://alerts.example.com/#/alerts"},
)
ROLLOUT = Finding(
    kind="rollout",
    service="checkout",
    statement="checkout rolled out revision 12: image shop/checkout:v1 -> shop/checkout:v2",
    score=0.95,
    at=at(-60),
    data={"revision": 12},
)
ERRORS = Finding(
    kind="metric_shift", service="checkout", statement="errors rose from 0.2 % to 38 % at 03:00", score=0.9, at=at(-20)
)
EVIDENCE = (
    Evidence(
        id="e1",
        tool="changes",
        title="What changed",
        query="GET /apis/apps/v1/namespaces/shop/replicasets",
        summary="1 rollout",
        findings=(ROLLOUT,),
        started_at=at(1),
        seconds=0.2,
    ),
    Evidence(
        id="e2",
        tool="service_metrics",
        title="Errors of checkout",
        query='sum(rate(http_requests_total{service="checkout",code=~"5.."}[20s]))',
        summary="errors 38 %",
        findings=(ERRORS,),
        link="https://prometheus.example.com/graph?g0.expr=x",
        started_at=at(1),
        seconds=0.1,
    ),
    Evidence(id="e3", tool="logs", title="Logs of checkout", query="{}", error="Loki answered 503", started_at=at(1)),
)
DIAGNOSIS = Diagnosis(
    headline="checkout fails since the rollout to shop/checkout:v2",
    by="rules",
    confidence=0.87,
    conclusive=True,
    hypotheses=(
        Hypothesis(statement="The rollout broke it", cause="rollout", confidence=0.87, evidence=("e1", "e2")),
        Hypothesis(statement="payment is slow", confidence=0.1, evidence=("e2",)),
    ),
    blind_spots=("Logs of checkout: Loki answered 503",),
    notes=("No model is configured: this is the rule-based diagnosis.",),
    recalled=(
        Recalled(
            id="lesson-7",
            kind="lesson",
            title="checkout:v2 failed on the old schema",
            text="Rolling back ended it.",
            score=1.0,
            how="text",
            incident_id=7,
        ),
        Recalled(id="rb", kind="runbook", title="Roll back", text="", score=0.5, how="text", link="https://wiki/x"),
    ),
)
PROPOSAL = Proposal(
    id=PROPOSAL_ID,
    incident_id=12,
    action="rollout_undo",
    params={"namespace": "shop", "deployment": "checkout"},
    plan=Plan(
        target="shop/checkout",
        line="Roll back shop/checkout from revision 12 to revision 11",
        diff="- image: shop/checkout:v2\n+ image: shop/checkout:v1",
        undo="Roll forward to revision 12 again",
        precondition={},
    ),
    risk=Risk.MEDIUM,
    reasons=("reversible",),
    why="Errors began with revision 12.",
    evidence=("e1", "e2"),
    digest="d" * 64,
    state="proposed",
    requested_by="tocsin",
    created_at=at(5),
    expires_at=at(1800),
)


def row(
    seq: int, seconds: float, kind: str, body: dict[str, Any] | None = None, actor: str = "tocsin"
) -> TimelineEntry:
    return TimelineEntry(
        seq=seq, incident_id=12, at=at(seconds), kind=kind, actor=actor, body=body or {}, prev_hash="", hash="ab" * 32
    )


def approval(by: str, digest: str = PROPOSAL.digest) -> Approval:
    return Approval(proposal_id=PROPOSAL_ID, by=by, decision="approved", digest=digest, at=at(30))


def outcome(result: str = "applied", detail: str = "shop/checkout is at revision 13") -> dict[str, Any]:
    made = Outcome.model_validate({"proposal_id": PROPOSAL_ID, "result": result, "detail": detail, "at": at(32)})
    return {"outcome": made.model_dump(mode="json")}


def verified(verdict: str = "recovered", detail: str = "errors are at 0.1 %") -> dict[str, Any]:
    made = Verification.model_validate({"proposal_id": PROPOSAL_ID, "verdict": verdict, "detail": detail, "at": at(50)})
    return {"verification": made.model_dump(mode="json")}


OPENED = row(1, 1, "opened", {"alert": ALERT.model_dump(mode="json"), "reason": "first"})
OBSERVED = row(2, 2, "observed", {"line": ROLLOUT.statement, "evidence_id": "e1"})
DIAGNOSED = row(3, 4, "diagnosed", {"diagnosis": DIAGNOSIS.model_dump(mode="json")})
PROPOSED = row(4, 5, "proposed", {"proposal_id": PROPOSAL_ID, "digest": PROPOSAL.digest, "line": PROPOSAL.plan.line})
APPROVED = row(5, 30, "approved", {"proposal_id": PROPOSAL_ID, "by": "U0DANA", "complete": True}, "U0DANA")
STARTED = row(6, 31, "run_started", {"proposal_id": PROPOSAL_ID})


def case(state: str = "open", *timeline: TimelineEntry, **fields: Any) -> Case:
    ended = at(60) if state == "resolved" else None
    incident = Incident.model_validate(
        {
            "id": 12,
            "group_key": "g",
            "alert": ALERT,
            "state": state,
            "channel": "C0ALERTS",
            "thread_ts": "1763866800.000100",
            "opened_at": at(1),
            "resolved_at": ended,
        }
    )
    return Case(incident=incident, timeline=(OPENED, *timeline), **fields)


def diagnosed(**fields: Any) -> Case:
    return case("diagnosed", OBSERVED, DIAGNOSED, evidence=EVIDENCE, diagnosis=DIAGNOSIS, **fields)


def proposed(risk: Risk = Risk.MEDIUM, state: str = "proposed", *timeline: TimelineEntry, **fields: Any) -> Case:
    one = PROPOSAL.model_copy(update={"risk": risk, "state": state})
    rows = (OBSERVED, DIAGNOSED, PROPOSED, *timeline)
    return case("proposed", *rows, evidence=EVIDENCE, diagnosis=DIAGNOSIS, proposals=(one,), **fields)


def ended(verdict: str = "recovered", state: str = "resolved") -> Case:
    rows = (
        OBSERVED,
        DIAGNOSED,
        PROPOSED,
        APPROVED,
        STARTED,
        row(7, 32, "run_ended", outcome()),
        row(8, 50, "verified", verified(verdict)),
        row(9, 60, "alert_resolved", {"alert": ALERT.model_dump(mode="json")}),
    )
    one = PROPOSAL.model_copy(update={"state": "done"})
    return case(state, *rows, evidence=EVIDENCE, diagnosis=DIAGNOSIS, proposals=(one,), approvals=(approval("U0DANA"),))
