"""What became of every alert, by named reason; bot/admit.py adds, `/tocsin why`, `/tocsin stats` and a silence's preview read."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple

from pydantic import Field

from tools.records import Alert, Record
from tools.store.db import Connection, clean, queries, to_json

_SQL = queries("decisions")


class Decided(Record):
    """One decision; *first*: made when the alert arrived, not after it had waited."""

    id: int
    at: datetime
    first: bool
    reason: str
    detail: str
    incident_id: int | None
    name: str
    service: str
    status: str


class Heard(Record):
    """One alert of the past: its labels, and how often it was heard."""

    name: str
    labels: dict[str, str]
    n: int


class Day(Record):
    """One UTC day: alerts that arrived, incidents opened, and what became of alerts by reason."""

    day: date
    alerts: int = 0
    incidents: int = 0
    reasons: dict[str, int] = Field(default={})


class New(NamedTuple):
    """A decision that is to be kept; *labels* are what matchers see, *first*: made when the alert arrived."""

    alert: Alert
    labels: Mapping[str, str]
    reason: str
    at: datetime
    detail: str = ""
    incident_id: int | None = None
    first: bool = True


async def add(conn: Connection, new: Sequence[New]) -> None:
    """Keep decisions, in their order."""
    if not new:
        return
    values = {
        "ats": [one.at for one in new],
        "firsts": [one.first for one in new],
        "reasons": [one.reason for one in new],
        "details": [clean(one.detail)[:500] for one in new],
        "incident_ids": [one.incident_id or 0 for one in new],
        "fingerprints": [clean(one.alert.fingerprint) for one in new],
        "names": [clean(one.alert.name) for one in new],
        "services": [clean(one.alert.service) for one in new],
        "statuses": [one.alert.status for one in new],
        "labels": [to_json(dict(one.labels)) for one in new],
    }
    await conn.execute(_SQL["add"], values)


async def of_incident(conn: Connection, incident_id: int, limit: int = 20) -> tuple[dict[str, int], list[Decided]]:
    """Return how often each reason was given about an incident's alerts, and the newest decisions, newest first."""
    values = {"incident_id": incident_id, "limit": limit}
    counts = await (await conn.execute(_SQL["counts_of_incident"], values)).fetchall()
    rows = await (await conn.execute(_SQL["of_incident"], values)).fetchall()
    return {row["reason"]: row["n"] for row in counts}, [Decided.model_validate(row) for row in rows]


async def of_name(conn: Connection, name: str, limit: int = 20) -> list[Decided]:
    """Return the newest decisions about alerts called *name* (in any case), newest first."""
    rows = await (await conn.execute(_SQL["of_name"], {"name": clean(name), "limit": limit})).fetchall()
    return [Decided.model_validate(row) for row in rows]


async def heard(conn: Connection, since: datetime) -> list[Heard]:
    """Return the firing alerts that arrived since *since*, the most frequent first, at most 20,000 different ones."""
    rows = await (await conn.execute(_SQL["heard"], {"since": since})).fetchall()
    return [Heard.model_validate(row) for row in rows]


async def days(conn: Connection, since: datetime) -> list[Day]:
    """Return the figures of each UTC day since *since* that has any, newest first."""
    found: dict[date, Day] = {}
    for row in await (await conn.execute(_SQL["days"], {"since": since})).fetchall():
        day = found.setdefault(row["day"], Day(day=row["day"]))
        reasons = {**day.reasons, row["reason"]: day.reasons.get(row["reason"], 0) + row["n"]}
        update = {"reasons": reasons, "alerts": day.alerts + row["n"] * row["first"]}
        found[row["day"]] = day.model_copy(update=update)
    for row in await (await conn.execute(_SQL["incidents"], {"since": since})).fetchall():
        day = found.get(row["day"], Day(day=row["day"]))
        found[row["day"]] = day.model_copy(update={"incidents": row["n"]})
    return [found[day] for day in sorted(found, reverse=True)]


async def forget(conn: Connection, before: datetime) -> None:
    """Drop decisions older than *before*; incidents keep their own record."""
    await conn.execute(_SQL["forget"], {"before": before})
