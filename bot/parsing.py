"""What the senders' readers share: severities, services, fingerprints, times, and the key two reports meet under.

bot/sources/* call it while reading; bot/intake.py calls `incident_key`, `enrich` and `is_about`. Everything is pure.
"""

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from tools.records import Alert, Severity

MAX_NAME, MAX_TEXT, MAX_PAIRS = 200, 4000, 100
SEVERITY_LABELS = ("severity", "level", "priority", "urgency")
SERVICE_LABELS = (
    *("service", "app", "application", "component", "service_name", "app_kubernetes_io_name", "kubernetes_name"),
    *("deployment", "statefulset", "daemonset", "workload", "created_by_name", "container", "job", "job_name"),
)
NAMESPACE_LABELS = ("namespace", "exported_namespace", "kubernetes_namespace", "kube_namespace")
# The scrape target of an exporter's metric is the exporter; the alert is about what the exporter watches.
EXPORTERS = ("kube-state-metrics", "node-exporter", "cadvisor", "kubelet", "blackbox-exporter", "kube-rbac-proxy")

_WORDS: dict[Severity, str] = {
    "critical": "critical crit page fatal emergency disaster high p1 sev1 error",
    "warning": "warning warn medium moderate average minor p2 p3 sev2 sev3",
    "info": "info information informational notice low none p4 p5 sev4",
}
_SEVERITIES = {word: severity for severity, words in _WORDS.items() for word in words.split()}
_POD = re.compile(r"(?P<deployment>.+?)(-[a-f0-9]{7,10})?-[a-z0-9]{5}|(?P<set>.+)-\d+")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # Postgres has no room for NUL, UTF-8 none for half a surrogate pair


def clean(value: Any) -> Any:
    """Copy JSON *value* with the characters that a database cannot hold replaced by U+FFFD."""
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {clean(str(key)): clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item) for item in value]
    return value


def text_of(value: Any, limit: int = MAX_TEXT) -> str:
    """*value* as text of at most *limit* characters; "" for anything but text and numbers."""
    if isinstance(value, str):
        return str(clean(value)).strip()[:limit]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(value)[:limit]
    return ""


def pairs_of(value: Any) -> dict[str, str]:
    """*value* as label pairs; anything else than text and numbers in it is left out."""
    if not isinstance(value, dict):
        return {}
    pairs = ((text_of(key, MAX_NAME), text_of(item)) for key, item in value.items())
    return dict([(key, item) for key, item in pairs if key and item][:MAX_PAIRS])


def fingerprint(labels: Mapping[str, str]) -> str:
    """Alertmanager's own: 64-bit FNV-1a over name, 0xff, value, 0xff of the labels sorted by name; 16 hex digits.

    Source: prometheus/common model/signature.go, labelSetToFingerprint.
    """
    total = 14695981039346656037
    for name in sorted(labels, key=lambda label: label.encode()):
        for byte in name.encode() + b"\xff" + labels[name].encode() + b"\xff":
            total = ((total ^ byte) * 1099511628211) & 0xFFFFFFFFFFFFFFFF
    return f"{total:016x}"


def text_fingerprint(*parts: str) -> str:
    """16 hex digits for a sender that gives no labels."""
    return hashlib.sha256("\xff".join(parts).encode()).hexdigest()[:16]


def severity_of(words: Iterable[str]) -> Severity | None:
    """Return the gravest severity any of *words* names."""
    found = {_SEVERITIES.get(word.strip(" :*_`.,;!").lower()) for word in words}
    for severity in ("critical", "warning", "info"):
        if severity in found:
            return severity
    return None


def service_among(values: Iterable[str], known: Collection[str]) -> str:
    """Return the first of *values* that is a known service, or a pod of one."""
    for value in values:
        if value in known:
            return value
    for value in values:
        owner = pod_owner(value)
        if owner in known:
            return owner
    return ""


def pod_owner(pod: str) -> str:
    """checkout-7d4b9c6f5-x2x7z and checkout-0 belong to checkout; "" when the name has no such ending."""
    match = _POD.fullmatch(pod)
    return (match["deployment"] or match["set"] or "") if match else ""


def service_of(labels: Mapping[str, str], known: Collection[str]) -> str:
    """Return the service that *labels* are about: a known one first, else what a workload label says; "" if none does."""
    ranked = [labels[name] for name in SERVICE_LABELS if labels.get(name)]
    own = [value for value in ranked if not value.endswith(EXPORTERS)]
    pod = labels.get("pod", "")
    found = service_among([*own, pod], known)
    if found:
        return found
    vague = [labels[name] for name in ("container", "job") if labels.get(name) in own]
    named = [labels[name] for name in SERVICE_LABELS if labels.get(name) in own and labels[name] not in vague]
    return next(filter(None, [*named, pod_owner(pod), *vague]), "")


def first_label(labels: Mapping[str, str], names: Iterable[str]) -> str:
    """Return the value of the first of *names* that is set."""
    return next((labels[name] for name in names if labels.get(name)), "")


def when(value: Any) -> datetime | None:
    """RFC 3339 text, or Unix seconds (text or number), as aware UTC; None for "never" (Go's year 1) and the unreadable."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            found = datetime.fromtimestamp(value, UTC)
        elif isinstance(value, str) and re.fullmatch(r"\d{9,11}(\.\d+)?", value):
            found = datetime.fromtimestamp(float(value), UTC)
        else:
            found = datetime.fromisoformat(str(value))
        found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return found if found.year > 1970 else None


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
    service = alert.service or service_of(labels, known) or service_among(values, known)
    severity = severity_of([first_label(labels, SEVERITY_LABELS)]) or severity_of(values)
    namespace = alert.namespace or first_label(labels, NAMESPACE_LABELS)
    gaps = {"service": not service, "severity": severity is None, "query": query_expected and not alert.query}
    kept = [note for note in alert.missing if note not in ("service", "severity", "query")]
    return alert.model_copy(
        update={
            "service": service,
            "severity": severity or "warning",
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
    return complete(named, known_services, words=() if labels else alert.annotations.get("title", "").split())


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


def status_of(text: str) -> Literal["firing", "resolved"]:
    """Read free text: "resolved" when it says that the trouble is over."""
    over = r"\b(resolved|recovered|recovery|cleared|closed|back to normal|all clear)\b|(^|\W)OK\b"
    return "resolved" if re.search(over, text, re.IGNORECASE) else "firing"
