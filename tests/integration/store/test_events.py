"""The record: refused edits, and every way of tampering as the database's superuser found and named."""

import asyncio
import json
from collections.abc import Sequence

import pytest

from tests.integration.store.samples import at, opened
from tools.store import events
from tools.store.db import Database, StoreRefused

SWAP = """
UPDATE incident_events a SET kind = b.kind, actor = b.actor, body = b.body, at = b.at
FROM incident_events b WHERE (a.seq, b.seq) IN ((3, 4), (4, 3))
"""
# Moves row 3 behind row 4 with their own hashes kept: each row is sound by itself only if seq is left out of the hash.
RENUMBER = """
UPDATE incident_events SET seq = 100 WHERE seq = 3;
UPDATE incident_events SET seq = 3 WHERE seq = 4;
UPDATE incident_events SET seq = 4 WHERE seq = 100;
"""
INSERT = """
UPDATE incident_events SET seq = seq + 100 WHERE seq > 3;
UPDATE incident_events SET seq = seq - 99 WHERE seq > 100;
INSERT INTO incident_events SELECT 4, incident_id, at, kind, actor, body, prev_hash, hash FROM incident_events WHERE seq = 3
"""


async def _filled(db: Database, rows: int = 6) -> int:
    incident = await opened(db)
    async with db.transaction() as conn:
        for number in range(rows):
            await events.append(conn, incident, "noted", "U1", {"n": number, "text": "é 事 \u2028"}, at(number))
    return incident


async def _run(db: Database, *statements: str) -> None:
    async with db.transaction() as conn:
        for statement in statements:
            await conn.execute(statement.encode())


async def _tamper(db: Database, *statements: str) -> None:
    off = [f"ALTER TABLE {table} DISABLE TRIGGER ALL" for table in ("incident_events", "audit_head")]
    await _run(db, *off, *statements)


async def _problems(db: Database, anchor: events.Head | None = None) -> Sequence[str]:
    async with db.connection() as conn:
        return (await events.verify(conn, anchor)).problems


async def _lines(db: Database) -> list[str]:
    async with db.connection() as conn:
        return [line async for line in events.export(conn)]


async def test_a_sound_chain_verifies_in_the_database_and_from_its_export(db: Database):
    await _filled(db)
    async with db.transaction() as conn:
        await events.append(conn, 0, "started", "tocsin", {"big": 1e22, "small": 1e-7, "none": None}, at(9))
    async with db.connection() as conn:
        verdict = await events.verify(conn)
        assert await events.head(conn) == verdict.head
        assert [entry.kind for entry in await events.timeline(conn, 0)] == ["started"]
    assert verdict.sound, verdict.problems
    assert verdict.rows == verdict.head.seq == 7
    assert events.verify_lines(await _lines(db), verdict.head) == verdict


async def test_an_empty_chain_is_sound(db: Database):
    assert await _problems(db) == ()
    assert events.verify_lines([]).sound


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE incident_events SET actor = 'x'",
        "DELETE FROM incident_events",
        "TRUNCATE incident_events",
        "TRUNCATE incidents CASCADE",
        "DELETE FROM audit_head",
        "TRUNCATE audit_head",
    ],
)
@pytest.mark.parametrize("session", ["origin", "replica"])
async def test_the_database_refuses_edits_even_from_its_superuser(db: Database, statement: str, session: str):
    await _filled(db)
    with pytest.raises(StoreRefused, match="append-only"):
        await _run(db, f"SET LOCAL session_replication_role = {session}", statement)
    assert await _problems(db) == ()


@pytest.mark.parametrize(
    ("statements", "says"),
    [
        (["UPDATE incident_events SET actor = 'U2' WHERE seq = 3"], "row 3 (noted, incident 1) was changed"),
        (["UPDATE incident_events SET at = at + interval '1 microsecond' WHERE seq = 1"], "row 1 (noted"),
        (["UPDATE incident_events SET incident_id = NULL WHERE seq = 2"], "row 2 (noted, incident 0) was changed"),
        (["""UPDATE incident_events SET body = '{"n": 99}' WHERE seq = 6"""], "row 6 (noted"),
        (["UPDATE incident_events SET hash = 'x' WHERE seq = 6"], "row 6 (noted"),
        (["DELETE FROM incident_events WHERE seq = 3"], "row 3 was removed"),
        (["DELETE FROM incident_events WHERE seq IN (2, 3)"], "rows 2 to 3 were removed"),
        (["DELETE FROM incident_events WHERE seq = 1"], "row 1 was removed"),
        (["DELETE FROM incident_events WHERE seq > 4"], "rows 5 to 6 were removed at the end"),
        (["DELETE FROM incident_events"], "rows 1 to 6 were removed at the end"),
        ([SWAP], "row 3 (noted"),
        (RENUMBER.strip().split(";\n"), "row 3 does not follow row 2"),
        (INSERT.strip().split(";\n"), "row 4 does not follow row 3"),
        (["UPDATE audit_head SET seq = 5"], "rows 6 to 6 were added behind the recorded end"),
        (["UPDATE audit_head SET hash = 'x'"], "row 6 at the end is not the one audit_head recorded"),
        (["DELETE FROM audit_head"], "rows 1 to 6 were added behind the recorded end"),
    ],
)  # fmt: skip
async def test_tampering_is_found_and_named(db: Database, statements: list[str], says: str):
    await _filled(db)
    await _tamper(db, *statements)
    problems = await _problems(db)
    assert any(says in problem for problem in problems), problems


async def test_a_tail_cut_off_together_with_the_head_needs_the_anchor(db: Database):
    await _filled(db)
    async with db.connection() as conn:
        anchor = await events.head(conn)
    cut = "UPDATE audit_head SET (seq, hash) = (SELECT seq, hash FROM incident_events WHERE seq = 4)"
    await _tamper(db, "DELETE FROM incident_events WHERE seq > 4", cut)
    assert await _problems(db) == ()
    assert "row 6 is not the one that was noted elsewhere" in "".join(await _problems(db, anchor))


@pytest.mark.parametrize(
    ("tamper", "says"),
    [
        (lambda lines: lines[:2] + lines[3:], "row 3 was removed"),
        (lambda lines: [lines[1], lines[0], *lines[2:]], "out of order"),
        (lambda lines: [line.replace('"U1"', '"U2"') if number == 2 else line for number, line in enumerate(lines)], "row 3"),
        (lambda lines: lines[1:], "row 1 was removed"),
        (lambda lines: [*lines[:3], *lines[2:]], "repeated"),
        (lambda lines: [*lines, "{not json"], "line 7 cannot be read"),
        (lambda lines: lines[:-1], "row 6 is not the one that was noted elsewhere"),
    ],
)  # fmt: skip
async def test_a_tampered_export_is_found(db: Database, tamper, says: str):
    await _filled(db)
    async with db.connection() as conn:
        anchor = await events.head(conn)
    problems = events.verify_lines(tamper(await _lines(db)), anchor).problems
    assert any(says in problem for problem in problems), problems


async def test_an_export_is_json_lines_with_the_documented_fields(db: Database):
    await _filled(db, 1)
    (line,) = await _lines(db)
    assert set(json.loads(line)) == {"seq", "incident_id", "at", "kind", "actor", "body", "prev_hash", "hash"}
    assert json.loads(line)["at"] == "2026-11-23T12:00:00.000000+00:00"


async def test_concurrent_writers_keep_one_chain_and_a_rollback_leaves_no_gap(db: Database):
    incident = await opened(db)

    async def write(number: int) -> None:
        async with db.transaction() as conn:
            await events.append(conn, incident, "noted", "U1", {"n": number}, at(number))
            if number % 5 == 0:
                raise LookupError

    await asyncio.gather(*(write(number) for number in range(20)), return_exceptions=True)
    async with db.connection() as conn:
        verdict = await events.verify(conn)
    assert verdict.sound, verdict.problems
    assert verdict.rows == 16


async def test_the_list_of_problems_ends(db: Database):
    await _filled(db, 130)
    await _tamper(db, "UPDATE incident_events SET actor = 'x'")
    problems = await _problems(db)
    assert len(problems) == 101
    assert problems[-1] == "and 30 more"


async def test_a_number_that_json_does_not_know_is_refused(db: Database):
    incident = await opened(db)
    with pytest.raises(ValueError, match="not JSON compliant"):
        async with db.transaction() as conn:
            await events.append(conn, incident, "noted", "U1", {"n": float("nan")}, at(0))
