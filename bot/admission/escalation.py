"""What got worse: the severity of an alert, or of its group, was raised."""

from bot.admission.group import choose
from bot.admission.model import RANK, Candidate, Decision


def decide(candidate: Candidate) -> Decision | None:
    """Put a graver alert on the incident's record; if its group still waits, critical ends the waiting."""
    home = candidate.facts.member or choose(candidate)
    if home is None or RANK[candidate.alert.severity] <= RANK[home.alert.severity]:
        return None
    was = f"{home.alert.severity} to {candidate.alert.severity}"
    if home.incident_id is not None:
        return Decision("join", "escalated", was, group=home)
    if candidate.urgent:
        return Decision("open", "escalated", was, group=home)
    return None
