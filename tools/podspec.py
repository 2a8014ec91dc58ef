"""What differs between two pod templates, and between two objects, in words and lines people can read.

Used by tools.evidence.changes (what did that rollout change?) and tools.deployments (what would this action change?).
Values of secret-looking variables are shown by a short hash: one sees that they changed, not what they are.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tools.redact import is_secret_name, redact

Obj = dict[str, Any]
MAX_VALUE = 200
HASH_LABEL = "pod-template-hash"
RESTARTED = "kubectl.kubernetes.io/restartedAt"
# What most often breaks a service comes first; the first change names the rollout.
ORDER = ("image", "limits", "env", "args", "probes", "ports", "volumes", "scheduling", "metadata", "other", "restart")


@dataclass(frozen=True)
class Change:
    """One difference: *what* kind of setting, its *path*, the values *before* and *after* ("" for absent)."""

    what: str
    path: str
    before: str
    after: str

    @property
    def line(self) -> str:
        """One line for people."""
        if not self.before:
            return f"{self.path} added: {self.after}"
        return (
            f"{self.path} removed (was {self.before})"
            if not self.after
            else f"{self.path} {self.before} -> {self.after}"
        )


def hashed(value: str) -> str:
    """Return a short hash that shows whether a secret value changed, never what it is."""
    return f"[secret sha256:{hashlib.sha256(value.encode('utf-8', 'replace')).hexdigest()[:8]}]"


def changes(before: Obj, after: Obj) -> list[Change]:
    """Return what differs between two pod templates, the most telling kind first."""
    old, new = dict(_flat(_readable(before), ())), dict(_flat(_readable(after), ()))
    found = [
        Change(_what(path), _path(path), old.get(path, ""), new.get(path, ""))
        for path in dict.fromkeys([*old, *new])
        if old.get(path) != new.get(path)
    ]
    return sorted(found, key=lambda change: (ORDER.index(change.what), change.path))


def lines(before: Obj, after: Obj) -> list[str]:
    """Return a readable diff of two objects: ``- path: old`` and ``+ path: new``, unchanged lines left out."""
    old, new = dict(_flat(_masked(before), ())), dict(_flat(_masked(after), ()))
    shown: list[str] = []
    for path in dict.fromkeys([*old, *new]):
        if old.get(path) == new.get(path):
            continue
        if path in old:
            shown.append(f"- {_path(path)}: {old[path]}")
        if path in new:
            shown.append(f"+ {_path(path)}: {new[path]}")
    return shown


def fingerprint(value: Any) -> str:
    """Return a short stable hash of JSON-like *value*."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def without_hash(template: Obj) -> Obj:
    """Return a ReplicaSet's template as its Deployment has it: without the pod-template-hash label."""
    copied: Obj = json.loads(json.dumps(template))
    (copied.get("metadata", {}).get("labels") or {}).pop(HASH_LABEL, None)
    return copied


def _readable(template: Obj) -> Obj:
    """*template* with defaults that only add noise left out and secrets hashed."""
    masked: Obj = _masked(without_hash(template))
    (masked.get("metadata") or {}).pop("creationTimestamp", None)
    return masked


def _masked(value: Any) -> Any:
    """*value* with lists of named things keyed by their names, and secret-looking values hashed."""
    if isinstance(value, dict):
        return {key: _masked_item(key, item) for key, item in value.items()}
    if isinstance(value, list):
        if value and all(isinstance(item, dict) and isinstance(item.get("name"), str) for item in value):
            return {item["name"]: _named(item) for item in value}
        return [_masked(item) for item in value]
    return value


def _masked_item(key: str, item: Any) -> Any:
    return hashed(item) if isinstance(item, str) and is_secret_name(key) and key != "secretName" else _masked(item)


def _named(item: Obj) -> Any:
    rest = {key: value for key, value in item.items() if key != "name"}
    if set(rest) == {"value"} or not rest:  # an environment variable
        value = str(rest.get("value", ""))
        hide = is_secret_name(item["name"]) or redact(value) != value
        return hashed(value) if hide and value else value
    return _masked(rest)


def _flat(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _flat(item, (*path, str(key)))
    elif isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
        for index, item in enumerate(value):
            yield from _flat(item, (*path, str(index)))
    elif value not in ({}, None):
        text = " ".join(map(str, value)) if isinstance(value, list) else _scalar(value)
        yield path, text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}… ({fingerprint(text)})"


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return '""' if value == "" else str(value)


def _path(path: tuple[str, ...]) -> str:
    """``spec.containers.app.env.URL`` as people say it: ``app env URL``; other paths stay dotted."""
    for start in (("spec", "containers"), ("spec", "template", "spec", "containers")):
        if path[: len(start)] == start and len(path) > len(start) + 1:
            container, *rest = path[len(start) :]
            return f"{container} {' '.join(rest[:1])}{''.join(f' {part}' for part in rest[1:])}"
    return ".".join(path)


def _what(path: tuple[str, ...]) -> str:
    if path[-1] == RESTARTED:
        return "restart"
    if path[0] == "metadata":
        return "metadata"
    inside = path[3:] if path[:2] in {("spec", "containers"), ("spec", "initContainers")} else path[1:]
    head = inside[0] if inside else ""
    return {
        "image": "image", "resources": "limits", "env": "env", "envFrom": "env", "args": "args", "command": "args",
        "livenessProbe": "probes", "readinessProbe": "probes", "startupProbe": "probes", "lifecycle": "probes",
        "terminationGracePeriodSeconds": "probes", "ports": "ports", "volumes": "volumes", "volumeMounts": "volumes",
        "nodeSelector": "scheduling", "affinity": "scheduling", "tolerations": "scheduling",
        "topologySpreadConstraints": "scheduling", "priorityClassName": "scheduling",
    }.get(head, "other")  # fmt: skip
