"""How far a reader of the record has come; one process at a time reads on for it. bot/stream.py is the reader."""

from tools.store.db import Connection, queries

_SQL = queries("cursors")


async def hold(conn: Connection, name: str) -> int | None:
    """Return the last sequence number that *name* has handled, held for this transaction; None when another holds it."""
    row = await (await conn.execute(_SQL["hold"], {"name": name})).fetchone()
    if row is None:
        await conn.execute(_SQL["add"], {"name": name})
        row = await (await conn.execute(_SQL["hold"], {"name": name})).fetchone()
    return int(row["seq"]) if row else None


async def move(conn: Connection, name: str, seq: int) -> None:
    """Say that *name* has handled everything up to *seq*."""
    await conn.execute(_SQL["move"], {"name": name, "seq": seq})
