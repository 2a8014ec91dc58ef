"""What somebody asked not to hear of: Tocsin's silences, maintenance windows of the policy, Alertmanager's own silences."""

from bot.admission.model import Candidate, Decision
from bot.matchers import all_hold, labels_of


def decide(candidate: Candidate) -> Decision | None:
    """Drop an alert that a silence or a window covers, whichever is found first; a person's question is never silenced."""
    if candidate.asked:
        return None
    labels, member = labels_of(candidate.alert), candidate.facts.member
    where = member.incident_id if member else None
    for quiet in candidate.facts.silences:
        if all_hold(quiet.matchers, labels):
            reason = "silenced" if quiet.own else "silenced_in_alertmanager"
            return Decision("drop", reason, quiet.name, incident_id=where)
    for window in candidate.maintenance:
        if window.covers(candidate.now) and all_hold(window.parsed, labels):
            return Decision("drop", "maintenance", window.name, incident_id=where)
    return None
