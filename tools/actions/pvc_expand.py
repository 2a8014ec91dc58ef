"""Expand a PersistentVolumeClaim to a larger size; heals a volume that is nearly full. It cannot be made smaller again.

Whether the storage class allows it is for the API server to say (its PersistentVolumeClaimResize admission), in the dry-run.
"""

from typing import Annotated

from pydantic import Field

from tools import targets
from tools.deployments import Name, Obj, Refused, refuse_gitops
from tools.kube import Kube
from tools.records import Plan, Record, Risk, Suggestion
from tools.targets import Target

RISK = Risk.HIGH
VERBS = (("", "persistentvolumeclaims", "get"), ("", "persistentvolumeclaims", "patch"))
MOST = 4  # times the size before; more is likely a slip of the finger
Size = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,5}(Mi|Gi|Ti)$")]
_UNITS = {
    "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50,
}  # fmt: skip


class Params(Record):
    """Which claim, and its new size ("20Gi")."""

    namespace: Name
    claim: Name
    size: Size


async def plan(params: Params, kube: Kube) -> Plan:
    """Check that the claim is bound and would grow, and let the API server say whether its class allows it."""
    target = _target(params)
    claim = await targets.read(kube, target)
    refuse_gitops(claim)
    before = _size(claim)
    if targets.status_of(claim).get("phase") != "Bound":
        raise Refused(f"{target.title} is not bound to a volume")
    if not 1 < _bytes(params.size) / _bytes(before) <= MOST:
        raise Refused(f"{target.title} has {before}: {params.size} is not larger, or more than {MOST} times that")
    return targets.make_plan(
        target,
        line=f"Expand {target.full_name} from {before} to {params.size}",
        diff=await targets.dry_run(kube, target, claim, _patch(params), "spec"),
        undo="There is none: a volume cannot be made smaller.",
        precondition=_facts(claim),
    )


async def apply(params: Params, plan: Plan, kube: Kube, proposal_id: str) -> str:
    """Ask for the larger size once."""
    return await targets.write(kube, _target(params), plan, _facts, _patch(params), proposal_id)


async def applied(params: Params, plan: Plan, kube: Kube, proposal_id: str) -> bool:  # noqa: ARG001  # the stamp tells
    """Whether this proposal's size was written."""
    return await targets.applied(kube, _target(params), proposal_id)


async def verify(params: Params, kube: Kube) -> tuple[bool | None, str]:
    """Whether the volume has that size."""
    claim = await targets.read(kube, _target(params))
    has = str((targets.status_of(claim).get("capacity") or {}).get("storage") or "0")
    if _bytes(has) >= _bytes(params.size):
        return True, f"the volume has {has}"
    waits = [str(each.get("type")) for each in targets.status_of(claim).get("conditions") or []]
    return None, f"the volume has {has}" + (f" ({', '.join(waits)})" if waits else "")


def undo(params: Params, plan: Plan) -> Suggestion | None:  # noqa: ARG001  # the signature every action has
    """Return None: a volume cannot be made smaller."""
    return None


def _target(params: Params) -> Target:
    return Target("PersistentVolumeClaim", "/api/v1", "persistentvolumeclaims", params.namespace, params.claim)


def _size(claim: Obj) -> str:
    requests = (targets.spec_of(claim).get("resources") or {}).get("requests") or {}
    return str(requests.get("storage") or "0")


def _facts(claim: Obj) -> dict[str, str]:
    return {
        "uid": targets.uid_of(claim),
        "size": _size(claim),
        "volume": str(targets.spec_of(claim).get("volumeName") or ""),
    }


def _patch(params: Params) -> Obj:
    return {"spec": {"resources": {"requests": {"storage": params.size}}}}


def _bytes(size: str) -> float:
    digits = size.rstrip("kMGTPi")
    try:
        found = float(digits) * _UNITS[size[len(digits) :]]
    except (ValueError, KeyError) as exc:
        raise Refused(f"the claim's size {size!r} cannot be read") from exc
    if found < 0 or (found == 0 and size != "0"):
        raise Refused(f"the claim's size {size!r} makes no sense")
    return found or 1e-9
