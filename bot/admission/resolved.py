"""An alert that is over: it ends in its incident, or leaves the group it waited in."""

from bot.admission.group import is_same
from bot.admission.model import Candidate, Decision, Group


def decide(candidate: Candidate) -> Decision | None:
    """Resolve where the alert is known to fire; the store then says whether others of the incident still do."""
    if candidate.alert.status != "resolved":
        return None
    member = candidate.facts.member or (None if candidate.facts.known else _same(candidate))
    if member is None:
        life = candidate.facts.life
        said = "resolved_again" if life and life.status == "resolved" else "resolved_unknown"
        return Decision("drop", said, incident_id=life.incident_id if life else None)
    if member.incident_id is None:
        return Decision("resolve", "resolved_while_waiting", group=member)
    return Decision("resolve", "resolved", group=member, incident_id=member.incident_id)


def _same(candidate: Candidate) -> Group | None:
    """Find the incident of a resolved message whose alert we do not know by fingerprint: same name and service."""
    return next((one for one in candidate.facts.groups if one.key == candidate.forced or is_same(candidate, one)), None)
