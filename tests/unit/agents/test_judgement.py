"""Outcomes, risks, and what is kept of a finished incident."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents import executor, knowledge, risk
from agents.executor import Reading, judge
from tests.unit.agents import samples
from tools.records import Approval, Case, Diagnosis, Hypothesis, Incident, Plan, Proposal, Risk, TimelineEntry

PLAN = Plan(target="shop/checkout", line="Roll checkout back to revision 6", diff="", undo="", precondition={})
PROPOSAL = Proposal.model_validate({
    "id": "P1", "incident_id": 7, "action": "rollout_undo", "params": {}, "plan": PLAN, "risk": Risk.MEDIUM, "reasons": (),
    "digest": "d", "state": "done", "requested_by": "tocsin", "created_at": samples.NOW,
    "expires_at": samples.NOW + timedelta(minutes=5),
})  # fmt: skip


@pytest.mark.parametrize(
    ("check", "firing", "final", "verdict"),
    [
        (True, False, False, "recovered"),
        (True, True, False, None),
        (None, False, False, None),
        (None, False, True, "recovered"),
        (False, False, False, None),
        (False, False, True, "not_recovered"),
        (True, True, True, "not_recovered"),
        (None, True, True, "not_recovered"),
        (True, None, False, None),
        (True, None, True, "unknown"),
        (None, None, True, "unknown"),
        (False, None, True, "not_recovered"),
    ],
)
def test_verdicts(check: bool | None, firing: bool | None, final: bool, verdict: str | None) -> None:
    told = judge(
        PROPOSAL, Reading(check=check, detail="2 of 2 pods are ready", firing=firing), final=final, at=samples.NOW
    )
    assert (told.verdict if told else None) == verdict
    if told:
        assert "2 of 2 pods are ready" in told.detail
        assert told.proposal_id == "P1"


@pytest.mark.parametrize(
    ("before", "value", "above", "verdict"),
    [
        ("0.4", "0.9", True, "worse"),
        ("0.4", "0.41", True, "not_recovered"),
        ("0.9", "0.4", False, "worse"),
        ("", "0.9", True, "not_recovered"),
        ("nan", "n/a", True, "not_recovered"),
    ],
)
def test_worse_is_further_in_the_wrong_direction(before: str, value: str, above: bool, verdict: str) -> None:
    reading = Reading(check=True, detail="applied", firing=True, value=value, before=before, above=above)
    told = judge(PROPOSAL, reading, final=True, at=samples.NOW)
    assert told is not None
    assert told.verdict == verdict


@given(
    st.builds(
        Reading,
        check=st.one_of(st.none(), st.booleans()),
        detail=st.text(),
        firing=st.one_of(st.none(), st.booleans()),
        value=st.text(),
        before=st.text(),
        above=st.booleans(),
    )
)
def test_a_final_look_always_has_a_verdict_and_firing_is_never_recovered(reading: Reading) -> None:
    told = executor.judge(PROPOSAL, reading, final=True, at=samples.NOW)
    assert told is not None
    assert told.verdict != "recovered" or reading.firing is False


CALM = risk.Context(action="rollout_undo", namespace="shop", service="checkout", replicas=3, confidence=0.9)


@pytest.mark.parametrize(
    ("changes", "level", "because"),
    [
        ({}, Risk.MEDIUM, "can be undone"),
        ({"replicas": 1}, Risk.HIGH, "single pod"),
        ({"labels": {"environment": "production"}}, Risk.HIGH, "production"),
        ({"namespace": "eu-prod"}, Risk.HIGH, "production (eu-prod)"),
        ({"namespace": "kube-system"}, Risk.HIGH, "system namespace"),
        ({"confidence": 0.3}, Risk.HIGH, "only 30% sure"),
        ({"changes_in_flight": 1}, Risk.HIGH, "under way"),
        ({"failed_before": 1}, Risk.HIGH, "not helped before"),
        ({"replicas": 1, "confidence": 0.3}, Risk.CRITICAL, "single pod"),
        ({"action": "scale", "to_replicas": 0}, Risk.HIGH, "no pod running"),
        ({"key_system": True}, Risk.HIGH, "key system"),
        ({"namespace": "products"}, Risk.MEDIUM, "can be undone"),
        ({"target_labels": {"env": "prod"}}, Risk.HIGH, "production (prod)"),
        ({"target_labels": {"example.org/stage": "live-eu"}}, Risk.HIGH, "production (live-eu)"),
        ({"share": 0.34, "share_of": "1 of 3 nodes"}, Risk.HIGH, "takes away 34% at once (1 of 3 nodes)"),
        ({"share": 0.25}, Risk.MEDIUM, "can be undone"),
        ({"share": 0.6, "share_of": "3 of 5 pods"}, Risk.HIGH, "takes away 60%"),
        ({"stateful": "it is a StatefulSet"}, Risk.HIGH, "StatefulSet"),
        ({"budget": "PodDisruptionBudget web allows no pod to be away now"}, Risk.HIGH, "PodDisruptionBudget"),
        ({"freeze": 'change freeze "sale" is on'}, Risk.HIGH, "sale"),
        ({"business_hours": True}, Risk.HIGH, "business hours"),
        ({"other_cluster": "the alert is from a, this changes b"}, Risk.HIGH, "from a"),
        ({"unknown": ("the namespace's labels",)}, Risk.HIGH, "not known: the namespace's labels"),
        ({"replicas": 1, "takes_pods": False}, Risk.MEDIUM, "can be undone"),
    ],
)
def test_risk_has_reasons(changes: dict[str, object], level: Risk, because: str) -> None:
    assessed, reasons = risk.assess(Risk.MEDIUM, CALM.model_copy(update=changes))
    assert assessed == level
    assert any(because in reason for reason in reasons)


contexts = st.builds(
    risk.Context, namespace=st.sampled_from(["shop", "prod", "kube-system"]), replicas=st.one_of(st.none(), st.integers(0, 5)),
    share=st.one_of(st.none(), st.floats(0, 1)), unknown=st.lists(st.sampled_from(["a", "b"])).map(tuple),
    freeze=st.sampled_from(["", "frozen"]), stateful=st.sampled_from(["", "data"]), business_hours=st.booleans(),
    to_replicas=st.one_of(st.none(), st.integers(0, 5)), confidence=st.floats(0, 1), changes_in_flight=st.integers(0, 2),
    key_system=st.booleans(), failed_before=st.integers(0, 2),
)  # fmt: skip


@given(st.sampled_from(list(Risk)), contexts)
def test_circumstances_only_ever_raise_the_risk(base: Risk, context: risk.Context) -> None:
    assessed, reasons = risk.assess(base, context)
    assert assessed >= base
    assert assessed == base or len(reasons) > 1


@given(st.sampled_from(list(Risk)), contexts)
def test_a_fact_that_is_not_known_never_lowers_the_risk_and_is_a_doubt_about_every_write(
    base: Risk, context: risk.Context
) -> None:
    known = context.model_copy(update={"unknown": ()})
    doubtful = context.model_copy(update={"unknown": ("how many pods it has",)})
    (sure, _), (unsure, reasons) = risk.assess(base, known), risk.assess(base, doubtful)
    assert unsure >= sure
    assert any("not known: how many pods it has" in reason for reason in reasons) == (base > Risk.LOW)


def case(*verdicts: str, conclusive: bool = True, proposals: tuple[Proposal, ...] = (PROPOSAL,)) -> Case:
    claim = Hypothesis(statement="s", cause="bad_rollout", service="checkout", confidence=0.8, evidence=("E1",))
    told = Diagnosis(
        headline="checkout fails since rollout 7.",
        by="rules",
        confidence=0.8,
        conclusive=conclusive,
        hypotheses=(claim,),
    )
    timeline = tuple(
        TimelineEntry(
            seq=n, incident_id=7, at=samples.NOW, kind="verified", actor="tocsin", prev_hash="", hash="",
            body={"verification": {"proposal_id": "P1", "verdict": verdict, "detail": "", "value": "", "at": "x"}},
        )
        for n, verdict in enumerate(verdicts)
    )  # fmt: skip
    approval = Approval(proposal_id="P1", by="U1", decision="approved", digest="d", at=samples.NOW)
    incident = Incident(id=7, group_key="g", alert=samples.alert(), state="resolved", opened_at=samples.NOW)
    evidence = (samples.seen("changes", "checkout", samples.errors_shift("checkout")),)
    return Case(
        incident=incident,
        evidence=evidence,
        diagnosis=told,
        proposals=proposals,
        approvals=(approval,),
        timeline=timeline,
    )


def test_a_lesson_says_what_helped() -> None:
    lesson = knowledge.lesson_from(case("not_recovered", "recovered"), samples.NOW)
    assert lesson is not None
    assert lesson.id == "lesson-7"
    assert (lesson.cause, lesson.action, lesson.effectiveness, lesson.confirmed_by) == (
        "bad_rollout",
        "rollout_undo",
        1.0,
        "U1",
    )
    assert lesson.solution == "rollout_undo: Roll checkout back to revision 6"
    assert "errors rose" in lesson.symptoms


@pytest.mark.parametrize(("verdict", "effect"), [("worse", 0.0), ("not_recovered", 0.1), ("unknown", 0.5)])
def test_a_change_that_did_not_help_is_remembered_as_such(verdict: str, effect: float) -> None:
    lesson = knowledge.lesson_from(case(verdict), samples.NOW)
    assert lesson is not None
    assert lesson.effectiveness == effect


def test_what_healed_itself_teaches_a_cause_and_hardly_a_solution() -> None:
    lesson = knowledge.lesson_from(case(proposals=()), samples.NOW)
    assert lesson is not None
    assert lesson.action == ""
    assert lesson.effectiveness < 0.5


def test_nothing_known_and_nothing_done_teaches_nothing() -> None:
    assert knowledge.lesson_from(case(conclusive=False, proposals=()), samples.NOW) is None
