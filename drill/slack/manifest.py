"""What the installed app declared: commands, shortcuts, event subscriptions, scopes; read by interact.py and events.py."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Command:
    """One slash command."""

    name: str
    hint: str
    description: str


@dataclass(frozen=True)
class Shortcut:
    """One entry of the message menu (*message*) or of the composer's menu (*global*)."""

    callback_id: str
    name: str
    kind: Literal["message", "global"]


SCOPES = (
    "app_mentions:read",
    "assistant:write",
    "channels:history",
    "channels:join",
    "channels:read",
    "chat:write",
    "chat:write.customize",
    "commands",
    "files:read",
    "files:write",
    "groups:history",
    "groups:read",
    "im:history",
    "im:read",
    "im:write",
    "reactions:read",
    "reactions:write",
    "team:read",
    "usergroups:read",
    "users:read",
)
EVENTS = (
    "app_home_opened",
    "app_mention",
    "member_joined_channel",
    "message.channels",
    "message.groups",
    "message.im",
    "reaction_added",
    "reaction_removed",
)


@dataclass(frozen=True)
class Manifest:
    """The app's manifest as far as this Slack acts on it."""

    commands: tuple[Command, ...] = (
        Command("/diagnose", "[service]", "Say what is wrong with a service now"),
        Command("/tocsin", "[help | status | incidents]", "Ask Tocsin about itself"),
    )
    shortcuts: tuple[Shortcut, ...] = (Shortcut("diagnose_message", "Diagnose this", "message"),)
    events: tuple[str, ...] = EVENTS
    scopes: tuple[str, ...] = SCOPES
