"""What comes back too soon to be new: the group's last incident goes on, without a new investigation."""

from datetime import timedelta

from bot.admission.model import Candidate, Decision


def decide(candidate: Candidate) -> Decision | None:
    """Continue the incident that ended less than `cooldown_seconds` before this alert began, or while it fired already."""
    ended, cooldown = candidate.facts.ended, timedelta(seconds=candidate.grouping.cooldown_seconds)
    if ended is None or candidate.asked or candidate.at > ended.at + cooldown:
        return None
    reason = "overlaps" if candidate.at <= ended.at else "cooldown"
    return Decision("reopen", reason, incident_id=ended.incident_id)
