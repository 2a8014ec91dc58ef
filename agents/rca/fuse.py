"""Ranks suspects from metrics, traces, logs, topology and changes; any of them may be missing. Called by bot/eval, bench.

Each part turns what it saw into a probability-like weight (0..1) by one saturating curve, so that parts can be compared;
weights of one service join as independent signs do: 1 - product of (1 - weight). What a slow callee explains is taken off
its callers first. PARTS names the parts for ablation.
"""

from collections.abc import Collection, Mapping

from agents.rca import flows, metrics, traces
from agents.rca.calibration import confidences
from agents.rca.graph import Calls, below, calls
from agents.rca.impact import impact
from agents.rca.losses import losses
from agents.rca.onset import onset
from agents.rca.signals import Change, Incident
from agents.rca.suspects import Ranked, Ranking, Sign

PARTS = frozenset({"metrics", "impact", "traces", "logs", "topology", "changes", "onset"})
# Where a sign is worth a half: 20 % of all time waited; a step 5 deviations from its usual share; a series at e times
# its level. Round figures,
# picked after a grid on one recorded system (docs/evaluation.md): expect others to want others.
HALF_TIME = 0.2
HALF_DEVIATION = 5.0
HALF_SHIFT = 1.0
METRICS = 0.5  # the most that a shifted series says beside traces or logs, which tell symptom from cause better
CALLEE_LATENCY = 0.7  # of a callee's latency shift, taken off its caller's
OWN_LEFT = 0.15
CALLEE_LOGS = 0.5  # of a callee's change in what it logs, taken off its caller's
LOST_CALLEE = 0.3  # of a loss, that the callee itself explains: it may not be reached
SHAPE = 0.7  # the most that a call which spans no longer show says: sampling and retries lose them too
FRESH_S = 600.0
CHANGE = 0.4

Signs = dict[str, list[Sign]]


def rank(incident: Incident, parts: Collection[str] = PARTS) -> Ranking:
    """Return the suspects, most suspicious first; services that nothing points at are left out."""
    began = onset(incident) if "onset" in parts else incident.at
    graph = calls(incident) if "topology" in parts else {}
    signs: Signs = {}
    slow = _traces(incident, began, signs) if "traces" in parts else {}
    if "traces" in parts:
        _span_errors(incident, began, signs)
    explained = {service: _explained(graph, slow, service) for service in _names(incident)}
    if "traces" in parts and (incident.lines is None or "logs" not in parts):
        # Log lines tell the same steps, finer.
        _shape(incident, began, explained, signs)
    deeper = False
    if "logs" in parts:
        deeper = _logs(incident, began, graph, explained, signs)
    felt = impact(incident, graph) if "impact" in parts else {}
    for service, share in felt.items():
        said = f"adds {share:.0%} of what {incident.hurts} shows"
        _add(signs, service, Sign("impact", incident.hurts_metric, said, _saturate(share, HALF_TIME)))
    if "metrics" in parts and not felt:
        most = METRICS if deeper or slow else 1.0
        _metrics(incident, began, graph, explained, most, signs)
    if "changes" in parts:
        for change in incident.changes:
            _change(change, began, signs)
    return Ranking(began, _ordered(signs))


def _ordered(signs: Mapping[str, list[Sign]]) -> tuple[Ranked, ...]:
    scores = {}
    for service, found in signs.items():
        doubt = 1.0
        for sign in found:
            doubt *= 1.0 - sign.weight
        scores[service] = 1.0 - doubt
    order = sorted((service for service in scores if scores[service] > 0), key=lambda name: (-scores[name], name))
    sure = confidences([scores[service] for service in order])
    return tuple(
        Ranked(name, scores[name], probability, tuple(sorted(signs[name], key=lambda sign: -sign.weight)))
        for name, probability in zip(order, sure, strict=True)
    )


def _names(incident: Incident) -> set[str]:
    found = {one.service for one in incident.series}
    for columns in (incident.lines, incident.spans):
        if columns is not None:
            found.update(columns.services)
    return found


def _saturate(value: float, half: float) -> float:
    return float(value / (value + half)) if value > 0 else 0.0


def _add(signs: Signs, service: str, sign: Sign) -> None:
    if sign.weight > 0:
        signs.setdefault(service, []).append(sign)


def _explained(graph: Calls, slow: Mapping[str, float], service: str) -> float:
    """Return how far a slow service below explains what *service* shows (0..1)."""
    return max((slow.get(name, 0.0) for name in below(graph, service)), default=0.0)


def _traces(incident: Incident, began: float, signs: Signs) -> dict[str, float]:
    found = traces.slowness(incident, began)
    if found is None or incident.spans is None or found.total <= 0:
        return {}
    spans, weights = incident.spans, {}
    for number, service in enumerate(spans.services):
        share = float(found.excess[number]) / found.total
        weights[service] = _saturate(share, HALF_TIME)
        if share > 0:
            operation = spans.operations[int(found.operation[number])]
            said = f"{found.excess[number]:.1f} s above normal, {share:.0%} of all time waited"
            _add(signs, service, Sign("traces", operation, said, weights[service]))
    return weights


def _span_errors(incident: Incident, began: float, signs: Signs) -> None:
    found = traces.failures(incident, began)
    if found is None or incident.spans is None:
        return
    for service, share in zip(incident.spans.services, found.tolist(), strict=True):
        said = f"{share:.0%} of the new failing spans begin here"
        _add(signs, service, Sign("traces", "failed spans", said, _saturate(share, HALF_TIME)))


def _shape(incident: Incident, began: float, explained: Mapping[str, float], signs: Signs) -> None:
    for service, (score, span, callee, usual, now) in traces.lost_calls(incident, began).items():
        weight = SHAPE * _saturate(score**2, HALF_DEVIATION**2) * (1 - explained.get(service, 0.0))
        said = f"{span} no longer calls {callee} ({usual:.0%} -> {now:.0%})"
        _add(signs, service, Sign("traces", callee, said, weight))


def _logs(incident: Incident, began: float, graph: Calls, explained: Mapping[str, float], signs: Signs) -> bool:
    found = flows.deviations(incident, began)
    strong = {service: _saturate(one.score**2, HALF_DEVIATION**2) for service, one in found.items()}
    for service, one in found.items():
        # An exception passes through its callers, which lose their next steps too. Who returns early is not explained by
        # a callee: those that are no longer called do nothing strange.
        passed_on = CALLEE_LOGS * max((strong.get(callee, 0.0) for callee in graph.get(service, ())), default=0.0)
        weight = strong[service] * (1 - explained.get(service, 0.0)) * (1 - passed_on)
        verb = "no longer followed by" if one.lost else "now followed by"
        said = f"{one.step} {verb} {one.other} ({one.usual:.0%} -> {one.now:.0%})"
        _add(signs, service, Sign("logs", one.other, said, weight))
    return bool(found)


def _metrics(
    incident: Incident, began: float, graph: Calls, explained: Mapping[str, float], most: float, signs: Signs
) -> None:
    best = metrics.strongest(metrics.shifts(incident, began))
    waits = {service: shift.strength for (service, kind), shift in best.items() if kind == "latency"}
    sums: dict[str, float] = {}
    for (service, kind), shift in best.items():
        own = shift.strength
        if kind == "latency":
            callees = max((waits.get(callee, 0.0) for callee in graph.get(service, ())), default=0.0)
            own = max(own - CALLEE_LATENCY * callees, OWN_LEFT * own)
        sums[service] = sums.get(service, 0.0) + own
    for service, total in sums.items():
        top = max((shift for (name, _), shift in best.items() if name == service), key=lambda shift: shift.strength)
        weight = most * _saturate(total, HALF_SHIFT) * (1 - explained.get(service, 0.0))
        _add(signs, service, Sign("metrics", top.metric, f"{top.before:.4g} -> {top.after:.4g}", weight))
    for loss in losses(incident, graph, began):
        said = f"{loss.callee} gets {loss.before:.3g} -> {loss.after:.3g} calls per call of its callers"
        for caller in loss.callers:
            weight = most * _saturate(loss.strength / len(loss.callers), HALF_SHIFT)
            _add(signs, caller, Sign("metrics", loss.metric, said, weight))
        weight = most * _saturate(LOST_CALLEE * loss.strength, HALF_SHIFT)
        _add(signs, loss.callee, Sign("metrics", loss.metric, said, weight))


def _change(change: Change, began: float, signs: Signs) -> None:
    """Count a change that came before the onset, the less the longer before: half after ten minutes."""
    early = began - change.at
    if early >= -5.0:
        _add(signs, change.service, Sign("changes", change.what, "before the onset", CHANGE * 0.5 ** (early / FRESH_S)))
