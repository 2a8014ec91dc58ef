"""Ranking and rules: which pattern means which cause, what heals it, and how sure one may be."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents import check, monitor, rank, rules
from agents.ports import Limits
from tests.unit.agents import samples
from tools.records import Diagnosis, Evidence, Finding


def diagnose(*evidence: Evidence, service: str = "checkout") -> Diagnosis:
    numbered = [item.model_copy(update={"id": f"E{n}"}) for n, item in enumerate(evidence, 1)]
    scope = monitor.scope_for(samples.alert(service), samples.NOW, samples.SERVICES, Limits())
    return rules.diagnose(rank.weigh(numbered, scope, samples.SERVICES), numbered, samples.SERVICES)


def of(*findings: Finding) -> Evidence:
    return samples.seen("any", "checkout", *findings)


def rollout(minutes: float = 2, service: str = "checkout", **data: object) -> Finding:
    said = {"revision": 7, "previous_revision": 6, "what": "image", "before": "a:1", "after": "a:2", **data}
    return samples.finding("rollout", service, f"{service} rolled out revision 7", 0.95, minutes, **said)


def fact(
    kind: str, service: str = "checkout", score: float = 0.95, minutes: float | None = 1, **data: object
) -> Finding:
    return samples.finding(kind, service, f"{service}: {kind}", score, minutes, **data)


@pytest.mark.parametrize(
    ("findings", "cause", "action"),
    [
        ([rollout(), samples.errors_shift("checkout")], "bad_rollout", "rollout_undo"),
        ([rollout(what="limits"), fact("oom_killed")], "memory_limit_lowered", "rollout_undo"),
        ([rollout(), fact("oom_killed")], "out_of_memory_after_rollout", "rollout_undo"),
        ([fact("oom_killed")], "out_of_memory", "rollout_restart"),
        ([rollout(), fact("image_pull")], "image_not_pulled", "rollout_undo"),
        ([fact("image_pull")], "image_not_pulled", ""),
        ([rollout(), fact("config_error")], "bad_configuration", "rollout_undo"),
        ([rollout(), fact("crash_loop")], "crash_after_rollout", "rollout_undo"),
        ([rollout(), fact("rollout_stuck")], "rollout_stuck", "rollout_undo"),
        ([fact("not_ready")], "stuck", "rollout_restart"),
        ([fact("unschedulable")], "no_room", ""),
        ([fact("scaled", **{"from": 4, "to": 1}), fact("replicas_short")], "scaled_down", "scale"),
        ([fact("scaled_to_zero")], "scaled_to_zero", "scale"),
        ([samples.errors_shift("checkout")], "unexplained", ""),
        ([fact("dependency_errors", peer="stripe")], "dependency_failing", ""),
        ([rollout(previous_revision=None), samples.errors_shift("checkout")], "bad_rollout", ""),
    ],
)
def test_patterns(findings: list[Finding], cause: str, action: str) -> None:
    told = diagnose(of(*findings))
    assert told.hypotheses[0].cause == cause
    assert told.hypotheses[0].evidence == ("E1",)
    assert [each.action for each in told.suggestions[:1]] == ([action] if action else [])
    assert told.confidence <= rules.CAP


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            "checkout image reg.local:5000/shop/checkout:v1 -> reg.local:5000/shop/checkout:v2",
            "image checkout:v1 -> checkout:v2",
        ),
        (
            "checkout resources limits memory 384Mi -> 160Mi; sidecar env A 1 -> 2",
            "memory limit 384Mi -> 160Mi; sidecar env A 1 -> 2",
        ),
        ("checkout env URL http://a/b -> http://a/c", "env URL http://a/b -> http://a/c"),
    ],
)
def test_a_change_is_told_shortly(changes: str, said: str) -> None:
    told = diagnose(of(rollout(changes=changes), samples.errors_shift("checkout")))
    assert told.headline == f"checkout fails since rollout 7, 2 min before the trouble began ({said})."


def test_an_old_rollout_is_no_explanation() -> None:
    fresh = diagnose(of(rollout(2), samples.errors_shift("checkout")))
    old = diagnose(of(rollout(180), samples.errors_shift("checkout")))
    assert fresh.conclusive
    assert not old.conclusive
    assert not old.suggestions


def test_a_change_after_the_onset_is_no_cause() -> None:
    told = diagnose(of(rollout(-10), samples.errors_shift("checkout")))
    assert not told.conclusive


def test_without_a_measured_onset_the_alerts_start_is_taken_loosely() -> None:
    assert diagnose(of(rollout(-0.5), samples.errors_shift("checkout"))).conclusive


def test_a_remedy_right_after_a_measured_onset_is_not_blamed() -> None:
    """A rollback a few seconds after the errors began must not be rolled back to the bad revision."""
    jump = samples.errors_shift("checkout").model_copy(update={"at": samples.ONSET})
    assert not diagnose(of(rollout(-0.2), jump)).conclusive
    assert diagnose(of(rollout(0.1), jump)).conclusive


def test_scaling_up_is_no_cause() -> None:
    told = diagnose(of(fact("scaled", **{"from": 2, "to": 6}), samples.errors_shift("checkout")))
    assert not told.conclusive


def test_the_dependencys_own_rollout_is_found() -> None:
    calls = fact("dependency_errors", peer="payment")
    told = diagnose(
        of(samples.errors_shift("checkout"), calls), of(rollout(service="payment"), samples.errors_shift("payment"))
    )
    assert told.headline.startswith("payment fails since rollout 7")
    assert told.suggestions[0].params["deployment"] == "payment"


def test_a_strangers_trouble_matters_less() -> None:
    stranger = samples.finding("oom_killed", "reports", "reports was killed", 0.95, 1)
    told = diagnose(of(rollout(), samples.errors_shift("checkout"), stranger))
    assert told.hypotheses[0].service == "checkout"


def test_two_causes_share_the_probability() -> None:
    told = diagnose(of(rollout(), samples.errors_shift("checkout"), fact("scaled_to_zero", "payment")))
    assert len(told.hypotheses) == 2
    assert sum(each.confidence for each in told.hypotheses) <= 1.0


def test_each_blind_spot_costs_confidence() -> None:
    seen = of(rollout(), samples.errors_shift("checkout"))
    blind = samples.seen("logs", "checkout", error="Loki timed out", body="", query="{app=checkout}")
    told = diagnose(seen, blind)
    assert told.blind_spots == ("Could not see logs of checkout: Loki timed out (asked: {app=checkout})",)
    assert told.confidence <= rules.CAP * rules.BLIND


def test_ago_is_plain() -> None:
    spans = [timedelta(seconds=40), timedelta(minutes=4), timedelta(hours=3), timedelta(days=3)]
    assert [rank.ago(span) for span in spans] == ["40 s", "4 min", "3 h", "3 days"]


texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=40)
scalars = st.one_of(
    texts, st.integers(-5, 10**9), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.none()
)
names = st.sampled_from(["checkout", "payment", "cart", "reports", ""])
KEYS = [
    "peer",
    "revision",
    "previous_revision",
    "what",
    "before",
    "after",
    "changes",
    "from",
    "to",
    "template",
    "signal",
    "ratio",
    "new",
]
findings = st.builds(
    lambda kind, service, said, score, minutes, data: samples.finding(kind, service, said, score, minutes, **data),
    st.sampled_from([*rank.KINDS, "something_new"]),
    names,
    texts,
    st.floats(0, 1),
    st.one_of(st.none(), st.floats(-60, 3000)),
    st.dictionaries(st.sampled_from(KEYS), scalars, max_size=6),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(findings, max_size=5), max_size=4))
def test_whatever_was_found_the_rules_answer_honestly(groups: list[list[Finding]]) -> None:
    """No finding breaks the rules, every claim cites, is within bounds, and stands before the checker."""
    evidence = [of(*group).model_copy(update={"id": f"E{n}"}) for n, group in enumerate(groups, 1)]
    told = diagnose(*evidence)
    assert told.headline
    assert 0 <= told.confidence <= rules.CAP
    known = {item.id for item in evidence}
    for claim in told.hypotheses:
        assert claim.evidence
        assert set(claim.evidence) <= known
    scope = monitor.scope_for(samples.alert(), samples.NOW, samples.SERVICES, Limits())
    for suspect in rank.rank(rank.weigh(evidence, scope, samples.SERVICES)):
        assert 0 <= suspect.score <= 1
    kept = check.check(told, evidence, samples.SERVICES, samples.ACTIONS)
    assert len(kept.hypotheses) == len(told.hypotheses), kept.notes
