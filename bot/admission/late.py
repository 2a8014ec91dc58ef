"""What was overtaken on its way: a report about an episode whose end, or whose successor, is known already.

Reports of one alert may be delivered in any order; an episode counts once whichever of them comes first.
"""

from bot.admission.group import overlapping
from bot.admission.model import Candidate, Decision


def decide(candidate: Candidate) -> Decision | None:
    """Drop what is overtaken; a critical episode that was never seen while it lasted is put on record, already over."""
    life = candidate.facts.life
    if life is None or candidate.asked:
        return None
    if candidate.alert.status == "resolved":
        if life.status == "firing" and candidate.exact and candidate.at < life.started_at:
            return Decision("drop", "late_resolved", "an earlier episode's end", incident_id=life.incident_id)
        return None
    if life.status != "resolved" or not candidate.exact or life.ended_at is None or candidate.at > life.ended_at:
        return None
    met = overlapping(candidate, life.ended_at)
    known = life.incident_id or (met.incident_id if met else None)
    if known or candidate.facts.groups or not candidate.urgent:
        return Decision("drop", "late", "it was over before this arrived", incident_id=known)
    return Decision("open_over", "late", "it was over before this arrived")
