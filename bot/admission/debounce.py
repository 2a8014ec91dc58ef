"""What can wait for its companions: alerts that are not critical open their incident after a short while, together."""

from bot.admission.model import Candidate, Decision


def decide(candidate: Candidate) -> Decision | None:
    """Let a new group that is not urgent wait; bot.policy_intake.Grouping.due says for how long."""
    return None if candidate.urgent else Decision("wait", "debounced")
