"""Proposed changes: stored, decided, and claimed exactly once. bot/approvals.py decides; tools/run.py claims.

The table's trigger refuses every edit of a proposal's content and every step backwards of its state.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from tools.records import Approval, Proposal, ProposalState
from tools.store.db import Connection, NotFound, as_json, clean, queries

_SQL = queries("proposals")
_JSON = ("params", "plan", "reasons", "evidence", "about")


async def insert(conn: Connection, proposal: Proposal) -> Proposal:
    """Store a new proposal and return it as stored; StoreRefused when its id exists."""
    values = clean(proposal.model_dump(mode="json"))
    stored = Proposal.model_validate(values)
    await conn.execute(_SQL["insert"], values | {field: as_json(values[field]) for field in _JSON})
    return stored


async def get(conn: Connection, proposal_id: str) -> Proposal:
    """Return one proposal; raise NotFound."""
    return await _one(conn, "get", proposal_id)


async def lock(conn: Connection, proposal_id: str) -> Proposal:
    """Return one proposal, locked to the end of the transaction; raise NotFound."""
    return await _one(conn, "lock", proposal_id)


async def for_incident(conn: Connection, incident_id: int) -> list[Proposal]:
    """Return the incident's proposals, oldest first."""
    rows = await (await conn.execute(_SQL["for_incident"], {"incident_id": incident_id})).fetchall()
    return [Proposal.model_validate(row) for row in rows]


async def approve(conn: Connection, approval: Approval) -> int:
    """Keep one decision; return how many different people approve exactly this digest.

    Nothing is kept, and 0 is returned, when the proposal is no longer waiting, has expired at ``approval.at`` or has
    another digest. The same person counts once; a later "rejected" of theirs takes back their "approved".
    """
    proposal = await lock(conn, approval.proposal_id)  # two people pressing at once are counted one after the other
    waiting = proposal.state == "proposed" and proposal.expires_at > approval.at
    if not waiting or proposal.digest != approval.digest:
        return 0
    values = clean(approval.model_dump())
    await conn.execute(_SQL["approve"], values)
    row = await (await conn.execute(_SQL["approvers"], values)).fetchone()
    return row["n"] if row else 0


async def approvals(conn: Connection, proposal_id: str) -> list[Approval]:
    """Return everybody's decision about one proposal."""
    rows = await (await conn.execute(_SQL["approvals"], {"proposal_id": clean(proposal_id)})).fetchall()
    return [Approval.model_validate(row) for row in rows]


async def mark(conn: Connection, proposal_id: str, state: ProposalState, from_states: Sequence[ProposalState]) -> bool:
    """Move a proposal to *state* if it is in one of *from_states*; False when it is not."""
    values = {"id": clean(proposal_id), "state": state, "from_states": list(from_states)}
    return await (await conn.execute(_SQL["mark"], values)).fetchone() is not None


async def claim(conn: Connection, proposal_id: str, digest: str, now: datetime) -> Proposal | None:
    """Take the right to run an approved proposal: a Proposal for one caller ever, None for every other.

    It must be approved, unexpired at *now*, have this *digest*, and carry enough approvals of that digest: as many as the
    policy asked for when it was planned, two different people for CRITICAL, and from HIGH on the requester's own does not
    count. An approval that broke the glass lifts what the policy asked for, not what the risk does.
    """
    values = {"id": clean(proposal_id), "digest": clean(digest), "now": now}
    row = await (await conn.execute(_SQL["claim"], values)).fetchone()
    return Proposal.model_validate(row) if row else None


async def due(conn: Connection, now: datetime) -> list[Proposal]:
    """Return up to 100 proposals that nobody decided or ran in time; the caller locks the incident, then marks each."""
    rows = await (await conn.execute(_SQL["due"], {"now": now})).fetchall()
    return [Proposal.model_validate(row) for row in rows]


async def supersede(conn: Connection, incident_id: int, except_id: str = "") -> list[Proposal]:
    """Withdraw the incident's waiting and approved proposals, save *except_id*, and return them."""
    values = {"incident_id": incident_id, "except_id": clean(except_id)}
    rows = await (await conn.execute(_SQL["supersede"], values)).fetchall()
    return [Proposal.model_validate(row) for row in rows]


async def _one(conn: Connection, query: str, proposal_id: str) -> Proposal:
    row: Mapping[str, Any] | None = await (await conn.execute(_SQL[query], {"id": clean(proposal_id)})).fetchone()
    if row is None:
        raise NotFound(f"There is no proposal {proposal_id}.")
    return Proposal.model_validate(row)
