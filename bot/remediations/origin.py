"""Where an incident comes from: a Remediation that somebody created in the cluster; bot/approvals and bot/watch.py ask."""

from tools.records import Case

REASON = (
    "asked for by a Remediation in the cluster"  # of the event that opens the incident; only bot/remediations writes it
)
UNKNOWN = "unknown"  # who created a Remediation: the API server does not keep it, and labels may say anything


def by_hand(case: Case) -> bool:
    """Say whether a Remediation made by hand opened the incident: as the record has it, whatever an alert says of itself."""
    first = case.timeline[0] if case.timeline else None
    return first is not None and first.kind == "opened" and first.body.get("reason") == REASON
