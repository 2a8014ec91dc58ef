"""What was said before: the same alert, still firing, where it is already known."""

from bot.admission.model import Candidate, Decision


def decide(candidate: Candidate) -> Decision | None:
    """Drop a repetition. One that comes after a change was found to have worked is no repetition: it still fires."""
    member = candidate.facts.member
    if member is None or candidate.asked:
        return None
    if member.state == "recovered":
        return Decision("join", "still_firing", "after the change was found to have worked", group=member)
    return Decision("drop", "repeated", group=member, incident_id=member.incident_id)
