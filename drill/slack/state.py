"""Everything the practice workspace remembers, in memory: messages, views, files, triggers; no I/O.

Methods on it are synchronous, so each call is atomic within the event loop. `live` is told of every visible change, `emit` of every event the app
may have subscribed to.
"""

import itertools
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from drill.slack import people
from drill.slack.errors import JsonDict, SlackError
from drill.slack.manifest import Manifest
from drill.slack.people import BOT_USER, Channel, Group, User

TRIGGER_SECONDS = 3.0  # https://docs.slack.dev/interactivity/handling-user-interaction: a trigger_id lives 3 s
RESPONSE_URL_SECONDS = 30 * 60.0
RESPONSE_URL_USES = 5


@dataclass
class Trigger:
    """A trigger_id handed to the app: who caused it, until when, and whether it was used."""

    user: str
    expires: float
    used: bool = False


@dataclass
class ResponseUrl:
    """Where the app may answer one command or interaction, and how often."""

    user: str
    channel: str
    expires: float
    uses: int = RESPONSE_URL_USES
    message_ts: str = ""
    thread_ts: str = ""
    ephemeral: bool = False


@dataclass
class View:
    """An open modal or a published home tab: *data* is Slack's view object, *user* who sees it."""

    data: JsonDict
    user: str
    parent: str = ""


@dataclass
class File:
    """An uploaded file of *length* announced bytes; *shared* once completeUploadExternal was called."""

    id: str
    name: str
    title: str
    content: bytes = b""
    mimetype: str = "application/octet-stream"
    alt: str = ""
    shared: bool = False
    length: int = 0


@dataclass
class State:
    """One workspace. *clock* gives epoch seconds; *live* receives ``{"kind": ..., ...}`` for the page."""

    clock: Callable[[], float]
    manifest: Manifest
    live: Callable[[JsonDict], None]
    emit: Callable[[JsonDict], None]
    base_url: str = ""
    bot_token: str = "xoxb-drill-0000-tocsin"
    app_token: str = "xapp-1-A0TOCSIN-0000-drill"
    signing_secret: str = "drill-signing-secret"
    verification_token: str = "drill-verification-token"
    scopes: tuple[str, ...] = ()
    connected: int | None = None  # open Socket Mode connections; None while nothing connected or in HTTP mode
    users: dict[str, User] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    messages: dict[str, dict[str, JsonDict]] = field(default_factory=dict)
    ephemerals: dict[str, JsonDict] = field(default_factory=dict)
    triggers: dict[str, Trigger] = field(default_factory=dict)
    responses: dict[str, ResponseUrl] = field(default_factory=dict)
    views: dict[str, View] = field(default_factory=dict)
    homes: dict[str, str] = field(default_factory=dict)
    files: dict[str, File] = field(default_factory=dict)
    _last_us: int = 0
    _ids: Any = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.scopes = self.scopes or self.manifest.scopes
        self.clear()

    def clear(self) -> None:
        """Forget everything said so far and put people and channels back."""
        self.users = {user.id: user for user in people.USERS}
        self.channels = {channel.id: channel for channel in people.channels()}
        self.groups = {group.id: group for group in people.GROUPS}
        self.messages = {channel: {} for channel in self.channels}
        for kept in (self.ephemerals, self.triggers, self.responses, self.views, self.homes, self.files):
            kept.clear()

    def now_ts(self) -> str:
        """Return a message timestamp: epoch seconds with six digits, never the same twice, always rising."""
        self._last_us = max(int(self.clock() * 1_000_000), self._last_us + 1)
        return f"{self._last_us // 1_000_000}.{self._last_us % 1_000_000:06d}"

    def new_id(self, prefix: str) -> str:
        """Return a fresh identifier such as ``V00000001K``."""
        return f"{prefix}{next(self._ids):08d}{secrets.token_hex(2).upper()}"

    def channel(self, name: object) -> Channel:
        """Find a conversation by id, name, ``#name`` or a person's id (their im); raises channel_not_found."""
        wanted = str(name or "")
        found = self.channels.get(wanted)
        if found is None:
            bare = wanted.removeprefix("#")
            for channel in self.channels.values():
                if (bare and channel.name == bare) or (channel.is_im and wanted == channel.user):
                    return channel
            raise SlackError("channel_not_found")
        return found

    def bot_channel(self, name: object) -> Channel:
        """Find a conversation that the bot may post to; raises channel_not_found or not_in_channel."""
        channel = self.channel(name)
        if BOT_USER not in channel.members:
            if channel.is_private or channel.is_im:
                raise SlackError("channel_not_found")
            raise SlackError("not_in_channel")
        return channel

    def find(self, channel: str, ts: object) -> JsonDict | None:
        """Return the message at *ts*, or None."""
        return self.messages.get(channel, {}).get(str(ts or ""))

    def replies(self, channel: str, thread_ts: str) -> list[JsonDict]:
        """Return the replies of a thread, oldest first, without its root."""
        return [
            message
            for message in self.messages.get(channel, {}).values()
            if message.get("thread_ts") == thread_ts and message["ts"] != thread_ts
        ]

    def trigger(self, user: str) -> str:
        """Hand out a trigger_id for *user*."""
        name = f"{next(self._ids)}.{people.TEAM_ID}.{secrets.token_hex(8)}"
        self.triggers[name] = Trigger(user, self.clock() + TRIGGER_SECONDS)
        return name

    def use_trigger(self, name: object) -> str:
        """Exchange a trigger_id for its user; raises invalid_, expired_ or exchanged_trigger_id."""
        found = self.triggers.get(str(name or ""))
        if found is None:
            raise SlackError("invalid_trigger_id")
        if found.used:
            raise SlackError("exchanged_trigger_id")
        if self.clock() > found.expires:
            raise SlackError("expired_trigger_id")
        found.used = True
        return found.user

    def response_url(self, user: str, channel: str, **about: Any) -> str:
        """Hand out a response_url for an interaction of *user* in *channel*."""
        secret = secrets.token_urlsafe(18)
        self.responses[secret] = ResponseUrl(user, channel, self.clock() + RESPONSE_URL_SECONDS, **about)
        return f"{self.base_url}/actions/{people.TEAM_ID}/{secret}"

    def user_json(self, user: User) -> JsonDict:
        """Return *user* as users.info does."""
        profile = {
            "real_name": user.real_name,
            "display_name": user.name,
            "title": user.title,
            "email": f"{user.name}@drill.example",
            "image_72": "",
        }
        if user.is_bot:
            profile |= {"bot_id": people.BOT_ID, "api_app_id": people.APP_ID}
        return {
            "id": user.id,
            "team_id": user.team,
            "name": user.name,
            "deleted": user.is_deleted,
            "color": user.colour.removeprefix("#"),
            "real_name": user.real_name,
            "tz": "Etc/UTC",
            "tz_label": "UTC",
            "tz_offset": 0,
            "profile": profile,
            "is_admin": False,
            "is_owner": False,
            "is_restricted": user.is_guest,
            "is_ultra_restricted": False,
            "is_bot": user.is_bot,
            "is_app_user": False,
            "updated": 0,
        }

    def channel_json(self, channel: Channel) -> JsonDict:
        """Return *channel* as conversations.info does."""
        if channel.is_im:
            return {"id": channel.id, "created": 0, "is_im": True, "is_org_shared": False, "user": channel.user}
        return {
            "id": channel.id,
            "name": channel.name,
            "name_normalized": channel.name,
            "created": 0,
            "creator": "U0DANA",
            "context_team_id": people.TEAM_ID,
            "is_channel": not channel.is_private,
            "is_group": channel.is_private,
            "is_im": False,
            "is_mpim": False,
            "is_private": channel.is_private,
            "is_archived": False,
            "is_general": channel.name == "general",
            "is_member": BOT_USER in channel.members,
            "is_shared": False,
            "is_ext_shared": False,
            "is_org_shared": False,
            "topic": {"value": channel.topic, "creator": "U0DANA", "last_set": 0},
            "purpose": {"value": channel.topic, "creator": "U0DANA", "last_set": 0},
            "num_members": len(channel.members),
        }
