"""Posting, editing, deleting and reacting: each changes the state, tells the page and emits Slack's event.

Called by the Web API methods, by webhooks.py and, for what people do on the page, by interact.py.
"""

import copy
from typing import Any

from drill.slack import people
from drill.slack.errors import JsonDict, SlackError
from drill.slack.state import State


def bot_author(args: JsonDict) -> JsonDict:
    """Return the author fields of a message by the app; a custom name or icon makes it a bot_message."""
    author: JsonDict = {
        "user": people.BOT_USER,
        "bot_id": people.BOT_ID,
        "app_id": people.APP_ID,
        "team": people.TEAM_ID,
        "bot_profile": {
            "id": people.BOT_ID,
            "app_id": people.APP_ID,
            "user_id": people.BOT_USER,
            "name": "Tocsin",
            "deleted": False,
            "updated": 0,
            "team_id": people.TEAM_ID,
        },
    }
    icons = {
        short: str(args[name]) for name, short in (("icon_emoji", "emoji"), ("icon_url", "image_72")) if args.get(name)
    }
    if args.get("username") or icons:
        author |= {"subtype": "bot_message", "username": str(args.get("username") or "Tocsin"), "icons": icons}
    return author


def channel_type(state: State, channel: str) -> str:
    """Return Slack's word for the kind of conversation *channel* is."""
    found = state.channels[channel]
    if found.is_im:
        return "im"
    return "group" if found.is_private else "channel"


def public(message: JsonDict, *, metadata: bool = False) -> JsonDict:
    """Return *message* as an API answer shows it; the metadata only where it was asked for."""
    return {name: copy.deepcopy(value) for name, value in message.items() if metadata or name != "metadata"}


def _thread_root(state: State, channel: str, thread_ts: str) -> JsonDict:
    root = state.find(channel, thread_ts)
    if root is None:
        raise SlackError("thread_not_found")
    if root.get("thread_ts", root["ts"]) != root["ts"]:
        raise SlackError("cannot_reply_to_message")
    return root


def show(state: State, channel: str, message: JsonDict) -> None:
    """Bring the page's copy of *message* up to date."""
    state.live({"kind": "message", "channel": channel, "message": public(message)})


def post(state: State, channel: str, said: JsonDict, author: JsonDict, **more: Any) -> JsonDict:
    """Add a message and return it; *more* may hold thread_ts, reply_broadcast, files.

    Raises thread_not_found and cannot_reply_to_message.
    """
    thread_ts, broadcast = str(more.get("thread_ts") or ""), bool(more.get("reply_broadcast"))
    root = _thread_root(state, channel, thread_ts) if thread_ts else None
    message: JsonDict = {"type": "message", **author, "text": "", **said, "ts": state.now_ts()}
    if more.get("files"):
        message |= {"files": more["files"], "upload": False}
    if root is not None:
        message |= {"thread_ts": thread_ts, "parent_user_id": root.get("user", "")}
        if broadcast:
            message |= {"subtype": "thread_broadcast", "root": public(root)}
    state.messages[channel][message["ts"]] = message
    if root is not None:
        _count_reply(state, channel, root)
    show(state, channel, message)
    event = public(message, metadata="metadata" in message)
    event |= {"channel": channel, "event_ts": message["ts"], "channel_type": channel_type(state, channel)}
    state.emit(event)
    return message


def _count_reply(state: State, channel: str, root: JsonDict) -> None:
    replies = state.replies(channel, root["ts"])
    if not replies:
        for name in ("thread_ts", "reply_count", "reply_users_count", "reply_users", "latest_reply"):
            root.pop(name, None)
    else:
        users = list(dict.fromkeys(reply.get("user") or reply.get("bot_id", "") for reply in replies))
        root |= {
            "thread_ts": root["ts"],
            "reply_count": len(replies),
            "reply_users_count": len(users),
            "reply_users": users,
            "latest_reply": replies[-1]["ts"],
        }
    show(state, channel, root)


def edit(state: State, channel: str, message: JsonDict, said: JsonDict, by: str) -> JsonDict:
    """Replace what *message* says; fields that *said* leaves out stay as they are (chat.update's documented way)."""
    before = public(message)
    for name, value in said.items():
        if name in {"blocks", "attachments"} and not value:
            message.pop(name, None)
        else:
            message[name] = value
    stamp = state.now_ts()
    message["edited"] = {"user": by, "ts": stamp}
    show(state, channel, message)
    state.emit(
        {
            "type": "message",
            "subtype": "message_changed",
            "message": public(message),
            "previous_message": before,
            "channel": channel,
            "hidden": True,
            "ts": stamp,
            "event_ts": stamp,
            "channel_type": channel_type(state, channel),
        }
    )
    return message


def delete(state: State, channel: str, message: JsonDict) -> None:
    """Remove *message*; a thread's root leaves a tombstone behind while it has replies."""
    ts = message["ts"]
    if state.replies(channel, ts):
        kept = {name: message[name] for name in message if name.startswith(("reply_", "thread_", "latest_"))}
        message.clear()
        message |= {"type": "message", "subtype": "tombstone", "user": "USLACKBOT", "hidden": True, "ts": ts, **kept}
        message["text"] = "This message was deleted."
        show(state, channel, message)
    else:
        del state.messages[channel][ts]
        state.live({"kind": "deleted", "channel": channel, "ts": ts})
        root = state.find(channel, message.get("thread_ts"))
        if root is not None:
            _count_reply(state, channel, root)
    stamp = state.now_ts()
    state.emit(
        {
            "type": "message",
            "subtype": "message_deleted",
            "previous_message": public(message),
            "deleted_ts": ts,
            "channel": channel,
            "hidden": True,
            "ts": stamp,
            "event_ts": stamp,
            "channel_type": channel_type(state, channel),
        }
    )


def whisper(
    state: State, channel: str, user: str, said: JsonDict, author: JsonDict, *, thread_ts: str = ""
) -> JsonDict:
    """Show a message to *user* alone (ephemeral); it cannot be found, edited or reacted to later by its ts."""
    message: JsonDict = {"type": "message", **author, "text": "", **said, "ts": state.now_ts(), "is_ephemeral": True}
    if thread_ts:
        message["thread_ts"] = thread_ts
    state.ephemerals[message["ts"]] = {"channel": channel, "user": user, "message": message}
    state.live({"kind": "ephemeral", "for": user, "channel": channel, "message": public(message)})
    return message


def slackbot(state: State, channel: str, user: str, text: str, thread_ts: str = "") -> None:
    """Say something to *user* alone as Slack itself does when a command fails."""
    author = {"user": "USLACKBOT", "username": "Slackbot", "subtype": "bot_message"}
    whisper(state, channel, user, {"text": text}, author, thread_ts=thread_ts)


def unwhisper(state: State, ts: str) -> None:
    """Take an ephemeral message away."""
    gone = state.ephemerals.pop(ts, None)
    if gone is not None:
        state.live({"kind": "deleted", "for": gone["user"], "channel": gone["channel"], "ts": ts})


def react(state: State, channel: str, ts: str, name: str, user: str, *, add: bool) -> None:
    """Add or remove *user*'s reaction; raises message_not_found, already_reacted, no_reaction, invalid_name."""
    message = state.find(channel, ts)
    if message is None:
        raise SlackError("message_not_found")
    if not name or len(name) > 100 or not all(char.isalnum() or char in "_+-':" for char in name):
        raise SlackError("invalid_name")
    reactions: list[JsonDict] = message.setdefault("reactions", [])
    entry = next((item for item in reactions if item["name"] == name), None)
    if add:
        if entry is not None and user in entry["users"]:
            raise SlackError("already_reacted")
        if entry is None:
            entry = {"name": name, "users": [], "count": 0}
            reactions.append(entry)
        entry["users"].append(user)
    else:
        if entry is None or user not in entry["users"]:
            raise SlackError("no_reaction")
        entry["users"].remove(user)
    entry["count"] = len(entry["users"])
    message["reactions"] = [item for item in reactions if item["users"]]
    if not message["reactions"]:
        del message["reactions"]
    show(state, channel, message)
    state.emit(
        {
            "type": "reaction_added" if add else "reaction_removed",
            "user": user,
            "reaction": name,
            "item": {"type": "message", "channel": channel, "ts": ts},
            "item_user": message.get("user", ""),
            "event_ts": state.now_ts(),
        }
    )
