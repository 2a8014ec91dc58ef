"""The table of Web API methods: each takes the state and its arguments and returns the answer without ``ok``.

api.py looks a method up by name after it has judged token, scope and rate.
"""

import base64
import binascii
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from drill.slack import people
from drill.slack.errors import JsonDict, SlackError
from drill.slack.state import State

Call = Callable[[State, JsonDict], JsonDict]


@dataclass(frozen=True)
class Method:
    """One Web API method: the scopes of which one is needed, and its rate limit tier (see limits.py)."""

    call: Call
    scopes: tuple[str, ...] = ()
    tier: int = 3
    app_token: bool = False
    posts: bool = False


METHODS: dict[str, Method] = {}


def method(name: str, *scopes: str, tier: int = 3, posts: bool = False) -> Callable[[Call], Call]:
    """Register the decorated function as the Web API method *name*."""

    def register(call: Call) -> Call:
        METHODS[name] = Method(call, scopes, tier, posts=posts)
        return call

    return register


def page(items: list[Any], args: JsonDict, default: int = 100) -> tuple[list[Any], JsonDict]:
    """Return one page of *items* and the answer's ``response_metadata``; raises invalid_cursor, invalid_limit."""
    try:
        limit = int(args.get("limit") or default)
    except (TypeError, ValueError):
        raise SlackError("invalid_limit") from None
    if not 1 <= limit <= 1000:
        raise SlackError("invalid_limit")
    start, cursor = 0, str(args.get("cursor") or "")
    if cursor:
        try:
            start = int(base64.b64decode(cursor, validate=True).decode().removeprefix("offset:"))
        except (ValueError, binascii.Error):
            raise SlackError("invalid_cursor") from None
    following = base64.b64encode(f"offset:{start + limit}".encode()).decode() if start + limit < len(items) else ""
    return items[start : start + limit], {"next_cursor": following}


def names_of(value: Any) -> list[str]:
    """Read a list argument, which form-encoded callers send with commas."""
    if isinstance(value, list):
        return [str(item) for item in value]
    return [item.strip() for item in str(value or "").split(",") if item.strip()]


def group_json(state: State, users: Iterable[str], group_id: str) -> JsonDict:
    """Return a user group as usergroups.list does."""
    group = state.groups[group_id]
    members = list(users)
    return {
        "id": group.id,
        "team_id": people.TEAM_ID,
        "is_usergroup": True,
        "handle": group.handle,
        "name": group.name,
        "description": "",
        "is_external": False,
        "date_create": 0,
        "date_delete": 0,
        "user_count": len(members),
        "users": members,
        "prefs": {"channels": [], "groups": []},
    }


@method("api.test", tier=4)
def _api_test(_state: State, args: JsonDict) -> JsonDict:
    if args.get("error"):
        raise SlackError(str(args["error"]), args=args)
    return {"args": args}


@method("auth.test", tier=5)
def _auth_test(state: State, _args: JsonDict) -> JsonDict:
    return {
        "url": f"{state.base_url}/",
        "team": people.TEAM_NAME,
        "user": "tocsin",
        "team_id": people.TEAM_ID,
        "user_id": people.BOT_USER,
        "bot_id": people.BOT_ID,
        "is_enterprise_install": False,
    }


@method("bots.info", "users:read")
def _bots_info(state: State, args: JsonDict) -> JsonDict:
    bots = {
        people.BOT_ID: (people.APP_ID, "Tocsin", people.BOT_USER),
        people.HOOK_BOT_ID: (people.HOOK_APP_ID, people.HOOK_NAME, ""),
    }
    wanted = str(args.get("bot") or people.BOT_ID)
    if wanted not in bots:
        raise SlackError("bot_not_found")
    app_id, name, user = bots[wanted]
    icons = {"image_48": f"{state.base_url}/bot.png"}
    bot = {"id": wanted, "deleted": False, "name": name, "updated": 0, "app_id": app_id, "icons": icons}
    return {"bot": {**bot, "user_id": user} if user else bot}


@method("team.info", "team:read")
def _team_info(_state: State, _args: JsonDict) -> JsonDict:
    return {
        "team": {
            "id": people.TEAM_ID,
            "name": people.TEAM_NAME,
            "domain": people.TEAM_DOMAIN,
            "email_domain": "drill.example",
            "icon": {},
        }
    }


@method("users.info", "users:read", tier=4)
def _users_info(state: State, args: JsonDict) -> JsonDict:
    user = state.users.get(str(args.get("user") or ""))
    if user is None:
        raise SlackError("user_not_found")
    return {"user": state.user_json(user)}


@method("users.list", "users:read", tier=2)
def _users_list(state: State, args: JsonDict) -> JsonDict:
    some, more = page(list(state.users.values()), args)
    members = [state.user_json(user) for user in some]
    return {"members": members, "cache_ts": int(state.clock()), "response_metadata": more}


@method("users.conversations", "channels:read")
def _users_conversations(state: State, args: JsonDict) -> JsonDict:
    user = str(args.get("user") or people.BOT_USER)
    if user not in state.users:
        raise SlackError("user_not_found")
    return _listed(state, args, lambda members: user in members and people.BOT_USER in members)


@method("conversations.list", "channels:read", tier=2)
def _conversations_list(state: State, args: JsonDict) -> JsonDict:
    return _listed(state, args, lambda _members: True)


def _listed(state: State, args: JsonDict, wanted: Callable[[set[str]], bool]) -> JsonDict:
    types = names_of(args.get("types")) or ["public_channel"]
    if set(types) - {"public_channel", "private_channel", "im", "mpim"}:
        raise SlackError("invalid_types")
    found = []
    for channel in state.channels.values():
        kind = "im" if channel.is_im else "private_channel" if channel.is_private else "public_channel"
        seen = kind == "public_channel" or people.BOT_USER in channel.members
        if kind in types and seen and wanted(channel.members):
            found.append(channel)
    some, more = page(found, args)
    return {"channels": [state.channel_json(channel) for channel in some], "response_metadata": more}


@method("usergroups.list", "usergroups:read", tier=2)
def _usergroups_list(state: State, _args: JsonDict) -> JsonDict:
    return {"usergroups": [group_json(state, group.users, group.id) for group in state.groups.values()]}


@method("usergroups.users.list", "usergroups:read", tier=2)
def _usergroups_users(state: State, args: JsonDict) -> JsonDict:
    group = state.groups.get(str(args.get("usergroup") or ""))
    if group is None:
        raise SlackError("no_such_subteam")
    return {"users": list(group.users)}
