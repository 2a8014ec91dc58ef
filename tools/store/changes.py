"""What was changed lately and what is being changed now, over all incidents and replicas; for bot/approvals.

The caps of the policy and the risk rest on it.
"""

from collections.abc import Sequence
from datetime import datetime

from tools.records import Proposal
from tools.store.db import Connection, clean, queries

_SQL = queries("changes")


async def made(conn: Connection, since: datetime, except_id: str = "") -> Sequence[tuple[datetime, Proposal]]:
    """Return up to 1,000 proposals whose run began after *since*, with that moment; refused and failed ones changed nothing."""
    values = {"since": since, "except_id": clean(except_id)}
    rows = await (await conn.execute(_SQL["made"], values)).fetchall()
    return [(row.pop("at"), Proposal.model_validate(row)) for row in rows]


async def in_flight(conn: Connection, except_id: str = "") -> Sequence[Proposal]:
    """Return up to 200 proposals that are approved, being run, or done and still being watched."""
    rows = await (await conn.execute(_SQL["in_flight"], {"except_id": clean(except_id)})).fetchall()
    return [Proposal.model_validate(row) for row in rows]


async def without_effect(conn: Connection, action: str, target: str, since: datetime) -> int:
    """Count how often this change to this target failed or did not help since then."""
    values = {"action": clean(action), "target": clean(target), "since": since}
    row = await (await conn.execute(_SQL["without_effect"], values)).fetchone()
    return int(row["n"]) if row else 0
