"""Who is on call, as PagerDuty and Opsgenie say: e-mail addresses; bot/oncall.py asks, at a press and again at the run.

Only their read APIs are used: GET /oncalls (https://developer.pagerduty.com/api-reference/3a6b910f11050-list-all-of-the-on-calls)
and GET /v2/schedules/{id}/on-calls (https://docs.opsgenie.com/docs/who-is-on-call-api).
"""

from typing import Any
from urllib.parse import quote

import httpx

from tools.errors import Permanent
from tools.fetch import get_json

TIMEOUT_S = 5.0
PAGERDUTY = "https://api.pagerduty.com"
OPSGENIE = "https://api.opsgenie.com"


class PagerDuty:
    """One account; *token* is a read-only REST API key."""

    def __init__(self, token: str, url: str = PAGERDUTY) -> None:
        self._url = url.rstrip("/")
        self._headers = {
            "Authorization": f"Token token={token}",
            "Accept": "application/vnd.pagerduty+json;version=2",
        }

    async def on_call(self, schedule: str) -> frozenset[str]:
        """Return the e-mail addresses, in lower case, of those on call now for the schedule of this id."""
        params = [("schedule_ids[]", schedule), ("include[]", "users"), ("limit", "100")]
        tried = f"PagerDuty GET /oncalls of schedule {schedule}"
        async with httpx.AsyncClient(base_url=self._url, headers=self._headers, timeout=TIMEOUT_S) as client:
            answer = await get_json(client, "/oncalls", params, tried)
        rows = _field(answer, "oncalls", list, tried)
        users = [row.get("user") or {} for row in rows if isinstance(row, dict)]
        return frozenset(str(user["email"]).lower() for user in users if user.get("email"))


class Opsgenie:
    """One account; *key* is an API key with read access to configuration."""

    def __init__(self, key: str, url: str = OPSGENIE) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"GenieKey {key}"}

    async def on_call(self, schedule: str) -> frozenset[str]:
        """Return the e-mail addresses, in lower case, of those on call now for the schedule of this name or id."""
        kind = "id" if schedule.count("-") == 4 and len(schedule) == 36 else "name"
        params = [("scheduleIdentifierType", kind), ("flat", "true")]
        tried = f"Opsgenie GET /v2/schedules/{schedule}/on-calls"
        path = f"/v2/schedules/{quote(schedule, safe='')}/on-calls"
        async with httpx.AsyncClient(base_url=self._url, headers=self._headers, timeout=TIMEOUT_S) as client:
            answer = await get_json(client, path, params, tried)
        names = _field(_field(answer, "data", dict, tried), "onCallRecipients", list, tried)
        return frozenset(str(name).lower() for name in names)


def _field(answer: Any, name: str, kind: type, tried: str) -> Any:
    found = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(found, kind):
        raise Permanent(
            f"{tried}: the answer has no {name} but is {str(answer)[:120]!r}; is the address that of the API?"
        )
    return found
