"""One look at whether a change worked: the action's own check, and the alert's own query; called by bot/approvals.py."""

from datetime import timedelta

from agents.executor import Reading
from bot.parsing import service_of
from bot.remediations.origin import by_hand
from tools.errors import TocsinError
from tools.evidence import alert_query
from tools.prometheus import Prometheus
from tools.records import Alert, Case, Evidence, Finding, Scope
from tools.sources import Sources

WINDOW = timedelta(minutes=2)


async def look(check: bool | None, detail: str, sources: Sources, case: Case) -> Reading:
    """Add the alert's own expression to the action's own *check* and its words; what cannot be read is None."""
    alert = case.incident.alert
    if by_hand(case):
        return Reading(check=check, detail=detail, firing=None, alone=True)
    if sources.prometheus is None:
        return Reading(check=check, detail=detail, firing=None)
    if alert.sender == "person" and not alert.query:
        return await _asked(sources.prometheus, alert, Reading(check=check, detail=detail, firing=None))
    now = sources.clock()
    scope = Scope(
        alert=alert, service=alert.service, query=alert.query, start=now - WINDOW, end=now, logs_start=now - WINDOW
    )
    found = _value(await alert_query.collect(scope, sources))
    if found is None:
        return Reading(check=check, detail=detail, firing=None)
    before = next((seen for evidence in case.evidence if (seen := _value(evidence))), None)
    return Reading(
        check=check,
        detail=detail,
        firing=bool(found.data.get("firing")),
        value=_text(found),
        before=_text(before) if before else "",
        above=str(found.data.get("op") or ">").startswith(">"),
    )


async def _asked(prometheus: Prometheus, alert: Alert, seen: Reading) -> Reading:
    """Judge an incident that a person opened by whether any alert of its service fires."""
    try:
        rules = await prometheus.rules()
    except TocsinError:
        return seen
    known = {alert.service}
    firing = [rule.name for rule in rules for one in rule.alerts if service_of(one.labels, known) == alert.service]
    return seen.model_copy(update={"firing": bool(firing), "value": ", ".join(sorted(set(firing)))})


def _value(evidence: Evidence) -> Finding | None:
    return next((finding for finding in evidence.findings if finding.kind == "alert_value"), None)


def _text(finding: Finding) -> str:
    value = finding.data.get("value")
    return f"{value:.4g}" if isinstance(value, int | float) else ""
