"""What admission knows and changes: lives of alerts, groups that wait, load, episodes; bot/admit.py and bot/facts.py call it."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from tools.records import Alert
from tools.store.db import Connection, as_json, clean, queries

_SQL = queries("admission")
Row = Mapping[str, Any]


async def lock(conn: Connection, names: Collection[str]) -> None:
    """Be alone with these names until the transaction ends; always taken in one order, so that nobody waits in a ring."""
    keys = sorted({int.from_bytes(hashlib.sha256(clean(name).encode()).digest()[:8], signed=True) for name in names})
    await conn.execute(_SQL["lock"], {"keys": keys})


async def note_life(conn: Connection, fingerprints: Collection[str], values: Mapping[str, Any]) -> None:
    """Replace what is known of an alert, under every fingerprint."""
    await conn.execute(_SQL["note_life"], {**values, "fingerprints": sorted(fingerprints)})


async def belongs(conn: Connection, fingerprints: Collection[str], incident_id: int) -> None:
    """Note which incident an alert that waited has come into."""
    await conn.execute(_SQL["belongs"], {"fingerprints": sorted(fingerprints), "incident_id": incident_id})


class Surroundings(NamedTuple):
    """What is known around an alert: what was last heard of it, where it may belong, what is over.

    *groups* are open incidents and waiting groups (*member*: it fires there already), *ended* incidents that are over
    (*same*: of this alert or group, else of its service).
    """

    life: Row | None
    groups: Sequence[Row]
    ended: Sequence[Row]


async def surroundings(
    conn: Connection,
    keys: Collection[str],
    group_key: str,
    service: str,
    fingerprints: Collection[str],
    since: datetime,
) -> Surroundings:
    """Read what is known around an alert; of what is over, what ended at *since* or later.

    All is asked before the first answer is read: inside a pipeline that is one round trip.
    """
    hashes = [hashlib.md5(clean(key).encode(), usedforsecurity=False).hexdigest() for key in keys if key]
    values = {
        "hashes": hashes,
        "group_key": clean(group_key),
        "fingerprints": sorted(fingerprints),
        "service": clean(service),
        "since": since,
    }
    life, groups, ended = [await conn.execute(_SQL[name], values) for name in ("life", "groups", "ended")]
    return Surroundings(await life.fetchone(), await groups.fetchall(), await ended.fetchall())


async def load(conn: Connection, channel: str, service: str, now: datetime) -> Row:
    """Count what is under way: undiagnosed incidents of the last ten minutes, and all opened within the hour."""
    row = await _one(conn, "load", {"channel": channel, "service": clean(service), "now": now})
    return row or {}


async def diagnosed(conn: Connection, incident_id: int) -> bool:
    """Say whether an incident has ever had a diagnosis."""
    row = await _one(conn, "diagnosed", {"incident_id": incident_id})
    return bool(row and row["yes"])


async def add_group(conn: Connection, incident_id: int, group_key: str) -> None:
    """Note a group key of Alertmanager's that the incident is made of."""
    await conn.execute(_SQL["add_group"], {"incident_id": incident_id, "group_key": clean(group_key)})


async def raise_severity(conn: Connection, incident_id: int, severity: str) -> None:
    """Show the incident with a graver severity."""
    await conn.execute(_SQL["raise_severity"], {"incident_id": incident_id, "severity": severity})


async def wait(conn: Connection, key: str, alert: Alert, values: Mapping[str, Any]) -> Row:
    """Make or prolong a waiting group; return its id, first_at and whether it was *made* now.

    *values*: group_keys, channel, critical, started_at, at, due_at, cap.
    """
    own = {"key": clean(key), "service": clean(alert.service), "alert": as_json(alert.model_dump(mode="json"))}
    row = await _one(conn, "wait", {**values, **own})
    return row or {}


async def wait_until(conn: Connection, waiting_id: int, due_at: datetime, cap: str) -> None:
    """Let a group wait longer; *cap* names what for, "" when for companions."""
    await conn.execute(_SQL["wait_until"], {"id": waiting_id, "due_at": due_at, "cap": cap})


async def add_waiting(
    conn: Connection, waiting_id: int, fingerprints: Collection[str], alert: Alert, place: Mapping[str, str]
) -> None:
    """Let an alert wait in its group."""
    values = {"alert": as_json(alert.model_dump(mode="json")), "place": as_json(place)}
    await conn.execute(_SQL["add_waiting"], {**values, "id": waiting_id, "fingerprints": sorted(fingerprints)})


async def waiting(conn: Connection, waiting_id: int) -> tuple[Row | None, Sequence[Row]]:
    """Return a waiting group and its alerts, oldest first; None when it has been opened."""
    group = await _one(conn, "waiting", {"id": waiting_id})
    alerts = await (await conn.execute(_SQL["waiting_alerts"], {"id": waiting_id})).fetchall()
    return group, alerts


async def drop_waiting(conn: Connection, waiting_id: int, fingerprints: Collection[str]) -> int:
    """Let an alert wait no longer; return how many of its group still do. An empty group is gone."""
    row = await _one(conn, "drop_waiting", {"id": waiting_id, "fingerprints": sorted(fingerprints)})
    left = int(row["n"]) if row else 0
    if not left:
        await drop_group(conn, waiting_id)
    return left


async def drop_group(conn: Connection, waiting_id: int) -> None:
    """Forget a waiting group with its alerts: it has become an incident."""
    await conn.execute(_SQL["drop_group"], {"id": waiting_id})


async def critical_first(conn: Connection, waiting_id: int) -> bool:
    """Say whether another group, a critical one, is held back."""
    row = await _one(conn, "critical_first", {"id": waiting_id})
    return bool(row and row["n"])


async def held(conn: Connection, cap: str, channel: str) -> int:
    """Count the groups of a channel that a cap holds back."""
    row = await _one(conn, "held", {"cap": cap, "channel": channel})
    return int(row["n"]) if row else 0


async def overdue(conn: Connection, before: datetime) -> list[int]:
    """Return waiting groups that should have been opened before *before*: their job was lost."""
    return [row["id"] for row in await (await conn.execute(_SQL["overdue"], {"before": before})).fetchall()]


async def begin_episode(conn: Connection, kind: str, subject: str, at: datetime) -> int | None:
    """Return the number of a new episode, None while one lasts already."""
    row = await _one(conn, "begin_episode", {"kind": kind, "subject": clean(subject), "at": at})
    return int(row["id"]) if row else None


async def end_episode(conn: Connection, kind: str, subject: str) -> None:
    """Note that it is over: the next time is told again."""
    await conn.execute(_SQL["end_episode"], {"kind": kind, "subject": clean(subject)})


async def spent(conn: Connection, since: datetime) -> float:
    """Return the US dollars that diagnoses cost since *since*, from the record."""
    row = await _one(conn, "spent", {"since": since})
    return float(row["usd"]) if row else 0.0


async def _one(conn: Connection, query: str, values: Mapping[str, Any]) -> Row | None:
    return await (await conn.execute(_SQL[query], values)).fetchone()
