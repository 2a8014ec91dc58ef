"""Plans, carries out and verifies changes; the only caller of apply(). bot/approvals.py is the only importer.

A change runs once. The approved row is claimed and the audit row written in one transaction before the API server is called;
the outcome and its audit row in one transaction after. A process that finds a claimed row nobody works on (its
worker died) never writes: it looks for the proposal's stamp on the target and records "applied" or "unknown".
"""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from types import ModuleType
from typing import Any, Literal

from pydantic import ValidationError

import tools.actions
from tools.deployments import TargetChanged, Unclear
from tools.errors import Permanent, Temporary, TocsinError
from tools.kube import Kube, LostAnswer
from tools.records import Outcome, Plan, Proposal, ProposalState, Risk, Scalar, Suggestion
from tools.redact import redact
from tools.registry import plugins
from tools.store import proposals
from tools.store.db import Connection, Database
from tools.store.runs import alone

Result = Literal["applied", "refused", "failed", "unknown"]
Started = Callable[[Connection, Proposal], Awaitable[None]]
Ended = Callable[[Connection, Outcome], Awaitable[None]]

_AFTER: Mapping[Result, ProposalState] = {
    "applied": "done",
    "failed": "failed",
    "refused": "superseded",
    "unknown": "unknown",
}
LOOKS = 3  # for the stamp, after an answer was lost


def proposal_digest(incident_id: int, action: str, params: Mapping[str, Scalar], plan: Plan) -> str:
    """Return the SHA-256 (hex) of what is shown and approved, over canonical JSON; an approval is bound to it."""
    planned = plan.model_dump(mode="json")
    if not plan.cluster:  # a digest made before clusters had names still holds
        del planned["cluster"]
    shown = {"incident_id": incident_id, "action": action, "params": dict(params), "plan": planned}
    return hashlib.sha256(json.dumps(shown, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


async def plan_change(kube: Kube, action: str, params: Mapping[str, Scalar]) -> tuple[Plan, Risk]:
    """Plan *action* with a server-side dry-run; return the plan, secrets redacted, and the action's base risk.

    Raises Permanent with the reason when the action is unknown, its parameters are wrong, or it makes no sense there.
    """
    module = _action(action)
    plan: Plan = await module.plan(_params(module, action, params), kube)
    shown = {field: redact(getattr(plan, field)) for field in ("target", "line", "diff", "undo")}
    if kube.cluster:
        shown |= {"cluster": kube.cluster}
        shown |= {field: f"{shown[field]} in cluster {kube.cluster}" for field in ("target", "line")}
    return plan.model_copy(update=shown), Risk(module.RISK)


async def verify_change(kube: Kube, action: str, params: Mapping[str, Scalar]) -> tuple[bool | None, str]:
    """Return the action's own judgement of its effect: True done, False failed, None still under way; and why."""
    module = _action(action)
    judged: tuple[bool | None, str] = await module.verify(_params(module, action, params), kube)
    return judged


def undo_change(action: str, params: Mapping[str, Scalar], plan: Plan) -> Suggestion | None:
    """Return the change that would take this one back, None where there is none."""
    module = _action(action)
    suggested: Suggestion | None = module.undo(_params(module, action, params), plan)
    return suggested


def actor_verbs() -> list[tuple[str, str, str]]:
    """Return every (API group, resource, verb) that the actor needs, for `tocsin doctor` and deploy/'s RBAC."""
    return sorted({verb for module in plugins(tools.actions).values() for verb in module.VERBS})


async def run_approved(
    db: Database,
    kube: Kube,
    proposal_id: str,
    digest: str,
    *,
    started: Started,
    ended: Ended,
    clock: Callable[[], datetime],
    look_every_s: float = 1.0,
) -> Outcome | None:
    """Claim the approved proposal of this *digest* and carry it out; None when it is not (or no longer) ours to run.

    *started* is awaited in the transaction that claims, *ended* in the one that stores the outcome; both write audit
    rows on the connection given. Outcomes: ``applied``; ``refused``: the target is no longer what was shown, plan it
    again; ``failed``: the API server said no and nothing was changed; ``unknown``: the answer is lost, a human must look.
    A lost answer is looked for LOOKS times, *look_every_s* seconds apart. Raises Temporary while another process works on it, or when the database is away: call again, it is safe.
    """
    async with alone(db, proposal_id) as mine:
        if not mine:
            raise Temporary(f"proposal {proposal_id} is being carried out by another process", delay=5.0)
        async with db.transaction() as conn:
            proposal = await proposals.claim(conn, proposal_id, digest, clock())
            if proposal:
                await started(conn, proposal)
        if proposal:
            result, detail = await _carry_out(kube, proposal, look_every_s)
        else:
            async with db.connection() as conn:
                left = await proposals.get(conn, proposal_id)
            if left.state != "running" or left.digest != digest:
                return None
            proposal = left
            result, detail = await _look_after(kube, proposal, look_every_s)
        return await _store(db, ended, Outcome(proposal_id=proposal.id, result=result, detail=detail, at=clock()))


async def _store(db: Database, ended: Ended, outcome: Outcome) -> Outcome:
    async with db.transaction() as conn:
        if await proposals.mark(conn, outcome.proposal_id, _AFTER[outcome.result], ("running",)):
            await ended(conn, outcome)
    return outcome


async def _carry_out(kube: Kube, proposal: Proposal, look_every_s: float) -> tuple[Result, str]:
    """Write once; every way it can end is an outcome."""
    if proposal_digest(proposal.incident_id, proposal.action, proposal.params, proposal.plan) != proposal.digest:
        return "failed", "the stored proposal is not what its digest says; nothing was changed"
    try:
        _same_cluster(kube, proposal)
        module = _action(proposal.action)
        params = _params(module, proposal.action, proposal.params)
        return "applied", str(await module.apply(params, proposal.plan, kube, proposal.id))
    except TargetChanged as exc:
        return "refused", redact(str(exc))
    except LostAnswer as exc:
        return await _looked_for(kube, proposal, redact(str(exc)), look_every_s)
    except TocsinError as exc:
        return "failed", redact(f"{exc}; nothing was changed")


async def _look_after(kube: Kube, proposal: Proposal, look_every_s: float) -> tuple[Result, str]:
    """Settle a run whose worker died: look, never write."""
    why = "the process that carried it out ended before it could say how it went"
    return await _looked_for(kube, proposal, why, look_every_s)


async def _looked_for(kube: Kube, proposal: Proposal, why: str, look_every_s: float) -> tuple[Result, str]:
    """Look for the proposal's mark; "unknown", with what was seen, when it is not there or nothing could carry it."""
    said = "its mark is not on the target"
    for look in range(LOOKS):
        await asyncio.sleep(look_every_s if look else 0.0)
        try:
            if await _applied(kube, proposal):
                return "applied", f"found on the target by its mark; {why}"
        except Unclear as exc:  # looking again would show the same
            said = redact(str(exc))
            break
        except TocsinError as exc:
            said = f"the target could not be read: {redact(str(exc))}"
    return (
        "unknown",
        f"{why}; {said}. Look at {proposal.plan.target} before anything else is done; it is not tried again",
    )


def _same_cluster(kube: Kube, proposal: Proposal) -> None:
    """Raise Permanent when *kube* is not the cluster that was planned, shown and approved."""
    if kube.cluster != proposal.plan.cluster:
        planned, given = proposal.plan.cluster or "the only cluster", kube.cluster or "a cluster without a name"
        raise Permanent(f"this was planned and approved for {planned}; the identity at hand is that of {given}")


async def _applied(kube: Kube, proposal: Proposal) -> bool:
    _same_cluster(kube, proposal)
    module = _action(proposal.action)
    return bool(
        await module.applied(_params(module, proposal.action, proposal.params), proposal.plan, kube, proposal.id)
    )


def _action(name: str) -> ModuleType:
    known = plugins(tools.actions)
    if name not in known:
        raise Permanent(f"there is no action {name!r}; known are {', '.join(known)}")
    return known[name]


def _params(module: ModuleType, action: str, params: Mapping[str, Scalar]) -> Any:
    try:
        return module.Params.model_validate(dict(params))
    except ValidationError as exc:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors())
        raise Permanent(f"{action} cannot be done with these parameters: {wrong}") from exc
