"""Small helpers over Kubernetes objects as JSON, used by the controllers and by the API."""

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Obj = dict[str, Any]

_CAUSES = {
    "Required": "FieldValueRequired", "Unsupported": "FieldValueNotSupported", "Forbidden": "FieldValueForbidden",
    "Duplicate": "FieldValueDuplicate",
}  # fmt: skip
_SAFE = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIXES = {
    "n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50, "Ei": 2.0**60,
}  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """One served resource: where it lives in the API and how it is called."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    short: tuple[str, ...] = ()
    subresources: tuple[str, ...] = field(default=("status",))

    @property
    def api_version(self) -> str:
        """``v1`` or ``apps/v1``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """``deployments.apps``, as error messages name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


class ApiError(Exception):
    """A refusal in the API server's own words: HTTP *code*, *reason* and *message*."""

    def __init__(self, code: int, reason: str, message: str, details: Obj | None = None) -> None:
        super().__init__(message)
        self.code, self.reason, self.message, self.details = code, reason, message, details or {}

    def status(self) -> Obj:
        """Return the Status object that goes over the wire."""
        body: Obj = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        body |= {"message": self.message} | ({"reason": self.reason} if self.reason else {})
        details = {key: value for key, value in self.details.items() if value}
        if details:
            body["details"] = details
        return body | {"code": self.code}


def not_found(kind: Kind, name: str, subresource: str = "") -> ApiError:
    """404 as the API server words it."""
    plural = f"{kind.plural}/{subresource}" if subresource else kind.plural
    of = f"{plural}.{kind.group}" if kind.group else plural
    return ApiError(404, "NotFound", f'{of} "{name}" not found', {"name": name, "group": kind.group, "kind": plural})


def invalid(kind: Kind, name: str, path: str, problem: str) -> ApiError:
    """422 as the API server words it; *path* is the field, *problem* starts with ``Invalid value: ...`` or the like."""
    return all_invalid(kind, name, [(path, problem)])


def all_invalid(kind: Kind, name: str, problems: Sequence[tuple[str, str]]) -> ApiError:
    """422 with one cause for each (field, problem)."""
    causes = [
        {
            "reason": next((v for k, v in _CAUSES.items() if text.startswith(k)), "FieldValueInvalid"),
            "message": text,
            "field": path,
        }
        for path, text in problems
    ]
    said = [f"{path}: {text}" for path, text in problems]
    whole = said[0] if len(said) == 1 else f"[{', '.join(said)}]"
    of = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    details: Obj = {"name": name, "group": kind.group, "kind": kind.kind, "causes": causes}
    return ApiError(422, "Invalid", f'{of} "{name}" is invalid: {whole}', details)


def bad_option(options: str, path: str, problem: str) -> ApiError:
    """422 for what stands in ``CreateOptions``, ``PatchOptions``, ``UpdateOptions`` or ``DeleteOptions``."""
    return invalid(Kind("meta.k8s.io", "v1", "", options), "", path, problem)


def iso(at: float) -> str:
    """RFC 3339 in whole seconds, as object metadata has it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def from_iso(text: str) -> float:
    """Seconds since the epoch."""
    return datetime.fromisoformat(text).timestamp()


def quantity(text: object) -> float:
    """Return a Kubernetes quantity (``250m``, ``128Mi``) as a number; ValueError when it is none."""
    raw = str(text).strip()
    digits = raw.rstrip("numkMGTPEi")
    suffix = raw[len(digits) :]
    if suffix not in _SUFFIXES or not digits:
        message = f"not a quantity: {raw!r}"
        raise ValueError(message)
    return float(digits) * _SUFFIXES[suffix]


def safe_hash(value: object, length: int = 10) -> str:
    """Return a name-safe hash of any JSON value, in the alphabet Kubernetes uses for pod-template-hash."""
    digest = hashlib.sha256(json.dumps(value, sort_keys=True).encode()).digest()
    return "".join(_SAFE[byte % len(_SAFE)] for byte in digest[:length])


def owner_uid(obj: Obj) -> str:
    """Return the uid of the controlling owner, or ""."""
    for ref in obj["metadata"].get("ownerReferences", ()):
        if ref.get("controller"):
            return str(ref["uid"])
    return ""


def owner_reference(obj: Obj) -> Obj:
    """Return a controlling reference to *obj*."""
    meta = obj["metadata"]
    return {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def matches_labels(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether *labels* satisfy a LabelSelector (matchLabels and matchExpressions)."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_expression(each, labels) for each in selector.get("matchExpressions") or ())


def _expression(each: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    present, values = each["key"] in labels, each.get("values") or ()
    match each["operator"]:
        case "In":
            return present and labels[each["key"]] in values
        case "NotIn":
            return not present or labels[each["key"]] not in values
        case "Exists":
            return present
        case _:
            return not present


def condition(obj: Obj, kind: str) -> Obj | None:
    """Return the condition of that type, or None."""
    found: Obj | None = next((c for c in obj.get("status", {}).get("conditions", ()) if c["type"] == kind), None)
    return found


def is_ready(pod: Obj) -> bool:
    """Return a pod that serves: ready and not on its way out."""
    ready = condition(pod, "Ready")
    return ready is not None and ready["status"] == "True" and "deletionTimestamp" not in pod["metadata"]


def clone(obj: Obj) -> Obj:
    """Return a deep copy; objects in the store are never changed in place."""
    return copy.deepcopy(obj)
