"""Records that the store's tests share."""

from datetime import UTC, datetime, timedelta

from tools.records import Alert, Approval, Evidence, Lesson, Plan, Proposal, Risk
from tools.store import incidents
from tools.store.db import Database

ALERT = Alert(fingerprint="f1", sender="alertmanager", name="HighErrorRate", status="firing", service="checkout")


def at(seconds: float) -> datetime:
    """Return a moment *seconds* after the tests' beginning of time."""
    return datetime(2026, 11, 23, 12, 0, tzinfo=UTC) + timedelta(seconds=seconds)


async def opened(db: Database, group_key: str = "g", alert: Alert = ALERT) -> int:
    """Open an incident and return its id."""
    async with db.transaction() as conn:
        incident, _ = await incidents.open_or_join(conn, group_key, alert, "C1", "", at(0))
    return incident.id


def proposal(
    incident_id: int, identity: str = "p1", risk: Risk = Risk.MEDIUM, requested_by: str = "tocsin"
) -> Proposal:
    """Return a proposal that waits, made at 0 s, expiring at 900 s, whose digest is "d1"."""
    plan = Plan(target="shop/checkout", line="undo", diff="-a\n+b", undo="redo", precondition={"uid": "u1"})
    return Proposal(
        id=identity,
        incident_id=incident_id,
        action="rollout_undo",
        params={"namespace": "shop", "deployment": "checkout", "to_revision": 3},
        plan=plan,
        risk=risk,
        reasons=("reversible",),
        digest="d1",
        state="proposed",
        requested_by=requested_by,
        created_at=at(0),
        expires_at=at(900),
    )


def approval(by: str = "U1", identity: str = "p1", digest: str = "d1", decision: str = "approved") -> Approval:
    """Return one person's decision, made at 10 s."""
    return Approval.model_validate(
        {"proposal_id": identity, "by": by, "decision": decision, "digest": digest, "at": at(10)}
    )


def evidence(identity: str = "", tool: str = "logs") -> Evidence:
    """Return what a tool saw."""
    return Evidence(id=identity, tool=tool, title="Logs", query="{app='x'}", summary="s", started_at=at(1))


def lesson(identity: str = "l1", service: str = "checkout", effectiveness: float = 1.0, title: str = "") -> Lesson:
    """Return a lesson about a bad rollout."""
    return Lesson(
        id=identity,
        incident_id=1,
        alert_name="HighErrorRate",
        service=service,
        severity="critical",
        cause="bad_rollout",
        title=title or "A rollout broke the database schema",
        symptoms="Checkout answered 500 after a rollout: column basket_total does not exist",
        solution="Rolled back to the previous ReplicaSet",
        effectiveness=effectiveness,
        at=at(0),
    )
