"""From what a reader found to an Alert, and from alerts to the key two reports of one trouble meet under.

bot/sources/__init__.py calls `alert_of`; intake calls `incident_key`, `enrich` and `is_about`. Everything is pure. The
words, times and label rules below are bot/reading's; they are named here for those who look for them under one roof.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from bot.reading.facts import Facts
from bot.reading.text import (
    MAX_NAME,
    NAMESPACE_LABELS,
    SERVICE_LABELS,
    SEVERITY_LABELS,
    clean,
    fingerprint,
    first_label,
    is_url,
    pairs_of,
    pod_owner,
    service_among,
    service_of,
    text_fingerprint,
    text_of,
)
from bot.reading.times import when
from bot.reading.words import severity_of, status_of
from tools.records import Alert, Severity

__all__ = [
    "MAX_NAME",
    "SERVICE_LABELS",
    "SEVERITY_LABELS",
    "alert_of",
    "clean",
    "complete",
    "enrich",
    "fingerprint",
    "incident_key",
    "is_about",
    "pairs_of",
    "pod_owner",
    "service_of",
    "severity_of",
    "status_of",
    "text_fingerprint",
    "text_of",
    "when",
]


def alert_of(facts: Facts, known: Collection[str] = ()) -> Alert:
    """Make the Alert of *facts*; `missing` names what the sender did not say, also where a guess stands in its place.

    A *known* service wins over any other name: first in what was read as the service, then in the labels, then in words.
    """
    labels = facts.labels
    named = [facts.service, facts.guessed_service]
    service = service_among(filter(None, named), known) or service_among([*labels.values(), *facts.words], known)
    told_service = service or facts.service or service_of(labels, known)
    severity = facts.severity or severity_of([first_label(labels, SEVERITY_LABELS)])
    told_service, guess = told_service[:MAX_NAME], facts.guessed_service[:MAX_NAME]
    status = facts.status or "firing"
    name = facts.name[:MAX_NAME].strip()
    gaps = {
        "name": not name,
        "status": facts.status is None,
        "service": not told_service,
        "severity": severity is None,
        "query": facts.query_expected and not facts.query,
        "labels": not labels,
    }
    return Alert(
        fingerprint=_print(facts, name, told_service or guess),
        sender=facts.sender or "unknown",
        name=name or "unnamed alert",
        status=status,
        severity=severity or facts.guessed_severity or "warning",
        service=told_service or guess,
        namespace=facts.namespace or first_label(labels, NAMESPACE_LABELS),
        cluster=facts.cluster or labels.get("cluster", ""),
        starts_at=facts.starts_at or (facts.at if status == "firing" else None),
        ends_at=(facts.ends_at or facts.at) if status == "resolved" else None,
        labels=labels,
        annotations={key: text for key, text in facts.annotations.items() if text},
        value=facts.value[:MAX_NAME],
        query=facts.query,
        links={kind: link for kind, link in facts.links.items() if is_url(link)},
        group_key=facts.group_key,
        missing=tuple(gap for gap, open_ in gaps.items() if open_) + facts.notes,
    )


def _print(facts: Facts, name: str, service: str) -> str:
    if facts.own_labels and facts.labels:
        return fingerprint(facts.labels)
    if facts.fingerprint:
        return facts.fingerprint
    if facts.identity:
        return text_fingerprint(facts.sender.lower(), facts.identity)
    return text_fingerprint(facts.sender.lower(), name.lower(), service)


def incident_key(alert: Alert) -> str:
    """Return the key under which reports of one trouble meet, whichever way they came: name, then service or namespace.

    It has no cluster, status, count or severity, so it is the same when the alert resolves and when it escalates.
    Compute it after `enrich`, when a Slack message's label names are known.
    """
    place = alert.service or (f"ns:{alert.namespace}" if alert.namespace else "")
    return f"{alert.name}|{place}"


def complete(
    alert: Alert, known: Collection[str] = (), *, query_expected: bool = True, words: Iterable[str] = ()
) -> Alert:
    """Fill in what *alert*'s labels (else the *words* of its text) say, and name what is still `missing`."""
    labels, values = alert.labels, list(words)
    service = service_of(labels, known) or alert.service or service_among(values, known)
    own: Severity | None = None if "severity" in alert.missing else alert.severity
    severity = severity_of([first_label(labels, SEVERITY_LABELS)]) or own or severity_of(values)
    namespace = alert.namespace or first_label(labels, NAMESPACE_LABELS)
    gaps = {"service": not service, "severity": severity is None, "query": query_expected and not alert.query}
    kept = [note for note in alert.missing if note not in ("service", "severity", "query")]
    return alert.model_copy(
        update={
            "service": service,
            "severity": severity or alert.severity,
            "namespace": namespace,
            "cluster": alert.cluster or labels.get("cluster", ""),
            "fingerprint": fingerprint(labels) if labels.get("alertname") else alert.fingerprint,
            "missing": tuple(name for name, gap in gaps.items() if gap) + tuple(kept),
        }
    )


def enrich(
    alert: Alert,
    found_labels: Mapping[str, str],
    *,
    annotations: Mapping[str, str] | None = None,
    query: str = "",
    starts_at: datetime | None = None,
    known_services: Collection[str] = (),
) -> Alert:
    """Add what Alertmanager's or Prometheus' API knows about an alert that came as bare text.

    Labels found there replace guesses from the text; what the message itself said about links, value and time stays.
    """
    labels = {**alert.labels, **found_labels}
    named = alert.model_copy(
        update={
            "labels": labels,
            "annotations": {**(annotations or {}), **alert.annotations},
            "query": alert.query or query,
            "starts_at": starts_at or alert.starts_at,
            "service": service_of(labels, known_services) or alert.service,
            "namespace": first_label(labels, NAMESPACE_LABELS) or alert.namespace,
        }
    )
    words = () if labels else alert.annotations.get("title", "").split()
    done = complete(named, known_services, words=words)
    return done.model_copy(update={"missing": tuple(gap for gap in done.missing if gap != "labels" or not labels)})


def is_about(alert: Alert, labels: Mapping[str, str]) -> bool:
    """Say whether an alert with *labels* can be the one behind a Slack message: same name, and it has every value shown.

    A title shows the values of the labels that all alerts of the group share, so each alert of the group has them all.
    """
    if labels.get("alertname") != alert.name:
        return False
    if any(labels.get(name, value) != value for name, value in alert.labels.items()):
        return False
    shown = alert.annotations.get("values", "").split()
    words = {word for value in labels.values() for word in value.split()}
    return all(word in words for word in shown)
