"""The Slack messages we own, so that a redraw updates instead of posting twice; bot/thread.py calls it.

Order: `begin` and commit, post to Slack, `posted`. A row found in state "posting" means that a crash came between: the
message may or may not be there, so look for it in the thread before posting again.
"""

from typing import Literal

from tools.records import Record
from tools.store.db import Connection, NotFound, queries

_SQL = queries("posts")


class Post(Record):
    """One message of ours; *key* names its part of the thread, *content_hash* what it shows now."""

    incident_id: int
    key: str
    channel: str
    ts: str = ""
    content_hash: str = ""
    state: Literal["posting", "posted"]


async def begin(conn: Connection, incident_id: int, key: str, channel: str) -> tuple[Post, bool]:
    """Claim the right to post the message *key*; (the row, True) for one caller, (the existing row, False) for others."""
    values = {"incident_id": incident_id, "key": key, "channel": channel}
    row = await (await conn.execute(_SQL["begin"], values)).fetchone()
    if row:
        return Post.model_validate(row), True
    found = await get(conn, incident_id, key)
    if found is None:
        raise NotFound(f"The message {key} of incident {incident_id} was forgotten while it was looked for.")
    return found, False


async def posted(conn: Connection, incident_id: int, key: str, ts: str, content_hash: str) -> Post:
    """Note that the message is in Slack at *ts* and shows *content_hash*; also after each update."""
    values = {"incident_id": incident_id, "key": key, "ts": ts, "content_hash": content_hash}
    row = await (await conn.execute(_SQL["posted"], values)).fetchone()
    if row is None:
        raise NotFound(f"There is no message {key} of incident {incident_id}; begin() comes first.")
    return Post.model_validate(row)


async def get(conn: Connection, incident_id: int, key: str) -> Post | None:
    """Return one message, or None."""
    row = await (await conn.execute(_SQL["get"], {"incident_id": incident_id, "key": key})).fetchone()
    return Post.model_validate(row) if row else None


async def list_for(conn: Connection, incident_id: int) -> list[Post]:
    """Return the incident's messages by key."""
    rows = await (await conn.execute(_SQL["list_for"], {"incident_id": incident_id})).fetchall()
    return [Post.model_validate(row) for row in rows]


async def forget(conn: Connection, incident_id: int, key: str) -> bool:
    """Give back a claim whose message was surely not posted (Slack refused it); True when there was one."""
    values = {"incident_id": incident_id, "key": key}
    return await (await conn.execute(_SQL["forget"], values)).fetchone() is not None
