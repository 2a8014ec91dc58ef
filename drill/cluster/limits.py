"""LimitRange: gives a new pod's containers what they leave out, and refuses what is out of bounds; called where pods are made."""

from collections.abc import Iterator

from drill.cluster import kinds
from drill.cluster.objects import ApiError, Obj, quantity, safe_hash
from drill.cluster.store import Store

_MARK = "kubernetes.io/limit-ranger"


def admit(store: Store, pod: Obj) -> None:
    """Fill in defaults in place, then raise ApiError 403 in the API server's words when a bound is passed."""
    items = [
        item
        for each in store.list(kinds.LIMITRANGES, pod["metadata"]["namespace"])
        for item in each["spec"].get("limits") or ()
        if item.get("type") == "Container"
    ]
    said = [line for item in items for container in pod["spec"]["containers"] for line in _fill(item, container)]
    if said:
        marks = pod["metadata"].setdefault("annotations", {})
        marks[_MARK] = f"LimitRanger plugin set: {'; '.join(said)}"
    wrong = [line for item in items for container in pod["spec"]["containers"] for line in _problems(item, container)]
    if wrong:
        name = pod["metadata"].get("name") or pod["metadata"]["generateName"] + safe_hash(
            pod["metadata"]["generateName"], 5
        )
        text = wrong[0] if len(wrong) == 1 else f"[{', '.join(wrong)}]"
        raise ApiError(403, "Forbidden", f'pods "{name}" is forbidden: {text}', {"name": name, "kind": "pods"})


def complete(limit_range: Obj) -> None:
    """Fill in an item's own defaults in place: limits from its maximum, requests from its limits and its minimum."""
    for item in limit_range.get("spec", {}).get("limits") or ():
        if item.get("type") == "Container":
            limits = dict(item.get("max") or {}) | (item.get("default") or {})
            requests = dict(item.get("min") or {}) | limits | (item.get("defaultRequest") or {})
            item |= {key: value for key, value in (("default", limits), ("defaultRequest", requests)) if value}


def _fill(item: Obj, container: Obj) -> Iterator[str]:
    for part, key, word in (("requests", "defaultRequest", "request"), ("limits", "default", "limit")):
        known = (container.get("resources") or {}).get(part) or {}
        added = {what: value for what, value in (item.get(key) or {}).items() if what not in known}
        if added:
            container.setdefault("resources", {})[part] = known | added
            yield f"{', '.join(sorted(added))} {word} for container {container['name']}"


def _problems(item: Obj, container: Obj) -> Iterator[str]:
    resources = container.get("resources") or {}
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    for what, least in sorted((item.get("min") or {}).items()):
        bound = f"minimum {what} usage per Container is {least}"
        if what not in requests:
            yield f"{bound}.  No request is specified"
        elif quantity(requests[what]) < quantity(least):
            yield f"{bound}, but request is {requests[what]}"
        elif what in limits and quantity(limits[what]) < quantity(least):
            yield f"{bound}, but limit is {limits[what]}"
    for what, most in sorted((item.get("max") or {}).items()):
        bound = f"maximum {what} usage per Container is {most}"
        if what not in limits:
            yield f"{bound}.  No limit is specified"
        elif quantity(limits[what]) > quantity(most):
            yield f"{bound}, but limit is {limits[what]}"
        elif what in requests and quantity(requests[what]) > quantity(most):
            yield f"{bound}, but request is {requests[what]}"
