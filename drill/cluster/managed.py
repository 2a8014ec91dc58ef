"""Field ownership (managedFields) and server-side apply at the level that clients depend on; called by writes.py.

Lists that strategic merge treats as maps are owned element by element, all other lists as one value.
"""

import json
from typing import Any

from drill.cluster import patches
from drill.cluster.objects import ApiError, Obj, clone

Path = tuple[str, ...]
_IGNORED = {("apiVersion",), ("kind",), ("status",)}
_META_IGNORED = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp", "generation", "managedFields",
                 "selfLink", "ownerReferences", "generateName")  # fmt: skip

_ENTRY = ("manager", "operation", "apiVersion", "time", "subresource")


def leaves(value: Any, path: Path = ()) -> dict[Path, Any]:
    """Every owned value by its path, in fieldsV1 notation (``f:spec``, ``k:{"name":"app"}``)."""
    if path and _ignored(path):
        return {}
    if isinstance(value, dict) and value:
        found: dict[Path, Any] = {}
        for key, inner in value.items():
            found |= leaves(inner, (*path, f"f:{key}"))
        return found
    key = patches.merge_key(path[-1][2:], value) if path and isinstance(value, list) and value else ""
    if key and all(isinstance(row, dict) and key in row for row in value):
        found = {}
        for row in value:
            found |= leaves(row, (*path, "k:" + json.dumps({key: row[key]}, separators=(",", ":"))))
        return found
    return {path: value}


def _ignored(path: Path) -> bool:
    plain = tuple(part[2:] for part in path)
    return plain[:1] in _IGNORED or (plain[0] == "metadata" and len(plain) > 1 and plain[1] in _META_IGNORED)


def record(old: Obj | None, new: Obj, manager: str, now: str, subresource: str = "") -> None:
    """Note in *new* that *manager* set what differs from *old* (operation Update), through *subresource* if any."""
    entries = _entries(old)
    after = leaves(new)
    before = leaves(old) if old else {}
    changed = {path for path, value in after.items() if path not in before or before[path] != value}
    for entry in entries:
        entry["paths"] = {path for path in entry["paths"] if path in after and path not in changed}
    if changed and manager:
        own = _entry(entries, manager, "Update", new.get("apiVersion", "v1"), subresource)
        own["paths"] |= changed
        own["time"] = now
    new.setdefault("metadata", {})["managedFields"] = _written(entries)


def first_apply(body: Obj, manager: str, api_version: str, now: str) -> list[Obj]:
    """ManagedFields of an object that an apply creates."""
    entry = {"manager": manager, "operation": "Apply", "apiVersion": api_version, "time": now}
    return _written([entry | {"paths": set(leaves(body))}])


def apply(old: Obj, body: Obj, manager: str, now: str, *, force: bool) -> Obj:
    """Return the object after *manager* applied *body*; ApiError 409 when others own a value it would change."""
    entries = _entries(old)
    live, wanted = leaves(old), leaves(body)
    own = _entry(entries, manager, "Apply", old["apiVersion"])
    others = [entry for entry in entries if entry is not own]
    clashes = [
        (_printed(entry), path)
        for entry in others
        for path in sorted(entry["paths"] & set(wanted))
        if live.get(path) != wanted[path]
    ]
    if clashes and not force:
        raise _clash(clashes)
    for entry in others:
        entry["paths"] -= {path for _, path in clashes}
    after = _in_old_order(old, patches.strategic(clone(old), body))
    dropped = own["paths"] - set(wanted)
    _prune(after, dropped, {path for entry in others for path in entry["paths"]} | set(wanted))
    for path in sorted(dropped, reverse=True):
        if not any(path in entry["paths"] for entry in others):
            _drop(after, path)
    if own["paths"] != set(wanted) or leaves(after) != live:
        own["time"] = now
    own["paths"] = set(wanted)
    after["metadata"]["managedFields"] = _written(entries)
    after["metadata"].pop("resourceVersion", None)
    return dict(after)


def _clash(clashes: list[tuple[str, Path]]) -> ApiError:
    count = len(clashes)
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {who}", "field": _dotted(path)}
        for who, path in clashes
    ]
    by: dict[str, list[str]] = {}
    for who, path in clashes:
        by.setdefault(who, []).append(_dotted(path))
    lines = [
        f"conflict with {who}: {paths[0]}" if len(paths) == 1 else f"conflicts with {who}:\n- " + "\n- ".join(paths)
        for who, paths in by.items()
    ]
    message = f"Apply failed with {count} conflict{'s' if count > 1 else ''}: " + "\n".join(lines)
    return ApiError(409, "Conflict", message, {"causes": causes})


def _printed(entry: Obj) -> str:
    part = f' with subresource "{entry["subresource"]}"' if entry.get("subresource") else ""
    return f'"{entry["manager"]}"{part}' + (f" using {entry['apiVersion']}" if entry["operation"] == "Update" else "")


def _dotted(path: Path) -> str:
    text = ""
    for part in path:
        if part.startswith("f:"):
            text += f".{part[2:]}"
        else:
            text += "[" + ",".join(f'{k}="{v}"' for k, v in json.loads(part[2:]).items()) + "]"
    return text


def _in_old_order(old: Any, new: Any, field: str = "") -> Any:
    """Return *new* with its keyed lists as apply leaves them: the old order first, then what is new."""
    if isinstance(new, dict):
        before = old if isinstance(old, dict) else {}
        return {key: _in_old_order(before.get(key), value, key) for key, value in new.items()}
    key = patches.merge_key(field, new) if isinstance(new, list) and isinstance(old, list) else ""
    if not key:
        return new
    places = {row.get(key): at for at, row in enumerate(old)}
    rows = sorted(new, key=lambda row: places.get(row.get(key), len(old)))
    return [_in_old_order(old[places[row[key]]] if row.get(key) in places else None, row) for row in rows]


def _prune(obj: Obj, dropped: set[Path], owned: set[Path]) -> None:
    """Take out the list elements that a manager let go of and that nobody else holds a part of."""
    for path in dropped:
        for at, part in enumerate(path):
            element = path[: at + 1]
            if part.startswith("k:") and not any(other[: at + 1] == element for other in owned):
                rows: Any = obj
                for step in path[:at]:
                    rows = (rows.get(step[2:]) if step.startswith("f:") else _element(rows, step)) if rows else None
                gone = _element(rows, part)
                if gone is not None:
                    rows.remove(gone)
                break


def _drop(obj: Any, path: Path) -> None:
    for part in path[:-1]:
        if obj is None:
            return
        obj = obj.get(part[2:]) if part.startswith("f:") else _element(obj, part)
    if isinstance(obj, dict):
        obj.pop(path[-1][2:], None)


def _element(rows: Any, part: str) -> Any:
    wanted = json.loads(part[2:])
    return next((row for row in rows or () if wanted.items() <= row.items()), None)


def _entries(obj: Obj | None) -> list[Obj]:
    written = (obj or {}).get("metadata", {}).get("managedFields") or []
    return [{k: row[k] for k in _ENTRY if k in row} | {"paths": _read(row["fieldsV1"])} for row in written]


def _entry(entries: list[Obj], manager: str, operation: str, api_version: str, subresource: str = "") -> Obj:
    wanted = (manager, operation, subresource)
    for entry in entries:
        if (entry["manager"], entry["operation"], entry.get("subresource", "")) == wanted:
            return entry
    fresh = {"manager": manager, "operation": operation, "apiVersion": api_version, "time": "", "paths": set()}
    entries.append(fresh | ({"subresource": subresource} if subresource else {}))
    return entries[-1]


def _written(entries: list[Obj]) -> list[Obj]:
    rows = []
    for entry in entries:
        if not entry["paths"]:
            continue
        tree: Obj = {}
        for path in sorted(entry["paths"]):
            node = tree
            for part in path:
                node = node.setdefault(part, {})
        row = {k: entry[k] for k in _ENTRY if k in entry}
        rows.append(row | {"fieldsType": "FieldsV1", "fieldsV1": tree})
    return rows


def _read(tree: Obj, path: Path = ()) -> set[Path]:
    found: set[Path] = set()
    for key, inner in tree.items():
        found |= _read(inner, (*path, key)) if inner else {(*path, key)}
    return found
