import asyncio

from tests.integration.store.samples import ALERT, at
from tools.store import incidents
from tools.store.db import Database


async def test_twenty_replicas_open_one_incident(db: Database):
    async def open_one() -> tuple[int, bool]:
        async with db.transaction() as conn:
            incident, created = await incidents.open_or_join(conn, "g", ALERT, "C1", "", at(0))
            return incident.id, created

    results = await asyncio.gather(*(open_one() for _ in range(20)))
    assert len({number for number, _ in results}) == 1
    assert [created for _, created in results].count(True) == 1
