"""Incidents: one open per group, locked while its life moves on; bot/lifecycle.py and bot/thread.py call it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tools.records import Alert, Case, Diagnosis, Incident
from tools.store.db import Connection, NotFound, as_json, clean, queries

_SQL = queries("incidents")
_TRIES = 5


async def open_or_join(
    conn: Connection, group_key: str, alert: Alert, channel: str, thread_ts: str, at: datetime
) -> tuple[Incident, bool]:
    """Open an incident, or lock and return the one already open for *group_key*; True when it was opened here.

    Call it inside a transaction: the row stays locked to its end. Any number of replicas may race; one opens.
    """
    key = clean(group_key)
    values = {
        "group_key": key,
        "alert": as_json(alert.model_dump(mode="json")),
        "service": clean(alert.service),
        "channel": channel,
        "thread_ts": thread_ts,
        "at": at,
    }
    for _ in range(_TRIES):
        row = await (await conn.execute(_SQL["open"], values)).fetchone()
        if row:
            return _incident(row), True
        row = await (await conn.execute(_SQL["lock_open"], {"group_key": key})).fetchone()
        if row:
            return _incident(row), False
        # It was resolved between the two statements: the next insert opens a new one.
    raise NotFound(f"The incident of group {key!r} opened and closed {_TRIES} times while it was looked for.")


async def find_open(conn: Connection, group_key: str) -> Incident | None:
    """Return the open incident of *group_key*, without locking it."""
    row = await (await conn.execute(_SQL["find_open"], {"group_key": clean(group_key)})).fetchone()
    return _incident(row) if row else None


async def get(conn: Connection, incident_id: int) -> Incident:
    """Return one incident; raise NotFound."""
    return _incident(await _row(conn, "get", incident_id))


async def lock(conn: Connection, incident_id: int) -> tuple[Incident, dict[str, Any]]:
    """Lock one incident to the end of the transaction; return it and its agents.incident.State as JSON."""
    row = await _row(conn, "lock", incident_id)
    return _incident(row), row["state"]


async def save_state(
    conn: Connection, incident_id: int, state: Mapping[str, Any], resolved_at: datetime | None
) -> None:
    """Write agents.incident.State as JSON; an incident with *resolved_at* no longer takes alerts of its group."""
    values = {"id": incident_id, "state": as_json(state), "resolved_at": resolved_at}
    if not await (await conn.execute(_SQL["save_state"], values)).fetchone():
        raise _missing(incident_id)


async def set_thread(conn: Connection, incident_id: int, channel: str, thread_ts: str) -> None:
    """Say where the incident's Slack thread is."""
    values = {"id": incident_id, "channel": channel, "thread_ts": thread_ts}
    if not await (await conn.execute(_SQL["set_thread"], values)).fetchone():
        raise _missing(incident_id)


async def by_thread(conn: Connection, channel: str, thread_ts: str) -> Incident | None:
    """Return the incident whose thread this is."""
    values = {"channel": channel, "thread_ts": thread_ts}
    row = await (await conn.execute(_SQL["by_thread"], values)).fetchone()
    return _incident(row) if row else None


async def recent(conn: Connection, service: str | None = None, limit: int = 20) -> list[Incident]:
    """Return the newest incidents, of one service or of all, newest first."""
    rows = await (await conn.execute(_SQL["recent"], {"service": service, "limit": limit})).fetchall()
    return [_incident(row) for row in rows]


async def unsettled(conn: Connection, limit: int = 1000) -> list[Incident]:
    """Return incidents that are not resolved, oldest first; read after a restart."""
    rows = await (await conn.execute(_SQL["unsettled"], {"limit": limit})).fetchall()
    return [_incident(row) for row in rows]


async def case(conn: Connection, incident_id: int) -> Case:
    """Return everything on record about one incident, from one statement and so from one moment."""
    row = await _row(conn, "case", incident_id)
    timeline = [{**entry, "incident_id": incident_id} for entry in row["timeline"]]
    concluded = [entry["body"].get("diagnosis") for entry in timeline if entry["kind"] == "diagnosed"]
    return Case.model_validate(
        {
            "incident": _incident(row),
            "evidence": row["evidence"],
            "diagnosis": Diagnosis.model_validate(concluded[-1]) if concluded and concluded[-1] else None,
            "proposals": row["proposals"],
            "approvals": row["approvals"],
            "timeline": timeline,
        }
    )


async def _row(conn: Connection, query: str, incident_id: int) -> dict[str, Any]:
    row = await (await conn.execute(_SQL[query], {"id": incident_id})).fetchone()
    if row is None:
        raise _missing(incident_id)
    return row


def _missing(incident_id: int) -> NotFound:
    return NotFound(f"There is no incident {incident_id}.")


def _incident(row: Mapping[str, Any]) -> Incident:
    return Incident(
        id=row["id"],
        group_key=row["group_key"],
        alert=Alert.model_validate(row["alert"]),
        state=row["state"]["state"],
        channel=row["channel"],
        thread_ts=row["thread_ts"],
        opened_at=row["opened_at"],
        resolved_at=row["resolved_at"],
    )
