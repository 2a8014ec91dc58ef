"""Which Remediation led to which incident, and which proposal is shown by which Remediation; for bot/remediations.

A row is written once for each (cluster, uid, generation), in the transaction that acts on it, so nothing is taken up twice.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tools.records import Proposal
from tools.store.db import Connection, as_json, clean, queries

_SQL = queries("remediations")


@dataclass(frozen=True)
class Taken:
    """One resource as it was taken up: by its *incident_id* (made by hand), its *proposal_id* (made by Tocsin), or *refused* why."""

    uid: str
    generation: int
    namespace: str
    name: str
    spec: Mapping[str, Any]
    incident_id: int | None = None
    proposal_id: str | None = None
    refused: str = ""
    gone: bool = False


async def lock(conn: Connection, cluster: str, uid: str) -> None:
    """Let one transaction at a time decide about a resource, until it ends."""
    await conn.execute(_SQL["lock"], {"cluster": clean(cluster), "uid": clean(uid)})


async def take(conn: Connection, cluster: str, taken: Taken, at: datetime) -> bool:
    """Keep what was done about a resource at its generation; False when somebody did before."""
    values = clean(
        {
            "cluster": cluster, "uid": taken.uid, "generation": taken.generation, "namespace": taken.namespace,
            "name": taken.name, "incident_id": taken.incident_id, "proposal_id": taken.proposal_id,
            "refused": taken.refused[:2000], "at": at,
        }
    ) | {"spec": as_json(clean(dict(taken.spec)))}  # fmt: skip
    return await (await conn.execute(_SQL["taken"], values)).fetchone() is not None


async def all_of(conn: Connection, cluster: str) -> dict[str, Taken]:
    """Return, by uid, the newest row of every resource of *cluster* that is not known to be gone."""
    rows = await (await conn.execute(_SQL["all"], {"cluster": clean(cluster)})).fetchall()
    return {row["uid"]: Taken(**row) for row in rows}


async def of_uid(conn: Connection, cluster: str, uid: str) -> Taken | None:
    """Return the newest row of one resource."""
    row = await (await conn.execute(_SQL["of_uid"], {"cluster": clean(cluster), "uid": clean(uid)})).fetchone()
    return Taken(**row) if row else None


async def of_incident(conn: Connection, incident_id: int) -> Sequence[tuple[str, Taken]]:
    """Return (cluster, row) of the resources that led to an incident, oldest first."""
    rows = await (await conn.execute(_SQL["of_incident"], {"incident_id": incident_id})).fetchall()
    return [(row.pop("cluster"), Taken(**row)) for row in rows]


async def gone(conn: Connection, cluster: str, uid: str) -> bool:
    """Note that a resource was deleted; False when that was known."""
    values = {"cluster": clean(cluster), "uid": clean(uid)}
    return await (await conn.execute(_SQL["gone"], values)).fetchone() is not None


async def open_count(conn: Connection, cluster: str) -> int:
    """Count the incidents of resources made by hand that are not over."""
    row = await (await conn.execute(_SQL["open"], {"cluster": clean(cluster)})).fetchone()
    return int(row["n"]) if row else 0


async def latest(conn: Connection, incident_ids: Iterable[int]) -> dict[int, int]:
    """Return the number of the newest event of each incident."""
    rows = await (await conn.execute(_SQL["latest"], {"incident_ids": list(incident_ids)})).fetchall()
    return {row["incident_id"]: row["seq"] for row in rows}


async def unshown(conn: Connection, cluster: str, since: datetime) -> list[Proposal]:
    """Return up to 100 approved changes of *cluster*, created after *since*, that no resource shows yet, oldest first."""
    rows = await (await conn.execute(_SQL["unshown"], {"cluster": clean(cluster), "since": since})).fetchall()
    return [Proposal.model_validate(row) for row in rows]
