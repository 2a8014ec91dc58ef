"""Every line of the field's checklist has an analyzer; each side of it is judged, alone and in every form of a file."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.analyzers.checklist import CASES, QUIET, page
from tests.unit.analyzers.samples import NOW, look
from tools import analyzers
from tools.inspect import inspect, read
from tools.objects import Objects
from tools.registry import plugins

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("line", CASES)
def test_the_condition_is_named_with_why_and_what_to_do(line):
    code, module, items, _ = CASES[line]
    told = [each for each in look(*items) if each.condition == code]
    assert told, [each.condition for each in look(*items)]
    assert all(each.why and each.remedy and each.name for each in told)
    assert (told[0].severity == "note") == line.endswith("(a note)")
    assert module in plugins(analyzers)


@pytest.mark.parametrize("line", CASES)
def test_its_look_alike_is_not(line):
    code, _, _, healthy = CASES[line]
    assert code not in {each.condition for each in look(*healthy)}
    assert [each for each in look(*healthy) if each.severity == "critical"] == []


@pytest.mark.parametrize("line", QUIET)
def test_what_others_report_falsely_is_quiet(line):
    assert [each for each in look(*QUIET[line]) if each.severity != "note"] == []
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": QUIET[line]})
    assert [each for each in inspect(read([("x", text)])) if each.severity != "note"] == []  # without a clock


@pytest.mark.parametrize("line", CASES)
def test_the_form_of_the_file_changes_nothing(line):
    """A List, a List of Lists, documents, and events of events.k8s.io tell the same."""
    _, _, items, _ = CASES[line]
    one = {"apiVersion": "v1", "kind": "List", "items": items}
    told = {
        form: {(c.about, c.condition) for c in inspect(read([("x", text)]))}
        for form, text in (
            ("list", json.dumps(one)),
            ("nested", json.dumps({"apiVersion": "v1", "kind": "List", "items": [one]})),
            ("documents", yaml.safe_dump_all(items)),
            ("new events", json.dumps({"apiVersion": "v1", "kind": "List", "items": [_newer(each) for each in items]})),
        )
    }
    assert told["list"]
    assert all(each == told["list"] for each in told.values()), told


ODD = st.sampled_from(
    [None, 0, -1, 2**70, 1e400, "", "x", "2026-13-45T99:00:00Z", True, [], {}, [None], ["x"], {"a": None}]
)


@given(st.sampled_from(sorted(CASES)), st.data())
def test_an_object_with_odd_values_anywhere_never_raises(line, data):
    """Every part of a sick object may be replaced; what is found then has still a why and a remedy."""
    items = json.loads(json.dumps([*CASES[line][2], *CASES[line][3]]))
    for _ in range(data.draw(st.integers(1, 3))):
        holder = data.draw(st.sampled_from(items))
        while True:
            keys = sorted(k for k in holder if k != "kind") if isinstance(holder, dict) else list(range(len(holder)))
            if not keys:
                break
            key = data.draw(st.sampled_from(keys))
            if not isinstance(holder[key], dict | list) or not holder[key] or data.draw(st.booleans()):
                holder[key] = data.draw(ODD)
                break
            holder = holder[key]
    found = inspect(Objects(tuple(items), NOW, lists=frozenset({("Service", ""), ("StorageClass", "")}), today=NOW))
    assert all(each.why and each.remedy and each.condition for each in found)


def _newer(item):
    if item["kind"] != "Event":
        return item
    rest = {k: v for k, v in item.items() if k not in {"involvedObject", "message", "count", "lastTimestamp"}}
    return rest | {
        "apiVersion": "events.k8s.io/v1", "regarding": item["involvedObject"], "note": item["message"],
        "deprecatedCount": item["count"], "deprecatedLastTimestamp": item["lastTimestamp"],
    }  # fmt: skip


def test_every_analyzer_is_on_the_list_and_the_page_is_as_written():
    assert {module for _, module, _, _ in CASES.values()} | {"events"} == set(plugins(analyzers))
    assert (ROOT / "docs" / "conditions.md").read_text(encoding="utf-8") == page()
