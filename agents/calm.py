"""The two diagnoses that say nothing is broken: the alert recovered by itself, or its threshold is inside the usual range.

Called by agents/rulebook.py before any rule. Both rest on the alert's own query, and on nothing else being wrong: one state or
fresh change that could be a cause, or one shift that goes on, and the rules speak instead.
"""

from collections.abc import Sequence
from datetime import datetime

from agents import rules
from agents.rank import BROKEN, Fact, Facts
from tools.records import Diagnosis, Evidence, Hypothesis

HELD = 0.05  # of the time before the alert in which its condition was met: then it was met by ordinary values
CALM, OVER = 0.85, 0.8  # what is left is what nobody looked at
LAGGING = 0.65  # averages over the last minute still show the trouble: it may not be over for good
# What the ranking of raw signals and passing span times say is noise beside an alert's own query that is well.
_NOISE = frozenset(
    {"alert_value", "traces_deviate", "impact_deviate", "logs_deviate", "metrics_deviate", "span_slow", "restarted"}
)


def diagnose(facts: Facts, evidence: Sequence[Evidence]) -> Diagnosis | None:
    """Return the diagnosis that nothing is broken, None where that cannot be said."""
    fact = next((each for each in facts.all if each.finding.kind == "alert_value"), None)
    if fact is None or any(item.error for item in evidence if item.tool in ("alert_query", "kubernetes")):
        return None
    if any(_trouble(each) for each in facts.all):
        return None
    shifted = any(_shifted(each) for each in facts.all)
    ceiling = rules.BLIND ** len(rules.blind_spots(evidence))
    over = _over(facts, fact, evidence, (LAGGING if shifted else OVER) * ceiling)
    return over if over or shifted else _tight(facts, fact, evidence, CALM * ceiling)


def _trouble(fact: Fact) -> bool:
    """Tell whether *fact* could be a cause, or a symptom that goes on."""
    found = fact.finding
    if found.kind in _NOISE:
        return False
    if fact.role in ("state", "change"):
        return fact.worth >= BROKEN
    return found.kind == "dependency_errors" and fact.worth >= BROKEN


def _shifted(fact: Fact) -> bool:
    """Tell whether errors or latency still stand above their usual level, as averages do for a while after the end."""
    found = fact.finding
    signal = found.data.get("signal") in ("errors", "latency")
    return found.kind == "metric_shift" and signal and bool(found.data.get("ongoing")) and found.score >= 0.5


def _over(facts: Facts, fact: Fact, evidence: Sequence[Evidence], sure: float) -> Diagnosis | None:
    data = fact.finding.data
    if data.get("firing") or data.get("value") is None or not data.get("ended"):
        return None
    at = datetime.fromisoformat(str(data["ended"]))
    said = f"{facts.scope.alert.name} recovered by itself at {at:%H:%M:%S} UTC; nothing is broken now."
    advice = f"Nothing: it recovered at {at:%H:%M:%S} UTC. If it comes again, look at what was logged in that moment."
    return _diagnosis(facts, fact, evidence, ("recovered_by_itself", said, advice), sure)


def _tight(facts: Facts, fact: Fact, evidence: Sequence[Evidence], sure: float) -> Diagnosis | None:
    data = fact.finding.data
    value, low, high, held = (data.get(key) for key in ("value", "low", "high", "held"))
    if not data.get("firing") or not all(isinstance(each, int | float) for each in (value, low, high, held)):
        return None
    room = 0.1 * abs(float(high or 0))
    usual = float(low or 0) - room <= float(value or 0) <= float(high or 0) + room
    if not usual or float(held or 0) < HELD:
        return None
    above = str(data.get("op")) in (">", ">=", "==")
    bound = high if above else low
    said = (
        f"Nothing is broken: the value of {facts.scope.alert.name} is in its usual range, "
        f"and its threshold of {data.get('threshold'):g} lies inside that range."
    )
    way = "Raise" if above else "Lower"
    advice = f"{way} the alert's threshold beyond its usual range ({'up' if above else 'down'} to {float(bound or 0):.3g} before the alert)."
    return _diagnosis(facts, fact, evidence, ("threshold_too_tight", said, advice), sure)


def _diagnosis(
    facts: Facts, fact: Fact, evidence: Sequence[Evidence], told: tuple[str, str, str], sure: float
) -> Diagnosis:
    cause, said, advice = told
    one = Hypothesis(
        statement=said, cause=cause, service=facts.scope.service, confidence=round(sure, 2), evidence=(fact.evidence,)
    )
    return Diagnosis(
        headline=said, by="rules", confidence=one.confidence, conclusive=True, hypotheses=(one,),
        blind_spots=rules.blind_spots(evidence), advice=advice,
    )  # fmt: skip
