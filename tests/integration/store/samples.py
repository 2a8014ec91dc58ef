"""Records that the store's tests share."""

from datetime import UTC, datetime, timedelta

from tools.records import Alert

ALERT = Alert(fingerprint="f1", sender="alertmanager", name="HighErrorRate", status="firing", service="checkout")


def at(seconds: float) -> datetime:
    """Return a moment *seconds* after the tests' beginning of time."""
    return datetime(2026, 11, 23, 12, 0, tzinfo=UTC) + timedelta(seconds=seconds)
