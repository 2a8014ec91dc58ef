"""What one HTTP request to the Kubernetes API asks for: kind, namespace, name, subresource, verb, selectors."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from drill.cluster import kinds
from drill.cluster.objects import ApiError, Kind, Obj

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True)
class Target:
    """The addressed resource; *name* "" is a collection, *verb* as RBAC names it."""

    kind: Kind
    namespace: str
    name: str
    subresource: str
    verb: str

    @property
    def resource(self) -> str:
        """``deployments`` or ``deployments/scale``."""
        return f"{self.kind.plural}/{self.subresource}" if self.subresource else self.kind.plural


def target(method: str, path: str, query: Mapping[str, str]) -> Target | None:
    """Read ``/api/v1/...`` or ``/apis/<group>/<version>/...``; None when nothing is served there."""
    parts = [part for part in path.split("/") if part]
    if parts[:1] == ["api"] and len(parts) >= 3:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) >= 4:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) >= 3 and rest[2] not in kinds.NAMESPACES.subresources:
        namespace, rest = rest[1], rest[2:]
    kind = kinds.find(group, version, rest[0])
    if kind is None or len(rest) > 3 or (namespace and not kind.namespaced):
        return None
    name, subresource = [*rest, "", ""][1:3]
    if subresource and subresource not in kind.subresources:
        return None
    return Target(kind, namespace, name, subresource, _verb(method, name, query))


def _verb(method: str, name: str, query: Mapping[str, str]) -> str:
    if method in ("GET", "HEAD"):
        if query.get("watch", "") in ("true", "1"):
            return "watch"
        return "get" if name else "list"
    if method == "DELETE" and not name:
        return "deletecollection"
    return _VERBS.get(method, "")


Selector = list[tuple[str, str, tuple[str, ...]]]


def label_selector(text: str) -> Selector:
    """``a=b,c!=d,e in (f,g),h,!i`` as (key, operator, values); ApiError 400 when it cannot be read."""
    return [_requirement(part.strip()) for part in _split(text) if part.strip()]


def _split(text: str) -> list[str]:
    parts, depth, current = [], 0, ""
    for char in text:
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            parts.append(current)
            current = ""
        else:
            current += char
    return [*parts, current]


_KEY = re.compile(r"^([a-z0-9.-]+/)?[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")


def _requirement(part: str) -> tuple[str, str, tuple[str, ...]]:
    key, operator, values = _operation(part)
    if not _KEY.match(key) or (operator in (">", "<") and not values[0].isdigit()):
        raise ApiError(400, "BadRequest", f'unable to parse requirement: "{part}"')
    return key, operator, values


def _operation(part: str) -> tuple[str, str, tuple[str, ...]]:
    for word in (" notin ", " in "):
        if word in part:
            key, _, values = part.partition(word)
            inside = values.strip()
            if not (inside.startswith("(") and inside.endswith(")")):
                raise ApiError(400, "BadRequest", f'unable to parse requirement: "{part}"')
            return key.strip(), word.strip(), tuple(v.strip() for v in inside[1:-1].split(","))
    for sign, operator in (("!=", "notin"), ("==", "in"), ("=", "in"), (">", ">"), ("<", "<")):
        if sign in part:
            key, _, value = part.partition(sign)
            return key.strip(), operator, (value.strip(),)
    return (part[1:].strip(), "absent", ()) if part.startswith("!") else (part, "present", ())


def selects(selector: Selector, labels: Mapping[str, str]) -> bool:
    """Whether *labels* satisfy every requirement; like the real one, ``!=`` and ``notin`` also accept absence."""
    for key, operator, values in selector:
        value = labels.get(key)
        if operator == "in" and value not in values:
            return False
        if operator in (">", "<") and not _beyond(value, operator, values[0]):
            return False
        if operator == "notin" and value in values and value is not None:
            return False
        if (operator == "present" and value is None) or (operator == "absent" and value is not None):
            return False
    return True


def _beyond(value: str | None, operator: str, limit: str) -> bool:
    if value is None or not value.isdigit():
        return False
    return int(value) > int(limit) if operator == ">" else int(value) < int(limit)


_FIELDS: dict[Kind, tuple[str, ...]] = {
    kinds.PODS: ("spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "status.phase",
                 "status.podIP", "status.podIPs", "status.nominatedNodeName", "spec.hostNetwork"),
    kinds.EVENTS: ("involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
                   "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason",
                   "reportingComponent", "source", "type"),
    kinds.NODES: ("spec.unschedulable",), kinds.NAMESPACES: ("status.phase",), kinds.SECRETS: ("type",),
    kinds.JOBS: ("status.successful",), kinds.REPLICASETS: ("status.replicas",),
}  # fmt: skip


def field_selector(text: str, kind: Kind) -> list[tuple[str, bool, str]]:
    """``a.b=c,d!=e`` as (path, equal, value); ApiError 400 for a field that *kind* is not selected by."""
    found = _field_requirements(text)
    for path, _, _ in found:
        if path not in ("metadata.name", "metadata.namespace", *_FIELDS.get(kind, ())):
            raise ApiError(400, "BadRequest", f"field label not supported: {path}")
    return found


def _field_requirements(text: str) -> list[tuple[str, bool, str]]:
    found = []
    for part in text.split(","):
        if not part.strip():
            continue
        equal = "!=" not in part
        key, sign, value = part.partition("!=") if not equal else part.partition("=")
        if not sign:
            raise ApiError(400, "BadRequest", f"invalid field selector: {part}")
        found.append((key.strip(), equal, value.lstrip("=").strip()))
    return found


def fields_match(selector: list[tuple[str, bool, str]], obj: Obj) -> bool:
    """Whether an object's fields are as asked."""
    return all((_field(obj, path) == value) is equal for path, equal, value in selector)


def _field(obj: Obj, path: str) -> str:
    value: object = obj
    for part in path.split("."):
        value = value.get(part, "") if isinstance(value, dict) else ""
    return str(value).lower() if isinstance(value, bool) else str(value)
