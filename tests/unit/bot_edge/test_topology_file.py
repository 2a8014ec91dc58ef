"""The hand-written file of who calls whom: read with the policy, joined with depends_on, and wrong ones named with the remedy."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import policy as policies
from bot.toolbox import declared_calls, services_of
from bot.topology_file import MAX_BYTES, read_calls


def written(folder: Path, text: str, name: str = "calls.yaml") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    path = folder / "tocsin.yaml"
    path.write_text(f"topology: {name}\nservices: {{checkout: {{depends_on: [payment]}}}}\n", encoding="utf-8")
    return path


def test_the_file_stands_beside_the_policy_and_adds_to_depends_on(tmp_path):
    path = written(tmp_path, "checkout: [payment, cart]\npayment: ledger\nledger:\n")
    policy, problems = policies.load(path)
    assert problems == []
    assert declared_calls(policy) == (("checkout", "payment"), ("checkout", "cart"), ("payment", "ledger"))
    assert services_of(policy)["checkout"].depends_on == ("payment", "cart")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- checkout", "holds a list; write lines such as checkout: [payment, cart]"),
        ("checkout: {payment: 1}", "checkout: {'payment': 1} is no service's name; write checkout: [payment, cart]"),
        ("checkout: [1]", "checkout: 1 is no service's name"),
        ("1: [payment]", "1 is no service's name; put it in quotes"),
        ("checkout: [checkout]", "checkout calls itself; remove it"),
        ("checkout: [", "is not YAML"),
        ("checkout: [a]\ncheckout: [b]", '"checkout" stands twice'),
        ("x" * (MAX_BYTES + 1), "is larger than 1,000,000 bytes"),
    ],
)
def test_a_wrong_file_is_named_with_the_remedy(tmp_path, text, problem):
    _, problems = policies.load(written(tmp_path, text))
    assert len(problems) == 1
    assert problem in problems[0]
    assert "calls.yaml" in problems[0]


def test_a_missing_file_is_named(tmp_path):
    path = tmp_path / "tocsin.yaml"
    path.write_text("topology: gone.yaml\n", encoding="utf-8")
    _, problems = policies.load(path)
    assert len(problems) == 1
    assert "gone.yaml cannot be read" in problems[0]
    assert read_calls("") == ((), [])


@given(st.text(max_size=60))
def test_any_file_gives_calls_or_problems(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("calls") / "calls.yaml"
    path.write_text(text, encoding="utf-8", errors="replace")
    calls, problems = read_calls(str(path))
    assert not (calls and problems)
    assert all(caller and callee and caller != callee for caller, callee in calls)
