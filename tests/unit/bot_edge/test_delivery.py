"""What is one notification delivered again, and what is another one that reads the same."""

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from bot.delivery import webhook_event_id

NOW = datetime(2026, 11, 24, 10, 0, 30, tzinfo=UTC).timestamp()
HOUR = 3600.0
UNDATED: dict[str, dict[str, Any]] = {
    "uptimerobot": {"monitorID": "7", "monitorFriendlyName": "shop", "alertType": "1", "alertTypeFriendlyName": "Down"},
    "generic": {"title": "disk full", "status": "firing", "host": "db-1"},
    "numbers": {"id": 1763900000123, "name": "queue long", "state": "critical", "value": 1763900000},
    "never ended": {"alerts": [{"status": "firing", "labels": {"alertname": "A"}, "endsAt": "0001-01-01T00:00:00Z"}]},
    "rule's own time": {"title": "disk full", "monitor": {"created_at": "2026-11-24T09:00:00Z", "date": "2021-02-03"}},
    "day only": {"title": "disk full", "date": "2026-11-24"},
    "old": {"title": "disk full", "created": "2021-02-03T04:05:06Z"},
}
DATED: dict[str, dict[str, Any]] = {
    "began": {"alerts": [{"status": "firing", "labels": {"alertname": "A"}, "startsAt": "2026-11-01T00:00:00Z"}]},
    "epoch": {"title": "disk full", "timestamp": int(NOW) - 20},
    "epoch text": {"title": "disk full", "date": str(int(NOW * 1000))},
    "in a string": {"Type": "Notification", "Message": '{"StateChangeTime": "2026-11-24T10:00:12.000+0000"}'},
    "of the alert": {"alert": {"createdAt": int(NOW * 1000) - 5, "message": "disk full"}, "action": "Create"},
}


@pytest.mark.parametrize("name", UNDATED)
def test_without_a_time_a_minute_makes_it_one(name: str) -> None:
    body = UNDATED[name]
    first = webhook_event_id(body, "generic", {}, NOW)
    assert webhook_event_id(copy.deepcopy(body), "generic", {}, NOW + 1) == first
    assert webhook_event_id(body, "generic", {}, NOW + 120) != first


@pytest.mark.parametrize("name", DATED)
def test_with_a_time_of_its_own_it_is_one_for_ever(name: str) -> None:
    body = DATED[name]
    first = webhook_event_id(body, "generic", {}, NOW)
    assert {webhook_event_id(body, "generic", {}, NOW + late) for late in (1, 120, HOUR, 20 * HOUR)} == {first}


@pytest.mark.parametrize("header", ["webhook-id", "x-amz-sns-message-id", "idempotency-key"])
def test_the_senders_own_id_of_a_delivery_counts_where_there_is_no_time(header: str) -> None:
    body = UNDATED["generic"]
    first = webhook_event_id(body, "generic", {header: "msg_1"}, NOW)
    assert webhook_event_id(body, "generic", {header: "msg_1"}, NOW + HOUR) == first
    assert webhook_event_id(body, "generic", {header: "msg_2"}, NOW) != first
    assert webhook_event_id({**body, "host": "db-2"}, "generic", {header: "msg_1"}, NOW) != first


def test_the_order_of_keys_and_the_sender() -> None:
    body = UNDATED["generic"]
    assert webhook_event_id(dict(reversed(body.items())), "generic", {}, NOW) == webhook_event_id(
        body, "generic", {}, NOW
    )
    assert webhook_event_id(body, "datadog", {}, NOW) != webhook_event_id(body, "generic", {}, NOW)
