"""What changes to any object share: reading it, guarded merge patch, guarded delete, and how a lost answer is settled.

Called by the modules of tools.actions that change something else than a Deployment (tools.deployments has those). The guard
is the object's uid and resourceVersion of a read just before the write, which the API server checks in the same
transaction; a refusal for a newer resourceVersion means that nothing was written, so the facts are compared afresh and the
write is tried again, TRIES times (a node's status is written all the time).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tools.deployments import PROPOSAL, Obj, Refused, TargetChanged, Unclear, marked
from tools.errors import Permanent
from tools.kube import MERGE_PATCH, Conflict, Kube, NotFound
from tools.podspec import lines
from tools.records import Plan

TRIES = 5
Facts = Callable[[Obj], Mapping[str, str]]


@dataclass(frozen=True)
class Target:
    """One object: its *kind* as people say it, the API *base* of its kind ("/api/v1"), its *plural*; *namespace* "" for none."""

    kind: str
    base: str
    plural: str
    namespace: str
    name: str

    @property
    def path(self) -> str:
        """Its API path."""
        space = f"/namespaces/{self.namespace}" if self.namespace else ""
        return f"{self.base}{space}/{self.plural}/{self.name}"

    @property
    def full_name(self) -> str:
        """``shop/settings``, or the name alone of what has no namespace."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @property
    def title(self) -> str:
        """``ConfigMap shop/settings``."""
        return f"{self.kind} {self.full_name}"


async def read(kube: Kube, target: Target) -> Obj:
    """Return the object; NotFound says that there is none."""
    try:
        obj = await kube.get(target.path)
    except NotFound as exc:
        raise NotFound(f"there is no {target.title}") from exc
    meta = obj.get("metadata")
    if not isinstance(meta, dict) or meta.get("name") != target.name or not meta.get("uid"):
        raise Permanent(f"Kubernetes {target.path}: the answer is not that {target.kind} but {str(obj)[:120]!r}")
    return obj


def uid_of(obj: Obj) -> str:
    """Return the object's uid."""
    return str(obj["metadata"]["uid"])


def spec_of(obj: Obj) -> Obj:
    """Return the object's spec, {} where it has none."""
    return obj.get("spec") or {}


def status_of(obj: Obj) -> Obj:
    """Return the object's status, {} where it has none."""
    return obj.get("status") or {}


def compare(planned: Mapping[str, str], now: Mapping[str, str], target: Target) -> None:
    """Raise TargetChanged, saying what differs, unless every fact in *now* is as it was planned."""
    differing = [key for key, value in now.items() if planned.get(key) != value]
    if differing:
        said = "; ".join(
            "it was deleted and created again"
            if key == "uid"
            else f"{key} was {planned.get(key) or 'not set'} and is {now[key] or 'not set'}"
            for key in differing
        )
        raise TargetChanged(f"{target.title} is no longer what was shown: {said}")


async def dry_run(kube: Kube, target: Target, obj: Obj, change: Obj, *parts: str) -> list[str]:
    """Let the API server check the merge patch *change*; return the readable difference in *parts* ("spec", "data")."""
    meta = {"uid": uid_of(obj), "annotations": {PROPOSAL: "dry-run"}}
    after = await kube.patch(target.path, _with_meta(change, meta), MERGE_PATCH, dry_run=True)
    return lines({part: obj.get(part) or {} for part in parts}, {part: after.get(part) or {} for part in parts})


async def write(kube: Kube, target: Target, plan: Plan, facts: Facts, change: Obj, proposal_id: str) -> str:
    """Make the merge patch once, stamped; TargetChanged when the facts are no longer the plan's.

    Raises LostAnswer when the write may have happened; see `applied`.
    """
    for _ in range(TRIES):
        obj = await read(kube, target)
        compare(plan.precondition, facts(obj), target)
        meta = guard(obj) | {"annotations": {PROPOSAL: proposal_id}}
        try:
            after = await kube.patch(target.path, _with_meta(change, meta), MERGE_PATCH, dry_run=False)
        except Conflict:
            continue
        return f"{target.title} changed, resource version {(after.get('metadata') or {}).get('resourceVersion', '?')}"
    raise TargetChanged(f"{target.title} was written by somebody else each of {TRIES} times")


async def delete(  # what is deleted, under which facts, and how
    kube: Kube, target: Target, plan: Plan, facts: Facts, options: Obj, *, tries: int = TRIES
) -> str:
    """Delete the object once, under its uid and resourceVersion; *options* go into DeleteOptions."""
    for _ in range(tries):
        obj = await read_planned(kube, target)
        compare(plan.precondition, facts(obj), target)
        try:
            await kube.delete(target.path, delete_options(guard(obj), options), dry_run=False)
        except Conflict:
            continue
        except NotFound as exc:
            raise TargetChanged(f"{target.title} is gone already") from exc
        return f"{target.title} deleted"
    raise TargetChanged(f"{target.title} was written by somebody else each of {tries} times")


async def read_planned(kube: Kube, target: Target) -> Obj:
    """Read what a plan was made for; that it is gone is TargetChanged."""
    try:
        return await read(kube, target)
    except NotFound as exc:
        raise TargetChanged(f"{target.title} is gone already") from exc


async def dry_delete(kube: Kube, target: Target, obj: Obj, options: Obj) -> None:
    """Let the API server say whether it would delete that very object."""
    await kube.delete(target.path, delete_options({"uid": uid_of(obj)}, options), dry_run=True)


def guard(obj: Obj) -> Obj:
    """Return what the API server compares before it writes: uid and, where there is one, resourceVersion."""
    meta = obj["metadata"]
    return {key: meta[key] for key in ("uid", "resourceVersion") if meta.get(key)}


def delete_options(preconditions: Obj, options: Obj) -> Obj:
    """Return the body of a DELETE."""
    return {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions} | options


async def applied(kube: Kube, target: Target, proposal_id: str) -> bool:
    """Whether the object carries *proposal_id*'s stamp."""
    return marked(await read(kube, target), proposal_id)


async def deleted(kube: Kube, target: Target, plan: Plan) -> bool:
    """Return False when the very object of *plan* stands untouched, so no deletion of it happened; else raise Unclear.

    A deletion leaves no place for a proposal's stamp: that the object is gone is seen, who removed it is not.
    """
    try:
        obj = await read(kube, target)
    except NotFound as exc:
        raise Unclear(f"{target.title} is gone, as intended, but nothing in the cluster says who removed it") from exc
    if uid_of(obj) != plan.precondition.get("uid"):
        raise Unclear(
            f"the {target.title} that was shown is gone, as intended, and another has its name; "
            "nothing in the cluster says who removed the first"
        )
    if obj["metadata"].get("deletionTimestamp") and plan.precondition.get("terminating") != "true":
        raise Unclear(f"{target.title} is being removed, as intended, but nothing in the cluster says who asked for it")
    return False


def make_plan(target: Target, *, line: str, diff: Sequence[str], undo: str, precondition: Mapping[str, str]) -> Plan:
    """Put a plan together; Refused when the API server says that nothing would change."""
    if not diff:
        raise Refused(f"nothing would change on {target.title}")
    return Plan(target=target.title, line=line, diff="\n".join(diff), undo=undo, precondition=dict(precondition))


def _with_meta(change: Obj, meta: Obj) -> dict[str, Any]:
    return change | {"metadata": meta}
