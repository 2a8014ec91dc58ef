"""Exactly one write per approval: the real store, a fake API server that applies, refuses, drops answers and hangs."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import tools.actions
from tests.integration.store.samples import approval, at, opened, proposal
from tests.unit.tools.fakes import APPS, DROP, FakeCluster, add_service, kubeconfig, serve, template
from tools import run
from tools.errors import Permanent, Temporary
from tools.kube import Kube
from tools.records import Outcome, Proposal
from tools.registry import plugins
from tools.store import proposals
from tools.store.db import Connection, Database
from tools.store.runs import alone

PARAMS = {"namespace": "shop", "deployment": "checkout", "to_revision": 1}


class Audit:
    """The two callbacks, kept as a list; *die_at* makes the process die at that point."""

    def __init__(self) -> None:
        self.rows: list[object] = []
        self.die_at = ""

    async def started(self, conn: Connection, claimed: Proposal) -> None:
        assert claimed.state == "running"
        self.rows.append(("started", claimed.id))

    async def ended(self, conn: Connection, outcome: Outcome) -> None:
        if self.die_at == "ended":
            raise asyncio.CancelledError
        self.rows.append(("ended", outcome.result))


@pytest.fixture
async def setting(db: Database, tmp_path: Path) -> AsyncIterator[tuple[FakeCluster, Kube]]:
    cluster = FakeCluster()
    add_service(
        cluster, "checkout", [template("checkout", "shop/checkout:v1"), template("checkout", "shop/checkout:v2")]
    )
    with serve(cluster) as url:
        kube = Kube(kubeconfig(tmp_path, url), timeout_s=2)
        yield cluster, kube
        await kube.aclose()


async def approved(db: Database, kube: Kube) -> str:
    incident = await opened(db)
    plan, risk = await run.plan_change(kube, "rollout_undo", PARAMS)
    digest = run.proposal_digest(incident, "rollout_undo", PARAMS, plan)
    new = proposal(incident, risk=risk).model_copy(update={"params": PARAMS, "plan": plan, "digest": digest})
    async with db.transaction() as conn:
        await proposals.insert(conn, new)
        await proposals.approve(conn, approval("U1", digest=digest))
        assert await proposals.mark(conn, "p1", "approved", from_states=("proposed",))
    return digest


async def go(db: Database, kube: Kube, digest: str, audit: Audit) -> Outcome | None:
    return await run.run_approved(
        db, kube, "p1", digest, started=audit.started, ended=audit.ended, clock=lambda: at(60), look_every_s=0.0
    )


async def state(db: Database) -> str:
    async with db.connection() as conn:
        return (await proposals.get(conn, "p1")).state


async def test_an_approved_change_is_made_once_and_audited(db, setting):
    cluster, kube = setting
    digest, audit = await approved(db, kube), Audit()
    outcome = await go(db, kube, digest, audit)
    assert outcome is not None
    assert outcome.result == "applied"
    assert await go(db, kube, digest, audit) is None
    assert len(cluster.writes) == 1
    assert audit.rows == [("started", "p1"), ("ended", "applied")]
    assert await state(db) == "done"
    assert (await run.verify_change(kube, "rollout_undo", PARAMS))[0] is None


async def test_ten_at_once_make_one_write(db, setting):
    cluster, kube = setting
    digest, audit = await approved(db, kube), Audit()
    results = await asyncio.gather(*(go(db, kube, digest, audit) for _ in range(10)), return_exceptions=True)
    assert len(cluster.writes) == 1
    assert [r.result for r in results if isinstance(r, Outcome)] == ["applied"]
    assert all(isinstance(r, Outcome | Temporary) or r is None for r in results)


async def test_another_digest_runs_nothing(db, setting):
    cluster, kube = setting
    await approved(db, kube)
    assert await go(db, kube, "0" * 64, Audit()) is None
    assert cluster.writes == []
    assert await state(db) == "approved"


async def test_a_changed_target_is_refused_and_withdrawn(db, setting):
    cluster, kube = setting
    digest, audit = await approved(db, kube), Audit()
    cluster.objects[f"{APPS}/deployments/checkout"]["spec"]["minReadySeconds"] = 3
    outcome = await go(db, kube, digest, audit)
    assert outcome.result == "refused"
    assert cluster.writes == []
    assert await state(db) == "superseded"


async def test_the_servers_no_is_a_failure(db, setting):
    cluster, kube = setting
    digest = await approved(db, kube)
    cluster.refuse["PATCH"] = (403, "not today")
    outcome = await go(db, kube, digest, Audit())
    assert (outcome.result, await state(db)) == ("failed", "failed")
    assert "not today" in outcome.detail


async def test_a_lost_answer_is_found_by_the_mark(db, setting):
    cluster, kube = setting
    digest = await approved(db, kube)
    cluster.after_write = DROP
    outcome = await go(db, kube, digest, Audit())
    assert (outcome.result, len(cluster.writes)) == ("applied", 1)


async def test_a_lost_answer_of_a_write_that_never_came_is_unknown_and_not_repeated(db, setting):
    cluster, kube = setting
    digest, audit = await approved(db, kube), Audit()
    cluster.refuse["PATCH"] = (504, "gateway timed out")
    outcome = await go(db, kube, digest, audit)
    assert (outcome.result, await state(db)) == ("unknown", "unknown")
    assert "Look at Deployment shop/checkout" in outcome.detail
    cluster.refuse = {}
    assert await go(db, kube, digest, audit) is None
    assert cluster.writes == []


async def test_after_a_crash_before_the_write_nothing_is_written(db, setting):
    cluster, kube = setting
    digest, audit = await approved(db, kube), Audit()
    async with db.transaction() as conn:
        assert await proposals.claim(conn, "p1", digest, at(50))
    outcome = await go(db, kube, digest, audit)
    assert (outcome.result, cluster.writes) == ("unknown", [])
    assert audit.rows == [("ended", "unknown")]


async def test_after_a_crash_between_write_and_record_the_mark_is_found(db, setting):
    cluster, kube = setting
    digest, audit = await approved(db, kube), Audit()
    audit.die_at = "ended"
    with pytest.raises(asyncio.CancelledError):
        await go(db, kube, digest, audit)
    assert await state(db) == "running"
    audit.die_at = ""
    outcome = await go(db, kube, digest, audit)
    assert (outcome.result, len(cluster.writes), await state(db)) == ("applied", 1, "done")
    assert audit.rows == [("started", "p1"), ("ended", "applied")]


async def test_a_run_in_progress_is_left_to_its_process(db, setting):
    cluster, kube = setting
    digest = await approved(db, kube)
    async with db.transaction() as conn:
        assert await proposals.claim(conn, "p1", digest, at(50))
    async with alone(db, "p1") as mine:
        assert mine
        with pytest.raises(Temporary, match="another process"):
            await go(db, kube, digest, Audit())
    assert (await state(db), cluster.writes) == ("running", [])


async def test_a_failing_audit_row_leaves_the_approval_unclaimed(db, setting):
    cluster, kube = setting
    digest, audit = await approved(db, kube), Audit()

    async def broken(conn: Connection, claimed: Proposal) -> None:
        raise Temporary("the audit row could not be written")

    with pytest.raises(Temporary):
        await run.run_approved(
            db, kube, "p1", digest, started=broken, ended=audit.ended, clock=lambda: at(60), look_every_s=0.0
        )
    assert (await state(db), cluster.writes) == ("approved", [])


async def test_unknown_actions_and_parameters_are_refused_with_the_reason(setting):
    _, kube = setting
    with pytest.raises(Permanent, match=f"known are {', '.join(plugins(tools.actions))}$"):
        await run.plan_change(kube, "rm", {})
    with pytest.raises(Permanent, match="replicas: Input should be greater"):
        await run.plan_change(kube, "scale", {"namespace": "a", "deployment": "b", "replicas": -1})
    with pytest.raises(Permanent, match="force: Extra inputs are not permitted"):
        await run.plan_change(kube, "rollout_restart", {"namespace": "a", "deployment": "b", "force": True})


async def test_the_digest_is_bound_to_everything_shown(setting):
    _, kube = setting
    plan, _ = await run.plan_change(kube, "rollout_undo", PARAMS)
    digest = run.proposal_digest(1, "rollout_undo", PARAMS, plan)
    assert digest == run.proposal_digest(1, "rollout_undo", dict(reversed(PARAMS.items())), plan)
    others = {
        run.proposal_digest(2, "rollout_undo", PARAMS, plan),
        run.proposal_digest(1, "scale", PARAMS, plan),
        run.proposal_digest(1, "rollout_undo", PARAMS | {"to_revision": 2}, plan),
        run.proposal_digest(1, "rollout_undo", PARAMS, plan.model_copy(update={"diff": "x"})),
    }
    assert digest not in others
    assert len(others) == 4
