"""The rule-based diagnosis: weighed facts in, a cited Diagnosis out; what is posted when no model is there or it fails.

Called by agents/diagnosis.py. A rule is data: which findings about one service, together, mean which cause; the words
for it; and which change would heal it. The first rule that fits a service speaks for it, so the list goes from special
to general. *base* is how often such a pattern is right when every finding is at full strength: a judgement.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from agents import monitor
from agents.ports import Service
from agents.rank import Fact, Facts, rank
from tools.records import Diagnosis, Evidence, Finding, Hypothesis, Scalar, Suggestion

CAP = 0.9  # rules see patterns, not causes: they are never surer than this
CONCLUSIVE = 0.5
BLIND = 0.93  # each source that could not be seen could have held another cause
MAX_HYPOTHESES = 3
CHANGE_CHARS = 140


@dataclass(frozen=True)
class Need:
    """One finding a rule asks for: any of *kinds* that passes *where*."""

    kinds: frozenset[str]
    where: Callable[[Finding], bool]


@dataclass(frozen=True)
class Match:
    """A rule that fits a service, with the facts that made it fit."""

    rule: "Rule"
    service: str
    facts: tuple[Fact, ...]
    confidence: float

    def first(self, *kinds: str) -> Fact | None:
        """Return the matched fact of one of *kinds*."""
        return next((fact for fact in self.facts if fact.finding.kind in kinds), None)


@dataclass(frozen=True)
class Rule:
    """One pattern: *says* is filled from the matched findings (see `_words`), *act* builds the change that would heal."""

    cause: str
    needs: tuple[Need, ...]
    base: float
    says: str
    act: Callable[[Match, Mapping[str, Service], str], Suggestion | None]
    advice: str = ""  # what a person should do where no change is proposed; filled like *says*
    special: bool = False  # names a condition so exactly that it speaks before a more general pattern that is surer


def _need(*kinds: str, where: Callable[[Finding], bool] = lambda _found: True) -> Need:
    return Need(frozenset(kinds), where)


def _number(found: Finding, key: str) -> float | None:
    value = found.data.get(key)
    return float(value) if isinstance(value, int | float) else None


def _limits(found: Finding) -> bool:
    changed = f"{found.data.get('what')} {found.data.get('changes')}"
    return any(word in changed for word in ("limit", "resource", "memory"))


def _down(found: Finding) -> bool:
    before, after = _number(found, "from"), _number(found, "to")
    return before is not None and after is not None and after < before


def _worse(found: Finding) -> bool:
    signal, before, after = found.data.get("signal"), _number(found, "before"), _number(found, "after")
    return signal in ("errors", "latency") and (before is None or after is None or after > before)


def _surge(found: Finding) -> bool:
    return found.data.get("signal") == "rate" and (_number(found, "ratio") or 0) >= 1.5


def _target(match: Match, fact: Fact | None, services: Mapping[str, Service], namespace: str) -> dict[str, Scalar]:
    known = services.get(match.service, Service())
    data = fact.finding.data if fact else {}
    return {
        "namespace": str(data.get("namespace") or known.namespace or namespace),
        "deployment": str(data.get("deployment") or known.deployment or match.service),
    }


def _cited(match: Match) -> tuple[str, ...]:
    return tuple(dict.fromkeys(fact.evidence for fact in match.facts))


def _undo(match: Match, services: Mapping[str, Service], namespace: str) -> Suggestion | None:
    fact = match.first("rollout")
    if fact is None or not fact.finding.data.get("previous_revision"):
        return None
    previous = str(fact.finding.data["previous_revision"])
    params = _target(match, fact, services, namespace)
    if previous.isdigit():
        params["to_revision"] = int(previous)
    why = f"Puts back revision {previous}, which ran before the trouble began."
    return Suggestion(action="rollout_undo", params=params, why=why, evidence=(fact.evidence,))


def _scale_back(match: Match, services: Mapping[str, Service], namespace: str) -> Suggestion | None:
    change = match.first("scaled")
    before = _number(change.finding, "from") if change else None
    fact = change or match.first("scaled_to_zero")
    params = _target(match, fact, services, namespace) | {"replicas": int(before) if before else 1}
    why = f"It had {before:g} before." if before else "It needs at least one; how many it had before is not known."
    return Suggestion(action="scale", params=params, why=why, evidence=_cited(match))


def _restart(match: Match, services: Mapping[str, Service], namespace: str) -> Suggestion | None:
    params = _target(match, match.facts[0], services, namespace)
    why = "No change explains it; fresh pods buy time while the cause is looked for."
    return Suggestion(action="rollout_restart", params=params, why=why, evidence=_cited(match))


def _nothing(_match: Match, _services: Mapping[str, Service], _namespace: str) -> Suggestion | None:
    return None


DEVIATES = "deviates"
CLEARLY = 0.45  # how strongly a service that nothing else points at must deviate to be named as a cause
ROLLOUT = _need("rollout")
TROUBLE = _need("metric_shift", where=_worse)
RULES: tuple[Rule, ...] = (
    Rule("memory_limit_lowered", (_need("oom_killed"), _need("rollout", where=_limits)), 0.9,
         "{service} runs out of memory since its limits changed in {rollout} ({change})", _undo),
    Rule("image_not_pulled", (_need("image_pull"), ROLLOUT), 0.9,
         "{service} cannot start: its new image cannot be pulled since {rollout} ({change})", _undo),
    Rule("bad_configuration", (_need("config_error"), ROLLOUT), 0.88,
         "{service} cannot start: it needs configuration that is not there since {rollout} ({change})", _undo),
    Rule("out_of_memory_after_rollout", (_need("oom_killed"), ROLLOUT), 0.85,
         "{service} runs out of memory since {rollout} ({change})", _undo),
    Rule("scaled_to_zero", (_need("scaled_to_zero"), _need("scaled", where=_down)), 0.92,
         "{service} has no pods: it was scaled from {from} to {to}{when}", _scale_back),
    Rule("scaled_to_zero", (_need("scaled_to_zero"),), 0.85,
         "{service} has no pods: it is scaled to zero", _scale_back),
    Rule("crash_after_rollout", (_need("crash_loop"), ROLLOUT), 0.88,
         "{service} crashes since {rollout} ({change})", _undo),
    Rule("rollout_stuck", (_need("rollout_stuck", "probe_failing", "not_ready"), ROLLOUT), 0.82,
         "{service} has pods that do not become ready since {rollout} ({change})", _undo),
    Rule("slow_after_rollout", (_need("span_slow"), ROLLOUT), 0.88,
         "{service} is slow since {rollout} ({change}): {operation} takes {took}", _undo),
    Rule("bad_rollout", (ROLLOUT, TROUBLE, _need("log_template", where=lambda found: bool(found.data.get("new")))), 0.88,
         "{service} fails since {rollout} ({change})", _undo),
    Rule("bad_rollout", (ROLLOUT, _need("metric_shift", "log_template", "alert_value", "span_error")), 0.8,
         "{service} fails since {rollout} ({change})", _undo),
    Rule("scaled_down", (_need("scaled", where=_down), _need("metric_shift", "replicas_short", "alert_value")), 0.75,
         "{service} has too few pods: it was scaled from {from} to {to}{when}", _scale_back),
    Rule("image_not_pulled", (_need("image_pull"),), 0.7,
         "{service} cannot start: its image cannot be pulled, and nothing was rolled out", _nothing),
    Rule("bad_configuration", (_need("config_error"),), 0.7,
         "{service} cannot start: configuration it needs is not there", _nothing),
    Rule("no_room", (_need("unschedulable"),), 0.75,
         "{service} has pods that fit on no node", _nothing),
    Rule("out_of_memory", (_need("oom_killed"),), 0.65,
         "{service} runs out of memory, and no recent change explains it", _restart),
    Rule("evicted", (_need("evicted"),), 0.6,
         "{service} lost pods to eviction: a node is short of something", _nothing),
    Rule("crashing", (_need("crash_loop"),), 0.5,
         "{service} crashes again and again, and no recent change explains it", _nothing),
    Rule("too_much_traffic", (_need("metric_shift", where=_surge),
                              _need("metric_shift", where=lambda found: found.data.get("signal") == "saturation")), 0.6,
         "{service} gets far more traffic than usual and is at its limit", _nothing),
    Rule("stuck", (_need("probe_failing", "not_ready", "rollout_stuck"),), 0.6,
         "{service} has pods that are not ready, and no recent change explains it", _restart),
    Rule("slow_step", (_need("span_slow"),), 0.7,
         "{service} is slow in {operation}, which takes {took}, and no recent change explains it", _restart),
    Rule("failing_step", (_need("span_error"),), 0.5,
         "{service} fails in {operation}: {message}", _nothing),
    Rule("dependency_failing", (_need("dependency_errors"),), 0.45,
         "{service} fails because its calls to {peer} fail; why {peer} fails is not visible from here", _nothing),
    Rule("no_endpoints", (_need("no_endpoints", "replicas_short"),), 0.5,
         "{service} has no pod ready to answer", _nothing),
    Rule("rolled_out", (ROLLOUT,), 0.4,
         "{service} changed in {rollout} ({change}); no other change was seen", _nothing),
    Rule("new_error", (_need("log_template", where=lambda found: bool(found.data.get("new"))),), 0.35,
         "{service} logs something it did not log before: {template}", _nothing),
    Rule(DEVIATES, (_need("traces_deviate", "impact_deviate"),), 0.45,
         "{service} adds to the time that requests wait, most in {what}; why is not visible from here", _nothing),
    Rule(DEVIATES, (_need("logs_deviate", "metrics_deviate"),), 0.35,
         "{service} has left its normal, in {what}; why is not visible from here", _nothing),
    Rule("unexplained", (TROUBLE,), 0.25,
         "{service} is failing, and nothing that was looked at explains it", _nothing),
)  # fmt: skip


def _fits(rule: Rule, service: str, facts: Facts) -> Match | None:
    chosen: list[Fact] = []
    for need in rule.needs:
        found = next((fact for fact in facts.of(service, need.kinds) if need.where(fact.finding)), None)
        if found is None:
            return None
        chosen.append(found)
    if rule.cause == DEVIATES and chosen[0].strength < CLEARLY:
        return None
    causes = [fact.strength for fact in chosen if fact.role in ("state", "change")] or [chosen[0].strength]
    confidence = min(rule.base * (0.35 + 0.65 * min(causes)), CAP)
    return Match(rule, service, tuple(chosen), confidence)


def _best(fits: Sequence[Match]) -> Match:
    """Return the surest of *fits*, among special ones first where one of them is conclusive."""
    exact = [match for match in fits if match.rule.special and match.confidence >= CONCLUSIVE]
    return max(exact or fits, key=lambda match: match.confidence)


def matches(facts: Facts, book: Sequence[Rule] = RULES) -> list[Match]:
    """Return the surest rule of *book* for each service, surest first; of equally sure rules the more special one."""
    found = []
    for service in filter(None, facts.services()):
        fits = [match for rule in book if (match := _fits(rule, service, facts)) and not _explained(match)]
        if fits:
            found.append(_best(fits))
    stands = {one.service: one.score for one in reversed(rank(facts))}  # of each service its best entry
    top = max(stands.values(), default=0.0) or 1.0

    def order(match: Match) -> tuple[float, bool, str]:
        # A pattern names the cause, the ranking the culprit: half of a match's place is how its service is ranked.
        place = match.confidence * (0.5 + 0.5 * stands.get(match.service, 0.0) / top)
        return -round(place, 6), match.service != facts.scope.service, match.service

    return sorted(found, key=order)


def _explained(match: Match) -> bool:
    """Tell whether a broken dependency accounts for all that a rule saw: then it is no hypothesis of its own."""
    return all(fact.explained_by for fact in match.facts)


def _change(found: Finding) -> str:
    """Write what a rollout changed, as a person would: "image checkout:v1 -> checkout:v2"."""
    what, before, after, lines = (str(found.data.get(key) or "") for key in ("what", "before", "after", "changes"))
    said = lines or (f"{what} {before} -> {after}".strip() if before and after else what or found.statement)
    said = re.sub(rf"(^|; ){re.escape(found.service)} ", r"\1", said)  # the container that is named like its service
    said = re.sub(r"\bresources (limit|request)s (\w+)", r"\2 \1", said)
    said = re.sub(r"(?:[\w.:-]+/)+(?=[\w.-]+[:@]\S+)", "", said)  # an image without its registry
    return said if len(said) <= CHANGE_CHARS else said[:CHANGE_CHARS].rsplit(" ", 1)[0] + " …"


def _words(match: Match) -> dict[str, object]:
    """Collect what the templates of RULES may name, from the matched findings' data."""
    words: dict[str, object] = {"service": match.service, "when": "", "change": "", "rollout": "its last rollout"}
    for fact in match.facts:
        found = fact.finding
        words = {**found.data, **words}
        if fact.role == "change" and fact.reason:
            words["when"] = f", {fact.reason}"
        if found.kind == "rollout":
            when = f", {fact.reason}" if fact.reason else ""
            revision = found.data.get("revision")
            words["change"] = _change(found)
            words["rollout"] = f"rollout {revision}{when}" if revision else f"its last rollout{when}"
        words["peer"] = monitor.peer_of(found) or words.get("peer", "a dependency")
    return words


def _statement(match: Match, facts: Facts) -> str:
    said = match.rule.says.format_map(defaultdict(lambda: "?", _words(match)))
    caller = facts.scope.service
    if caller and caller != match.service and _link(match.service, facts):
        said += f". {caller} fails because it calls {match.service}"
    return said + "."


def _link(service: str, facts: Facts) -> Fact | None:
    """Return the alerting service's own fact that points at *service*."""
    own = (fact for fact in facts.all if fact.finding.service in ("", facts.scope.service))
    return next((fact for fact in own if monitor.peer_of(fact.finding) == service), None)


def hypothesis(match: Match, facts: Facts, ceiling: float) -> Hypothesis:
    """Put a match into words, citing every piece of evidence it rests on; *ceiling* caps the confidence."""
    link = _link(match.service, facts)
    cited = (*_cited(match), *((link.evidence,) if link else ()))
    return Hypothesis(
        statement=_statement(match, facts),
        cause=match.rule.cause,
        service=match.service,
        confidence=round(min(match.confidence, ceiling), 2),
        evidence=tuple(dict.fromkeys(cited)),
    )


def blind_spots(evidence: Sequence[Evidence]) -> tuple[str, ...]:
    """Say what could not be seen, why, and with which query."""
    return tuple(
        f"Could not see {item.title}: {item.error}" + (f" (asked: {item.query})" if item.query else "")
        for item in evidence
        if item.error
    )


def diagnose(
    facts: Facts, evidence: Sequence[Evidence], services: Mapping[str, Service], book: Sequence[Rule] = RULES
) -> Diagnosis:
    """Return the rule-based diagnosis by the rules of *book*; inconclusive when no pattern fits well."""
    unseen = blind_spots(evidence)
    ceiling = CAP * BLIND ** len(unseen)
    hypotheses: list[Hypothesis] = []
    suggestions: list[Suggestion] = []
    advice = ""
    for match in matches(facts, book)[:MAX_HYPOTHESES]:
        first = hypotheses[0].confidence if hypotheses else ceiling
        rest = min(ceiling, first, 1 - first) if hypotheses else ceiling
        hypotheses.append(hypothesis(match, facts, rest))
        suggestion = match.rule.act(match, services, facts.scope.namespace)
        if suggestion and hypotheses[-1].confidence >= CONCLUSIVE and not advice:
            suggestions.append(suggestion)
        elif match.rule.advice and len(hypotheses) == 1:
            advice = match.rule.advice.format_map(defaultdict(lambda: "?", _words(match)))
    best = hypotheses[0].confidence if hypotheses else 0.0
    return Diagnosis(
        headline=hypotheses[0].statement if hypotheses else _nothing_found(facts, evidence),
        by="rules",
        confidence=best,
        conclusive=best >= CONCLUSIVE,
        hypotheses=tuple(hypotheses),
        suggestions=tuple(suggestions),
        blind_spots=unseen,
        advice=advice,
    )


def _nothing_found(facts: Facts, evidence: Sequence[Evidence]) -> str:
    name = facts.scope.service or facts.scope.alert.name
    if evidence and all(item.error for item in evidence):
        return f"{name}: nothing could be looked at, so nothing is known yet."
    return f"{name}: no cause found; nothing unusual was seen in what could be looked at."
