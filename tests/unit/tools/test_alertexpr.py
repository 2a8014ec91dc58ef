"""An alert's expression taken apart."""

import pytest

from tools.alertexpr import agree, take_apart
from tools.errors import Permanent


@pytest.mark.parametrize(
    ("expression", "query", "op", "bound"),
    [
        ("rate(a[5m]) > 0.5", "rate(a[5m])", ">", 0.5),
        ("(rate(a[5m]) >= 3)", "rate(a[5m])", ">=", 3),
        ("5 < a", "a", ">", 5),
        ("a > -2 * 3", "a", ">", -6),
        ("a / b > 1/4 and b > 10", "a / b", ">", 0.25),
        ("up == 0", "up", "==", 0),
        ("absent(up)", "absent(up)", "", 0),
        ("a unless b", "a unless b", "", 0),
        ("a > bool 1", "a > bool 1", "", 0),
        ("(a > bool 1) == 1", "a", ">", 1),
        ("(a < bool 1) > 0", "a", "<", 1),
        ("(a > bool 1) == 0", "(a > bool 1)", "==", 0),
        ("a offset 5m > 3", "a offset 5m", ">", 3),
        ("a > 5 unless on (x) b", "a", ">", 5),
    ],
)
def test_take_apart(expression, query, op, bound):
    found = take_apart(expression)
    assert found.query.replace("{}", "") == query
    assert (found.op, found.bound) == (op, bound)


def test_escapes_in_literals_survive():
    found = take_apart('a{path="say \\"x\\"",re=~\'b\\\\d+\'} > 1')
    assert (found.query, found.op, found.bound) == ('a{path="say \\"x\\"",re=~\'b\\\\d+\'}', ">", 1)


@pytest.mark.parametrize(
    "expression",
    ["a > 5 and b > 1", "a > 5 unless b", "a > on(x) group_left(y) b * 0.9", "a > 5 or b > 1", "(a > bool 5) == 1"],
)
def test_what_is_more_than_one_comparison_is_decided_by_the_whole(expression):
    assert take_apart(expression).whole == expression


@pytest.mark.parametrize("expression", ["a > 5", "(5 < a)", "absent(a)", "a unless b"])
def test_one_comparison_is_the_whole(expression):
    assert take_apart(expression).whole == ""


def test_another_series_may_be_the_bound():
    found = take_apart("a > on(x) group_left(y) b * 0.9")
    assert (found.query, found.op, found.against) == ("a{}", ">", "b{} * 0.9")


def test_an_or_has_several_sides():
    found = take_apart("a > 5 or (b < 1 and c) or d == 0")
    assert [(side.query, side.op, side.bound) for side in (found, *found.others)] == [
        ("a{}", ">", 5), ("b{}", "<", 1), ("d{}", "==", 0),
    ]  # fmt: skip


def test_not_promql():
    with pytest.raises(Permanent, match="sum\\(: not a PromQL expression"):
        take_apart("sum(")


def test_agreement_is_about_shared_labels():
    assert agree({"service": "a", "pod": "x"}, {"service": "a", "severity": "page"})
    assert not agree({"service": "b"}, {"service": "a"})
