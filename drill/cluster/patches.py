"""The four patch formats of the Kubernetes API; pure functions, called by the API."""

import copy
from typing import Any

from drill.cluster.objects import ApiError, Obj

_KEYS = {  # patchMergeKey of the fields that strategic merge treats as maps
    "containers": "name", "initContainers": "name", "ephemeralContainers": "name", "env": "name", "volumes": "name",
    "volumeMounts": "mountPath", "volumeDevices": "devicePath", "imagePullSecrets": "name", "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey", "conditions": "type", "ownerReferences": "uid", "secrets": "name",
}  # fmt: skip


def merge(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def strategic(target: Any, patch: Any) -> Any:
    """Strategic merge: lists of objects with a merge key are merged by it; ``$patch`` and its kin are honoured."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    directive = patch.get("$patch")
    if directive == "replace":
        return {k: copy.deepcopy(v) for k, v in patch.items() if k != "$patch"}
    if directive == "delete":
        return {}
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            field = key.split("/", 1)[1]
            result[field] = [each for each in result.get(field) or [] if each not in value]
        elif key == "$retainKeys":
            result = {k: v for k, v in result.items() if k in value}
        elif key.startswith("$"):
            continue
        elif value is None:
            result.pop(key, None)
        elif isinstance(value, list):
            result[key] = _merge_list(key, result.get(key) or [], value)
        else:
            result[key] = strategic(result.get(key), value)
    return result


def merge_key(field: str, rows: list[Any]) -> str:
    """By which key a list field is merged, or "" when it is replaced as a whole."""
    if field == "ports":  # containers merge by containerPort, services by port
        return "containerPort" if any(isinstance(r, dict) and "containerPort" in r for r in rows) else "port"
    return _KEYS.get(field, "")


def _merge_list(field: str, old: list[Any], patch: list[Any]) -> list[Any]:
    key = merge_key(field, [*old, *patch])
    if not key or any(isinstance(row, dict) and row.get("$patch") == "replace" for row in patch):
        return [copy.deepcopy(r) for r in patch if not (isinstance(r, dict) and r.get("$patch") == "replace")]
    places = {known.get(key): at for at, known in enumerate(old)}
    patched: list[Any] = []
    deleted = set()
    for row in patch:
        if key not in row:
            message = f"map: {row} does not contain declared merge key: {key}"
            raise ApiError(400, "BadRequest", message)
        if row.get("$patch") == "delete":
            deleted.add(row[key])
        else:
            patched.append(strategic(old[places[row[key]]] if row[key] in places else {}, row))
    named = deleted | {row[key] for row in patched}
    return _ordered([row for row in old if row.get(key) not in named], patched, places, key)


def _ordered(left: list[Any], right: list[Any], places: dict[Any, int], key: str) -> list[Any]:
    """Put what only the server has among what the patch names, as strategicpatch's mergeSortedSlice does: new ones come first."""
    result, left, right = [], list(left), list(right)
    while left and right:
        place = places.get(right[0][key])
        before = place is not None and places[left[0].get(key)] < place
        result.append(left.pop(0) if before else right.pop(0))
    return result + left + right


def json_patch(target: Obj, operations: Any) -> Obj:
    """RFC 6902; a test that fails or a path that is not there is ApiError 422, as the API server answers."""
    if not isinstance(operations, list):
        raise ApiError(400, "BadRequest", "error decoding patch: a JSON patch is a list of operations")
    result: Any = copy.deepcopy(target)
    for operation in operations:
        try:
            result = _operate(result, operation)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            message = "the server rejected our request due to an error in our request"
            raise ApiError(422, "Invalid", message) from error
    if not isinstance(result, dict):
        raise ApiError(400, "BadRequest", "the patched value is not an object")
    return result


def _operate(doc: Any, operation: Obj) -> Any:
    op, path = operation["op"], _pointer(operation["path"])
    match op:
        case "test":
            if _at(doc, path) != operation["value"]:
                message = f"testing value {operation['path']} failed"
                raise ValueError(message)
            return doc
        case "remove":
            _remove(doc, path)
            return doc
        case "add":
            return _add(doc, path, copy.deepcopy(operation["value"]))
        case "replace":
            _at(doc, path)
            _remove(doc, path)
            return _add(doc, path, copy.deepcopy(operation["value"]))
        case "copy" | "move":
            source = _pointer(operation["from"])
            value = copy.deepcopy(_at(doc, source))
            if op == "move":
                _remove(doc, source)
            return _add(doc, path, value)
        case _:
            message = f"unknown operation {op}"
            raise ValueError(message)


def _pointer(text: str) -> list[str]:
    if text and not text.startswith("/"):
        message = f"not a JSON pointer: {text}"
        raise ValueError(message)
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _at(doc: Any, path: list[str]) -> Any:
    for part in path:
        doc = doc[_index(doc, part)] if isinstance(doc, list) else doc[part]
    return doc


def _index(rows: list[Any], part: str) -> int:
    at = int(part)
    if at < 0 or at >= len(rows):
        raise IndexError(part)
    return at


def _remove(doc: Any, path: list[str]) -> None:
    parent = _at(doc, path[:-1])
    if isinstance(parent, list):
        del parent[_index(parent, path[-1])]
    else:
        del parent[path[-1]]


def _add(doc: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    parent = _at(doc, path[:-1])
    if isinstance(parent, list):
        at = len(parent) if path[-1] == "-" else int(path[-1])
        if at < 0 or at > len(parent):
            raise IndexError(path[-1])
        parent.insert(at, value)
    else:
        parent[path[-1]] = value
    return doc
