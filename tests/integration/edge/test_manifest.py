"""deploy/slack-manifest.yaml asks for what the code registers and calls: no less, and no more."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import yaml
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

import bot.listeners
from bot.desk import Desk
from bot.doctor.workspace import SCOPES
from bot.keep import KEPT_EVENTS
from tools.registry import plugins

ROOT = Path(__file__).parents[3]
MANIFEST = yaml.safe_load((ROOT / "deploy" / "slack-manifest.yaml").read_text())
# What Slack's documentation of each method and event asks for; a new one in the code must be added here and there.
METHOD_SCOPES = {
    "apps_connections_open": set(),
    "auth_test": set(),
    "chat_postMessage": {"chat:write"},
    "chat_update": {"chat:write"},
    "conversations_history": {"channels:history", "groups:history"},
    "conversations_list": {"channels:read", "groups:read"},
    "conversations_replies": {"channels:history", "groups:history"},
    "files_completeUploadExternal": {"files:write"},
    "files_getUploadURLExternal": {"files:write"},
    "reactions_add": {"reactions:write"},
    "usergroups_users_list": {"usergroups:read"},
    "users_info": {"users:read"},
    "users_conversations": {"channels:read", "groups:read"},
    "views_open": set(),
    "views_publish": set(),
    "views_update": set(),
}
EVENTS = {
    "app_home_opened": {"app_home_opened": set()},
    "app_mention": {"app_mention": {"app_mentions:read"}},
    "message": {"message.channels": {"channels:history"}, "message.groups": {"groups:history"}},
}


class Recorder:
    """Takes the place of the Bolt app while listeners register, and keeps what they ask for."""

    def __init__(self) -> None:
        self.asked: dict[str, list[Any]] = {}

    def __getattr__(self, kind: str) -> Callable[..., Callable[[Any], Any]]:
        def register(what: Any, *_: Any, **__: Any) -> Callable[[Any], Any]:
            self.asked.setdefault(kind, []).append(what)
            return lambda listener: listener

        return register


def registered() -> dict[str, list[Any]]:
    recorder = Recorder()
    for module in plugins(bot.listeners).values():
        module.register(cast("AsyncApp", recorder), cast("Desk", object()))
    return recorder.asked


def events() -> set[str]:
    """Those that a listener takes, and those that the middleware keeps before any listener."""
    return {*registered()["event"], *KEPT_EVENTS}


def called_methods() -> Iterator[str]:
    methods = {name for name in vars(AsyncWebClient) if not name.startswith("_") and "_" in name and name != "api_call"}
    for path in (ROOT / "bot").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in methods:
                owner = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
                if owner.strip("_").endswith("client"):
                    yield node.attr


def test_the_code_calls_no_method_whose_scopes_are_unknown() -> None:
    called = set(called_methods())
    assert {"chat_postMessage", "conversations_list", "usergroups_users_list"} <= called
    assert called - METHOD_SCOPES.keys() == set()


def test_scopes_are_those_of_the_methods_events_and_commands() -> None:
    needed = {scope for method in set(called_methods()) for scope in METHOD_SCOPES[method]}
    needed |= {scope for event in events() for scopes in EVENTS[event].values() for scope in scopes}
    needed |= {"commands"}
    assert set(MANIFEST["oauth_config"]["scopes"]["bot"]) == needed


def test_the_doctor_asks_for_the_same_scopes() -> None:
    assert set(SCOPES) == set(MANIFEST["oauth_config"]["scopes"]["bot"])


def test_events_are_those_that_have_a_listener() -> None:
    subscribed = MANIFEST["settings"]["event_subscriptions"]["bot_events"]
    assert set(subscribed) == {name for event in events() for name in EVENTS[event]}


def test_commands_and_shortcuts_are_those_that_have_a_listener() -> None:
    features = MANIFEST["features"]
    assert {item["command"] for item in features["slash_commands"]} == set(registered()["command"])
    declared = {
        (item["callback_id"], {"message": "message_action", "global": "shortcut"}[item["type"]])
        for item in features["shortcuts"]
    }
    assert declared == {(item["callback_id"], item["type"]) for item in registered()["shortcut"]}


def test_lengths_are_within_slacks_limits() -> None:
    shown = MANIFEST["display_information"]
    assert len(shown["name"]) <= 35
    assert len(shown["description"]) <= 140
    assert 174 <= len(shown["long_description"]) <= 4000
    for command in MANIFEST["features"]["slash_commands"]:
        assert len(command["description"]) <= 2000
        assert len(command["usage_hint"]) <= 1000
    for shortcut in MANIFEST["features"]["shortcuts"]:
        assert len(shortcut["name"]) <= 24
        assert len(shortcut["description"]) <= 150
