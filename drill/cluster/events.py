"""Kubernetes events, counted up when the same thing happens again; written by the controllers and the kubelet."""

from drill.cluster import kinds
from drill.cluster.objects import Obj, clone, iso
from drill.cluster.store import Store

_KEEP_S = 3600.0  # the API server's default event lifetime


class Recorder:
    """Writes events about objects, as client-go's recorder aggregates them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: dict[tuple[str, str, str], tuple[str, str]] = {}

    def record(self, about: Obj, reason: str, message: str, *, by: str, warning: bool = False) -> None:
        """Add an event about *about*, or count up the one that says the same."""
        meta = about["metadata"]
        namespace = meta.get("namespace", "default")
        key = (meta["uid"], reason, message)
        now = iso(self._store.clock())
        known = self._store.find(kinds.EVENTS, *self._seen[key]) if key in self._seen else None
        if known is not None:
            again = clone(known)
            again["count"] += 1
            again["lastTimestamp"] = now
            self._store.update(kinds.EVENTS, again)
            return
        name = f"{meta['name']}.{self._store.rng.getrandbits(64):016x}"
        reference = {"kind": about["kind"], "apiVersion": about["apiVersion"], "name": meta["name"], "uid": meta["uid"]}
        if "namespace" in meta:
            reference["namespace"] = meta["namespace"]
        if "resourceVersion" in meta:
            reference["resourceVersion"] = meta["resourceVersion"]
        event: Obj = {
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": reference,
            "reason": reason,
            "message": message,
            "source": {"component": by},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "type": "Warning" if warning else "Normal",
            "eventTime": None,
            "reportingComponent": by,
            "reportingInstance": "",
        }
        self._store.create(kinds.EVENTS, event)
        self._seen[key] = (namespace, name)

    def expire(self) -> None:
        """Drop events an hour old."""
        oldest = iso(self._store.clock() - _KEEP_S)
        for event in list(self._store.list(kinds.EVENTS)):
            seen = (
                event.get("lastTimestamp") or event["metadata"]["creationTimestamp"]
            )  # clients may leave the first out
            if seen < oldest:
                meta = event["metadata"]
                self._store.delete(kinds.EVENTS, meta["namespace"], meta["name"])
        self._seen = {k: v for k, v in self._seen.items() if self._store.find(kinds.EVENTS, *v)}
