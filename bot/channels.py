"""Channel names and ids, and who is in a user group, as Slack knows them now; used by intake, approvals and the desk."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from slack_sdk.web.async_client import AsyncWebClient

from bot.webapi import call
from tools.errors import Temporary, TocsinError

KEEP_S = 300.0
MEMBERS_KEEP_S = 5.0  # the right to approve is checked at the press and at the run: a removed person is out within this


@dataclass
class Channels:
    """Which channels are watched, by name or id, and the lookups that policy by name needs."""

    client: AsyncWebClient
    watch: Iterable[str]
    _ids: dict[str, str] = field(default_factory=dict)
    _read_at: float = float("-inf")

    async def watched(self, channel: str) -> bool:
        """Say whether alerts are read from this channel id."""
        wanted = {await self.id_of(name) for name in self.watch}
        return channel in wanted

    async def id_of(self, name: str) -> str:
        """Return the id of a channel named in policy; an id stays itself, an unknown name is ""."""
        bare = name.removeprefix("#")
        if not bare or (bare[0] in "CGD" and bare.isupper()):
            return bare
        if bare not in self._ids and time.monotonic() - self._read_at > KEEP_S:
            await self._refresh()
        return self._ids.get(bare, "")

    async def _refresh(self) -> None:
        found: dict[str, str] = {}
        cursor = ""
        try:
            for _ in range(20):  # 20 pages of 200: a bound, not a promise
                answer = await call(
                    self.client.conversations_list,
                    limit=200,
                    cursor=cursor or None,
                    exclude_archived=True,
                    types="public_channel,private_channel",
                )
                found |= {item["name"]: item["id"] for item in answer["channels"]}
                cursor = (answer.get("response_metadata") or {}).get("next_cursor") or ""
                if not cursor:
                    break
        except TocsinError as error:
            raise Temporary(f"Slack did not list its channels: {error}", delay=5) from error
        self._ids, self._read_at = found, time.monotonic()


@dataclass
class Groups:
    """Who is in a Slack user group, remembered for *MEMBERS_KEEP_S* seconds."""

    client: AsyncWebClient
    _known: dict[str, tuple[float, frozenset[str]]] = field(default_factory=dict)

    async def members(self, group: str) -> frozenset[str]:
        """Return the user ids in *group*; raise Temporary when Slack does not say, so that nobody is let in by mistake."""
        at, known = self._known.get(group, (float("-inf"), frozenset[str]()))
        if time.monotonic() - at < MEMBERS_KEEP_S:
            return known
        try:
            answer = await call(self.client.usergroups_users_list, usergroup=group)
        except TocsinError as error:
            raise Temporary(f"Slack did not list user group {group}: {error}") from error
        members = frozenset(answer.get("users") or ())
        self._known[group] = (time.monotonic(), members)
        return members
