"""When and under which names an alert is known, and what one report teaches about its life; pure, for bot/admit.py."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from bot.admission.flapping import flaps
from bot.admission.model import EXACT, Candidate, Life, Place
from bot.parsing import incident_key
from tools.records import Alert

KEEP_CHANGES = 20
# Decisions after which nothing new is known about the alert itself.
_TEACH_NOTHING = frozenset({"stale", "late_resolved", "repeated"})


def own_key(alert: Alert) -> str:
    """Return the key of the group that the alert would open: a question's own, Alertmanager's, else name and service."""
    if alert.sender == "person":
        return alert.group_key
    return f"group:{alert.group_key}" if alert.group_key else incident_key(alert)


def locks(alert: Alert) -> Iterable[str]:
    """Name what must not be decided about at the same time: the alert's service, its key and Alertmanager's group."""
    yield f"place:{alert.service or alert.namespace or alert.name}"
    yield f"key:{own_key(alert)}"


def happened(alert: Alert, place: Place, now: datetime) -> datetime:
    """Return when the alert began or ended by the best clock there is: Slack's order of messages, the sender's times, ours."""
    if place.ts:
        try:
            return datetime.fromtimestamp(float(place.ts), UTC)
        except (ValueError, OverflowError, OSError):
            return now
    told = alert.ends_at if alert.status == "resolved" else alert.starts_at
    return told or now


def is_exact(alert: Alert, place: Place) -> bool:
    """Say whether `happened` puts reports of this alert in their true order."""
    if place.ts:
        return not place.user
    return alert.sender in EXACT and (alert.ends_at if alert.status == "resolved" else alert.starts_at) is not None


def lived(candidate: Candidate, reason: str, incident_id: int | None) -> dict[str, Any] | None:
    """Return what is known of the alert after this report, None when it is what was known before."""
    if reason in _TEACH_NOTHING or candidate.alert.sender == "person":
        return None
    life = candidate.facts.life
    if reason == "late":
        return _values(life, candidate, incident_id) if life and incident_id and not life.incident_id else None
    if candidate.alert.status == "resolved":
        return _ended(candidate, life)
    changed = life is None or life.status == "resolved"
    past = life.changes if life else ()
    flapping = reason == "flapping" or bool(life and life.flapping and (not changed or flaps(candidate)))
    new = Life(
        status="firing",
        severity=candidate.alert.severity,
        started_at=candidate.at if changed or life is None else life.started_at,
        changes=(*past, candidate.now)[-KEEP_CHANGES:] if changed else past,
        flapping=flapping,
    )
    return _values(new, candidate, incident_id)


def _ended(candidate: Candidate, life: Life | None) -> dict[str, Any] | None:
    at, told = candidate.at, candidate.alert.starts_at
    if life and life.status == "resolved":
        if not (candidate.exact and life.ended_at and told and told > life.ended_at):
            return None
        life = None  # the end of an episode that we did not hear begin
    if life is None:
        began = min(told or at, at)
        new = Life("resolved", candidate.alert.severity, began, at, (candidate.now,))
        return _values(new, candidate, None)
    changes = (*life.changes, candidate.now)[-KEEP_CHANGES:]
    new = Life("resolved", life.severity, min(life.started_at, at), at, changes, flapping=life.flapping)
    return _values(new, candidate, life.incident_id)


def _values(life: Life, candidate: Candidate, incident_id: int | None) -> dict[str, Any]:
    return {
        "status": life.status,
        "severity": life.severity,
        "started_at": candidate.at
        if life.status == "resolved" and candidate.alert.status == "firing"
        else life.started_at,
        "ended_at": life.ended_at,
        "changes": list(life.changes),
        "incident_id": incident_id,
        "flapping": life.flapping,
        "heard_at": candidate.now,
    }
