"""Raw events from outside, kept before they are acknowledged; bot/intake.py and bot/web.py put them, a job settles them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from tools.records import Record
from tools.store.db import Connection, as_json, clean, queries, to_json

_SQL = queries("inbox")


class Received(Record):
    """One raw event; *state* is "failed" when it could not be read and *error* says why."""

    event_id: str
    kind: str
    payload: Any
    state: Literal["new", "done", "failed"]
    error: str = ""
    received_at: datetime


async def put(conn: Connection, event_id: str, kind: str, payload: Any) -> bool:
    """Keep an event; False when *event_id* (at most 500 characters) was seen before."""
    values = {"event_id": clean(event_id), "kind": clean(kind), "payload": as_json(payload)}
    return await (await conn.execute(_SQL["put"], values)).fetchone() is not None


async def put_many(conn: Connection, events: Sequence[tuple[str, str, Any]]) -> set[str]:
    """Keep a batch of (event_id, kind, payload) in one statement; return the ids not seen before."""
    return await put_texts(
        conn, [(clean(event_id), clean(kind), to_json(payload)) for event_id, kind, payload in events]
    )


async def put_texts(conn: Connection, events: Sequence[tuple[str, str, str]]) -> set[str]:
    """Do what put_many does for payloads that are JSON text already, and strings that are clean.

    The arrays go in binary: as text each would be escaped character by character in Python, a quarter of all the work.
    """
    ids, kinds, payloads = zip(*events, strict=True) if events else ((), (), ())
    values = {"event_ids": list(ids), "kinds": list(kinds), "payloads": list(payloads)}
    return {row["event_id"] for row in await (await conn.execute(_SQL["put_many"], values)).fetchall()}


async def get(conn: Connection, event_id: str) -> Received | None:
    """Return one event, or None."""
    row = await (await conn.execute(_SQL["get"], {"event_id": clean(event_id)})).fetchone()
    return Received.model_validate(row) if row else None


async def get_new(conn: Connection, event_ids: Sequence[str]) -> list[Received]:
    """Return those of these events that are not settled, oldest first."""
    values = {"event_ids": [clean(event_id) for event_id in event_ids]}
    return [Received.model_validate(row) for row in await (await conn.execute(_SQL["get_new"], values)).fetchall()]


async def settle(conn: Connection, event_ids: Sequence[str]) -> set[str]:
    """Note that events were dealt with; return those that nobody had settled before. Others wait for this transaction."""
    values = {"event_ids": [clean(event_id) for event_id in event_ids]}
    return {row["event_id"] for row in await (await conn.execute(_SQL["settle"], values)).fetchall()}


async def done(conn: Connection, event_id: str) -> None:
    """Note that *event_id* was dealt with."""
    await conn.execute(_SQL["done"], {"event_id": clean(event_id)})


async def failed(conn: Connection, event_id: str, error: str) -> None:
    """Note why *event_id* could not be dealt with; its payload stays."""
    await conn.execute(_SQL["failed"], {"event_id": clean(event_id), "error": clean(error)})


async def waiting(conn: Connection, before: datetime, limit: int = 100) -> list[Received]:
    """Return events that came before *before* and were never settled, oldest first: what a crash left behind."""
    rows = await (await conn.execute(_SQL["waiting"], {"before": before, "limit": limit})).fetchall()
    return [Received.model_validate(row) for row in rows]


async def troubled(conn: Connection, event_id: str, error: str) -> None:
    """Note what went wrong the last time *event_id* was read; it stays to be read again."""
    await conn.execute(_SQL["troubled"], {"event_id": clean(event_id), "error": clean(error)})


async def give_up(conn: Connection, one: str, many: str, reason: str, limit: int = 500) -> list[Received]:
    """Mark the events failed that no job will read any more; return them.

    *one* and *many* are the names of the jobs that read an event and a batch of them; *reason* stands where nothing was noted.
    """
    values = {"one": one, "many": many, "reason": clean(reason), "limit": limit}
    return [Received.model_validate(row) for row in await (await conn.execute(_SQL["give_up"], values)).fetchall()]


async def failures(conn: Connection, limit: int = 50) -> list[Received]:
    """Return the events that could not be dealt with, the latest first."""
    rows = await (await conn.execute(_SQL["failures"], {"limit": limit})).fetchall()
    return [Received.model_validate(row) for row in rows]


async def reopen(conn: Connection, event_id: str) -> bool:
    """Let a failed event be read again; False when there is no such event, or it has not failed."""
    return await (await conn.execute(_SQL["reopen"], {"event_id": clean(event_id)})).fetchone() is not None
