"""The objects of platform.yaml: created at the start, put back by a reset; used by the cluster and the drills."""

import json
from importlib import resources
from typing import Any

import yaml

from drill.cluster import defaults, kinds, managed
from drill.cluster.objects import Kind, Obj, clone, iso
from drill.cluster.store import Store

_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def load() -> list[tuple[Kind, Obj]]:
    """(kind, object) of everything in platform.yaml, with the API server's defaults."""
    rows: list[dict[str, Any]] = yaml.safe_load(resources.files("drill.cluster").joinpath("platform.yaml").read_text())
    return [(_kind(row["plural"]), _object(row)) for row in rows]


def create(store: Store) -> None:
    """Create them all."""
    for kind, obj in load():
        managed.record(None, obj, "kubectl-client-side-apply", iso(store.clock()))
        store.create(kind, obj)


def restore(store: Store) -> None:
    """Give each its own spec and data again; one that was deleted is made again."""
    for kind, wanted in load():
        meta = wanted["metadata"]
        known = store.find(kind, meta.get("namespace", ""), meta["name"])
        if known is None:
            store.create(kind, wanted)
            continue
        fresh = clone(known)
        for part in ("spec", "data"):
            if part in wanted:
                fresh[part] = wanted[part]
        store.update(kind, fresh)


def _kind(plural: str) -> Kind:
    return next(kind for kind in kinds.KINDS if kind.plural == plural)


def _object(row: dict[str, Any]) -> Obj:
    kind, obj = _kind(row["plural"]), clone(row["object"])
    if row.get("applied"):
        said = {"apiVersion": kind.api_version, "kind": kind.kind} | clone(obj)
        obj["metadata"].setdefault("annotations", {})[_APPLIED] = json.dumps(said, sort_keys=True) + "\n"
    defaults.apply(kind, obj)
    return obj
