"""Real and documented payloads with keys lost, repeated, emptied or swapped: alerts or a named refusal, never an exception."""

import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.sources import Unreadable, read, senders
from tests.unit.sources.others import FIRST, SECOND, THIRD, Row
from tools.records import Alert

PAYLOADS = sorted((Path(__file__).parents[1] / "payloads").glob("*.json"))
ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    1e308,
    10**30,
    "",
    " ",
    "null",
    [],
    {},
    [[]],
    "\x00",
    "\ud800",
    "0001-01-01T00:00:00Z",
    "<http://",
    "[FIRING:1] ",
    {"a": []},
]


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a JSON value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [(value, key) for key, _ in inside]
    for holder, key in list(found):
        found += places(holder[key])
    return found


def mutated(value: Any, chance: random.Random) -> Any:
    """Copy *value* with up to four accidents: a key lost, a value replaced by an odd one or by another of its values, a key doubled."""
    value = copy.deepcopy(value)
    for _ in range(chance.randint(1, 4)):
        where = places(value)
        if not where:
            break
        holder, key = chance.choice(where)
        accident = chance.randrange(4)
        if accident == 0:
            del holder[key]
        elif accident == 1:
            holder[key] = copy.deepcopy(chance.choice(ODD))
        elif accident == 2:
            other, name = chance.choice(where)
            holder[key] = copy.deepcopy(other[name])
        elif isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        else:
            holder[f"{key}_copy"] = copy.deepcopy(holder[key])
    return value


def alerts_or_refusal(kind: Any, payload: Any, sender: str = "") -> None:
    try:
        found = read(kind, payload, {"checkout"}, sender=sender)
    except Unreadable as error:
        assert len(str(error)) > 10  # noqa: PT017
        return
    assert found
    for alert in found:
        assert alert.name
        assert alert.sender
        assert len(alert.fingerprint) >= 1
        assert Alert.model_validate_json(alert.model_dump_json()) == alert
        assert "\\u0000" not in alert.model_dump_json()


@pytest.mark.parametrize("path", PAYLOADS, ids=lambda path: path.stem)
@given(chance=st.randoms(use_true_random=False), sender=st.sampled_from(["", *senders()]))
def test_a_damaged_payload_gives_alerts_or_a_refusal(path: Path, chance: random.Random, sender: str) -> None:
    body = json.loads(path.read_text())["body"]
    alerts_or_refusal("slack" if "_slack_" in path.stem else "webhook", mutated(body, chance), sender)


@pytest.mark.parametrize("path", PAYLOADS, ids=lambda path: path.stem)
def test_read_as_the_other_kind_it_gives_alerts_or_a_refusal(path: Path) -> None:
    body = json.loads(path.read_text())["body"]
    alerts_or_refusal("webhook" if "_slack_" in path.stem else "slack", body)


@given(chance=st.randoms(use_true_random=False), row=st.sampled_from([*FIRST, *SECOND, *THIRD]))
def test_a_damaged_payload_of_a_sender_without_a_reader_too(chance: random.Random, row: Row) -> None:
    payload = row[2] if isinstance(row[2], dict) else {"alerts": row[2]}
    alerts_or_refusal(row[1], mutated(payload, chance))


@given(depth=st.integers(1, 3000))
def test_depth_is_survived(depth: int) -> None:
    value: Any = "disk full"
    for _ in range(depth):
        value = {"data": value}
    alerts_or_refusal("webhook", value)
