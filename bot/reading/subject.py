"""Which service a payload is about, and which host or resource where it names none; called by roles.py."""

import re
from collections.abc import Iterable, Iterator

from bot.reading import keys
from bot.reading.choose import pick, told
from bot.reading.facts import Facts
from bot.reading.walk import LABEL_HOLDERS, Leaf

_LAST_WORDS = frozenset(("service", "app", "application", "microservice", "svc"))
_TYPE_KEYS = frozenset(
    ("type", "kind", "entity", "entity_type", "object_type", "object_kind", "resource_type", "impact_type")
)
_NAME_KEYS = ("name", "label", "display_name", "entity_label", "entity_name", "object_name", "resource_name", "title")
_SCOPES = frozenset(("scope", "entity", "filter", "group", "groups", "grouping", "target", "resource"))
_SCOPE = re.compile(
    r"(?<![\w.])(?:[\w.]{0,80}[._])?(?:service|deployment|statefulset|daemonset|app|application)(?:[._]name)?\s*(?:=|:|in|is)\s*\(?[\"']?(?P<name>[A-Za-z][\w.-]{1,60})",
    re.IGNORECASE,
)
_SERVICE_KINDS = frozenset(
    keys.listed(
        "service services application app microservice deployment statefulset daemonset cronjob helmrelease kustomization rollout function"
    )
)


def read_service(facts: Facts, found: list[Leaf]) -> None:
    """Fill in the service where a key says service or the like; a host or resource is a guess at it."""
    facts.service = pick(found, keys.SERVICE, place) or _labelled(found) or next(_typed(found), "") or _scoped(found)
    facts.guessed_service = pick(found, keys.PLACE, place) or ""
    facts.words = [str(leaf.value) for leaf in found if isinstance(leaf.value, str) and len(leaf.value) <= 80]


def place(leaf: Leaf) -> str | None:
    """Accept a short value that can name a service or a host; where a list of names stands, the first."""
    text = (told(leaf) or "").strip("[]\"' ")
    host = re.match(r"https?://([^/:?#]+)", text)
    text = host[1] if host else text.split(",")[0].strip()
    if not text or len(text) > 100 or not re.search(r"[^\W\d_]", text) or text.startswith(("AWS/", "arn:", "{{", "$")):
        return None
    if text.lower() in ("true", "false", "unknown", "default", "all", "*", "production", "prod", "metric alert"):
        return None
    return text if len(text.split()) <= 6 else None


def _labelled(found: Iterable[Leaf]) -> str:
    """Return the value of a label or dimension whose last word says service ("sf_service", "kube_app")."""
    for leaf in found:
        inside = any(step in LABEL_HOLDERS or step in ("key", "group", "fields") for step in leaf.path[:-1])
        if inside and leaf.path[-1].rpartition("_")[2] in _LAST_WORDS:
            value = place(leaf)
            if value:
                return value
    return ""


def _scoped(found: Iterable[Leaf]) -> str:
    """Return the service of a scope that is written as an expression (kubernetes.deployment.name = 'checkout')."""
    for leaf in found:
        match = _SCOPE.search(str(leaf.value)[:300]) if leaf.path[-1:] and leaf.path[-1] in _SCOPES else None
        if match:
            return match["name"]
    return ""


def _typed(found: list[Leaf]) -> Iterator[str]:
    """Yield the names of objects that say of themselves that they are a service or a workload ({"type": "SERVICE", "name": ...})."""
    objects: dict[tuple[str, ...], dict[str, Leaf]] = {}
    for leaf in found:
        objects.setdefault(leaf.path[:-1], {}).setdefault(leaf.path[-1] if leaf.path else "", leaf)
    for one in objects.values():
        kinds = {str(one[key].value).lower().replace(" ", "") for key in _TYPE_KEYS & one.keys()}
        if kinds & _SERVICE_KINDS:
            yield from (value for key in _NAME_KEYS if key in one and (value := place(one[key])))
