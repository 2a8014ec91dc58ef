"""What the installed app declared: commands, shortcuts, event subscriptions, scopes; workspace.py passes it around.

A checkout installs the app from deploy/slack-manifest.yaml, so that a scope or an event missing there is missing here too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

SHIPPED = Path(__file__).parents[2] / "deploy" / "slack-manifest.yaml"


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
        Command("/tocsin", "[help | status | why INCIDENT | silence | silences | stats]", "Ask Tocsin about itself"),
    )
    shortcuts: tuple[Shortcut, ...] = (Shortcut("diagnose_message", "Diagnose this", "message"),)
    events: tuple[str, ...] = EVENTS
    scopes: tuple[str, ...] = SCOPES
    messages_tab: bool = True


def parse(told: Mapping[str, Any]) -> Manifest:
    """Return the manifest that *told* (a decoded app manifest) declares; what it leaves out is not there."""
    features = told.get("features", {})
    settings = told.get("settings", {})
    commands = [
        Command(item["command"], item.get("usage_hint", ""), item.get("description", ""))
        for item in features.get("slash_commands", ())
    ]
    shortcuts = [Shortcut(item["callback_id"], item["name"], item["type"]) for item in features.get("shortcuts", ())]
    return Manifest(
        commands=tuple(commands),
        shortcuts=tuple(shortcuts),
        events=tuple(settings.get("event_subscriptions", {}).get("bot_events", ())),
        scopes=tuple(told.get("oauth_config", {}).get("scopes", {}).get("bot", ())),
        messages_tab=bool(features.get("app_home", {}).get("messages_tab_enabled", False)),
    )


def shipped() -> Manifest:
    """Return the manifest that the checkout ships, or the default one where there is none (an installed wheel)."""
    return parse(yaml.safe_load(SHIPPED.read_text())) if SHIPPED.is_file() else Manifest()
