"""The object store behind the practice cluster: resource versions, optimistic locking, watches.

The controllers and the API both write through it, so a client's change and a controller's meet the same rules.
"""

import asyncio
import random
import uuid
from collections import deque
from collections.abc import Iterator, Sequence

from drill.cluster.objects import ApiError, Kind, Obj, clone, iso, not_found
from drill.timeline import Clock

_HISTORY = 4000  # watch events kept; an older resourceVersion is answered 410, as the real one does
Change = tuple[int, Kind, str, Obj, Obj | None]
"""(version, kind, ADDED | MODIFIED | DELETED, the object, what it was before a MODIFIED)."""


class Store:
    """Objects by kind, namespace and name. What it returns must not be changed in place: `clone` first."""

    def __init__(self, clock: Clock, rng: random.Random) -> None:
        self.clock, self.rng = clock, rng
        self.version = 1000
        self._objects: dict[Kind, dict[tuple[str, str], Obj]] = {}
        self._history: deque[Change] = deque(maxlen=_HISTORY)
        self._watchers: list[tuple[Kind, asyncio.Queue[Change]]] = []

    def get(self, kind: Kind, namespace: str, name: str) -> Obj:
        """One object; ApiError 404 when absent."""
        found = self.find(kind, namespace, name)
        if found is None:
            raise not_found(kind, name)
        return found

    def find(self, kind: Kind, namespace: str, name: str) -> Obj | None:
        """One object or None."""
        return self._objects.get(kind, {}).get((namespace if kind.namespaced else "", name))

    def list(self, kind: Kind, namespace: str = "") -> Iterator[Obj]:
        """All of a kind, of one namespace or ("") of all, in the order of creation."""
        rows = list(self._objects.get(kind, {}).items())
        return (obj for (space, _), obj in rows if not namespace or space == namespace)

    def create(self, kind: Kind, obj: Obj, *, dry_run: bool = False) -> Obj:
        """Store a new object with uid, version and time; ApiError 409 when the name is taken."""
        fresh = clone(obj)
        meta = fresh.setdefault("metadata", {})
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = meta["generateName"] + self.word(5)
        key = (meta.get("namespace", "") if kind.namespaced else "", meta["name"])
        if key in self._objects.get(kind, {}):
            details = {"name": meta["name"], "group": kind.group, "kind": kind.plural}
            going = "deletionTimestamp" in self._objects[kind][key]["metadata"]
            said = f'{"object is being deleted: " if going else ""}{kind.qualified} "{meta["name"]}" already exists'
            raise ApiError(409, "AlreadyExists", said, details)
        fresh = {"apiVersion": kind.api_version, "kind": kind.kind} | fresh
        meta["uid"] = meta.get("uid") or self.uid()
        meta["creationTimestamp"] = iso(self.clock())
        if "spec" in fresh:
            meta["generation"] = 1
        if dry_run:
            return fresh
        self._objects.setdefault(kind, {})[key] = fresh
        self._stamp(kind, "ADDED", fresh)
        return fresh

    def update(self, kind: Kind, obj: Obj, *, status: bool = False, dry_run: bool = False) -> Obj:
        """Replace an object: its spec and metadata, or (*status*) its status alone.

        A resourceVersion in *obj* that is not the stored one is ApiError 409. Nothing is written when nothing changed.
        """
        meta = obj["metadata"]
        old = self.get(kind, meta.get("namespace", ""), meta["name"])
        given = meta.get("resourceVersion")
        if given and given != old["metadata"]["resourceVersion"]:
            raise _conflict(kind, meta["name"])
        fresh = clone(old)
        if status:
            fresh["status"] = clone(obj.get("status", {}))
        else:
            fresh = clone(obj)
            fresh["status"] = old.get("status", {})
            if "status" not in old:
                fresh.pop("status")
            kept = {k: old["metadata"][k] for k in ("uid", "creationTimestamp", "generation") if k in old["metadata"]}
            fresh["metadata"] |= kept | {"resourceVersion": old["metadata"]["resourceVersion"]}
            if fresh.get("spec") != old.get("spec") or (
                kind.plural == "deployments" and _annotations(fresh) != _annotations(old)
            ):
                fresh["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
        if fresh == old or dry_run:
            return fresh
        key = (meta.get("namespace", "") if kind.namespaced else "", meta["name"])
        self._objects[kind][key] = fresh
        self._stamp(kind, "MODIFIED", fresh, old)
        return fresh

    def delete(self, kind: Kind, namespace: str, name: str) -> Obj:
        """Remove an object at once; ApiError 404 when absent."""
        old = self.get(kind, namespace, name)
        del self._objects[kind][(namespace if kind.namespaced else "", name)]
        gone = clone(old)
        self._stamp(kind, "DELETED", gone)
        return gone

    def uid(self) -> str:
        """Return a fresh uid."""
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def word(self, length: int) -> str:
        """Return a random name suffix in Kubernetes' alphabet."""
        return "".join(self.rng.choice("bcdfghjklmnpqrstvwxz2456789") for _ in range(length))

    def since(self, kind: Kind, version: int) -> Sequence[Change]:
        """Return changes of *kind* after *version*; ApiError 410 when they are no longer kept."""
        if self._history and len(self._history) == _HISTORY and version < self._history[0][0] - 1:
            raise ApiError(410, "Expired", f"too old resource version: {version} ({self._history[0][0]})")
        return [change for change in self._history if change[1] is kind and change[0] > version]

    def subscribe(self, kind: Kind) -> "asyncio.Queue[Change]":
        """Return a queue that receives every later change of *kind*."""
        queue: asyncio.Queue[Change] = asyncio.Queue()
        self._watchers.append((kind, queue))
        return queue

    def unsubscribe(self, queue: "asyncio.Queue[Change]") -> None:
        """Forget a queue."""
        self._watchers = [pair for pair in self._watchers if pair[1] is not queue]

    def _stamp(self, kind: Kind, what: str, obj: Obj, before: Obj | None = None) -> None:
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        change = (self.version, kind, what, obj, before)
        self._history.append(change)
        for watched, queue in self._watchers:
            if watched is kind:
                queue.put_nowait(change)


def _annotations(obj: Obj) -> Obj:
    return obj["metadata"].get("annotations") or {}


def _conflict(kind: Kind, name: str) -> ApiError:
    message = (
        f'Operation cannot be fulfilled on {kind.qualified} "{name}": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    return ApiError(409, "Conflict", message, {"name": name, "group": kind.group, "kind": kind.plural})
