"""The executor's judgement: whether a change that was carried out worked. It names actions, and cannot call one.

Called by the verify job (bot/approvals.py) each time it has looked at the target and at the alert's own query. Pure.
"""

from datetime import datetime

from tools.records import Proposal, Record, Verification

# A value a quarter further from where it should be is worse, not noise; a judgement, not a measurement.
WORSE = 1.25


class Reading(Record):
    """One look after a change.

    *check* is the action's own verdict on its target (None: could not tell), *detail* its words; *firing* whether the
    alert's expression still holds (None: there is no expression, or it could not be asked); *value* that expression's value
    now and *before* the value when the change was made ("" when unknown); *above* whether high values are the bad ones;
    *alone* that no alert stands behind the change, so that its own check decides.
    """

    check: bool | None
    detail: str
    firing: bool | None
    value: str = ""
    before: str = ""
    above: bool = True
    alone: bool = False


def judge(proposal: Proposal, reading: Reading, *, final: bool, at: datetime) -> Verification | None:
    """Return the verdict, or None while it is too early to tell; when *final*, an open question becomes a verdict."""
    target = reading.detail or "the target was not checked"
    if reading.alone and reading.check is not None and (reading.check or final):
        word = "recovered" if reading.check else "not_recovered"
        return _verdict(proposal, word, f"No alert stands behind it; {target}.", reading, at)
    if reading.firing is False and reading.check is not False and (reading.check or final):
        return _verdict(proposal, "recovered", f"The alert's own query is back to normal; {target}.", reading, at)
    if not final:
        return None
    if reading.firing is None and reading.check is not False:
        said = f"The alert's own query could not be checked; {target}. Please look."
        return _verdict(proposal, "unknown", said, reading, at)
    if _got_worse(reading):
        said = f"The alert's own query got worse, from {reading.before} to {reading.value}; {target}."
        return _verdict(proposal, "worse", said, reading, at)
    query = {True: "still fires", False: "is back to normal", None: "could not be checked"}[reading.firing]
    return _verdict(proposal, "not_recovered", f"The alert's own query {query}; {target}.", reading, at)


def _verdict(proposal: Proposal, verdict: str, detail: str, reading: Reading, at: datetime) -> Verification:
    said = detail.replace("..", ".")
    fields = {"proposal_id": proposal.id, "verdict": verdict, "detail": said, "value": reading.value, "at": at}
    return Verification.model_validate(fields)


def _got_worse(reading: Reading) -> bool:
    before, value = _float(reading.before), _float(reading.value)
    if before is None or value is None or reading.firing is not True:
        return False
    return value > before * WORSE if reading.above else value < before / WORSE


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
