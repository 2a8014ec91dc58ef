"""Who may decide what: every way in which a press must not count."""

from datetime import UTC, datetime, timedelta

import pytest

from agents.incident import State
from bot.authority.change import of_proposal
from bot.authority.decide import decide, least
from bot.policy import Approvers, Policy, Service
from bot.rights import Presser, refusal
from tools.records import Alert, Incident, Plan, Proposal, Risk

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
INCIDENT = Incident(
    id=7,
    group_key="HighErrorRate|checkout",
    alert=Alert(fingerprint="f", sender="alertmanager", name="HighErrorRate", status="firing", service="checkout"),
    state="proposed",
    channel="C0ALERTS",
    thread_ts="1.2",
    opened_at=NOW,
)
PROPOSAL = Proposal(
    id="11111111-1111-4111-8111-111111111111",
    incident_id=7,
    action="rollout_undo",
    params={"namespace": "shop", "deployment": "checkout"},
    plan=Plan(target="shop/checkout", line="roll back", diff="-a\n+b", undo="roll forward", precondition={}),
    risk=Risk.MEDIUM,
    reasons=("reversible",),
    digest="d1",
    state="proposed",
    requested_by="tocsin",
    created_at=NOW,
    expires_at=NOW + timedelta(minutes=30),
)
STATE = State(state="proposed", proposal_id=PROPOSAL.id, digest="d1")
DANA = Presser("U0DANA", "T1", "C0ALERTS")


def ask(
    decision="approve", proposal=PROPOSAL, state=STATE, who=DANA, now=NOW, allowed=("U0DANA",), named=("S0ONCALL",)
):
    verdict = decide(Policy(approvers=Approvers(default=named)), of_proposal(proposal), NOW)
    may = who.user in allowed
    return refusal(decision, proposal, INCIDENT, state, who, team="T1", may=may, verdict=verdict, reason="", now=now)


def test_a_person_on_the_list_may_decide_in_the_thread():
    assert ask() == ""
    assert ask("reject") == ""


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"who": Presser("U0EVE", "T1", "C0ALERTS")}, "<!subteam^S0ONCALL> may."),
        ({"who": Presser("U0DANA", "T2", "C0ALERTS")}, "another workspace"),
        ({"who": Presser("", "T1", "C0ALERTS")}, "another workspace"),
        ({"who": Presser("U0DANA", "T1", "C0OTHER")}, "own thread"),
        ({"allowed": (), "named": ()}, "Nobody may: no rule allows rollout_undo"),
        ({"now": PROPOSAL.expires_at}, "expired"),
        ({"proposal": PROPOSAL.model_copy(update={"state": "done"})}, "already carried out"),
        ({"proposal": PROPOSAL.model_copy(update={"state": "superseded"})}, "no longer on the table"),
        ({"state": State(state="proposed", proposal_id="other", digest="d1")}, "Too late"),
        ({"state": STATE.model_copy(update={"digest": "d2"})}, "Too late"),
    ],
)
def test_everything_else_is_refused_with_a_reason(changed, words):
    assert words in ask(**changed)
    assert words in ask("reject", **changed)


@pytest.mark.parametrize("risk", [Risk.HIGH, Risk.CRITICAL])
def test_who_asked_for_a_high_change_cannot_approve_it_but_may_reject_it(risk):
    own = PROPOSAL.model_copy(update={"risk": risk, "requested_by": "U0DANA"})
    assert "somebody else" in ask(proposal=own)
    assert ask("reject", proposal=own) == ""


def test_key_systems_need_two_people():
    assert [least(risk) for risk in Risk] == [1, 1, 1, 2]


@pytest.mark.parametrize(
    ("params", "owner"),
    [
        ({"namespace": "shop", "deployment": "payment"}, "payment"),
        ({"namespace": "shop", "pod": "payment-7d4b9c6f5-x2x7z"}, "payment"),
        ({"namespace": "shop", "pod": "payment-api-7d4b9c6f5-x2x7z"}, "payment-api"),
        ({"namespace": "shop", "deployment": "checkout", "container": "payment"}, "checkout"),
        ({"namespace": "other", "deployment": "payment"}, ""),
        ({"node": "worker-1"}, ""),
    ],
)
def test_what_is_changed_belongs_to_the_service_it_is_named_after(params, owner):
    services = {name: Service(namespace="shop") for name in ("payment", "payment-api", "checkout")}
    assert Policy(services=services).service_of_target(params) == owner
