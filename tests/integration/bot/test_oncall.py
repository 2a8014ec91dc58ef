"""Who is on call, from a rotation, a file, and from servers that answer as PagerDuty and Opsgenie document it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from bot.authority.people import People
from bot.oncall import OnCalls
from bot.policy_changes import OnCall
from tests.unit.tools.fakes import serve
from tools.errors import Permanent, Temporary
from tools.oncall import Opsgenie, PagerDuty

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
ANA, BEN = "ana@example.org", "Ben@Example.org"
PEOPLE = {ANA: "U0ANA", BEN: "U0BEN"}


def pagerduty(method, path, query, body, headers):
    """Answer GET /oncalls: users are in full when `include[]=users` asks for them, else references without an address."""
    if headers.get("Authorization") != "Token token=key":
        return 401, {"error": {"message": "Invalid token"}}
    if (method, path) != ("GET", "/oncalls") or "version=2" not in headers.get("Accept", ""):
        return 404, {"error": {"message": "Not Found"}}
    rows = [("PSHOP", 1, "ana@example.org"), ("PSHOP", 2, "eve@example.org"), ("POTHER", 1, "ben@example.org")]
    full = "users" in query.get("include[]", [])
    return 200, {
        "oncalls": [
            {
                "escalation_level": level,
                "schedule": {"id": schedule, "type": "schedule_reference"},
                "user": {"id": "PU1", "type": "user" if full else "user_reference"} | ({"email": mail} if full else {}),
                "start": "2026-11-23T08:00:00Z",
                "end": "2026-11-24T08:00:00Z",
            }
            for schedule, level, mail in rows
            if schedule in query.get("schedule_ids[]", [schedule])
        ],
        "limit": 100, "offset": 0, "more": False, "total": None,
    }  # fmt: skip


def opsgenie(method, path, query, body, headers):
    """Answer GET /v2/schedules/{identifier}/on-calls; flat=true lists the recipients' user names."""
    if headers.get("Authorization") != "GenieKey key":
        return 401, {"message": "You are not authorized"}
    if path != "/v2/schedules/shop%20team/on-calls" and path != "/v2/schedules/shop team/on-calls":
        return 404, {"message": "No schedule exists"}
    parent = {"id": "d875e654", "name": "shop team", "enabled": True}
    return 200, {"data": {"_parent": parent, "onCallRecipients": ["ben@example.org"]}, "took": 0.1, "requestId": "r"}


def lists(**clients):
    return OnCalls(lambda: NOW, **clients)


async def test_pagerduty_names_those_on_call_for_the_schedule_and_only_known_people_count():
    with serve(pagerduty) as url:
        found = await lists(pagerduty=PagerDuty("key", url)).of(OnCall(pagerduty="PSHOP", people=PEOPLE))
        assert found == {"U0ANA"}
        assert await lists(pagerduty=PagerDuty("key", url)).of(OnCall(pagerduty="PNONE", people=PEOPLE)) == set()


async def test_opsgenie_names_those_on_call_and_addresses_are_compared_without_case():
    with serve(opsgenie) as url:
        assert await lists(opsgenie=Opsgenie("key", url)).of(OnCall(opsgenie="shop team", people=PEOPLE)) == {"U0BEN"}


async def test_nobody_is_let_in_by_a_source_that_refuses_is_away_or_is_not_configured():
    with serve(pagerduty) as url, pytest.raises(Permanent, match="401"):
        await lists(pagerduty=PagerDuty("wrong", url)).of(OnCall(pagerduty="PSHOP", people=PEOPLE))
    with pytest.raises(Temporary):
        await lists(opsgenie=Opsgenie("key", "http://127.0.0.1:9")).of(OnCall(opsgenie="x", people=PEOPLE))
    with pytest.raises(Permanent, match="PAGERDUTY_TOKEN is not set"):
        await lists().of(OnCall(pagerduty="PSHOP", people=PEOPLE))
    with serve(lambda *_: (200, {"unexpected": []})) as url, pytest.raises(Permanent, match="has no oncalls"):
        await lists(pagerduty=PagerDuty("key", url)).of(OnCall(pagerduty="PSHOP", people=PEOPLE))


async def test_a_file_is_read_every_time_and_a_wrong_line_is_named(tmp_path: Path):
    path = tmp_path / "oncall"
    path.write_text("# this week\nU0ANA\n\nS0NIGHT # the night shift\n")
    assert await lists().of(OnCall(file=str(path))) == {"U0ANA", "S0NIGHT"}
    path.write_text("U0BEN\n")
    assert await lists().of(OnCall(file=str(path))) == {"U0BEN"}
    path.write_text("ana@example.org\n")
    with pytest.raises(Permanent, match=r'holds "ana@example\.org"'):
        await lists().of(OnCall(file=str(path)))
    with pytest.raises(Permanent, match="cannot be read"):
        await lists().of(OnCall(file=str(tmp_path / "absent")))


def test_a_rotation_hands_over_by_the_clock_on_the_wall():
    turns = OnCall.model_validate(
        {"rotation": {"people": ["U0ANA", "U0BEN"], "start": "2026-03-23 09:00", "timezone": "Europe/Berlin"}}
    ).rotation
    assert turns is not None
    first = datetime(2026, 3, 23, 8, 0, tzinfo=UTC)  # 09:00 in Berlin
    assert turns.on_call(first - timedelta(seconds=1)) == ""
    assert turns.on_call(first) == "U0ANA"
    later = datetime(2026, 3, 30, 7, 0, tzinfo=UTC)  # 09:00 again, an hour earlier in UTC: summer time began
    assert turns.on_call(later - timedelta(seconds=1)) == "U0ANA"
    assert turns.on_call(later) == "U0BEN"
    assert turns.on_call(later + timedelta(days=7)) == "U0ANA"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "exactly one of"),
        ({"file": "x", "opsgenie": "y"}, "exactly one of"),
        ({"pagerduty": "PSHOP"}, "needs people"),
    ],
)
def test_a_list_has_one_source_and_people_where_it_needs_them(given: dict[str, str], said: str):
    with pytest.raises(ValidationError, match=said):
        OnCall.model_validate(given)


async def test_who_is_named_needs_no_look_up_and_who_is_not_gets_one():
    asked = []

    async def members(group):
        asked.append(group)
        return frozenset({"U0SAM"})

    async def watch(source):
        asked.append("on call")
        return frozenset({"U0ANA", "S0NIGHT"})

    people = People(members, {"shop": OnCall(file="x")}, watch)
    assert await people.may("U0LEE", ["oncall:shop", "S0SHOP", "U0LEE"])
    assert asked == []
    assert await people.may("U0SAM", ["oncall:shop", "S0SHOP"])
    assert asked == ["S0SHOP"]
    assert await people.may("U0ANA", ["oncall:shop"])
    assert await people.may("U0SAM", ["oncall:shop"])  # through the group that has the watch
    assert not await people.may("U0EVE", ["oncall:shop", "oncall:gone"])
    assert not await people.may("", ["oncall:shop", ""])
