"""Creating, updating, patching, scaling and deleting through the Kubernetes API; called by kubernetes_api.py."""

from typing import Any

from drill.cluster import admission, defaults, deletion, disruption, kinds, limits, managed, patches, quota, validation
from drill.cluster.objects import ApiError, Kind, Obj, all_invalid, bad_option, clone, iso, not_found
from drill.cluster.options import Deletion
from drill.cluster.requests import Target
from drill.cluster.store import Store

APPLY = "application/apply-patch+yaml"
_STRATEGIC = "application/strategic-merge-patch+json"
_MERGE = "application/merge-patch+json"
_JSON = "application/json-patch+json"
_SCALE = Kind("autoscaling", "v1", "", "Scale")


class Writes:
    """Write operations over the store, each with an optional dry-run that leaves nothing."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, target: Target, body: Obj, *, manager: str, dry_run: bool) -> Obj:
        """POST to a collection."""
        self._same_kind(target, body)
        fresh = clone(body)
        meta = fresh.setdefault("metadata", {})
        if target.kind.namespaced:
            if meta.setdefault("namespace", target.namespace) != target.namespace:
                raise ApiError(
                    400, "BadRequest", "the namespace of the provided object does not match the namespace sent"
                )
            deletion.check_space(self._store, target, meta.get("name", ""))
        for key in ("resourceVersion", "uid", "creationTimestamp", "generation", "managedFields", *deletion.MARKS):
            meta.pop(key, None)
        if target.kind in (kinds.DEPLOYMENTS, kinds.REPLICASETS, kinds.REMEDIATIONS):
            fresh.pop("status", None)
        validation.decode(target.kind, fresh)
        defaults.apply(target.kind, fresh)
        if target.kind is kinds.PODS:
            limits.admit(self._store, fresh)
        validation.check(target.kind, fresh)
        admission.check(self._store, target, "CREATE", fresh, None, dry_run=dry_run)
        if target.kind is kinds.PODS:
            fresh["status"] = {"phase": "Pending", "qosClass": "BestEffort"}
            quota.check(self._store, fresh)
        self._assign(target, fresh)
        managed.record(None, fresh, manager, iso(self._store.clock()))
        return self._store.create(target.kind, fresh, dry_run=dry_run)

    def _assign(self, target: Target, fresh: Obj) -> None:
        """Add what the server itself gives a new object."""
        if target.kind is kinds.JOBS:
            fresh["metadata"]["uid"] = self._store.uid()
            defaults.own_job(fresh)
        elif (
            target.kind is kinds.SERVICES
            and fresh["spec"].get("type") != "ExternalName"
            and not fresh["spec"].get("clusterIP")
        ):
            address = f"10.96.{self._store.rng.randrange(1, 255)}.{self._store.rng.randrange(1, 255)}"
            fresh["spec"] |= {"clusterIP": address, "clusterIPs": [address]}
        elif target.kind is kinds.NAMESPACES:
            fresh["status"] = {"phase": "Active"}
        elif target.kind is kinds.CLAIMS:
            fresh["metadata"].setdefault("finalizers", ["kubernetes.io/pvc-protection"])
            fresh.setdefault("status", {"phase": "Pending"})

    def update(self, target: Target, body: Obj, *, manager: str, dry_run: bool) -> Obj:
        """PUT of an object, its status or its scale."""
        if target.subresource == "scale":
            return self.scale(target, body, manager=manager, dry_run=dry_run)
        self._same_kind(target, body)
        old = self._store.get(target.kind, target.namespace, target.name)
        if (body.get("metadata") or {}).get("name", target.name) != target.name:
            raise ApiError(400, "BadRequest", "the name of the object does not match the name on the URL")
        return self._replace(target, old, clone(body), manager, dry_run=dry_run)

    def patch(self, target: Target, body: Any, content_type: str, *, manager: str, force: bool, dry_run: bool) -> Obj:
        """PATCH in any of the four formats."""
        if content_type == APPLY:
            return self._apply(target, body, manager=manager, force=force, dry_run=dry_run)
        old = self._store.get(target.kind, target.namespace, target.name)
        before = scale_of(old) if target.subresource == "scale" else old
        bare = {k: v for k, v in before["metadata"].items() if k != "managedFields"}
        after = _patched(clone(before | {"metadata": bare}), body, content_type)  # a clone: defaults are set in place
        validation.decode(target.kind, after, patched=True)
        given = (body.get("metadata") or {}).get("resourceVersion") if isinstance(body, dict) else None
        if isinstance(body, dict) and not given:
            after["metadata"].pop("resourceVersion", None)
        if target.subresource == "scale":
            return self.scale(target, after, manager=manager, dry_run=dry_run)
        if after["metadata"].get("name") != target.name:
            raise ApiError(400, "BadRequest", "the name of the object does not match the name on the URL")
        return self._replace(target, old, after, manager, dry_run=dry_run, patched=True)

    def scale(self, target: Target, body: Obj, *, manager: str, dry_run: bool) -> Obj:
        """Set ``spec.replicas`` through a Scale object; returns the new Scale."""
        old = self._store.get(target.kind, target.namespace, target.name)
        after = clone(old)
        given = (body.get("metadata") or {}).get("resourceVersion")
        after["metadata"].pop("resourceVersion")
        if given:
            after["metadata"]["resourceVersion"] = given
        after["spec"]["replicas"] = (body.get("spec") or {}).get("replicas", 0)
        if (body.get("metadata") or {}).get("uid"):
            after["metadata"]["uid"] = body["metadata"]["uid"]
        wanted = after["spec"]["replicas"]
        if isinstance(wanted, int) and wanted < 0:
            said = f"Invalid value: {wanted}: must be greater than or equal to 0"
            raise all_invalid(_SCALE, target.name, [("spec.replicas", said)])
        return scale_of(self._replace(target, old, after, manager, dry_run=dry_run))

    def delete(self, target: Target, wanted: Deletion) -> Obj:
        """DELETE; return the object as it was last."""
        return deletion.delete(self._store, target, wanted)

    def evict(self, target: Target, body: Obj, *, dry_run: bool) -> None:
        """POST to pods/eviction: a deletion that PodDisruptionBudgets may forbid (429)."""
        pod = self._store.get(target.kind, target.namespace, target.name)
        if (body.get("metadata") or {}).get("name") != target.name:
            raise ApiError(400, "BadRequest", "name in URL does not match name in Eviction object")
        options = body.get("deleteOptions") or {}
        disruption.check(self._store, pod)
        plain = Target(target.kind, target.namespace, target.name, "", "delete")
        self.delete(plain, Deletion(None, dry_run, options.get("preconditions")))

    def _replace(
        self, target: Target, old: Obj, after: Obj, manager: str, *, dry_run: bool, patched: bool = False
    ) -> Obj:
        meta = after.setdefault("metadata", {})
        meta["name"] = target.name
        if target.kind.namespaced:
            meta["namespace"] = target.namespace
        status = target.subresource == "status"
        deletion.keep_marks(old, after)
        uid = meta.get("uid")
        validation.decode(target.kind, after)
        if uid and uid != old["metadata"]["uid"] and not patched:
            message = (
                f'Operation cannot be fulfilled on {target.kind.qualified} "{target.name}": Precondition failed: '
                f"UID in precondition: {uid}, UID in object meta: {old['metadata']['uid']}"
            )
            details = {"name": target.name, "group": target.kind.group, "kind": target.kind.plural}
            raise ApiError(409, "Conflict", message, details)
        given = meta.get("resourceVersion")
        if not status and not (given and given != old["metadata"]["resourceVersion"]):
            defaults.apply(target.kind, after)
            validation.check(target.kind, after, old)
            self._admit(target, after, old, dry_run=dry_run)
            if target.kind is kinds.CLAIMS:
                disruption.check_claim(self._store, old, after)
            managed.record(old, after, manager, iso(self._store.clock()), target.subresource)
        return self._stored(target.kind, after, status=status, dry_run=dry_run)

    def _stored(self, kind: Kind, after: Obj, *, status: bool = False, dry_run: bool) -> Obj:
        """Store; what is being deleted and has no finalizer left is gone with it."""
        done = self._store.update(kind, after, status=status, dry_run=dry_run)
        if not dry_run and deletion.over(kind, done):
            self._store.delete(kind, done["metadata"].get("namespace", ""), done["metadata"]["name"])
        return done

    def _admit(self, target: Target, after: Obj, old: Obj, *, dry_run: bool) -> None:
        """Ask the webhooks; of a scale they see the Scale."""
        if target.subresource == "scale":
            before = scale_of(old)
            after, old = before | {"spec": {"replicas": after["spec"]["replicas"]}}, before
        admission.check(self._store, target, "UPDATE", after, old, dry_run=dry_run)

    def _apply(self, target: Target, body: Any, *, manager: str, force: bool, dry_run: bool) -> Obj:
        if not isinstance(body, dict):
            raise ApiError(400, "BadRequest", "error decoding apply configuration")
        if not manager:
            raise bad_option("PatchOptions", "fieldManager", "Required value: is required for apply patch")
        if not body.get("kind") or not body.get("apiVersion"):
            raise ApiError(400, "BadRequest", "Object 'Kind' is missing in the applied configuration")
        if (body.get("metadata") or {}).get("name", target.name) != target.name:
            raise ApiError(400, "BadRequest", "the name of the object does not match the name on the URL")
        self._same_kind(target, body)
        if (body.get("metadata") or {}).get("managedFields"):
            raise ApiError(400, "BadRequest", "metadata.managedFields must be nil")
        old = self._store.find(target.kind, target.namespace, target.name)
        now = iso(self._store.clock())
        if old is None:
            if target.subresource:
                raise not_found(target.kind, target.name)
            fresh = clone(body)
            fresh.setdefault("metadata", {}).setdefault("name", target.name)
            made = self.create(target, fresh, manager="", dry_run=True)
            made["metadata"]["managedFields"] = managed.first_apply(body, manager, target.kind.api_version, now)
            return self._store.create(target.kind, made, dry_run=dry_run)
        if target.subresource == "scale":
            return self.scale(target, body, manager=manager, dry_run=dry_run)
        after = managed.apply(old, clone(body), manager, now, force=force)
        validation.decode(target.kind, after)
        defaults.apply(target.kind, after)
        validation.check(target.kind, after, old)
        admission.check(self._store, target, "UPDATE", after, old, dry_run=dry_run)
        given = (body.get("metadata") or {}).get("resourceVersion")
        if given:
            after["metadata"]["resourceVersion"] = given
        return self._stored(target.kind, after, dry_run=dry_run)

    @staticmethod
    def _same_kind(target: Target, body: Any) -> None:
        if not isinstance(body, dict):
            raise ApiError(400, "BadRequest", "the body is not an object")
        given = (body.get("apiVersion"), body.get("kind"))
        if given[1] and given != (target.kind.api_version, target.kind.kind):
            message = (
                f"the API version in the data ({given[0]}/{given[1]}) does not match the expected API version "
                f"({target.kind.api_version})"
            )
            raise ApiError(400, "BadRequest", message)


def _patched(before: Obj, body: Any, content_type: str) -> Obj:
    if content_type == _JSON:
        return patches.json_patch(before, body)
    if content_type in (_MERGE, _STRATEGIC) and not isinstance(body, dict):
        raise ApiError(400, "BadRequest", "error decoding patch: it is no object")
    if content_type == _MERGE:
        return dict(patches.merge(before, body))
    if content_type == _STRATEGIC:
        return dict(patches.strategic(before, body))
    message = (
        f"the body of the request was in an unknown format - accepted media types include: {_JSON}, {_MERGE}, "
        f"{_STRATEGIC}, {APPLY}"
    )
    raise ApiError(415, "UnsupportedMediaType", message)


def scale_of(obj: Obj) -> Obj:
    """Return the autoscaling/v1 Scale of a workload."""
    meta = {k: obj["metadata"][k] for k in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")}
    labels = obj["spec"]["selector"].get("matchLabels") or {}
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": meta,
        "spec": {"replicas": obj["spec"]["replicas"]},
        "status": {
            "replicas": obj.get("status", {}).get("replicas", 0),
            "selector": ",".join(f"{k}={v}" for k, v in sorted(labels.items())),
        },
    }
