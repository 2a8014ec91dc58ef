"""The generic reader on the payloads of others.py: each of the four is right, or said to be missing."""

import pytest

from bot.sources import read
from tests.unit.sources.others import FIRST, SECOND, THIRD, Row
from tools.records import Alert

ROWS = [*FIRST, *SECOND, *THIRD]


def alert_of(row: Row) -> Alert:
    payload = row[2] if isinstance(row[2], dict) else {"alerts": row[2]}  # as bot/web.py wraps a list
    (alert,) = read("slack" if row[1] == "slack" else "webhook", payload)
    return alert


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_a_payload_never_seen_is_read_as_a_person_reads_it(row: Row) -> None:
    alert = alert_of(row)
    _, _, _, names, status, severity, service = row
    assert alert.name in names
    for field, expected in (("status", status), ("severity", severity), ("service", service)):
        if expected is None:
            assert field in alert.missing, (field, getattr(alert, field))
        else:
            assert getattr(alert, field) == expected, field
            assert field not in alert.missing, field
