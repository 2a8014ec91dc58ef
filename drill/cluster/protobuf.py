"""The few requests that clients send as protobuf whatever they are offered (reviews, evictions, DeleteOptions); called by the API.

A message is read by its field numbers in Kubernetes' generated.proto; answers are always JSON, which every client takes.
"""

from collections.abc import Iterator
from typing import Any

from drill.cluster.objects import ApiError, Obj

_MAGIC = b"k8s\x00"
_VARINT, _I64, _LEN, _I32 = 0, 1, 2, 5
_Shape = dict[int, tuple[str, Any]]
"""Field number to (name, how it is read): str, int, [str], or the shape of a message."""

_META: _Shape = {1: ("name", str), 2: ("generateName", str), 3: ("namespace", str), 5: ("uid", str)}
_ONLY: _Shape = {1: ("uid", str), 2: ("resourceVersion", str)}
_DELETE: _Shape = {
    1: ("gracePeriodSeconds", int),
    2: ("preconditions", _ONLY),
    4: ("propagationPolicy", str),
    5: ("dryRun", [str]),
}
_WANTED: _Shape = {1: ("namespace", str), 2: ("verb", str), 3: ("group", str), 4: ("version", str), 5: ("resource", str),
                   6: ("subresource", str), 7: ("name", str)}  # fmt: skip
_SHAPES: dict[str, _Shape] = {
    "DeleteOptions": _DELETE,
    "Eviction": {1: ("metadata", _META), 2: ("deleteOptions", _DELETE)},
    "SelfSubjectAccessReview": {1: ("metadata", _META), 2: ("spec", {1: ("resourceAttributes", _WANTED)})},
    "SelfSubjectReview": {1: ("metadata", _META)},
}
_UNKNOWN: _Shape = {1: ("type", {1: ("apiVersion", str), 2: ("kind", str)}), 2: ("raw", bytes)}


def read(data: bytes) -> Obj:
    """Return the object as JSON would hold it; ApiError 415 for a kind that is not read, 400 for what is no protobuf."""
    try:
        outer = _message(data.removeprefix(_MAGIC), _UNKNOWN)
        kind = str((outer.get("type") or {}).get("kind", ""))
        found = _message(outer.get("raw", b""), _SHAPES.get(kind, {}))
    except (ValueError, IndexError) as error:
        raise ApiError(400, "BadRequest", f"the body of the request is no protobuf: {error}") from error
    if kind not in _SHAPES:
        said = f"the practice cluster reads {kind or 'this'} as JSON or YAML, not as protobuf"
        raise ApiError(415, "UnsupportedMediaType", said)
    return dict(outer["type"]) | found


def _message(data: bytes, shape: _Shape) -> Obj:
    found: Obj = {}
    for number, value in _fields(data):
        if number not in shape:
            continue
        name, how = shape[number]
        if isinstance(how, list):
            found.setdefault(name, []).append(_value(value, how[0]))
        else:
            found[name] = _value(value, how)
    return found


def _value(value: int | bytes, how: Any) -> Any:
    if isinstance(value, int):
        if how is not int:
            raise ValueError("a number where none belongs")
        return value - 2**64 if value >= 2**63 else value
    if isinstance(how, dict):
        return _message(value, how)
    if how is int:
        raise ValueError("no number where one belongs")
    return value if how is bytes else value.decode()


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire not in (_I64, _LEN, _I32):
            raise ValueError(f"wire type {wire}")
        size = {_I64: 8, _I32: 4}.get(wire, 0)
        if wire == _LEN:
            size, at = _varint(data, at)
        if at + size > len(data):
            raise ValueError("it ends too early")
        if wire == _LEN:
            yield number, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value & (2**64 - 1), at
        if shift > 63:
            raise ValueError("a number is too long")
