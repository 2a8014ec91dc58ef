"""Label values from alerts stay data inside PromQL and LogQL, and lines stay in exactly one template (hypothesis)."""

import re

import promql_parser
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tools.selectors import exactly, literal, matcher, selector
from tools.templates import mine

ANY = st.text(max_size=60)


@given(ANY)
@example('"} or vector(1) #')
@example('a\\"b')
@example("\\")
@example("`")
@example("\x00\x7f\r\n\t")
def test_a_value_stays_one_matcher_of_one_selector(value):
    parsed = promql_parser.parse(selector(matcher("service", "=", value), matcher("code", "=~", "5.."), name="up"))
    assert type(parsed).__name__ == "VectorSelector"
    assert [m.name for m in parsed.matchers.matchers] == ["service", "code"]
    assert parsed.matchers.matchers[0].value == value.encode("utf-8", "replace").decode()


@given(ANY)
def test_a_literal_has_no_bare_quote_and_no_control_character(value):
    inside = literal(value)[1:-1]
    assert not re.search(r"[\x00-\x1f\x7f]", inside)
    assert re.fullmatch(r'(?:[^"\\]|\\.)*', inside)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=30))
def test_exactly_matches_itself_alone(value):
    assert re.fullmatch(exactly(value), value)
    assert not re.fullmatch(exactly(value), value + "x")


@given(
    st.lists(
        st.text(max_size=80) | st.sampled_from(["GET /a 200", "GET /b 500", "user 1 in", "user 2 in"]), max_size=60
    )
)
def test_no_line_is_lost_and_each_is_in_one_group(lines):
    mined = mine(lines)
    assert len(mined.assigned) == len(lines)
    assert sum(group.count for group in mined.groups) == len(lines)
    assert all(group.count == mined.assigned.count(index) for index, group in enumerate(mined.groups))


@given(st.lists(st.integers(0, 10**9), min_size=2, max_size=50))
def test_lines_that_differ_in_numbers_are_one_template(numbers):
    assert len(mine([f"order {n} took {n}ms from 10.0.0.{n % 255}:80" for n in numbers]).groups) == 1


@pytest.mark.parametrize("label", ["", "a-b", "a b", '"', "ä", "1a"])
def test_a_label_name_that_is_none_is_refused(label):
    with pytest.raises(ValueError, match="not a label name"):
        matcher(label, "=", "x")
    with pytest.raises(ValueError, match="operator"):
        matcher("a", "~", "x")
