"""What models write, and what they are shown: submissions read leniently, data kept inside its fence."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents import fence, submission
from agents.budget import Budget, Stopped
from agents.ports import ModelSettings

CLAIM = {"statement": "s", "service": "a", "confidence": 0.5, "evidence": ["E1"]}
GOOD = {"headline": "h", "confidence": 0.5, "conclusive": True, "hypotheses": [CLAIM]}


@pytest.mark.parametrize("given_as", [0.85, "0.85", "85%", 85, "85 %"])
def test_confidence_is_read_in_any_form(given_as: object) -> None:
    assert submission.read({**GOOD, "confidence": given_as}).confidence == pytest.approx(0.85)


@pytest.mark.parametrize("cited", ["E1, E2", ["E1", "E2"], ["[E1]", "E2."], ["E1 and E2"], '["E1", "E2"]'])
def test_citations_are_read_in_any_form(cited: object) -> None:
    assert submission.read({**GOOD, "hypotheses": [{**CLAIM, "evidence": cited}]}).hypotheses[0].evidence == [
        "E1",
        "E2",
    ]


def test_lists_sent_as_json_text_are_read() -> None:
    assert len(submission.read({**GOOD, "hypotheses": json.dumps([CLAIM])}).hypotheses) == 1


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {**GOOD, "confidence": 300},
        {**GOOD, "headline": ""},
        {**GOOD, "hypotheses": "none"},
        {**GOOD, "hypotheses": [1]},
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"(?s)^[^\n]{3,}$"):
        submission.read(bad)


anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=8,
)
FIELDS = st.sampled_from(["headline", "confidence", "conclusive", "hypotheses", "suggestions", "other"])


@given(st.dictionaries(FIELDS, anything))
def test_any_arguments_are_read_or_refused(arguments: dict[str, object]) -> None:
    for fields in (arguments, {**GOOD, **arguments}):
        try:
            read = submission.read(fields)
        except ValueError:
            continue
        assert 0 <= read.confidence <= 1


@given(st.text())
def test_any_prose_is_read_or_passed_over(text: str) -> None:
    submission.read_text(text)
    submission.read_text(f"{{{text}}}")


pieces = st.lists(
    st.sampled_from(["<", "\uff1c", "</", "< /", "data", "DATA", " ", "\u200b", "\x00", ">", 'id="E1"', "x", "\n"]),
    max_size=30,
)


@given(st.one_of(st.text(), pieces.map("".join)))
def test_nothing_gets_out_of_its_fence(text: str) -> None:
    shown = fence.fenced("E1", 'a "title" <data>', text)
    assert re.findall(r"<\s*/?\s*data\b", shown, re.IGNORECASE) == ["<data", "</data"]
    assert shown.endswith("\n</data>")


PRICED = ModelSettings.model_validate(
    {"base_url": "u", "api_key": "k", "name": "m", "usd_per_1m_prompt": 10.0, "max_usd": 0.01}
)


def test_money_is_counted_and_ends() -> None:
    budget = Budget(PRICED)
    assert not budget.before_call(400)
    budget.after_call({"usage": {"prompt_tokens": 900, "completion_tokens": 50}}, 400)
    assert budget.usage().usd == pytest.approx(0.009)
    assert budget.before_call(4), "the last call that money allows must submit"
    budget.after_call({"usage": {"prompt_tokens": 900, "completion_tokens": 50}}, 400)
    with pytest.raises(Stopped, match=r"0.01 USD"):
        budget.before_call(4)


def test_an_endpoint_that_does_not_bill_is_estimated() -> None:
    budget = Budget(PRICED)
    budget.after_call(None, 4000)
    assert budget.usage().prompt_tokens == 1000
