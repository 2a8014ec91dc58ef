"""Proposals: decided by people, claimed once, never edited, never backwards."""

import asyncio

import pytest

from tests.integration.store.samples import approval, at, opened, proposal
from tools.records import Risk
from tools.store import proposals
from tools.store.db import Database, NotFound, StoreRefused


async def _approved(
    db: Database, risk: Risk = Risk.MEDIUM, by: tuple[str, ...] = ("U1",), requested_by: str = "U9"
) -> None:
    incident = await opened(db)
    async with db.transaction() as conn:
        await proposals.insert(conn, proposal(incident, risk=risk, requested_by=requested_by))
        for person in by:
            await proposals.approve(conn, approval(person))
        assert await proposals.mark(conn, "p1", "approved", from_states=("proposed",))


async def test_twenty_claim_and_one_gets_it(db: Database):
    await _approved(db)

    async def claim() -> bool:
        async with db.transaction() as conn:
            return await proposals.claim(conn, "p1", "d1", at(60)) is not None

    assert (await asyncio.gather(*(claim() for _ in range(20)))).count(True) == 1


async def test_a_claim_that_is_rolled_back_can_be_made_again(db: Database):
    await _approved(db)

    async def claim_and_fail() -> None:
        async with db.transaction() as conn:
            assert await proposals.claim(conn, "p1", "d1", at(60))
            raise LookupError

    with pytest.raises(LookupError):
        await claim_and_fail()
    async with db.transaction() as conn:
        claimed = await proposals.claim(conn, "p1", "d1", at(60))
    assert claimed is not None
    assert claimed.state == "running"


@pytest.mark.parametrize(("digest", "seconds"), [("d2", 60), ("", 60), ("d1", 900), ("d1", 901)])
async def test_another_digest_or_an_expired_one_is_not_claimed(db: Database, digest: str, seconds: int):
    await _approved(db)
    async with db.transaction() as conn:
        assert await proposals.claim(conn, "p1", digest, at(seconds)) is None
        assert (await proposals.get(conn, "p1")).state == "approved"


@pytest.mark.parametrize(
    ("risk", "by", "claimed"),
    [
        (Risk.MEDIUM, (), False),  # marked approved without a human: the claim looks for itself
        (Risk.MEDIUM, ("U9",), True),
        (Risk.HIGH, ("U9",), False),  # the requester alone
        (Risk.HIGH, ("U1",), True),
        (Risk.CRITICAL, ("U1",), False),
        (Risk.CRITICAL, ("U1", "U1"), False),
        (Risk.CRITICAL, ("U1", "U9"), False),
        (Risk.CRITICAL, ("U1", "U2"), True),
    ],
)
async def test_a_claim_needs_the_right_people(db: Database, risk: Risk, by: tuple[str, ...], claimed: bool):
    await _approved(db, risk, by)
    async with db.transaction() as conn:
        assert (await proposals.claim(conn, "p1", "d1", at(60)) is not None) is claimed


async def test_only_what_was_approved_is_claimed(db: Database):
    incident = await opened(db)
    async with db.transaction() as conn:
        await proposals.insert(conn, proposal(incident))
        await proposals.approve(conn, approval())
        assert await proposals.claim(conn, "p1", "d1", at(60)) is None


async def test_approvers_are_counted_once_each_and_for_one_digest(db: Database):
    incident = await opened(db)
    async with db.transaction() as conn:
        await proposals.insert(conn, proposal(incident, risk=Risk.CRITICAL))
        assert await proposals.approve(conn, approval("U1")) == 1
        assert await proposals.approve(conn, approval("U1")) == 1
        assert await proposals.approve(conn, approval("U3", digest="other")) == 0
        assert await proposals.approve(conn, approval("U2")) == 2
        assert await proposals.approve(conn, approval("U1", decision="rejected")) == 1
        assert await proposals.approve(conn, approval("U1")) == 1  # a no stays a no
        kept = {each.by: each.decision for each in await proposals.approvals(conn, "p1")}
    assert kept == {"U1": "rejected", "U2": "approved"}


async def test_two_people_pressing_at_once_are_counted_one_after_the_other(db: Database):
    incident = await opened(db)
    async with db.transaction() as conn:
        await proposals.insert(conn, proposal(incident, risk=Risk.CRITICAL))

    async def press(person: str) -> int:
        async with db.transaction() as conn:
            return await proposals.approve(conn, approval(person))

    assert sorted(await asyncio.gather(*(press(f"U{number}") for number in range(8)))) == list(range(1, 9))


async def test_a_late_approval_is_not_kept(db: Database):
    incident = await opened(db)
    async with db.transaction() as conn:
        await proposals.insert(conn, proposal(incident))
        late = approval().model_copy(update={"at": at(900)})
        assert await proposals.approve(conn, late) == 0
        assert await proposals.mark(conn, "p1", "rejected", from_states=("proposed",))
        assert await proposals.approve(conn, approval()) == 0
        assert await proposals.approvals(conn, "p1") == []


async def test_due_superseded_and_missing(db: Database):
    incident = await opened(db)
    async with db.transaction() as conn:
        for name in ("p1", "p2", "p3"):
            await proposals.insert(conn, proposal(incident, name))
        assert [each.id for each in await proposals.due(conn, at(899))] == []
        assert [each.id for each in await proposals.supersede(conn, incident, except_id="p2")] == ["p1", "p3"]
        assert [each.id for each in await proposals.due(conn, at(900))] == ["p2"]
        assert not await proposals.mark(conn, "p1", "approved", from_states=("proposed",))
        assert [each.state for each in await proposals.for_incident(conn, incident)] == [
            "superseded",
            "proposed",
            "superseded",
        ]
        with pytest.raises(NotFound, match="no proposal nobody"):
            await proposals.get(conn, "nobody")


@pytest.mark.parametrize(
    "column",
    [
        "digest = 'x'",
        "params = '{}'",
        "plan = '{}'",
        "risk = 1",
        "expires_at = expires_at + interval '1 day'",
        "requested_by = 'x'",
        "incident_id = NULL",
    ],
)
async def test_the_content_of_a_proposal_cannot_be_edited(db: Database, column: str):
    await _approved(db)
    with pytest.raises(StoreRefused, match=r"cannot be edited|null value"):
        async with db.transaction() as conn:
            await conn.execute(f"UPDATE proposals SET {column}".encode())


@pytest.mark.parametrize("state", ["proposed", "approved"])
async def test_a_claimed_proposal_never_becomes_claimable_again(db: Database, state: str):
    await _approved(db)
    async with db.transaction() as conn:
        assert await proposals.claim(conn, "p1", "d1", at(60))
    with pytest.raises(StoreRefused, match="cannot go from running"):
        async with db.transaction() as conn:
            await proposals.mark(conn, "p1", state, from_states=("running",))


async def test_a_proposal_comes_back_as_it_went_in(db: Database):
    incident = await opened(db)
    made = proposal(incident).model_copy(update={"params": {"f": 1e22, "i": 3, "s": "x\u2028é", "b": True, "n": None}})
    async with db.transaction() as conn:
        assert await proposals.insert(conn, made) == made
        stored = await proposals.get(conn, "p1")
    with pytest.raises(StoreRefused, match="proposals_pkey"):
        async with db.transaction() as conn:
            await proposals.insert(conn, made)
    assert stored == made
    assert stored.model_dump_json() == made.model_dump_json()
