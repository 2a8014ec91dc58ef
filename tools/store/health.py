"""What `tocsin doctor` asks a Postgres server before anything else does; reads only, also on an empty database."""

import psycopg
from psycopg.rows import dict_row

from tools.records import Record
from tools.store.db import queries, translated

EXTENSIONS = ("vector", "pg_trgm")
"""What the first migration creates."""

_SQL = queries("health")


class Health(Record):
    """The server's version ("15.4", number 150004), whether it only replays another, and the versions of EXTENSIONS.

    An extension is installed, or available ("" in *installed*, a version in *available*), or absent from both.
    """

    version: str
    number: int
    standby: bool
    installed: dict[str, str]
    available: dict[str, str]


async def look(dsn: str, timeout_s: int = 5) -> Health:
    """Connect once and ask; Temporary when the server does not answer or refuses the login, which the message says."""
    with translated():
        conn = await psycopg.AsyncConnection.connect(
            dsn, autocommit=True, row_factory=dict_row, connect_timeout=timeout_s, application_name="tocsin doctor"
        )
        async with conn:
            server = await (await conn.execute(_SQL["version"])).fetchone() or {}
            rows = await (await conn.execute(_SQL["extensions"], {"names": list(EXTENSIONS)})).fetchall()
    return Health(
        version=server["version"],
        number=server["number"],
        standby=server["standby"],
        installed={row["name"]: row["installed_version"] for row in rows if row["installed_version"]},
        available={row["name"]: row["default_version"] for row in rows},
    )
