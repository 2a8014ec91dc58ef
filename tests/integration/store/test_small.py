"""The inbox, evidence and Slack posts."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.store.samples import evidence, opened
from tools.errors import Temporary
from tools.store import evidence as evidences
from tools.store import inbox, posts
from tools.store.db import Database, NotFound, StoreRefused


async def test_an_event_is_kept_once_under_a_race(db: Database):
    async def put() -> bool:
        async with db.transaction() as conn:
            return await inbox.put(conn, "Ev1", "slack", {"text": "a\x00b"})

    assert (await asyncio.gather(*(put() for _ in range(10)))).count(True) == 1
    async with db.connection() as conn:
        found = await inbox.get(conn, "Ev1")
    assert found is not None
    assert (found.payload, found.state) == ({"text": "a\ufffdb"}, "new")


async def test_a_batch_says_what_is_new(db: Database):
    async with db.transaction() as conn:
        assert await inbox.put(conn, "b", "slack", 1)
        fresh = await inbox.put_many(conn, [("a", "slack", {"x": "\x00"}), ("b", "slack", 2), ("c", "webhook", [])])
        assert fresh == {"a", "c"}
        assert (await inbox.get(conn, "b")).payload == 1


async def test_events_are_settled_and_the_rest_is_found_again(db: Database):
    async with db.connection() as conn:
        for name in ("a", "b", "c"):
            await inbox.put(conn, name, "slack", {})
        await inbox.done(conn, "a")
        await inbox.failed(conn, "b", "cannot be read: \x00")
        soon = datetime.now(UTC) + timedelta(minutes=1)
        assert [each.event_id for each in await inbox.waiting(conn, soon)] == ["c"]
        assert await inbox.waiting(conn, soon - timedelta(hours=1)) == []
        assert (await inbox.get(conn, "b")).error == "cannot be read: \ufffd"
        assert await inbox.get(conn, "nobody") is None


async def test_an_event_without_a_sensible_id_is_refused(db: Database):
    for identity in ("", "x" * 501):
        with pytest.raises(StoreRefused, match="inbox_event_id_check"):
            async with db.transaction() as conn:
                await inbox.put(conn, identity, "slack", {})


async def test_evidence_gets_the_next_free_name(db: Database):
    incident = await opened(db)
    async with db.transaction() as conn:
        saved = await evidences.save(conn, incident, [evidence(), evidence("E2"), evidence()])
        assert [item.id for item in saved] == ["E1", "E2", "E3"]
        again = evidence("E1").model_copy(update={"summary": "newer"})
        await evidences.save(conn, incident, [again, evidence()])
        listed = await evidences.list_for(conn, incident)
        assert [item.id for item in listed] == ["E1", "E2", "E3", "E4"]
        assert listed[0].summary == "newer"
        assert await evidences.save(conn, incident, []) == ()


async def test_a_post_is_begun_once(db: Database):
    incident = await opened(db)

    async def begin() -> bool:
        async with db.transaction() as conn:
            return (await posts.begin(conn, incident, "card", "C1"))[1]

    assert (await asyncio.gather(*(begin() for _ in range(10)))).count(True) == 1
    async with db.connection() as conn:
        found, mine = await posts.begin(conn, incident, "card", "C1")
        assert (found.state, found.ts, mine) == ("posting", "", False)
        shown = await posts.posted(conn, incident, "card", "1.2", "hash")
        assert (shown.state, shown.ts, shown.content_hash) == ("posted", "1.2", "hash")
        assert await posts.list_for(conn, incident) == [shown]
        assert not await posts.forget(conn, incident, "card")
        await posts.begin(conn, incident, "other", "C1")
        assert await posts.forget(conn, incident, "other")
        assert await posts.get(conn, incident, "other") is None
        with pytest.raises(NotFound, match="begin"):
            await posts.posted(conn, incident, "other", "1.3", "hash")


async def test_a_database_that_is_not_there_is_temporary():
    with pytest.raises(Temporary, match="Postgres did not answer"):
        await Database.open("postgresql://postgres@/none?host=/nonexistent", timeout_s=0.5)


async def test_a_deadlock_is_temporary(db: Database):
    first, second = await opened(db, "g1"), await opened(db, "g2")
    ready = asyncio.Barrier(2)

    async def cross(one: int, other: int) -> None:
        async with db.transaction() as conn:
            await conn.execute("SELECT 1 FROM incidents WHERE id = %s FOR UPDATE", (one,))
            await ready.wait()
            await conn.execute("SELECT 1 FROM incidents WHERE id = %s FOR UPDATE", (other,))

    results = await asyncio.gather(cross(first, second), cross(second, first), return_exceptions=True)
    assert [type(result) for result in results if result] == [Temporary]
