"""The comparison of `make test-cluster` sees what differs, and leaves out only what it says it leaves out."""

from typing import Any

import pytest

from tests.cluster.api import Answer
from tests.cluster.compare import KNOWN, differences
from tests.cluster.run import Run
from tests.cluster.sides import Asked, Side

OURS = Side({}, "tocsin-drill-1", ("worker-1", "worker-2"), real=False, home="worker-1")
THEIRS = Side({}, "tocsin-test-1", ("tocsin-test-1-a", "tocsin-test-1-b"), real=True, home="tocsin-test-1-a")
SPEC = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "uid": "1"}, "data": {"k": "v"}}


def found(ours: Any, theirs: Any, *, codes: tuple[int, int] = (200, 200), minor: int = 20, **more: Any) -> list[str]:
    both = [
        Asked("x", Answer(code, body), None, False, **more) for code, body in zip(codes, (ours, theirs), strict=True)
    ]
    return differences(both[0], both[1], (OURS, THEIRS), minor, set(KNOWN.read_text().split()))


def test_what_is_the_same_is_the_same() -> None:
    assert found(SPEC, SPEC | {"metadata": {"name": "a", "uid": "another"}}) == []
    assert found({"n": "tocsin-drill-1", "on": "worker-2"}, {"n": "tocsin-test-1", "on": "tocsin-test-1-b"}) == []


@pytest.mark.parametrize(("ours", "theirs", "words"), [
    (SPEC, SPEC | {"data": {"k": "w"}}, "data.k: 'v' for 'w'"),
    (SPEC, SPEC | {"data": {}}, "data.k: 'v' for nothing"),
    (SPEC | {"data": {}}, SPEC, "data.k: nothing for 'v'"),
    (SPEC, SPEC | {"metadata": {"name": "a"}}, "metadata.uid: 'present' for nothing"),
    ({"items": [SPEC]}, {"items": [SPEC, SPEC]}, "items[1].data.k: nothing for 'v'"),
    ({"kind": "Status", "reason": "NotFound", "message": "a"}, {"kind": "Status", "reason": "NotFound", "message": "b"}, "message: 'a' for 'b'"),
    ({"kind": "Status", "reason": "Invalid"}, {"kind": "Status", "reason": "Conflict"}, "reason: 'Invalid' for 'Conflict'"),
])  # fmt: skip
def test_what_differs_is_found(ours: Any, theirs: Any, words: str) -> None:
    assert words in found(ours, theirs)


def test_another_code_is_found_whatever_else_is_compared() -> None:
    assert found(SPEC, SPEC, codes=(200, 201), fields=()) == ["code: 200 for 201"]


def test_each_cause_counts_once() -> None:
    def refused(*fields: str) -> Any:
        causes = [{"reason": "FieldValueInvalid", "field": field} for field in fields]
        return {"kind": "Status", "reason": "Invalid", "details": {"causes": causes}}

    assert found(refused("a", "b", "b"), refused("b", "a"), codes=(422, 422)) == []
    assert found(refused("a"), refused("b"), codes=(422, 422))
    assert found(refused("a", "b"), refused("a"), codes=(422, 422))


def test_what_only_a_newer_server_says_does_not_count_but_what_it_says_otherwise_does() -> None:
    newer = SPEC | {"trafficDistribution": "near"}
    assert found(SPEC, newer, minor=36) == []
    assert found(SPEC, newer, minor=20) == ["trafficDistribution: nothing for 'near'"]
    assert found(SPEC | {"data": {}}, SPEC | {"data": {"a": "1"}}, minor=36) == [
        "data.a: nothing for '1'"
    ]  # as old as 1.20
    assert found(newer, SPEC, minor=36) == ["trafficDistribution: 'near' for nothing"]
    assert found(newer, newer | {"trafficDistribution": "far"}, minor=36)


def test_the_last_line() -> None:
    assert Run("").line() == "changes=0 conformance=none"
    assert Run("", changes=["scale"], compared=3, same=2).line() == "changes=1 conformance=66.7%"
