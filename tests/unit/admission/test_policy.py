"""Maintenance windows by the clock of their zone, and how long a group waits."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.policy import load
from bot.policy_intake import Grouping, Maintenance

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)


def window(**more):
    return Maintenance(name="w", matchers="a=b", **more)


@pytest.mark.parametrize(
    ("fields", "hours", "inside"),
    [
        ({"start": "02:00", "end": "04:00"}, 3, True),
        ({"start": "02:00", "end": "04:00"}, 4, False),
        ({"start": "23:00", "end": "01:00", "days": ("mon",)}, 23.5, True),
        ({"start": "23:00", "end": "01:00", "days": ("mon",)}, 24.5, True),
        ({"start": "23:00", "end": "01:00", "days": ("mon",)}, 0.5, False),
        ({"start": "23:00", "end": "01:00", "days": ("tue",)}, 23.5, False),
        ({"days": ("mon",)}, 12, True),
        ({"days": ("tue",)}, 12, False),
        ({"start": "02:00", "end": "04:00", "timezone": "Europe/Berlin"}, 1.5, True),
        ({"start": "02:00", "end": "04:00", "timezone": "Europe/Berlin"}, 3.5, False),
    ],
)
def test_a_window_covers(fields, hours, inside):
    assert window(**fields).covers(MONDAY + timedelta(hours=hours)) is inside


def test_waiting_is_prolonged_up_to_the_longest():
    rules = Grouping(debounce_seconds=30, debounce_max_seconds=60)
    late = MONDAY + timedelta(seconds=50)
    assert rules.due(MONDAY, MONDAY) == MONDAY + timedelta(seconds=30)
    assert rules.due(MONDAY, late) == MONDAY + timedelta(seconds=60)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("grouping: {debounce_seconds: 121}", "grouping.debounce_seconds: 121"),
        ("grouping: {debounce_seconds: 60, debounce_max_seconds: 30}", "is over debounce_max_seconds"),
        ("maintenance: [{name: x, matchers: checkout}]", "is not a list of matchers"),
        ("maintenance: [{name: x, matchers: a=b, start: '25:00'}]", "is not a time of day"),
        ("maintenance: [{name: x, matchers: a=b, timezone: Mars}]", "is not a time zone"),
        ("maintenance: [{name: x, matcher: a=b}]", 'did you mean "matchers"'),
        ("silences: {who: me}", "silences.who"),
        ("caps: {at_onse: 3}", 'did you mean "at_once"'),
    ],
)
def test_problems_name_key_and_remedy(tmp_path: Path, text: str, problem: str):
    path = tmp_path / "tocsin.yaml"
    path.write_text(text)
    assert any(problem in one for one in load(path)[1])
