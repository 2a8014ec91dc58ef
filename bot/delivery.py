"""One name for one notification, however often its sender delivers it; bot/web.py keeps webhooks under it.

A body that says when its alert began, ended or was sent is named by its content: the same alert firing again later is
another content. One that says no time is the same text each time its alert fires, so it is named by the sender's own id of the
delivery, else by its content and the minute it came in: a repetition within that minute is one delivery, and what is
repeated across its edge joins its incident (bot/admission).
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from bot.reading.keys import ENDED, SEEN, STARTED, listed
from bot.reading.times import when
from bot.reading.walk import Leaf, snake, walked

BUCKET_S = 60
# The sender's own id of one delivery, the same when it tries again: Standard Webhooks and Svix, SNS, GitHub, GitLab, and the
# draft of the IETF. Request ids of proxies are not here: each try gets another.
IDS = (
    *("webhook-id", "svix-id", "x-amz-sns-message-id", "x-github-delivery", "idempotency-key"),
    *("x-gitlab-event-uuid", "x-delivery-id", "x-event-id"),
)
MOST_ID = 200
MOST_LOOKED_AT = 400  # leaves; a time further down is not worth the milliseconds, and none costs a repetition at most
FRESH = timedelta(days=1)
_BOUND, _SENT = frozenset((*STARTED, *ENDED)), frozenset(SEEN)
_MADE = ("created", "updated", "last_updated")
_EVENTS = frozenset(
    listed("alert alerts alarm data event events incident incidents issue message notification payload problem")
)


def webhook_event_id(
    payload: Mapping[str, Any], sender: str = "alertmanager", headers: Mapping[str, str] | None = None, now: float = 0.0
) -> str:
    """Return the name of a notification: *headers* in lower case, *now* in Unix seconds."""
    canonical = json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    told = hashlib.sha256(canonical.encode())
    if not (_begun(payload) or _dated(walked(payload), now)):
        own = delivery_of(headers or {})
        told.update(f"\n{own or int(now // BUCKET_S)}".encode())
    return f"{sender}:{told.hexdigest()}"


def delivery_of(headers: Mapping[str, str]) -> str:
    """Return the sender's own id of this delivery, "" when it gives none."""
    found = next((f"{name} {headers[name].strip()}" for name in IDS if headers.get(name, "").strip()), "")
    return found[:MOST_ID]


def _begun(payload: Any) -> bool:
    """Say what `_dated` would of the commonest shapes, a tenth as dear: a time at the top or in the first of a list."""
    tops = [payload, *(one[0] for one in payload.values() if isinstance(one, list) and one)]
    return any(
        isinstance(value, str) and ":" in value and snake(key) in _BOUND and when(value)
        for top in tops
        if isinstance(top, dict)
        for key, value in top.items()
    )


def _dated(found: Iterable[Leaf], now: float) -> bool:
    """Say whether one of these leaves is a time of the alert itself, to the minute.

    When it began or ended counts whatever it says. A time under a name that may be anything's counts when it is about now: that
    of the rule or the monitor stands there unchanged for years.
    """
    moment = datetime.fromtimestamp(now, UTC)
    for leaf in islice(found, MOST_LOOKED_AT):
        names = set(leaf.names)
        if not names & (_BOUND | _SENT) or (
            isinstance(leaf.value, str) and re.fullmatch(r"[^:]*[^\d:][^:]*", leaf.value)
        ):
            continue  # a date without a time of day is the same all day
        at = None if isinstance(leaf.value, bool) else when(leaf.value)
        if at is not None and (names & _BOUND or (abs(at - moment) <= FRESH and _of_the_alert(leaf))):
            return True
    return False


def _of_the_alert(leaf: Leaf) -> bool:
    """Say whether "created" is said of the alert and not of the monitor that it is about."""
    parent = leaf.path[-2] if len(leaf.path) > 1 else ""
    return not leaf.path[-1].startswith(_MADE) or not parent or bool(_EVENTS & set(parent.split("_")))
