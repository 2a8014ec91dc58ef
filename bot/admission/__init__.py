"""The stages between an alert and an incident, one file each; the first that decides, decides. bot/admit.py calls `decide`.

A stage is a pure function of a `Candidate`; it returns a `Decision` with a named reason, or None to leave it to the next.
"""

from bot.admission import cooldown, debounce, dedupe, escalation, flapping, group, late, resolved, silence, stale
from bot.admission.model import Candidate, Decision, Stage

STAGES: tuple[Stage, ...] = (
    late.decide,
    resolved.decide,
    stale.decide,
    silence.decide,
    escalation.decide,
    dedupe.decide,
    flapping.decide,
    group.decide,
    cooldown.decide,
    debounce.decide,
)


def decide(candidate: Candidate) -> Decision:
    """Return what becomes of the alert; one that no stage takes opens an incident."""
    for stage in STAGES:
        decision = stage(candidate)
        if decision is not None:
            return decision
    return Decision("open", "asked" if candidate.asked else "opened")
