"""Matchers are read as Alertmanager reads them; broken, costly and all-covering ones are refused with a sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.matchers import Misread, all_hold, check, parse, take, written


@pytest.mark.parametrize(
    ("text", "matchers"),
    [
        ("service=checkout", [("service", "=", "checkout")]),
        ('service="check out", severity!=info', [("service", "=", "check out"), ("severity", "!=", "info")]),
        ('{service=~"a|b",pod!~"x.*"}', [("service", "=~", "a|b"), ("pod", "!~", "x.*")]),
        ("service = checkout", [("service", "=", "checkout")]),
        ("service=\u201ccheckout\u201d", [("service", "=", "checkout")]),
        (r'a="say \"hi\"" b=~"\\d+"', [("a", "=", 'say "hi"'), ("b", "=~", r"\d+")]),
    ],
)
def test_what_is_read(text, matchers):
    assert [tuple(one) for one in parse(text)] == matchers
    assert parse(written(parse(text))) == parse(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no matcher"),
        ("checkout", "cannot read `checkout`"),
        ("service=", "has no value"),
        ("service=a checkout", "cannot read `checkout`"),
        ("{service=a", "not closed"),
        ('service=~".*"', "every alert"),
        ('service!="a"', "every alert"),
        ('service=~"("', "not a regular expression"),
        ('service=~"(a+)+b"', "repeats a group"),
        ('service=~"(a|a)*b"', "repeats a group"),
        ('service=~"((a)(a*))+"', "repeats a group"),
        (r'service=~"(a)\\1"', "repeats a group, or looks back"),
        ("service=" + "a" * 600, "500 may be used"),
        ("a=b " * 300, "1000 characters"),
        ("a=b " * 30, "too many"),
    ],
)
def test_what_is_refused(text, problem):
    with pytest.raises(Misread, match=problem):
        parse(text)


@pytest.mark.parametrize(
    ("text", "labels", "holds"),
    [
        ("a=x", {"a": "x"}, True),
        ("a=x", {}, False),
        ('a="" b=y', {"b": "y"}, True),
        ("a!=x b=y", {"b": "y"}, True),
        ("a=~x", {"a": "xx"}, False),
        ('a=~"x|y"', {"a": "y"}, True),
        ('a=~"(x|y)-[(a+)+]-z"', {"a": "x-+-z"}, True),
        ('a!~"x.*" b=y', {"a": "xx", "b": "y"}, False),
    ],
)
def test_a_missing_label_is_empty_and_expressions_are_anchored(text, labels, holds):
    assert all_hold(parse(text), labels) is holds


def _read(text):
    try:
        return check(take(text)[0])
    except Misread:
        return ()


@given(st.text(alphabet='ab=~!"|*+(){}[]\\ ,', max_size=30))
def test_any_text_is_matchers_that_leave_something_out_or_refused(text):
    matchers = _read(text)
    assert not matchers or not all_hold(matchers, {})
