"""An alert's expression taken apart."""

import pytest

from tools.alertexpr import Threshold, agree, take_apart
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
        ("a > b", "a > b", "", 0),
        ("a > bool 1", "a", ">", 1),
    ],
)
def test_take_apart(expression, query, op, bound):
    found = take_apart(expression)
    assert found.query.replace("{}", "") == query
    assert (found.op, found.bound) == (op, bound)


def test_an_expression_that_cannot_be_written_back_stays_whole():
    tricky = 'a{path="say \\"x\\""} > 1'
    assert take_apart(tricky) == Threshold(tricky)


def test_not_promql():
    with pytest.raises(Permanent, match="sum\\(: not a PromQL expression"):
        take_apart("sum(")


def test_agreement_is_about_shared_labels():
    assert agree({"service": "a", "pod": "x"}, {"service": "a", "severity": "page"})
    assert not agree({"service": "b"}, {"service": "a"})
