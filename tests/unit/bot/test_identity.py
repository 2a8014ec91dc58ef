"""Full members of our workspace may ask; nobody else, whatever the payload says."""

import asyncio
from typing import Any

import pytest
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse

from bot.identity import Gate, NotYou, _teams, judged
from tools.errors import Temporary

FULL = {"id": "U1", "team_id": "T1"}


@pytest.mark.parametrize(
    ("about", "reason"),
    [
        ({}, ""),
        ({"is_restricted": True}, "guest"),
        ({"is_restricted": True, "is_ultra_restricted": True}, "guest"),
        ({"is_ultra_restricted": True}, "guest"),
        ({"is_bot": True}, "bot_user"),
        ({"id": "USLACKBOT"}, "bot_user"),
        ({"deleted": True}, "deactivated_user"),
        ({"team_id": "T2"}, "another_workspace"),
        ({"team_id": ""}, "another_workspace"),
        ({"is_stranger": True}, "another_workspace"),
        ({"team_id": "T2", "enterprise_user": {"teams": ["T1", "T2"]}}, ""),
        ({"team_id": "T2", "enterprise_user": {"teams": ["T2"]}}, "another_workspace"),
    ],
)
def test_who_may_ask(about: dict[str, Any], reason: str):
    assert judged(FULL | about, "T1")[0] == reason


class Listens:
    """What Gate is wired to: members by name, and what was noted."""

    team = "T1"

    def __init__(self) -> None:
        self.noted: list[tuple[str, str, str]] = []
        self.away = False

    async def check(self, user: str) -> None:
        if self.away:
            raise Temporary("Slack is away")
        if user != "U1":
            raise NotYou("guest", "no")

    def note(self, door: str, reason: str, who: str = "") -> None:
        self.noted.append((door, reason, who))


async def asked(about: Listens, body: dict[str, Any]) -> bool:
    """Whether the request reaches the listeners."""
    reached = asyncio.Event()

    async def listed(channel: str) -> bool:
        return channel == "C1"

    async def onward() -> BoltResponse:
        reached.set()
        return BoltResponse(status=200)

    request = AsyncBoltRequest(body="", mode="socket_mode")
    request.body = body
    await Gate(about, listed, about).async_process(req=request, resp=BoltResponse(status=200), next=onward)  # type: ignore[arg-type]
    return reached.is_set()


PRESS = {"type": "block_actions", "user": {"id": "U1", "team_id": "T1"}, "team": {"id": "T1"}}
COMMAND = {"command": "/diagnose", "text": "checkout", "user_id": "U1", "team_id": "T1", "channel_id": "C1"}


@pytest.mark.parametrize("body", [PRESS, COMMAND, PRESS | {"type": "view_submission"}])
async def test_a_full_member_reaches_the_listeners(body: dict[str, Any]):
    assert await asked(Listens(), body)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (PRESS | {"user": {"id": "U2", "team_id": "T1"}}, "guest"),
        (PRESS | {"user": {"id": "U1", "team_id": "T2"}}, "another_workspace"),
        (PRESS | {"team": {"id": "T2"}}, "another_workspace"),
        (PRESS | {"user": {"id": "U1"}, "team": None}, "another_workspace"),
        (PRESS | {"user": {}}, "another_workspace"),
        (PRESS | {"user": None}, "another_workspace"),
        (COMMAND | {"team_id": ""}, "another_workspace"),
        (COMMAND | {"channel_id": "C2"}, "unlisted_channel"),
        (COMMAND | {"command": "/tocsin", "text": "silence a=b 2h", "channel_id": "D1"}, "unlisted_channel"),
    ],
)
async def test_others_are_refused_and_noted(body: dict[str, Any], reason: str):
    about = Listens()
    with pytest.raises(NotYou):
        await asked(about, body)
    assert [one[:2] for one in about.noted] == [("slack", reason)]


async def test_reading_commands_work_anywhere_and_events_without_a_person_pass():
    assert await asked(Listens(), COMMAND | {"command": "/tocsin", "text": "status", "channel_id": "C2"})
    assert await asked(Listens(), {"type": "event_callback", "event": {"type": "message", "bot_id": "B1"}})


async def test_a_guests_mention_is_acknowledged_and_goes_nowhere():
    about = Listens()
    body = {"type": "event_callback", "team_id": "T1", "event": {"type": "app_mention", "user": "U2"}}
    assert not await asked(about, body)
    assert about.noted == [("slack", "guest", "U2")]


async def test_nobody_is_let_in_while_slack_does_not_say():
    about = Listens()
    about.away = True
    with pytest.raises(Temporary):
        await asked(about, PRESS)
    assert about.noted == [("slack", "member_not_checked", "U1")]


def test_every_workspace_that_is_named_counts():
    assert _teams(PRESS | {"team_id": "T3"}) == ["T1", "T1", "T3"]
    assert _teams({}) == [""]
