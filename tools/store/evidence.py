"""What the evidence tools saw, per incident; saved by the investigation's job, read for the thread and the post-mortem."""

from collections.abc import Sequence

from tools.records import Evidence
from tools.store.db import Connection, as_json, queries

_SQL = queries("evidence")


async def save(conn: Connection, incident_id: int, evidence: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """Store *evidence*, replacing what has the same id; one without an id gets the next free "E<n>"."""
    row = await (await conn.execute(_SQL["count"], {"incident_id": incident_id})).fetchone()
    free = row["n"] if row else 0
    taken = {item.id for item in evidence}
    saved = []
    for item in evidence:
        named = item
        while not named.id:
            free += 1
            if f"E{free}" not in taken:
                named = item.model_copy(update={"id": f"E{free}"})
        saved.append(named)
    if saved:
        values = [
            {"incident_id": incident_id, "id": item.id, "record": as_json(item.model_dump(mode="json"))}
            for item in saved
        ]
        async with conn.cursor() as cursor:
            await cursor.executemany(_SQL["save"], values)
    return tuple(saved)


async def list_for(conn: Connection, incident_id: int) -> list[Evidence]:
    """Return the incident's evidence in the order it was first saved."""
    rows = await (await conn.execute(_SQL["list_for"], {"incident_id": incident_id})).fetchall()
    return [Evidence.model_validate(row["record"]) for row in rows]
