"""What every change to a Deployment shares: reading it, refusing what makes no sense, dry-run, guarded write, rollout status.

Called by the modules of tools.actions. A change is one JSON Patch. Two guards stand around it:

- *facts* of the plan (uid, a hash of the spec, what else the action names) are compared again just before writing. Neither
  resourceVersion nor generation is among them: every status update bumps the first, and annotations (the controller
  writes its revision there after each rollout) bump the second, so both change although nothing that was shown did.
- the patch itself begins with ``test`` operations on uid and generation of that last read, which the API server checks
  in the same transaction: a write in between is refused by the server, not overwritten.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from tools.errors import Permanent
from tools.kube import JSON_PATCH, Conflict, Forbidden, Invalid, Kube, NotFound
from tools.podspec import fingerprint, lines
from tools.records import Plan
from tools.workloads import annotations_of, items, labels_of, owned, revision_of

# A Kubernetes object's name (RFC 1123); nothing else may become part of a path
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")]
Obj = dict[str, Any]
Patch = list[dict[str, Any]]

PROPOSAL = "tocsin.dev/proposal-id"
MANAGER = "tocsin"  # the field manager of every write of ours
DRY = "dry-run"
_GITOPS = {
    "argocd.argoproj.io/tracking-id": "Argo CD",
    "argocd.argoproj.io/instance": "Argo CD",
    "kustomize.toolkit.fluxcd.io/name": "Flux (Kustomization)",
    "helm.toolkit.fluxcd.io/name": "Flux (HelmRelease)",
}
_GITOPS_MANAGERS = {
    "argocd-controller": "Argo CD",
    "argocd-application-controller": "Argo CD",
    "kustomize-controller": "Flux",
    "helm-controller": "Flux",
}
BASE_VERBS = (("apps", "deployments", "get"), ("apps", "deployments", "patch"), ("apps", "replicasets", "list"))


class TargetChanged(Permanent):
    """The target is no longer what was shown."""


class Refused(Permanent):
    """The change makes no sense here."""


class Unclear(Permanent):
    """Whether the change was made by Tocsin cannot be told from what the cluster holds."""


def path(namespace: str, deployment: str) -> str:
    """Return the API path of a Deployment."""
    return f"/apis/apps/v1/namespaces/{namespace}/deployments/{deployment}"


async def read(kube: Kube, namespace: str, deployment: str) -> Obj:
    """Return the Deployment; NotFound says that there is none."""
    where = path(namespace, deployment)
    try:
        obj = await kube.get(where)
    except NotFound as exc:
        raise NotFound(f"there is no Deployment {namespace}/{deployment}") from exc
    meta, spec = obj.get("metadata"), obj.get("spec")
    if (
        not isinstance(meta, dict)
        or meta.get("name") != deployment
        or not isinstance(spec, dict)
        or "template" not in spec
    ):
        raise Permanent(f"Kubernetes {where}: the answer is not that Deployment but {str(obj)[:120]!r}")
    return obj


async def replica_sets(kube: Kube, deployment: Obj) -> list[Obj]:
    """Return the Deployment's ReplicaSets that have a revision, newest first."""
    where = f"/apis/apps/v1/namespaces/{deployment['metadata']['namespace']}/replicasets"
    selector = (deployment["spec"].get("selector") or {}).get("matchLabels") or {}
    found = await kube.get(where, {"labelSelector": ",".join(f"{k}={v}" for k, v in selector.items())})
    mine = [rs for rs in owned(items(found, where), deployment) if revision_of(rs)]
    return sorted(mine, key=revision_of, reverse=True)


def refuse_gitops(deployment: Obj) -> None:
    """Raise Refused when something else keeps the Deployment as a repository says and would put it back."""
    marks = {**labels_of(deployment), **annotations_of(deployment)}
    by = next(((who, marks[key]) for key, who in _GITOPS.items() if key in marks), None)
    managers = [str(entry.get("manager", "")) for entry in deployment["metadata"].get("managedFields") or []]
    by = by or next(((_GITOPS_MANAGERS[m], m) for m in managers if m in _GITOPS_MANAGERS), None)
    if by:
        raise Refused(
            f"{_name(deployment)} is kept by {by[0]} ({by[1]}), which would undo a change made here; "
            f"change or roll back its source, or suspend {by[0]} for it first"
        )


def refuse_paused(deployment: Obj) -> None:
    """Raise Refused when rollouts of the Deployment are paused: nothing would happen until somebody resumes it."""
    if deployment["spec"].get("paused"):
        raise Refused(f"rollouts of {_name(deployment)} are paused; resume it first (kubectl rollout resume)")


async def refuse_autoscaled(kube: Kube, deployment: Obj) -> None:
    """Raise Refused when a HorizontalPodAutoscaler sets the number of replicas.

    Without the right to list autoscalers, the field's last writer tells instead.
    """
    meta = deployment["metadata"]
    try:
        scalers = await _autoscalers(kube, str(meta["namespace"]))
    except Forbidden:
        scalers = [
            {"metadata": {"name": "(hidden from this identity)"}, "spec": {"scaleTargetRef": _reference(meta)}}
            for entry in meta.get("managedFields") or []
            if entry.get("subresource") == "scale" and entry.get("manager") == "kube-controller-manager"
        ]
    for scaler in scalers:
        target = (scaler.get("spec") or {}).get("scaleTargetRef") or {}
        if target.get("kind") == "Deployment" and target.get("name") == meta["name"]:
            raise Refused(
                f"{_name(deployment)} is scaled by HorizontalPodAutoscaler {scaler['metadata'].get('name')}, which would set the "
                "number of replicas back; change its minReplicas or maxReplicas instead"
            )


async def _autoscalers(kube: Kube, namespace: str) -> list[Obj]:
    for version in ("v2", "v1"):  # v2 came with Kubernetes 1.23
        where = f"/apis/autoscaling/{version}/namespaces/{namespace}/horizontalpodautoscalers"
        try:
            return items(await kube.get(where), where)
        except NotFound:
            continue
    return []


def _reference(meta: Obj) -> Obj:
    return {"kind": "Deployment", "name": meta["name"]}


def facts(deployment: Obj, *parts: str) -> dict[str, str]:
    """Return what must still be so when the change is made: the object's identity and a hash of *parts* of its spec.

    Without *parts*: of the whole spec but the number of replicas, which an autoscaler may move at any time.
    """
    spec = deployment["spec"]
    kept = {part: spec.get(part) for part in parts} if parts else {k: v for k, v in spec.items() if k != "replicas"}
    return {"uid": str(deployment["metadata"].get("uid", "")), "spec": fingerprint(kept)}


def compare(planned: Mapping[str, str], now: Mapping[str, str], deployment: Obj) -> None:
    """Raise TargetChanged, saying what differs, unless every fact in *now* is as it was planned."""
    said = {"uid": "it was deleted and created again", "spec": "its spec was changed"}
    differing = [key for key, value in now.items() if planned.get(key) != value]
    if differing:
        what = "; ".join(
            said.get(key, f"{key} was {planned.get(key, 'unknown')} and is {now[key]}") for key in differing
        )
        raise TargetChanged(f"{_name(deployment)} is no longer what was shown: {what}")


def stamped(deployment: Obj, proposal_id: str) -> Patch:
    """Return the operations that note *proposal_id* on the Deployment, in the same write as the change."""
    if not deployment["metadata"].get("annotations"):
        return [{"op": "add", "path": "/metadata/annotations", "value": {PROPOSAL: proposal_id}}]
    return [{"op": "add", "path": f"/metadata/annotations/{pointer(PROPOSAL)}", "value": proposal_id}]


def guarded(deployment: Obj, changes: Patch, proposal_id: str) -> Patch:
    """Return the whole patch: tests that nobody wrote since *deployment* was read, the change, the stamp."""
    meta = deployment["metadata"]
    tests = [
        {"op": "test", "path": f"/metadata/{key}", "value": meta[key]} for key in ("uid", "generation") if key in meta
    ]
    return [*tests, *changes, *stamped(deployment, proposal_id)]


def pointer(key: str) -> str:
    """Return *key* as one part of a JSON Pointer."""
    return key.replace("~", "~0").replace("/", "~1")


async def dry_run(kube: Kube, deployment: Obj, changes: Patch) -> list[str]:
    """Let the API server check *changes* without storing them; return the readable difference it would make.

    The answer holds what admission would make of it, so webhooks and defaults show as well. Raises Permanent with the server's words.
    """
    meta = deployment["metadata"]
    where = path(meta["namespace"], meta["name"])
    after = await kube.patch(where, guarded(deployment, changes, DRY), JSON_PATCH, dry_run=True)
    return lines({"spec": deployment["spec"]}, {"spec": after.get("spec") or {}})


async def write(kube: Kube, deployment: Obj, changes: Patch, proposal_id: str) -> str:
    """Make the change once; TargetChanged when the server's own guard refused it.

    Raises LostAnswer when the write may have happened; see `applied`.
    """
    meta = deployment["metadata"]
    where = path(meta["namespace"], meta["name"])
    try:
        after = await kube.patch(where, guarded(deployment, changes, proposal_id), JSON_PATCH, dry_run=False)
    except (Conflict, Invalid) as exc:
        now = (await read(kube, meta["namespace"], meta["name"]))["metadata"]
        if (now.get("uid"), now.get("generation")) != (meta.get("uid"), meta.get("generation")):
            raise TargetChanged(f"{_name(deployment)} was changed by somebody else at the same moment") from exc
        raise
    return f"{_name(deployment)} changed, generation {after.get('metadata', {}).get('generation', '?')}"


async def applied(kube: Kube, namespace: str, deployment: str, proposal_id: str) -> bool:
    """Whether the write of *proposal_id* has happened: its stamp is on the Deployment or on a ReplicaSet it made since."""
    obj = await read(kube, namespace, deployment)
    if marked(obj, proposal_id):
        return True
    return any(annotations_of(rs).get(PROPOSAL) == proposal_id for rs in await replica_sets(kube, obj))


def marked(obj: Obj, proposal_id: str) -> bool:
    """Whether the object carries *proposal_id*'s stamp, written by our field manager.

    Unclear when the API server's managedFields say that somebody else wrote the stamp (a copied manifest carries it too).
    """
    if annotations_of(obj).get(PROPOSAL) != proposal_id:
        return False
    writers = {
        str(entry.get("manager", "?"))
        for entry in obj["metadata"].get("managedFields") or []
        if f"f:{PROPOSAL}" in (((entry.get("fieldsV1") or {}).get("f:metadata") or {}).get("f:annotations") or {})
    }
    if writers and MANAGER not in writers:
        raise Unclear(f"{_name(obj)} carries this change's mark, but {', '.join(sorted(writers))} wrote it, not Tocsin")
    return True


async def rolled_out(kube: Kube, namespace: str, deployment: str) -> tuple[bool | None, str]:
    """Judge a rollout as ``kubectl rollout status`` does: True complete, False failed, None still under way."""
    obj = await read(kube, namespace, deployment)
    spec, status = obj["spec"], obj.get("status") or {}
    wanted = int(spec.get("replicas", 1) if spec.get("replicas") is not None else 1)
    if int(status.get("observedGeneration") or 0) < int(obj["metadata"].get("generation") or 0):
        return None, "the change is not yet observed by the Deployment controller"
    for condition in status.get("conditions") or []:
        if condition.get("type") == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded":
            return False, f"the rollout exceeded its progress deadline: {condition.get('message', '')}"
    updated, total = int(status.get("updatedReplicas") or 0), int(status.get("replicas") or 0)
    available = int(status.get("availableReplicas") or 0)
    if updated < wanted:
        return None, f"{updated} of {wanted} replicas are updated"
    if total > updated:
        return None, f"{total - updated} old replicas are still to be terminated"
    if available < updated:
        return None, f"{available} of {updated} updated replicas are available"
    return True, f"rolled out: {available} of {wanted} replicas updated and available"


def make_plan(deployment: Obj, *, line: str, diff: Sequence[str], undo: str, precondition: Mapping[str, str]) -> Plan:
    """Put a plan together; Refused when the API server says that nothing would change."""
    if not diff:
        raise Refused(f"nothing would change on {_name(deployment)}")
    return Plan(
        target=f"Deployment {_name(deployment)}",
        line=line,
        diff="\n".join(diff),
        undo=undo,
        precondition=dict(precondition),
    )


def _name(deployment: Obj) -> str:
    meta = deployment["metadata"]
    return f"{meta.get('namespace', '?')}/{meta.get('name', '?')}"


def template_patch(deployment: Obj, annotation: str, value: str) -> Patch:
    """Return the operation that sets one annotation of the pod template."""
    meta = deployment["spec"]["template"].get("metadata")
    where = "/spec/template/metadata"
    if not meta:
        return [{"op": "add", "path": where, "value": {"annotations": {annotation: value}}}]
    if not meta.get("annotations"):
        return [{"op": "add", "path": f"{where}/annotations", "value": {annotation: value}}]
    return [{"op": "add", "path": f"{where}/annotations/{pointer(annotation)}", "value": value}]


def copied(value: Obj) -> Obj:
    """Return a deep copy of JSON-like *value*."""
    fresh: Obj = json.loads(json.dumps(value))
    return fresh


def stamp(at: datetime) -> str:
    """Return *at* as Kubernetes writes times."""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
