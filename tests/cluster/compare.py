"""Whether two answers are the same, field by field, with what cannot be the same left out by name; used by test_conformance.py.

Left out: what is random or a time (uids, versions, addresses, times: only whether they are there is compared), which manager
holds which field (compared where a request is about it), status where controllers of two paces write it, and what depends
on the version: see NEWER and `comparable`. Messages are compared for the reasons that clients read them of (MESSAGES).
"""

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from tests.cluster.api import Answer
from tests.cluster.sides import Asked, Side

MESSAGES = ("NotFound", "AlreadyExists", "Conflict", "Forbidden", "Expired")
KNOWN = Path(__file__).parent / "fields-1.20.txt"
_GONE = ("metadata.managedFields*", "metadata.selfLink", "metadata.resourceVersion", "items[[]].metadata.managedFields*",
         "metadata.generateName", "*.annotations.deployment.kubernetes.io/revision", "metadata.remainingItemCount", "spec.selector.matchLabels.*controller-uid")  # fmt: skip
_PRESENT = re.compile(
    r"(uid|resourceVersion|creationTimestamp|deletionTimestamp|Time|continue|clusterIPs?|nodePort|hostIP|podIPs?"
    r"|requestReceivedTimestamp|retryAfterSeconds|startedAt|finishedAt|controller-uid)$"
)
# Fields that 1.20 does not have, or writes otherwise, and the practice cluster (1.33) does
NEWER = (
    "*.labels.kubernetes.io/metadata.name", "spec.internalTrafficPolicy", "spec.ipFamilies*", "spec.ipFamilyPolicy",
    "spec.completionMode", "spec.suspend", "spec.podReplacementPolicy", "spec.manualSelector", "*.batch.kubernetes.io/*",
    "status.uncountedTerminatedPods*", "status.ready", "status.terminating*", "items[[]].metadata.labels.kubernetes.io/*",
    "spec.evictionHard", "spec.persistentVolumeClaimRetentionPolicy*", "spec.behavior*", "*metadata.generation",
    "spec.minReadySeconds", "details.uid",
)  # fmt: skip


def differences(practice: Asked, real: Asked, sides: tuple[Side, Side], minor: int, known: set[str]) -> list[str]:
    """Return one line for each field in which the answers are not the same; *minor* is the real server's version."""
    ours, theirs = practice.answer, real.answer
    found = [f"code: {ours.code} for {theirs.code}"] if ours.code != theirs.code else []
    one = dict(_fields(_plain(practice, sides[0])))
    two = dict(_fields(_plain(real, sides[1])))
    for path in sorted({*one, *two}):
        left, right = one.get(path, _NONE), two.get(path, _NONE)
        if left != right and comparable(path, _NONE in (left, right), right is not _NONE, minor, known):
            found.append(f"{path}: {left!r} for {right!r}")
    return found


_NONE: Any = type("Nothing", (), {"__repr__": lambda _: "nothing"})()


def comparable(path: str, alone: bool, real_has: bool, minor: int, known: set[str]) -> bool:
    """Whether a difference at *path* counts: a field that one side alone has may be of another version.

    Fields in NEWER never count when one side alone has them. On servers after 1.20 a field that only the real one has counts
    when 1.20 has it as well (*known*: the paths a 1.20 server answered this suite with).
    """
    general = re.sub(r"\[\d+\]", "[]", path)
    if any(fnmatch(general, pattern) for pattern in _GONE):
        return False
    if alone and any(fnmatch(general, pattern) for pattern in NEWER):
        return False
    return not (alone and real_has and minor > 20 and general not in known)


def paths(asked: Asked, side: Side) -> set[str]:
    """Return the general paths of an answer, for `KNOWN`."""
    return {re.sub(r"\[\d+\]", "[]", path) for path, _ in _fields(_plain(asked, side))}


def _plain(asked: Asked, side: Side) -> Any:
    """Return the body with this side's own names replaced."""
    body = asked.answer.body
    if isinstance(body, dict) and body.get("kind") == "Status":
        return _status(body, asked.answer, side)
    if isinstance(body, dict) and not asked.status:
        body = {key: value for key, value in body.items() if key != "status"}
        if isinstance(body.get("items"), list):
            rows = [{key: value for key, value in row.items() if key != "status"} for row in body["items"]]
            body["items"] = rows
    if isinstance(body, dict) and isinstance(body.get("items"), list):
        body["items"] = sorted(body["items"], key=lambda row: str((row.get("metadata") or {}).get("name")))
    if asked.fields is not None:
        body = {path: _at(body, path) for path in asked.fields}
    return named(body, side)


def _at(value: Any, path: str) -> Any:
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _status(body: Any, answer: Answer, side: Side) -> Any:
    details = body.get("details") or {}
    causes = sorted({(str(each.get("reason")), str(each.get("field"))) for each in details.get("causes") or []})
    kept: dict[str, Any] = {key: body.get(key) for key in ("kind", "apiVersion", "status", "reason", "code")}
    kept["details"] = {key: details[key] for key in ("name", "group", "kind") if key in details} | {"causes": causes}
    if body.get("reason") in MESSAGES:
        kept["message"] = body.get("message")
    if answer.ok:
        kept.pop("details")
        kept.pop("code")
    return named(kept, side)


def named(value: Any, side: Side) -> Any:
    """Replace namespace, nodes, users and the like by names that both sides share."""
    if isinstance(value, dict):
        return {key: named(inner, side) for key, inner in value.items()}
    if isinstance(value, list):
        return [named(inner, side) for inner in value]
    if isinstance(value, tuple):
        return tuple(named(inner, side) for inner in value)
    if not isinstance(value, str):
        return value
    text = re.sub(r"system:serviceaccount:[a-z0-9-]+:(tocsin-)?(reader|actor)", r"USER-\2", value)
    for number, node in enumerate(dict.fromkeys((side.home, *side.nodes))):
        text = text.replace(node, f"NODE-{number}")
    text = re.sub(r"tocsin-test-admin|kubernetes-admin", "ADMIN", text.replace(side.namespace, "NAMESPACE"))
    text = re.sub(r"(policy|batch|autoscaling)/v\d(beta\d)?", r"\1", text)
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UID", text)
    text = re.sub(r"used: pods=\d+", "used: pods=N", text)  # how many the other groups left differs
    text = re.sub(r"StorageError: .*AdditionalErrorMsg: ", "", text)
    text = re.sub(r"^made-[a-z0-9]{5}$", "made-RANDOM", text)
    return re.sub(r"\(\d+\)|(?<=version: )\d+", "(VERSION)", text)


def _fields(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            where = f"{path}.{key}" if path else key
            if _PRESENT.search(key) and not isinstance(inner, dict):
                if inner:
                    yield where, "present"
            else:
                yield from _fields(inner, where)
    elif isinstance(value, list) and value:
        for number, inner in enumerate(value):
            yield from _fields(inner, f"{path}[{number}]")
    elif value not in (None, {}, []):
        yield path, value
