"""What a claim may say: the evidence it cites must exist and say it; rounding and units are understood, invention is not."""

import pytest

from agents import check
from tests.unit.agents import samples
from tools.records import Diagnosis, Evidence, Hypothesis, Suggestion

EVIDENCE = [
    samples.seen("service_metrics", "checkout", samples.errors_shift("checkout"), body="memory 268435456 of limit, p95 0.2134 s, 1217 requests").model_copy(update={"id": "E1"}),
    samples.seen("logs", "checkout", body="dial tcp payment:8080: connection refused").model_copy(update={"id": "E2"}),
]  # fmt: skip


def checked(
    statement: str, *cited: str, service: str = "", evidence: list[Evidence] | None = None, **changes: object
) -> Diagnosis:
    claim = Hypothesis(statement=statement, service=service, confidence=0.8, evidence=cited)
    fields = {"headline": "h", "by": "model", "confidence": 0.8, "conclusive": True, "hypotheses": (claim,), **changes}
    return check.check(Diagnosis.model_validate(fields), evidence or EVIDENCE, samples.SERVICES, samples.ACTIONS)


@pytest.mark.parametrize(
    "statement",
    [
        "checkout's error ratio is 42 %",
        "the error ratio rose to 0.42",
        "errors rose 420 times",
        "p95 is 213 ms",
        "p95 is 0.21 s",
        "memory is at 256 MiB",
        "about 1200 requests were served",
        "1,217 requests were served",
        "it began 7 min before the alert, at 02:53:11",
        "2 of 3 pods are affected",
        "E1 shows it",
        "version 1.25.3 is to blame",
        "the pod checkout-7d9f8c6b5d-x2x4z fails",
    ],
)
def test_what_the_evidence_says_in_other_words_stands(statement: str) -> None:
    assert checked(statement, "E1").hypotheses


@pytest.mark.parametrize(
    ("statement", "cited", "missing"),
    [
        ("the error ratio is 97 %", ("E1",), '"97"'),
        ("p95 is 0.9 s", ("E1",), '"0.9"'),
        ("payment refuses connections", ("E1",), '"payment"'),
        ("memory is at 900 MiB", ("E1",), '"900"'),
        ("1500 requests were served", ("E1",), '"1500"'),
    ],
)
def test_what_the_cited_evidence_does_not_say_is_dropped(statement: str, cited: tuple[str, ...], missing: str) -> None:
    told = checked(statement, *cited)
    assert not told.hypotheses
    assert missing in told.notes[0]
    assert not told.conclusive
    assert told.confidence == 0


def test_the_same_claim_stands_with_the_right_citation() -> None:
    assert checked("payment refuses connections", "E2", service="payment").hypotheses


def test_an_invented_service_is_dropped() -> None:
    assert not checked("The proxy fails", "E1", "E2", service="edge-proxy").hypotheses


def test_a_name_within_a_name_is_not_that_name() -> None:
    assert checked(
        "the checkout-worker queue is long",
        "E2",
        evidence=[EVIDENCE[1].model_copy(update={"body": "checkout-worker queue"})],
    ).hypotheses


def test_the_headline_may_not_invent_either() -> None:
    told = checked("errors rose to 42 %", "E1", headline="cart lost 99 % of its pods")
    assert told.headline == "errors rose to 42 %"
    assert told.notes == ('Replaced the headline: "cart" is nowhere in the evidence.',)


def test_a_headline_is_one_line() -> None:
    assert checked("errors rose to 42 %", "E1", headline="it\n\nfails  now").headline == "it fails now"


def test_confidence_never_rises() -> None:
    told = checked("errors rose to 42 %", "E1", confidence=0.3)
    assert told.confidence == 0.3
    assert not told.conclusive


def test_the_rules_are_checked_too() -> None:
    assert not checked("payment refuses connections", "E1", by="rules").hypotheses


def test_a_suggestion_cites_or_goes() -> None:
    wish = Suggestion(
        action="rollout_restart", params={"namespace": "shop", "deployment": "checkout"}, why="w", evidence=("E9",)
    )
    told = checked("errors rose to 42 %", "E1", suggestions=(wish,))
    assert not told.suggestions
    assert told.notes == ("Dropped a suggested rollout_restart: it cites no evidence.",)
    kept = checked("errors rose to 42 %", "E1", suggestions=(wish.model_copy(update={"evidence": ("E1",)}),))
    assert kept.suggestions


def test_nothing_to_check_is_fine() -> None:
    told = check.check(Diagnosis(headline="h", by="rules", confidence=0, conclusive=False), [], {}, {})
    assert not told.notes
