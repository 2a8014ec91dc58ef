"""What clients send the practice cluster as protobuf is read as the official library's own messages would be; garbage is refused."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drill.cluster import protobuf
from drill.cluster.objects import ApiError

TEXT = st.text(max_size=200)


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def field(number: int, value: str | bytes | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value % 2**64)
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def sent(api_version: str, kind: str, raw: bytes) -> bytes:
    return b"k8s\x00" + field(1, field(1, api_version) + field(2, kind)) + field(2, raw) + field(4, "")


@given(TEXT, TEXT, TEXT)
def test_an_access_review(namespace: str, verb: str, resource: str) -> None:
    wanted = field(1, namespace) + field(2, verb) + field(5, resource) + field(9, "newer")
    read = protobuf.read(sent("authorization.k8s.io/v1", "SelfSubjectAccessReview", field(2, field(1, wanted))))
    assert read["spec"] == {"resourceAttributes": {"namespace": namespace, "verb": verb, "resource": resource}}
    assert (read["apiVersion"], read["kind"]) == ("authorization.k8s.io/v1", "SelfSubjectAccessReview")


@given(TEXT, st.integers(-(2**63), 2**63 - 1))
def test_an_eviction_with_its_options(name: str, grace: int) -> None:
    options = field(1, grace) + field(2, field(1, "u")) + field(5, "All") + field(5, "All")
    read = protobuf.read(sent("policy/v1", "Eviction", field(1, field(1, name)) + field(2, options)))
    assert read["metadata"] == {"name": name}
    assert read["deleteOptions"] == {
        "gracePeriodSeconds": grace,
        "preconditions": {"uid": "u"},
        "dryRun": ["All", "All"],
    }


def test_another_kind_is_not_read() -> None:
    with pytest.raises(ApiError) as refused:
        protobuf.read(sent("v1", "Pod", b""))
    assert refused.value.code == 415


@given(st.binary(max_size=80))
def test_garbage_is_refused_and_nothing_else_is_raised(data: bytes) -> None:
    for raw in (data, sent("policy/v1", "Eviction", data)):
        with contextlib.suppress(ApiError):
            assert isinstance(protobuf.read(raw), dict)
