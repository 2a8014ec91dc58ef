"""Remediations: changes asked for in the cluster and changes shown there; the practice cluster over HTTP, the real record."""

import asyncio
import random
import socket

import pytest
import uvicorn
from starlette.applications import Starlette

from agents.executor import Reading, judge
from agents.incident import Diagnosed, Opened
from bot.approvals import Approvals, Parts
from bot.authority.people import People
from bot.lifecycle import Lifecycle
from bot.metrics import Metrics
from bot.policy import Approvers, Channels, Policy, RemediationSection, Service
from bot.remediations import Remediations
from bot.remediations.spec import body_of, name_of
from bot.rights import Presser
from drill.cluster import catalogue
from drill.cluster.cluster import Cluster
from drill.cluster.kubernetes_api import KubernetesApi
from drill.cluster.rbac import Identities, Tokens
from tests.integration.bot.test_approvals import Clock, Members
from tests.unit.tools.fakes import FakeCluster, kubeconfig, serve
from tools.clusters import Actors, Views
from tools.kube import Kube
from tools.queue import Queue
from tools.records import Alert, Diagnosis, Plan, Proposal, Risk, Suggestion
from tools.remediations import RemediationsClient, problem
from tools.sources import Sources
from tools.store import incidents, proposals

POLICY = Policy(
    channels=Channels(default="C0ALERTS"),
    services={"checkout": Service(namespace="shop")},
    approvers=Approvers(default=("S0ONCALL",)),
    remediations=RemediationSection(enabled=True),
)
DANA = Presser("U0DANA", "T1", "C0ALERTS")
PATH = "/apis/tocsin.dev/v1alpha1/namespaces/shop/remediations"
RESTART = {"action": "rollout_restart", "params": {"deployment": "checkout"}, "why": "it leaks"}
MERGE = "application/merge-patch+json"


class Home:
    """One practice cluster, one record, and as many replicas as asked for."""

    def __init__(self, db, admin, actor, reader):
        self.db, self.admin, self.actor = db, admin, actor
        self.clock = Clock()
        self.life = Lifecycle(db, Queue(db), self.clock, 0.0)
        parts = Parts(
            life=self.life, policy=POLICY, people=People(Members(), POLICY.changes.oncall), actors=Actors.one(actor),
            views=Views.one(Sources(clock=self.clock, kube=reader)), team="T1", metrics=Metrics(), cluster="c",
        )  # fmt: skip
        self.approvals = Approvals(parts)
        self.replica = self.another()

    def another(self):
        return Remediations(self.life, POLICY, Actors.one(self.actor))

    async def look(self, replica=None):
        keeping = (replica or self.replica)._keeping[""]
        listed = await keeping.client.list()
        await keeping.look({one["metadata"]["uid"]: one for one in listed.items})

    async def ask(self, name="restart", **spec):
        body = {"apiVersion": "tocsin.dev/v1alpha1", "kind": "Remediation", "metadata": {"name": name}}
        return await self.admin.post(PATH, body | {"spec": RESTART | spec}, dry_run=False)

    async def get(self, name="restart"):
        return await self.admin.get(f"{PATH}/{name}")

    async def phase(self, name="restart"):
        return (await self.get(name)).get("status", {}).get("phase")

    async def cases(self):
        async with self.db.connection() as conn:
            return [await incidents.case(conn, one.id) for one in await incidents.recent(conn)]

    async def shown(self):
        """Take the request up and plan it, as the jobs do; return its proposal."""
        await self.look()
        (case, *_) = await self.cases()
        await self.approvals.plan(case.incident.id)
        await self.look()
        (case, *_) = await self.cases()
        return case.proposals[-1]

    async def run(self, proposal_id):
        await self.replica.checked(self.approvals.run)(proposal_id)

    async def stamped(self):
        found = await self.admin.get("/apis/apps/v1/namespaces/shop/deployments/checkout")
        return "kubectl.kubernetes.io/restartedAt" in (found["spec"]["template"]["metadata"].get("annotations") or {})


@pytest.fixture
async def home(db, tmp_path):
    clock = Clock()
    cluster = Cluster(catalogue.load(), lambda: clock().timestamp(), random.Random(1), lambda *_: None)
    cluster.build()
    cluster.step()
    tokens = Tokens("reader", "actor", "admin")
    api = KubernetesApi(cluster.store, Identities(tokens), lambda *_: "", cluster.step)
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(Starlette(routes=api.routes()), log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    served = asyncio.create_task(server.serve([listening]))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/kubernetes"
    admin, actor, reader = (Kube(kubeconfig(tmp_path, url, token)) for token in ("admin", "actor", "reader"))
    yield Home(db, admin, actor, reader)
    await admin.aclose()
    await actor.aclose()
    await reader.aclose()
    api.close()
    server.should_exit = True
    await served


async def test_one_made_by_hand_is_proposed_approved_run_and_shown(home):
    await home.ask()
    proposal = await home.shown()
    assert (proposal.action, proposal.params["namespace"], proposal.requested_by) == (
        "rollout_restart",
        "shop",
        "unknown",
    )
    assert proposal.risk.name == "MEDIUM", proposal.reasons
    assert await home.phase() == "AwaitingApproval"
    await home.run(proposal.id)
    assert not await home.stamped()
    assert await home.approvals.press("approve", proposal.id, DANA) == ""
    await home.look()
    assert await home.phase() == "Approved"
    await home.run(proposal.id)
    assert await home.stamped()
    await home.look()
    found = await home.get()
    assert found["status"]["phase"] == "Verifying"
    assert (found["status"]["approvedBy"], found["status"]["observedGeneration"]) == ("U0DANA", 1)
    assert found["status"]["digest"] == proposal.digest
    assert len((await home.admin.get(PATH))["items"]) == 1  # it shows its own change


async def test_a_forged_status_runs_nothing_and_is_put_right(home):
    await home.ask()
    proposal = await home.shown()
    forged = {"status": {"phase": "Approved", "approvers": ["U0DANA", "U0SAM"], "digest": proposal.digest}}
    await home.admin.patch(f"{PATH}/restart/status", forged, MERGE, dry_run=False)
    await home.look()
    await home.run(proposal.id)
    assert not await home.stamped()
    assert await home.phase() == "AwaitingApproval"
    (case,) = await home.cases()
    assert not case.approvals


async def test_an_edit_voids_the_approval_that_was_given(home):
    await home.ask()
    proposal = await home.shown()
    assert await home.approvals.press("approve", proposal.id, DANA) == ""
    await home.admin.patch(f"{PATH}/restart", {"spec": {"why": "another reason"}}, MERGE, dry_run=False)
    await home.run(proposal.id)  # before anybody looked
    assert not await home.stamped()
    await home.look()
    newer = await home.shown()
    assert newer.id != proposal.id
    assert await home.phase() == "AwaitingApproval"
    states = {one.id: one.state for case in await home.cases() for one in case.proposals}
    assert states == {proposal.id: "superseded", newer.id: "proposed"}


async def test_a_deletion_withdraws_what_was_asked(home):
    await home.ask()
    proposal = await home.shown()
    await home.admin.delete(f"{PATH}/restart", {}, dry_run=False)
    await home.look()
    (case,) = await home.cases()
    assert (case.incident.state, case.proposals[-1].state) == ("resolved", "superseded")
    assert "Too late" in await home.approvals.press("approve", proposal.id, DANA)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"action": "rollout_restrt"}, "rollout_restart"),
        ({"params": {}}, "deployment"),
        ({"params": {"deployment": "checkout", "namespace": "kube-system"}}, "its own namespace"),
        ({"action": "cordon", "params": {"node": "n1"}}, "create it in namespace tocsin"),
        ({"proposalId": "x"}, "written by Tocsin"),
    ],
)
async def test_a_bad_one_is_refused_with_the_remedy_and_an_event(home, spec, says):
    body = {"metadata": {"name": "bad"}, "spec": RESTART | spec}
    await home.admin.post(PATH, body, dry_run=False)
    await home.look()
    found = (await home.get("bad"))["status"]
    assert found["phase"] == "Refused"
    assert says in found["message"]
    assert await home.cases() == []
    events = (await home.admin.get("/api/v1/namespaces/shop/events"))["items"]
    assert [one["message"] for one in events if one["involvedObject"]["name"] == "bad"] == [found["message"]]


async def test_two_replicas_take_one_up_once(home):
    await home.ask()
    await asyncio.gather(*(home.look(replica) for replica in (home.replica, home.another(), home.another())))
    assert len(await home.cases()) == 1


async def test_a_high_risk_needs_two_because_anybody_may_have_asked(home):
    await home.ask("none", action="scale", params={"deployment": "checkout", "replicas": 0})
    proposal = await home.shown()
    assert (proposal.risk.name, proposal.needed) == ("CRITICAL", 2)


async def test_the_watch_sees_a_new_one(home):
    client = RemediationsClient(home.actor)
    listed = await client.list()
    await home.ask("seen")
    async for kind, obj in client.watch(listed.version, 5):
        assert (kind, obj["metadata"]["name"]) == ("ADDED", "seen")
        break


async def test_a_cluster_without_the_kind_is_said(tmp_path):
    with serve(FakeCluster()) as url:
        kube = Kube(kubeconfig(tmp_path, url))
        assert "no kind Remediation" in (await problem(kube))[0]
        await kube.aclose()


def test_a_name_follows_from_the_proposal():
    assert name_of("1-2") == "tocsin-1-2"


async def test_an_approved_change_of_ours_is_shown_once_and_an_edit_of_it_changes_nothing(home):
    proposal_id = await ours(home)
    async with home.db.connection() as conn:
        proposal = await proposals.get(conn, proposal_id)
    await home.replica._keeping[""].client.create("shop", body_of(proposal, "shop"))  # and then the process died
    await home.look()
    await home.look(home.another())
    (found,) = (await home.admin.get(PATH))["items"]
    assert (found["metadata"]["name"], found["status"]["phase"]) == (name_of(proposal_id), "Approved")
    edited = {"spec": {"action": "scale", "params": {"deployment": "checkout", "replicas": 0, "namespace": "shop"}}}
    await home.admin.patch(f"{PATH}/{name_of(proposal_id)}", edited, MERGE, dry_run=False)
    await home.look()
    (found,) = (await home.admin.get(PATH))["items"]
    assert "the record stands" in found["status"]["message"]
    assert len(await home.cases()) == 1
    await home.run(proposal_id)
    assert await home.stamped()
    await home.admin.delete(f"{PATH}/{name_of(proposal_id)}", {}, dry_run=False)
    await home.look()
    await home.look()
    assert (await home.admin.get(PATH))["items"] == []  # whoever clears up is not contradicted


async def ours(home):
    """Let an alert lead to an approved change; return its proposal's id."""
    alert = Alert(fingerprint="f", sender="alertmanager", name="Leak", status="firing", service="checkout")
    params = {"namespace": "shop", "deployment": "checkout"}
    wanted = (Suggestion(action="rollout_restart", params=params, why="it leaks"),)
    found = Diagnosis(headline="A leak", by="rules", confidence=0.9, conclusive=True, suggestions=wanted)
    async with home.db.transaction() as conn:
        incident, _ = await incidents.open_or_join(conn, "k", alert, "C0ALERTS", "1.1", home.clock())
        await home.life.record_on(conn, incident.id, Opened(alert=alert, reason="opened"))
        await home.life.record_on(conn, incident.id, Diagnosed(diagnosis=found))
    await home.approvals.plan(incident.id)
    (case,) = await home.cases()
    proposal_id = case.proposals[-1].id
    assert await home.approvals.press("approve", proposal_id, DANA) == ""
    return proposal_id


async def test_the_replica_that_leads_hears_of_a_new_one_and_says_so_in_its_status(home):
    leading = asyncio.create_task(home.replica._keep("", home.replica._keeping[""]))
    await home.ask()
    while await home.phase() is None:  # noqa: ASYNC110  # what is waited for is in another program
        await asyncio.sleep(0.05)
    assert await home.phase() == "Proposed"
    leading.cancel()
    await asyncio.gather(leading, return_exceptions=True)
    (case,) = await home.cases()
    assert [row.kind for row in case.timeline] == ["opened", "diagnosed"]


def test_without_an_alert_the_changes_own_check_decides():
    at = Clock()
    reading = Reading(check=True, detail="the rollout is complete", firing=None, alone=True)
    proposal = Proposal(
        id="p", incident_id=1, action="scale", params={}, risk=Risk.MEDIUM, reasons=(), digest="d", state="done",
        plan=Plan(target="t", line="l", diff="", undo="", precondition={}), requested_by="unknown",
        created_at=at(), expires_at=at(),
    )  # fmt: skip
    assert judge(proposal, reading, final=False, at=at()).verdict == "recovered"
    failed = reading.model_copy(update={"check": False})
    assert judge(proposal, failed, final=False, at=at()) is None
    assert judge(proposal, failed, final=True, at=at()).verdict == "not_recovered"
