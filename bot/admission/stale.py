"""What has been wrong for so long that it is no news, and nobody has heard of it before: an old list replayed at us."""

from datetime import timedelta

from bot.admission.model import Candidate, Decision


def decide(candidate: Candidate) -> Decision | None:
    """Drop an alert first heard of more than `stale_hours` after it started."""
    started, facts = candidate.alert.starts_at, candidate.facts
    if started is None or candidate.asked or facts.life or facts.member:
        return None
    if candidate.now - started <= timedelta(hours=candidate.grouping.stale_hours):
        return None
    return Decision("drop", "stale", f"it has fired since {started:%Y-%m-%d %H:%M} UTC")
