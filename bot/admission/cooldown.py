"""What comes back too soon to be new: the group's last incident goes on, without a new investigation."""

from datetime import timedelta

from bot.admission.group import last, overlapping
from bot.admission.model import Candidate, Decision


def decide(candidate: Candidate) -> Decision | None:
    """Continue the incident that ended less than `cooldown_seconds` before this alert began, or while it fired already."""
    if candidate.asked:
        return None
    met, ended = overlapping(candidate), last(candidate)
    if met:
        return Decision("reopen", "overlaps", incident_id=met.incident_id)
    if ended and candidate.at <= ended.at + timedelta(seconds=candidate.grouping.cooldown_seconds):
        return Decision("reopen", "cooldown", incident_id=ended.incident_id)
    return None
