"""How objects go: preconditions, grace of pods, finalizers, and namespaces with all that is in them; called by writes and the cluster."""

from drill.cluster import admission, kinds
from drill.cluster.objects import ApiError, Kind, Obj, clone, from_iso, iso
from drill.cluster.options import Deletion
from drill.cluster.requests import Target
from drill.cluster.store import Store

MARKS = ("deletionTimestamp", "deletionGracePeriodSeconds")
_OWN = ("kubernetes.io/pvc-protection", "kubernetes.io/pv-protection")  # the cluster lets go of these at once
_SPACE_S = 1.0  # a namespace's controller waits before it looks; a real one 5 s


def delete(store: Store, target: Target, wanted: Deletion) -> Obj:
    """DELETE: pods go gracefully, what has finalizers waits for them, all else goes at once; return the object as it was last."""
    old = store.get(target.kind, target.namespace, target.name)
    _check_preconditions(target, old, wanted.only or {})
    admission.check(store, target, "DELETE", None, old, dry_run=wanted.dry_run)
    going, marked = clone(old), "deletionTimestamp" in old["metadata"]
    grace = _grace(target.kind, old, wanted)
    waits = bool(grace) or target.kind is kinds.NAMESPACES or bool(_finalizers(old))
    if not marked and (waits or target.kind is kinds.PODS):
        going["metadata"] |= {"deletionTimestamp": iso(store.clock() + grace), "deletionGracePeriodSeconds": grace}
    if target.kind is kinds.NAMESPACES:
        going["status"] = (going.get("status") or {}) | {"phase": "Terminating"}
    if wanted.dry_run:
        return going
    if not waits:
        store.delete(target.kind, target.namespace, target.name)
        return going
    if marked:
        return going
    if target.kind is kinds.NAMESPACES:
        store.update(target.kind, going, status=True)
        going["metadata"].pop("resourceVersion")
    return store.update(target.kind, going)


def _grace(kind: Kind, old: Obj, wanted: Deletion) -> int:
    if kind is not kinds.PODS or not old["spec"].get("nodeName"):
        return 0
    return int(old["spec"].get("terminationGracePeriodSeconds", 30) if wanted.grace is None else wanted.grace)


def _finalizers(obj: Obj) -> list[str]:
    return [each for each in obj["metadata"].get("finalizers") or () if each not in _OWN]


def over(kind: Kind, obj: Obj) -> bool:
    """Whether an object that was written is one that only waited for its finalizers; pods wait for the kubelet too."""
    if kind in (kinds.PODS, kinds.NAMESPACES) or "deletionTimestamp" not in obj["metadata"]:
        return False
    return not _finalizers(obj)


def keep_marks(old: Obj, after: Obj) -> None:
    """Keep in *after* what only a DELETE may set."""
    for key in MARKS:
        after["metadata"].pop(key, None)
        if key in old["metadata"]:
            after["metadata"][key] = old["metadata"][key]


def check_space(store: Store, target: Target, name: str) -> None:
    """Raise ApiError when nothing can be made (*name*) in the target's namespace: 404, or 403 while it is being deleted."""
    space = store.get(kinds.NAMESPACES, "", target.namespace)
    if "deletionTimestamp" in space["metadata"]:
        said = f"unable to create new content in namespace {target.namespace} because it is being terminated"
        cause = {"reason": "NamespaceTerminating", "message": f"namespace {target.namespace} is being terminated",
                 "field": "metadata.namespace"}  # fmt: skip
        details = {"name": name, "group": target.kind.group, "kind": target.kind.plural, "causes": [cause]}
        raise ApiError(403, "Forbidden", f'{target.kind.qualified} "{name}" is forbidden: {said}', details)


def reconcile(store: Store) -> None:
    """Empty the namespaces that are being deleted, and remove those that are empty."""
    for space in list(store.list(kinds.NAMESPACES)):
        since = space["metadata"].get("deletionTimestamp")
        if not since or store.clock() < from_iso(since) + _SPACE_S:
            continue
        name, left = space["metadata"]["name"], False
        for kind in (each for each in kinds.KINDS if each.namespaced):
            for obj in list(store.list(kind, name)):
                if kind is kinds.PODS or _finalizers(obj):
                    delete(store, Target(kind, name, obj["metadata"]["name"], "", "delete"), Deletion())
                    left = True
                else:
                    store.delete(kind, name, obj["metadata"]["name"])
        if not left:
            store.delete(kinds.NAMESPACES, "", name)


def _check_preconditions(target: Target, old: Obj, only: Obj) -> None:
    of = f"{target.kind.kind}.{target.kind.group}" if target.kind.group else target.kind.kind
    hints = {
        "uid": ("UID", "The object might have been deleted and then recreated"),
        "resourceVersion": ("ResourceVersion", "The object might have been modified"),
    }
    for key, (word, hint) in hints.items():
        wanted, is_ = only.get(key), old["metadata"][key]
        if wanted and wanted != is_:
            message = (
                f'Operation cannot be fulfilled on {of} "{target.name}": the {word} in the precondition ({wanted}) does not '
                f"match the {word} in record ({is_}). {hint}"
            )
            details = {"name": target.name, "group": target.kind.group, "kind": target.kind.kind}
            raise ApiError(409, "Conflict", message, details)
