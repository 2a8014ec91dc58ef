"""Every rule of the rule-based diagnosis: those about what a service stands on, reads and waits for, before the general ones.

Called by agents/diagnosis.py. A rule here names a condition that a finding of tools/evidence states outright; where no typed
change heals it, its *advice* says what a person should do.
"""

import math
import re
from collections.abc import Mapping

from agents import calm, rules
from agents.ports import Service
from agents.rank import Facts
from agents.rules import Match, Need, Rule
from tools.records import Diagnosis, Evidence, Finding, Scalar, Suggestion

_SYMPTOM = ("metric_shift", "log_template", "alert_value", "span_error", "crash_loop", "probe_failing", "not_ready")
_TLS = re.compile(
    r"(?i)certificate has expired|x509: certificate.*expired|certificate (?:is )?expired|sslv3 alert certificate expired"
)
_QUOTA = re.compile(r"(?i)exceeded quota")
_GIB = 2.0**30


def _need(*kinds: str, where: object = None) -> Need:
    return Need(frozenset(kinds), where if callable(where) else lambda _found: True)


def _says(pattern: re.Pattern[str]) -> object:
    return lambda found: bool(pattern.search(f"{found.statement} {found.data.get('example', '')}"))


def _suggest(match: Match, action: str, params: dict[str, Scalar], why: str) -> Suggestion:
    cited = tuple(dict.fromkeys(fact.evidence for fact in match.facts))
    return Suggestion(action=action, params=params, why=why, evidence=cited)


def _data(match: Match, *kinds: str) -> Mapping[str, Scalar]:
    fact = match.first(*kinds)
    return fact.finding.data if fact else {}


def _expand(match: Match, _services: Mapping[str, Service], namespace: str) -> Suggestion | None:
    data = _data(match, "volume_full")
    size = data.get("bytes")
    if data.get("what") != "space" or not isinstance(size, int | float) or not size:
        return None
    wanted = 2 * size
    text = f"{math.ceil(wanted / _GIB)}Gi" if wanted >= _GIB else f"{math.ceil(wanted / 2**20)}Mi"
    params: dict[str, Scalar] = {
        "namespace": data.get("namespace") or namespace,
        "claim": data.get("claim"),
        "size": text,
    }
    return _suggest(match, "pvc_expand", params, "Doubles the volume; nothing else gives room without deleting data.")


def _limit(match: Match, _services: Mapping[str, Service], _namespace: str) -> Suggestion | None:
    data = _data(match, "noisy_neighbour")
    cores, asked, limit = (data.get(key) for key in ("of", "request", "limit"))
    if not data.get("deployment") or not isinstance(cores, int | float):
        return None
    amount = max(float(asked) if isinstance(asked, int | float) else 0.0, cores / 4)
    if isinstance(limit, int | float) and 0 < limit <= amount:
        return None
    text = f"{amount:g}" if amount == int(amount) else f"{amount * 1000:.0f}m"
    params: dict[str, Scalar] = {
        "namespace": data.get("namespace"),
        "deployment": data.get("deployment"),
        "cpu_limit": text,
    }
    return _suggest(
        match, "set_resources", params, "Leaves most of the node to its other pods; it goes on, more slowly."
    )


def _restore(match: Match, _services: Mapping[str, Service], namespace: str) -> Suggestion | None:
    data = _data(match, "config_changed")
    if data.get("before") is None:
        return None
    params: dict[str, Scalar] = {key: data.get(key) for key in ("configmap", "key")}
    params |= {"namespace": data.get("namespace") or namespace, "value": data["before"]}
    return _suggest(match, "configmap_key_restore", params, "Puts back what the last kubectl apply wrote.")


def _more_replicas(match: Match, _services: Mapping[str, Service], namespace: str) -> Suggestion | None:
    data = _data(match, "hpa_at_maximum")
    most, wanted = data.get("maximum"), data.get("wanted")
    if not isinstance(most, int) or not data.get("autoscaler"):
        return None
    target = max(2 * most, wanted + 1 if isinstance(wanted, int) else 0)
    params: dict[str, Scalar] = {"namespace": data.get("namespace") or namespace, "autoscaler": data.get("autoscaler"),
                                 "max_replicas": target}  # fmt: skip
    return _suggest(match, "hpa_bounds", params, "Gives the autoscaler room; it scales down again by itself.")


def _rule(cause: str, needs: tuple[Need, ...], base: float, says: str, act: object = None, advice: str = "") -> Rule:
    return Rule(cause, needs, base, says, act if callable(act) else rules._nothing, advice, special=True)  # noqa: SLF001  # one package of rules in two files


_ROLLOUT = rules.ROLLOUT
_UNDO, _SCALE_BACK = rules._undo, rules._scale_back  # noqa: SLF001
_DOWN = _need("scaled", where=rules._down)  # noqa: SLF001

SPECIAL: tuple[Rule, ...] = (
    _rule("dns_failure", (_need("dns_down"), _ROLLOUT), 0.92,
          "Names cannot be looked up: no pod of {service} is ready since {rollout} ({change})", _UNDO),
    _rule("dns_failure", (_need("dns_down"), _DOWN), 0.92,
          "Names cannot be looked up: {service} was scaled from {from} to {to}{when}", _SCALE_BACK),
    _rule("dns_failure", (_need("dns_down"),), 0.85,
          "Names cannot be looked up: no pod of {service} is ready",
          advice="Look at why the pods of {service} are not ready; until they are, every service's lookups fail."),
    _rule("certificate_expired", (_need("certificate_expired"),), 0.9,
          "The certificate that {service} is served with has expired ({object}): clients refuse the connection",
          advice="Renew {object} now (with cert-manager: cmctl renew), and look at why it was not renewed."),
    _rule("certificate_expired", (_need("log_template", where=_says(_TLS)),), 0.8,
          "{service} meets an expired certificate: {template}",
          advice="Renew the certificate that the log line names, and look at why it was not renewed."),
    _rule("volume_full", (_need("volume_full"),), 0.92,
          "The volume {claim} of {service} is full", _expand,
          advice="Make room on volume {claim}, or enlarge it."),
    _rule("noisy_neighbour", (_need("noisy_neighbour"),), 0.9,
          "{service} takes {cores} of the {of} CPU cores of node {node}, so that {harms}, which runs there, waits", _limit,
          advice="Move {service} away from node {node}, or give it a CPU limit."),
    _rule("quota_exceeded", (_need("quota_refuses"),), 0.92,
          "{service} cannot get its pods: {object} has no room for them",
          advice="Raise the quota ({object}), or ask for less; its pods are created as soon as there is room."),
    _rule("quota_exceeded", (_need("failed_create", "rollout_stuck", where=_says(_QUOTA)),), 0.88,
          "{service} cannot get its pods: a quota of its namespace has no room for them",
          advice="Raise the quota, or ask for less; its pods are created as soon as there is room."),
    _rule("cronjob_failing", (_need("last_runs_failed", "job_failed"), _need("template_edited")), 0.9,
          "The runs of {service} fail since its job template was edited{when} ({changes})",
          advice="Correct the job template of {service} ({changes}), remove the failed Job and run it again."),
    _rule("cronjob_failing", (_need("last_runs_failed"),), 0.8,
          "The runs of {service} fail, and no recent edit of it explains it",
          advice="Read the log of its last Job; mend what it says, or run the Job again if that was passing."),
    _rule("job_failed", (_need("job_failed"),), 0.75, "a Job of {service} failed",
          advice="Read the log of the Job's last pod; mend what it says, or run the Job again if that was passing."),
    _rule("queue_backlog", (_need("queue_backlog"), _DOWN), 0.92,
          "{waiting} messages wait in {queue}: {service} was scaled from {from} to {to}{when}", _SCALE_BACK),
    _rule("queue_backlog", (_need("queue_backlog"), _ROLLOUT), 0.85,
          "{waiting} messages wait in {queue}: {service} works them off too slowly since {rollout} ({change})", _UNDO),
    _rule("queue_backlog", (_need("queue_backlog"),), 0.7,
          "{waiting} messages wait in {queue}, usually {before}: {service} does not keep up",
          advice="Find out whether more comes than usual or {service} is slower; more replicas of it shorten the queue."),
    _rule("hpa_at_maximum", (_need("hpa_at_maximum"),), 0.88,
          "The autoscaler of {service} is at its maximum of {maximum} replicas and would have more", _more_replicas,
          advice="Raise maxReplicas, or find what makes the load."),
    _rule("probe_failing", (_need("probe_failing"), _ROLLOUT), 0.9,
          "{service} has new pods that run and never become ready: their probe fails since {rollout} ({change})", _UNDO),
    _rule("configuration_changed", (_need("config_changed", where=lambda found: (_age(found) or 0) > -120), _need(*_SYMPTOM)), 0.88,
          "{service} fails since {key} of its ConfigMap {configmap} was edited{when}", _restore,
          advice="Put the former value of {key} in ConfigMap {configmap} back; it is not kept where it could be read."),
)  # fmt: skip


def _age(found: Finding) -> float | None:
    value = found.data.get("age_s")
    return float(value) if isinstance(value, int | float) else None


BOOK: tuple[Rule, ...] = (*SPECIAL, *rules.RULES)


def diagnose(facts: Facts, evidence: tuple[Evidence, ...], services: Mapping[str, Service]) -> Diagnosis:
    """Return the diagnosis: that nothing is broken where that is so, else the surest patterns."""
    return calm.diagnose(facts, evidence) or rules.diagnose(facts, evidence, services, BOOK)
