"""Which alerts an incident is made of, under every fingerprint they were seen with; bot/intake.py calls it."""

from collections.abc import Collection

from tools.store.db import Connection, queries

_SQL = queries("aliases")


async def group_of(conn: Connection, fingerprints: Collection[str]) -> str | None:
    """Return the group key of the open incident that has an alert of one of these fingerprints."""
    row = await (await conn.execute(_SQL["group_of"], {"fingerprints": list(fingerprints)})).fetchone()
    return row["group_key"] if row else None


async def remember(conn: Connection, incident_id: int, alert: str, fingerprints: Collection[str]) -> None:
    """Note that *alert* (its own fingerprint) fires in this incident and is also known as *fingerprints*."""
    values = {"incident_id": incident_id, "alert": alert, "fingerprints": list(fingerprints)}
    await conn.execute(_SQL["remember"], values)


async def resolve(conn: Connection, incident_id: int, fingerprints: Collection[str]) -> int:
    """Note that the alert behind *fingerprints* is over; return how many alerts of the incident still fire."""
    values = {"incident_id": incident_id, "fingerprints": list(fingerprints)}
    await conn.execute(_SQL["resolve"], values)
    row = await (await conn.execute(_SQL["still_firing"], values)).fetchone()
    return int(row["n"]) if row else 0
