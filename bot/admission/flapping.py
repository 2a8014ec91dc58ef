"""What goes on and off: an alert that changed too often within a window continues its last incident."""

from datetime import timedelta

from bot.admission.group import choose, last
from bot.admission.model import Candidate, Decision


def flaps(candidate: Candidate) -> bool:
    """Say whether the alert, firing again now, has changed `flapping_changes` times within `flapping_minutes`."""
    life, rules = candidate.facts.life, candidate.grouping
    if life is None or life.status != "resolved" or not rules.flapping_changes or candidate.alert.status != "firing":
        return False
    since = candidate.now - timedelta(minutes=rules.flapping_minutes)
    return sum(at >= since for at in life.changes) + 1 >= rules.flapping_changes


def decide(candidate: Candidate) -> Decision | None:
    """Join the open incident, or continue the last one, without a new investigation; without either it is no repetition."""
    if candidate.asked or not flaps(candidate):
        return None
    times = len(candidate.facts.life.changes) + 1 if candidate.facts.life else 1
    home, ended = choose(candidate), last(candidate)
    if home and home.incident_id is not None:
        return Decision("join", "flapping", f"{times} changes", group=home)
    if ended and home is None:
        return Decision("reopen", "flapping", f"{times} changes", incident_id=ended.incident_id)
    return None
