"""Incidents against a real Postgres: one per group under a race, locks, and one statement for a whole case."""

import asyncio

import psycopg
import pytest

from agents.incident import State
from tests.integration.store.samples import ALERT, approval, at, evidence, opened, proposal
from tools.records import Diagnosis
from tools.store import events, incidents, proposals
from tools.store import evidence as evidences
from tools.store.db import Database, NotFound, StoreRefused


async def test_twenty_replicas_open_one_incident(db: Database):
    async def open_one() -> tuple[int, bool]:
        async with db.transaction() as conn:
            incident, created = await incidents.open_or_join(conn, "g", ALERT, "C1", "", at(0))
            return incident.id, created

    results = await asyncio.gather(*(open_one() for _ in range(20)))
    assert len({number for number, _ in results}) == 1
    assert [created for _, created in results].count(True) == 1


async def test_a_resolved_incident_does_not_take_a_new_alert_of_its_group(db: Database):
    first = await opened(db)
    async with db.transaction() as conn:
        await incidents.save_state(conn, first, State(state="resolved").model_dump(mode="json"), at(60))
    second = await opened(db)
    assert second != first
    async with db.connection() as conn:
        assert (await incidents.get(conn, first)).resolved_at == at(60)
        found = await incidents.find_open(conn, "g")
    assert found is not None
    assert found.id == second


async def test_joining_waits_for_the_resolution_in_flight_and_then_opens(db: Database):
    first = await opened(db)
    async with db.transaction() as conn:
        await incidents.lock(conn, first)
        joining = asyncio.create_task(opened(db))
        done, _ = await asyncio.wait([joining], timeout=0.2)
        assert not done
        await incidents.save_state(conn, first, State(state="resolved").model_dump(mode="json"), at(60))
    assert await joining != first


async def test_a_state_goes_in_and_comes_out(db: Database):
    incident = await opened(db)
    state = State(state="proposed", proposal_id="p", digest="d", alert_firing=False)
    async with db.transaction() as conn:
        _, fresh = await incidents.lock(conn, incident)
        assert State.model_validate(fresh) == State()
        await incidents.save_state(conn, incident, state.model_dump(mode="json"), None)
        locked, stored = await incidents.lock(conn, incident)
    assert State.model_validate(stored) == state
    assert locked.state == "proposed"


async def test_an_unknown_state_is_refused_by_the_database(db: Database):
    incident = await opened(db)
    with pytest.raises(StoreRefused, match="incidents_state"):
        async with db.transaction() as conn:
            await incidents.save_state(conn, incident, {"state": "daydreaming"}, None)


async def test_what_is_missing_is_said(db: Database):
    async with db.connection() as conn:
        for ask in (incidents.get, incidents.lock, incidents.case):
            with pytest.raises(NotFound, match="no incident 99"):
                await ask(conn, 99)
        with pytest.raises(NotFound, match="99"):
            await incidents.set_thread(conn, 99, "C", "1")
        with pytest.raises(NotFound, match="99"):
            await incidents.save_state(conn, 99, {"state": "open"}, None)


async def test_threads_and_recent(db: Database):
    one, other = await opened(db, "g1"), await opened(db, "g2", ALERT.model_copy(update={"service": "cart"}))
    async with db.transaction() as conn:
        await incidents.set_thread(conn, one, "C1", "1.0")
        found = await incidents.by_thread(conn, "C1", "1.0")
        assert found is not None
        assert found.id == one
        assert await incidents.by_thread(conn, "C1", "") is None
        assert [each.id for each in await incidents.recent(conn)] == [other, one]
        assert [each.id for each in await incidents.recent(conn, "cart")] == [other]
        assert [each.id for each in await incidents.unsettled(conn)] == [one, other]


async def test_hostile_text_is_kept(db: Database):
    hostile = "nul\x00 half\ud800 '; DROP TABLE incidents; -- %(id)s \u202e" + "x" * 100_000
    alert = ALERT.model_copy(update={"annotations": {hostile: hostile}, "service": "s\x00"})
    incident = await opened(db, hostile, alert)
    async with db.connection() as conn:
        stored = await incidents.get(conn, incident)
        assert await incidents.find_open(conn, hostile) == stored
    clean = hostile.replace("\x00", "\ufffd").replace("\ud800", "\ufffd")
    assert stored.group_key == clean
    ((key, value),) = stored.alert.annotations.items()
    assert value == clean
    assert key == clean.replace("half\ufffd", "half\ufffd\ufffd\ufffd")  # pydantic itself cleans keys, byte by byte
    assert stored.alert.service == "s\ufffd"


async def test_a_case_holds_everything(db: Database):
    incident, stranger = await opened(db), await opened(db, "other")
    diagnosis = Diagnosis(headline="h", by="rules", confidence=0.5, conclusive=True)
    async with db.transaction() as conn:
        kept = await evidences.save(conn, incident, [evidence(), evidence(tool="kubernetes")])
        await evidences.save(conn, stranger, [evidence()])
        made = await proposals.insert(conn, proposal(incident))
        await proposals.insert(conn, proposal(stranger, "p2"))
        await proposals.approve(conn, approval())
        await proposals.approve(conn, approval(identity="p2"))
        body = {"diagnosis": diagnosis.model_dump(mode="json")}
        entry = await events.append(conn, incident, "diagnosed", "tocsin", body, at(2))
        await events.append(conn, stranger, "opened", "tocsin", {}, at(3))
        case = await incidents.case(conn, incident)
        assert case.incident == await incidents.get(conn, incident)
    assert case.evidence == kept
    assert case.diagnosis == diagnosis
    assert case.proposals == (made,)
    assert case.approvals == (approval(),)
    assert case.timeline == (entry,)


async def test_a_case_is_one_statement_however_much_it_holds(db: Database):
    incident = await opened(db)
    async with db.transaction() as conn:
        for number in range(30):
            await events.append(conn, incident, "noted", "U1", {"n": number}, at(number))
            await evidences.save(conn, incident, [evidence(f"E{number}")])
    asked: list[object] = []

    class Counting(psycopg.AsyncCursor[dict[str, object]]):
        async def execute(self, query, *args, **kwargs):
            asked.append(query)
            return await super().execute(query, *args, **kwargs)

    async with db.connection() as conn:
        conn.cursor_factory = Counting
        try:
            case = await incidents.case(conn, incident)
        finally:
            conn.cursor_factory = psycopg.AsyncCursor
    assert len(case.timeline) == 30
    assert len(asked) == 1
