"""Who may ask Tocsin anything from Slack: full members of our own workspace; the middleware that bot/service.py puts before the listeners.

Every signed request that a person made (a button, a form, a command, a shortcut, a mention) passes here first. Guests, bots,
deactivated people and people of another workspace are refused, whatever the policy names; so is a command that would act
from a channel the policy does not list. What Slack cannot say counts as a no: nobody is let in by a failure.
"""

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from slack_bolt.middleware.async_middleware import AsyncMiddleware
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.web.async_client import AsyncWebClient

from bot.channels import Channels
from bot.policy import Policy
from bot.refusals import Refusals
from bot.webapi import SlackRefused, call
from tools.errors import Permanent, TocsinError

KEEP_S = 30.0  # as for user groups: somebody who was removed is out within this
MOST_KEPT = 5_000
READS = frozenset(
    {"", "help", "status", "why", "stats", "silences"}
)  # of /tocsin: they change nothing and post nothing
_SERVICE = re.compile(r"[a-z0-9][a-z0-9._/-]{0,99}")
Listed = Callable[[str], Awaitable[bool]]
"""Whether the policy lists this channel id."""


def listed_by(policy: Policy, channels: Channels) -> Listed:
    """Return what tells the channels of *policy* from others; without any named there, every channel is as good."""
    services = (service.channel for service in policy.services.values())
    names = {name for name in (*policy.channels.watch, policy.channels.default, *services) if name}

    async def listed(channel: str) -> bool:
        return not names or channel in {await channels.id_of(name) for name in names}

    return listed


class NotYou(Permanent):
    """The person may not ask this, from here; *reason* is its name in the metric and on the record."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass
class Members:
    """What Slack says about people now, remembered for KEEP_S seconds; *team* is our workspace."""

    client: AsyncWebClient
    team: str
    now: Callable[[], float] = time.monotonic
    _known: dict[str, tuple[float, tuple[str, str]]] = field(default_factory=dict)

    async def check(self, user: str) -> None:
        """Raise NotYou unless *user* is a full member of our workspace; Temporary when Slack does not say."""
        at, said = self._known.get(user, (float("-inf"), ("", "")))
        if self.now() - at > KEEP_S:
            said = await self._ask(user)
            if len(self._known) >= MOST_KEPT:
                self._known.clear()
            self._known[user] = (self.now(), said)
        if said[0]:
            raise NotYou(*said)

    async def _ask(self, user: str) -> tuple[str, str]:
        try:
            answer = await call(self.client.users_info, user=user)
        except SlackRefused as error:
            if error.code in ("user_not_found", "user_not_visible"):
                return "unknown_user", "Slack knows no such member of this workspace. Nothing was changed."
            raise
        return judged(answer.get("user") or {}, self.team)


def judged(person: Mapping[str, Any], team: str) -> tuple[str, str]:
    """Return (reason, sentence) for what users.info says about somebody who may not ask, ("", "") for a full member."""
    if person.get("deleted"):
        return "deactivated_user", "This account is deactivated. Nothing was changed."
    if person.get("is_bot") or person.get("id") == "USLACKBOT":
        return "bot_user", "Bots may not ask for anything here. Nothing was changed."
    if person.get("is_restricted") or person.get("is_ultra_restricted"):
        return "guest", "Guests may not ask for anything here; ask a full member. Nothing was changed."
    foreign = person.get("is_stranger") or person.get("team_id") != team
    if foreign and team not in ((person.get("enterprise_user") or {}).get("teams") or []):
        return "another_workspace", "Only people of this workspace may ask here. Nothing was changed."
    return "", ""


class Gate(AsyncMiddleware):
    """Lets requests of full members through, refuses the others with a sentence, a count and a row on the record."""

    def __init__(self, members: Members, listed: Listed, refusals: Refusals) -> None:
        self._members, self._listed, self._refusals = members, listed, refusals

    async def async_process(
        self,
        *,
        req: AsyncBoltRequest,
        resp: BoltResponse,
        next: Callable[[], Awaitable[BoltResponse]],  # noqa: A002 - Bolt calls it so
    ) -> BoltResponse:
        """Judge the request; what is no person's doing goes on as it is."""
        body = req.body
        who = _asker(body)
        if who is not None:
            try:
                await self._judge(body, who)
            except NotYou as error:
                self._refusals.note("slack", error.reason, who)
                if body.get("type") == "event_callback":
                    return BoltResponse(status=200, body="")
                raise
            except TocsinError:
                self._refusals.note("slack", "member_not_checked", who)
                raise
        await next()
        return resp

    async def _judge(self, body: Mapping[str, Any], who: str) -> None:
        foreign = {team for team in _teams(body) if team != self._members.team}
        if foreign or not who:
            raise NotYou("another_workspace", "Only people of this workspace may ask here. Nothing was changed.")
        await self._members.check(who)
        if body.get("command") == "/diagnose" and not _plausible(body):
            raise NotYou("bad_service_name", "That is no service's name. `/diagnose` alone lists those I know.")
        if "command" in body and _acts(body) and not await self._listed(str(body.get("channel_id") or "")):
            raise NotYou(
                "unlisted_channel",
                "This command acts, so it works only in the channels that tocsin.yaml lists (channels.watch, "
                "channels.default, a service's channel). Nothing was done.",
            )


def _asker(body: Mapping[str, Any]) -> str | None:
    """Return the user id of the person behind a request, "" when it names none, None when no person made it."""
    if body.get("type") == "event_callback":
        event = body.get("event") or {}
        return str(event.get("user") or "") if event.get("type") == "app_mention" else None
    if "command" in body:
        return str(body.get("user_id") or "")
    return str((body.get("user") or {}).get("id") or "") if body.get("type") else None


def _teams(body: Mapping[str, Any]) -> list[str]:
    """Return every workspace that the request says it comes from; [""] when it says none."""
    person = body.get("user")
    person = person if isinstance(person, Mapping) else {}
    event = body.get("event")
    event = event if isinstance(event, Mapping) else {}
    team = body.get("team")
    named = [
        person.get("team_id"),
        team.get("id") if isinstance(team, Mapping) else None,
        body.get("team_id"),
        event.get("user_team"),
    ]
    return [str(one) for one in named if one] or [""]


def _acts(body: Mapping[str, Any]) -> bool:
    """Whether a slash command would begin or change something."""
    words = str(body.get("text") or "").split()
    word = words[0].lower() if words else ""
    return bool(word) if body.get("command") == "/diagnose" else word not in READS


def _plausible(body: Mapping[str, Any]) -> bool:
    """Whether the word after /diagnose could name a service; ".." and the like never reach a query or a path."""
    word = (str(body.get("text") or "").split() or [""])[0].strip("`'\"").lower()
    return not word or (bool(_SERVICE.fullmatch(word)) and ".." not in word)
