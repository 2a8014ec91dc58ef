"""Root-cause ranking without a model: findings and ranked raw signals in, suspects out, most suspicious first.

Called by agents/coordinator.py; agents/rules.py builds on the same weighed facts. Every number here is a judgement, not a
measurement: what a condition is worth as a *cause* (a crash loop is a consequence more often than not), how fast a
change stops being news, and how far a caller's symptoms are explained by a broken dependency. What the raw signals say
(`Standing`, from agents/raw.py) joins as facts of its own and as a vote on the service; how far the confidences hold is
measured by `make bench-culprits`.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from agents import monitor
from agents.ports import Service
from agents.standing import Standing, confidences
from tools.records import Evidence, Finding, Scalar, Scope, Suspect

Role = Literal["state", "change", "symptom", "dependency", "log"]

KINDS: Mapping[str, tuple[Role, float]] = {
    "scaled_to_zero": ("state", 0.95),
    "image_pull": ("state", 0.95),
    "config_error": ("state", 0.92),
    "oom_killed": ("state", 0.92),
    "unschedulable": ("state", 0.85),
    "rollout_stuck": ("state", 0.7),
    "crash_loop": ("state", 0.7),
    "evicted": ("state", 0.65),
    "no_endpoints": ("state", 0.6),
    "probe_failing": ("state", 0.55),
    "not_ready": ("state", 0.5),
    "replicas_short": ("state", 0.45),
    "rollout": ("change", 0.8),
    "scaled": ("change", 0.8),
    "restarted": ("change", 0.35),
    "dependency_errors": ("dependency", 0.5),
    # A step slow by its own time is a cause's place; where an error begins may still be its victim's.
    "span_slow": ("state", 0.75),
    "span_error": ("log", 0.6),
    "calls": ("dependency", 0.4),
    "log_template": ("log", 0.45),
    "metric_shift": ("symptom", 0.35),
    "alert_value": ("symptom", 0.2),
    # What a service stands on, reads and waits for (tools.evidence: kubernetes, resources, queues, settings, dns)
    "volume_full": ("state", 0.95),
    "certificate_expired": ("state", 0.95),
    "dns_down": ("state", 0.95),
    "noisy_neighbour": ("state", 0.95),
    "quota_refuses": ("state", 0.95),
    "failed_create": ("state", 0.85),
    "last_runs_failed": ("state", 0.9),
    "job_failed": ("state", 0.85),
    "queue_backlog": ("state", 0.85),
    "hpa_at_maximum": ("state", 0.8),
    "config_changed": ("change", 0.8),
    "template_edited": ("change", 0.8),
    "delivered": ("change", 0.75),  # a release or a sync; the rollout that it made tells more
    "node_changed": ("change", 0.7),
    "autoscaled": ("change", 0.4),  # mostly an answer to load, not its cause
    # What the ranking of raw signals says about a service, by source; the findings above say more where they exist.
    "traces_deviate": ("state", 0.6),
    "impact_deviate": ("state", 0.6),
    "logs_deviate": ("log", 0.45),
    "metrics_deviate": ("symptom", 0.35),
}
UNKNOWN_KIND: tuple[Role, float] = ("symptom", 0.3)
# A change is fresh news for ten minutes before the onset, then half as suspicious every twenty.
FRESH = timedelta(minutes=10)
HALF_LIFE = timedelta(minutes=20)
# Effects follow causes, but clocks differ a little and API timestamps are whole seconds.
SKEW = timedelta(seconds=5)
# Without a measured onset there is only the alert's start, which its rule dates.
LOOSE_SKEW = timedelta(seconds=90)
BROKEN = 0.45  # a dependency with a suspect at or above this explains its caller's symptoms
EXPLAINED = 0.4  # what is left of a caller's own symptoms then
DECLARED = 0.75  # a dependency that nothing points at: being called is not being at fault
STRANGER = 0.4  # a service that is not known to be called
CEILING = 0.99
SUREST = 0.95  # no first place of the drills and the recorded incidents has earned more (make bench-culprits)
SIGHTED = 0.2  # of a reason's weight; less is the noise that every series has
VOTE = 0.4  # the most that the ranking of raw signals adds to a service beside what was found on it


@dataclass(frozen=True)
class Fact:
    """One finding, where it was seen, and what it is worth as a cause here (0..1).

    *reason* says when it happened, or *explained_by* which broken dependency accounts for it.
    """

    finding: Finding
    evidence: str
    role: Role
    worth: float
    reason: str = ""
    explained_by: str = ""

    @property
    def strength(self) -> float:
        """How far the fact comes up to the full worth of its kind (0..1)."""
        return min(self.worth / KINDS.get(self.finding.kind, UNKNOWN_KIND)[1], 1.0)


@dataclass(frozen=True)
class Facts:
    """All findings of one investigation, weighed, most telling first; *skew* is how far *onset* may be off."""

    scope: Scope
    onset: datetime
    skew: timedelta
    all: tuple[Fact, ...]
    standing: Standing | None = None
    near: Callable[[str], float] = lambda _service: 1.0

    def of(self, service: str, kinds: Collection[str]) -> list[Fact]:
        """Return the facts about *service* of any of *kinds*, most telling first."""
        return [fact for fact in self.all if fact.finding.service == service and fact.finding.kind in kinds]

    def services(self) -> list[str]:
        """Name the services that facts are about, in order of their most telling fact."""
        return list(dict.fromkeys(fact.finding.service for fact in self.all))


def onset_of(evidence: Sequence[Evidence], scope: Scope) -> tuple[datetime, timedelta]:
    """Return when the trouble began, and how far that may be off: measured on the service's metrics if possible."""
    began = scope.alert.starts_at or scope.end
    measured = [
        found.at
        for item in evidence
        for found in item.findings
        if found.at and found.service == scope.service and _marks_onset(found) and scope.start <= found.at <= began
    ]
    return (min(measured), SKEW) if measured else (began, LOOSE_SKEW)


def _marks_onset(found: Finding) -> bool:
    """Tell whether *found* dates the trouble: the alert's expression crossed its bound, or errors or latency jumped."""
    jumped = found.kind == "metric_shift" and found.data.get("signal") in ("errors", "latency")
    return found.kind == "alert_value" or (jumped and found.score >= 0.7)


def _timing(found: Finding, role: Role, onset: datetime, skew: timedelta) -> tuple[float, str]:
    """Weigh when *found* happened against the *onset*: factor and words."""
    if found.at is None or role not in ("change", "state"):
        return 1.0, ""
    early = onset - found.at
    if role == "state":
        return (0.6, "long before the alert") if early > timedelta(hours=2) else (1.0, "")
    if early < -skew:
        return 0.25, f"{ago(-early)} after the trouble began"
    late = max(early - FRESH, timedelta(0))
    when = f"{ago(early)} before the trouble began" if early >= timedelta(seconds=5) else "as the trouble began"
    return max(0.5 ** (late / HALF_LIFE), 0.05), when


def ago(span: timedelta) -> str:
    """Write a time span as a person says it: 40 s, 4 min, 3 h, 2 days."""
    seconds = int(span.total_seconds())
    for size, word in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size or (word == "min" and seconds >= size):
            return f"{round(seconds / size)} {word}"
    return f"{seconds} s"


def _harmless(found: Finding) -> float:
    """Weigh changes that rarely break things: scaling up."""
    if found.kind != "scaled":
        return 1.0
    before, after = found.data.get("from"), found.data.get("to")
    if isinstance(before, int | float) and isinstance(after, int | float) and after >= before:
        return 0.25
    return 1.0


def _related(
    scope: Scope, findings: Sequence[Finding], services: Mapping[str, Service], standing: Standing | None
) -> Callable[[str], float]:
    """Return how much a fact about a service matters here: its own and what its calls point at fully, dependencies less."""
    pointed = {scope.service, ""} | {found.service for found in findings if found.data.get("harms") == scope.service}
    for _hop in range(2):
        pointed.update(monitor.peers(findings, pointed))
    called = {name for service in pointed if service in services for name in services[service].depends_on}
    # What a tool reports besides the service asked about is what it found that service to depend on.
    seen = {found.service for found in findings if found.data.get("deployment")} | (
        standing.near if standing else set()
    )

    def factor(service: str) -> float:
        return 1.0 if service in pointed else DECLARED if service in called or service in seen else STRANGER

    return factor


def weigh(
    evidence: Sequence[Evidence], scope: Scope, services: Mapping[str, Service], standing: Standing | None = None
) -> Facts:
    """Give every finding its worth as a cause of this alert; *standing* adds what the raw signals say."""
    onset, skew = onset_of(evidence, scope)
    if standing is not None and skew == LOOSE_SKEW and scope.start <= standing.onset < onset:
        # Nothing dates the trouble on the service itself: several neighbours' series that stepped together do.
        onset, skew = standing.onset, SKEW
    related = _related(scope, [found for item in evidence for found in item.findings], services, standing)
    facts = []
    for found, id_ in [*_found(evidence), *_sighted(standing)]:
        role, weight = KINDS.get(found.kind, UNKNOWN_KIND)
        factor, reason = _timing(found, role, onset, skew)
        worth = weight * found.score * factor * related(found.service) * _harmless(found)
        facts.append(Fact(found, id_, role, worth, reason))
    facts.sort(key=lambda fact: (-fact.worth, fact.finding.service, fact.finding.kind, fact.evidence))
    return Facts(scope, onset, skew, tuple(_explain_callers(facts)), standing, related)


def _found(evidence: Sequence[Evidence]) -> Iterator[tuple[Finding, str]]:
    """Yield the findings that accuse somebody: plain topology says who calls whom, with a score of 0."""
    return ((found, item.id) for item in evidence for found in item.findings if found.score)


def _sighted(standing: Standing | None) -> Iterator[tuple[Finding, str]]:
    """Yield what the raw ranking saw as findings; changes have findings of their own."""
    for service, seen in standing.sightings.items() if standing else ():
        for one in seen:
            kind = f"{one.part}_deviate"
            if kind not in KINDS or not one.evidence or one.weight < SIGHTED:
                continue
            said = f"{service}: {one.what} left its normal ({one.said})"
            data: dict[str, Scalar] = {"what": one.what}
            yield (
                Finding(kind=kind, service=service, statement=said, score=min(one.weight, 1.0), data=data),
                one.evidence[0],
            )


def _explain_callers(facts: Sequence[Fact]) -> list[Fact]:
    """Discount a caller's own symptoms when what it calls is itself broken: the caller is not the culprit."""
    broken = {fact.finding.service for fact in facts if fact.role in ("state", "change") and fact.worth >= BROKEN}
    calls: dict[str, str] = {}
    for fact in facts:
        called = monitor.peer_of(fact.finding)
        if called in broken and called != fact.finding.service:
            calls.setdefault(fact.finding.service, called)
    weighed = []
    for fact in facts:
        if (peer := calls.get(fact.finding.service)) and fact.role in ("symptom", "log", "dependency"):
            weighed.append(replace(fact, worth=fact.worth * EXPLAINED, explained_by=peer))
        else:
            weighed.append(fact)
    return sorted(weighed, key=lambda fact: -fact.worth)


def rank(facts: Facts) -> tuple[Suspect, ...]:
    """Order suspects, one per service and kind of finding, by their service first; facts of different roles support each other."""
    best: dict[tuple[str, str], Fact] = {}
    ids: dict[tuple[str, str], list[str]] = {}
    for fact in facts.all:
        key = (fact.finding.service or facts.scope.service, fact.finding.kind)
        best.setdefault(key, fact)
        if fact.evidence not in ids.setdefault(key, []):
            ids[key].append(fact.evidence)
    scores = {key: _score(facts, key[0], fact, best) for key, fact in best.items()}
    services = by_service(facts, scores)
    sure = confidences(services)
    suspects = []
    for (service, kind), fact in best.items():
        because = fact.reason or (fact.explained_by and f"explained by {fact.explained_by}")
        statement = f"{fact.finding.statement} ({because})" if because else fact.finding.statement
        highest = max(score for (name, _), score in scores.items() if name == service)
        score = services[service] * scores[service, kind] / highest if highest else 0.0
        suspects.append(
            Suspect(
                service=service,
                kind=kind,
                statement=statement,
                score=round(min(score, CEILING), 3),
                evidence=tuple(ids[service, kind]),
                confidence=round(min(sure[service], SUREST), 3),
            )
        )
    return tuple(sorted(suspects, key=lambda one: (-services[one.service], one.service, -one.score, one.kind)))


def _score(facts: Facts, service: str, fact: Fact, best: Mapping[tuple[str, str], Fact]) -> float:
    """Return how suspicious one kind of fact makes its service: its worth, and what supports it."""
    others = (each.worth for (name, _), each in best.items() if name == service and each.role != fact.role)
    called = _blamed(facts, service) if fact.role in ("state", "change") else 0.0
    return 1 - (1 - fact.worth) * (1 - 0.4 * max(others, default=0.0)) * (1 - 0.4 * called)


def by_service(facts: Facts, scores: Mapping[tuple[str, str], float]) -> dict[str, float]:
    """Return each service's score: its most suspicious fact's, and the vote of the raw signals as far as it is concerned here."""
    found: dict[str, float] = {}
    for (service, _), score in scores.items():
        found[service] = max(score, found.get(service, 0.0))
    votes = facts.standing.scores if facts.standing else {}
    return {
        service: 1 - (1 - score) * (1 - VOTE * votes.get(service, 0.0) * facts.near(service))
        for service, score in found.items()
    }


def _blamed(facts: Facts, service: str) -> float:
    """Return how strongly another service's metrics or logs point at *service*."""
    return max((fact.finding.score for fact in facts.all if monitor.peer_of(fact.finding) == service), default=0.0)
