"""One process at a time carries out a proposal; used by tools/run.py.

A session's advisory lock, so a process that dies lets go of it by dying, and one that merely hangs keeps it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tools.store.db import Database, clean, queries

_SQL = queries("runs")


@asynccontextmanager
async def alone(db: Database, proposal_id: str) -> AsyncIterator[bool]:
    """Hold the right to carry out *proposal_id* for the block; False when another process has it."""
    values = {"id": clean(proposal_id)}
    async with db.connection() as conn:
        row = await (await conn.execute(_SQL["enter"], values)).fetchone()
        mine = bool(row and row["mine"])
        try:
            yield mine
        finally:
            if mine:
                await conn.execute(_SQL["leave"], values)
