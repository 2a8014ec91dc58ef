"""The record of what happened: append-only, one global hash chain, verified in the database or from an export.

bot/lifecycle.py appends inside the transaction that moves an incident; `tocsin audit` verifies and exports.

hash = sha256 of canonical JSON (sorted keys, compact, UTF-8) of seq, incident_id, at (UTC ISO 8601 with microseconds),
kind, actor, body and prev_hash. seq counts without gaps from 1; the first prev_hash is "". A removed tail is seen by
audit_head; somebody who rewrites that row as well is seen by comparing with an exported or posted (seq, hash): *anchor*.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pydantic import ValidationError

from tools.records import Record, TimelineEntry
from tools.store.db import Connection, clean, queries, to_json

_SQL = queries("events")
_PAGE = 1000
_ENOUGH = 100


class Head(Record):
    """Where the chain ends: keep a copy elsewhere to notice a rewritten history."""

    seq: int
    hash: str


class Verdict(Record):
    """How many rows were read, where the chain ends, and what is wrong with it (at most 100 problems)."""

    rows: int
    head: Head
    problems: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def canonical(entry: Mapping[str, Any]) -> bytes:
    """Return the bytes that are hashed; *entry* holds the fields of a TimelineEntry with *at* as text."""
    fields = ("seq", "incident_id", "at", "kind", "actor", "body", "prev_hash")
    value = {field: entry[field] for field in fields}
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(entry: TimelineEntry) -> str:
    """Return the hash that *entry* should carry."""
    return hashlib.sha256(canonical(_plain(entry))).hexdigest()


def _plain(entry: TimelineEntry) -> dict[str, Any]:
    at = entry.at.astimezone(UTC).isoformat(timespec="microseconds")
    return {**entry.model_dump(mode="python"), "at": at}


class New(NamedTuple):
    """An event that is to be appended; *incident_id* 0 means it is about no incident. *body* is JSON."""

    incident_id: int
    kind: str
    actor: str
    body: Mapping[str, Any]
    at: datetime


async def append(
    conn: Connection, incident_id: int, kind: str, actor: str, body: Mapping[str, Any], at: datetime
) -> TimelineEntry:
    """Append one event; *incident_id* 0 means it is about no incident. *body* is JSON; NaN raises ValueError.

    Call it inside a transaction, after locking the incident: the chain's end stays locked until the commit.
    """
    return (await append_many(conn, [New(incident_id, kind, actor, body, at)]))[0]


async def append_many(conn: Connection, new: Sequence[New]) -> list[TimelineEntry]:
    """Append events in their order, as `append` does one; lock every incident of theirs before."""
    if not new:
        return []
    end = await (await conn.execute(_SQL["lock_head"])).fetchone()
    if end is None:
        raise RuntimeError("audit_head is empty: the record was tampered with; run `tocsin audit verify`")
    made, seq, last = [], end["seq"], end["hash"]
    for one in new:
        seq += 1
        entry = TimelineEntry(
            seq=seq,
            incident_id=one.incident_id,
            at=one.at.astimezone(UTC),
            kind=clean(one.kind),
            actor=clean(one.actor),
            body=clean(dict(one.body)),
            prev_hash=last,
            hash="",
        )
        last = digest(entry)
        made.append(entry.model_copy(update={"hash": last}))
    values = {
        "seqs": [one.seq for one in made],
        "incident_ids": [one.incident_id for one in made],
        "ats": [one.at for one in made],
        "kinds": [one.kind for one in made],
        "actors": [one.actor for one in made],
        "bodies": [to_json(one.body) for one in made],
        "prev_hashes": [one.prev_hash for one in made],
        "hashes": [one.hash for one in made],
    }
    await conn.execute(_SQL["append"], values)
    await conn.execute(_SQL["move_head"], {"seq": seq, "hash": last})
    return made


async def head(conn: Connection) -> Head:
    """Return where the chain ends."""
    row = await (await conn.execute(_SQL["head"])).fetchone()
    return Head(seq=row["seq"], hash=row["hash"]) if row else Head(seq=0, hash="")


async def locked_head(conn: Connection) -> Head:
    """Return where the chain ends, and keep it there until the transaction's end."""
    row = await (await conn.execute(_SQL["lock_head"])).fetchone()
    return Head(seq=row["seq"], hash=row["hash"]) if row else Head(seq=0, hash="")


async def any_since(conn: Connection, kind: str, since: datetime) -> bool:
    """Whether an event of *kind* about no incident was appended at or after *since*."""
    row = await (await conn.execute(_SQL["any_since"], {"kind": kind, "since": since})).fetchone()
    return row is not None


async def timeline(conn: Connection, incident_id: int) -> list[TimelineEntry]:
    """Return the events of one incident (0: of none), in order."""
    rows = await (await conn.execute(_SQL["timeline"], {"incident_id": incident_id})).fetchall()
    return [TimelineEntry.model_validate(row) for row in rows]


async def entries(conn: Connection, after: int = 0) -> AsyncIterator[TimelineEntry]:
    """Yield every event past seq *after*, in order, reading a thousand at a time."""
    while True:
        rows = await page(conn, after, _PAGE)
        for row in rows:
            yield row
        if len(rows) < _PAGE:
            return
        after = rows[-1].seq


async def page(conn: Connection, after: int, limit: int) -> list[TimelineEntry]:
    """Return at most *limit* events past seq *after*, in order."""
    rows = await (await conn.execute(_SQL["after"], {"seq": after, "limit": limit})).fetchall()
    return [TimelineEntry.model_validate(row) for row in rows]


async def verify(conn: Connection, anchor: Head | None = None) -> Verdict:
    """Read the whole chain and say what was changed, removed, inserted or reordered; writers may go on meanwhile.

    Call it outside a transaction: it opens one of its own, so that head and rows are of one moment. *anchor*: a
    (seq, hash) kept elsewhere that must still be in the chain.
    """
    async with conn.transaction():
        await conn.execute(_SQL["one_moment"])
        end = await head(conn)
        check = _Check(anchor)
        async for entry in entries(conn):
            check.see(entry)
    if check.last != end:
        check.say(_tail(check.last, end))
    return check.verdict(end)


def _tail(last: Head, end: Head) -> str:
    if last.seq < end.seq:
        return f"rows {last.seq + 1} to {end.seq} were removed at the end"
    if last.seq > end.seq:
        return f"rows {end.seq + 1} to {last.seq} were added behind the recorded end, or audit_head was changed"
    return f"row {end.seq} at the end is not the one audit_head recorded: changed or replaced"


def verify_lines(lines: Iterable[str], anchor: Head | None = None) -> Verdict:
    """Verify an export without a database; only *anchor* can show that its tail is missing."""
    check = _Check(anchor)
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            entry = TimelineEntry.model_validate_json(line)
        except ValidationError as error:
            check.say(f"line {number} cannot be read: {error.errors()[0]['msg']}")
            continue
        check.see(entry)
    return check.verdict(check.last)


async def export(conn: Connection) -> AsyncIterator[str]:
    """Yield the chain as JSON lines, each ending in a newline, in the form that `verify_lines` reads."""
    async for entry in entries(conn):
        yield json.dumps(_plain(entry), sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"


class _Check:
    """Walks the chain and collects what is wrong; *last* is the newest row seen."""

    def __init__(self, anchor: Head | None) -> None:
        self.rows = 0
        self.last = Head(seq=0, hash="")
        self._anchor = anchor
        self._anchored = anchor is None or anchor.seq == 0
        self._problems: list[str] = []
        self._more = 0

    def say(self, problem: str) -> None:
        if len(self._problems) < _ENOUGH:
            self._problems.append(problem)
        else:
            self._more += 1

    def see(self, entry: TimelineEntry) -> None:
        self.rows += 1
        expected = self.last.seq + 1
        if entry.seq > expected:
            gap = f"row {expected} was" if entry.seq == expected + 1 else f"rows {expected} to {entry.seq - 1} were"
            self.say(f"{gap} removed")
        elif entry.seq < expected:
            self.say(f"row {entry.seq} is out of order or repeated: it follows row {self.last.seq}")
        elif entry.prev_hash != self.last.hash:
            self.say(f"row {entry.seq} does not follow row {self.last.seq}: reordered, replaced or inserted")
        if digest(entry) != entry.hash:
            self.say(f"row {entry.seq} ({entry.kind}, incident {entry.incident_id}) was changed")
        if self._anchor and entry.seq == self._anchor.seq:
            self._anchored = entry.hash == self._anchor.hash
        self.last = Head(seq=entry.seq, hash=entry.hash)

    def verdict(self, end: Head) -> Verdict:
        if self._anchor and not self._anchored:
            self.say(f"row {self._anchor.seq} is not the one that was noted elsewhere: the history was rewritten")
        if self._more:
            self._problems.append(f"and {self._more} more")
        return Verdict(rows=self.rows, head=end, problems=tuple(self._problems))
