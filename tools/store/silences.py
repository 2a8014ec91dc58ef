"""Silences made in Slack: matchers, who, why, until when; bot/silencing.py writes them, bot/facts.py reads those in force."""

from datetime import datetime

from tools.records import Record
from tools.store.db import Connection, clean, queries

_SQL = queries("silences")


class Silence(Record):
    """One silence; *expired_by* is who ended it early, "" when nobody did."""

    id: int
    matchers: str
    comment: str
    created_by: str
    created_at: datetime
    ends_at: datetime
    expired_by: str = ""


async def add(
    conn: Connection, matchers: str, comment: str, created_by: str, created_at: datetime, ends_at: datetime
) -> Silence:
    """Keep a silence, in force at once."""
    values = {
        "matchers": clean(matchers),
        "comment": clean(comment),
        "created_by": created_by,
        "created_at": created_at,
        "ends_at": ends_at,
    }
    row = await (await conn.execute(_SQL["add"], values)).fetchone()
    return Silence.model_validate(row)


async def active(conn: Connection, now: datetime) -> list[Silence]:
    """Return the silences in force, the one that ends first first."""
    rows = await (await conn.execute(_SQL["active"], {"now": now})).fetchall()
    return [Silence.model_validate(row) for row in rows]


async def get(conn: Connection, silence_id: int) -> Silence | None:
    """Return one silence, in force or over."""
    row = await (await conn.execute(_SQL["get"], {"id": silence_id})).fetchone()
    return Silence.model_validate(row) if row else None


async def expire(conn: Connection, silence_id: int, by: str, now: datetime) -> bool:
    """End a silence now; False when it was over already."""
    row = await (await conn.execute(_SQL["expire"], {"id": silence_id, "by": by, "now": now})).fetchone()
    return row is not None
