"""Text, label pairs and fingerprints from JSON that nobody vouches for; used by every reader."""

import hashlib
import html
import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

MAX_NAME, MAX_TEXT, MAX_PAIRS = 200, 4000, 100
SEVERITY_LABELS = ("severity", "priority", "level", "urgency", "sev", "criticality")
SERVICE_LABELS = (
    *("service", "app", "application", "component", "service_name", "app_kubernetes_io_name", "kubernetes_name"),
    *("deployment", "statefulset", "daemonset", "workload", "created_by_name", "container", "job", "job_name"),
)
NAMESPACE_LABELS = ("namespace", "exported_namespace", "kubernetes_namespace", "kube_namespace", "k8s_namespace")
# The scrape target of an exporter's metric is the exporter; the alert is about what the exporter watches.
EXPORTERS = ("kube-state-metrics", "node-exporter", "cadvisor", "kubelet", "blackbox-exporter", "kube-rbac-proxy")
_POD = re.compile(r"(?P<deployment>.+?)(-[a-f0-9]{7,10})?-[a-z0-9]{5}|(?P<set>.+)-\d+")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # Postgres has no room for NUL, UTF-8 none for half a surrogate pair
LINK = re.compile(r"<(?P<url>https?://[^|<>\s]+)(?:\|(?P<label>[^<>]*))?>")
_MENTION = re.compile(r"<[@#!][^<>]*>")
_URL = re.compile(r"https?://[^\s<>\"'|)\]}]+")


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


def tags_of(value: Any) -> dict[str, str]:
    """Tags as pairs, however they are written: "a:b, c:d", ["a:b", "c=d"], [["a", "b"]], [{key, value}], {a: b}.

    A tag without a value is kept as name -> "true".
    """
    if isinstance(value, dict):
        return pairs_of(value)
    items = _listed(value) if isinstance(value, str) else value
    found: dict[str, str] = {}
    for item in items[:MAX_PAIRS] if isinstance(items, list) else []:
        key, text = _tag(item)
        if key and text:
            found.setdefault(key, text)
    return found


def _listed(text: str) -> list[Any]:
    if text.lstrip().startswith("["):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, list):
            return found
    return list(re.split(r"[,;\n]", text))


def _tag(item: Any) -> tuple[str, str]:
    if isinstance(item, str):
        key, mark, text = re.sub(r"^\s*([\w./-]+)\s*=", r"\1:", item, count=1).partition(":")
        return text_of(key, MAX_NAME), text_of(text) if mark else "true"
    if isinstance(item, list | tuple) and len(item) == 2:
        return text_of(item[0], MAX_NAME), text_of(item[1])
    if isinstance(item, dict):
        names = [text_of(item.get(key), MAX_NAME) for key in ("key", "name", "tag", "label", "title")]
        return next(filter(None, names), ""), text_of(item.get("value"))
    return "", ""


def plain(value: Any) -> str:
    """Slack text without its markup: links become their label, mentions go, entities become their character."""
    text = _MENTION.sub("", LINK.sub(lambda link: link["label"] or link["url"], text_of(value)))
    return html.unescape(text).strip()


def bare(text: str) -> str:
    """*text* without what only decorates it: asterisks, backticks, :emoji: and pictograms at its ends and around it."""
    text = re.sub(r"(?<![0-9]):[a-z0-9_+-]{2,40}:(?![0-9])", " ", text)
    text = re.sub(r"[*`~]+", "", text)
    text = re.sub("[\u2190-\u21ff\u2300-\u2bff\ufe0f\U0001f000-\U0001faff]+", " ", text)
    return re.sub(r"[ \t]+", " ", text).strip(" \t_|-\u2013\u2014\u2022\u00b7")


def urls(text: str) -> list[str]:
    """Return the addresses in *text*, in order, without the full stop that ends a sentence."""
    return list(dict.fromkeys(found.rstrip(".,;:!?") for found in _URL.findall(text[: 4 * MAX_TEXT])))[:10]


def is_url(value: str) -> bool:
    """Say whether *value* is an address that a person can open."""
    return value.startswith(("http://", "https://")) and not re.search(r"[\s<>|]", value)


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


def service_among(values: Iterable[str], known: Collection[str]) -> str:
    """Return the first of *values* that is a known service, or a pod of one."""
    listed = list(values)
    for value in listed:
        if value in known:
            return value
    for value in listed:
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
