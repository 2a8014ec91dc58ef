"""conversations.* and files.* for the Web API; registered in methods.METHODS."""

import mimetypes
from typing import Any

from drill.slack import content, messages, people
from drill.slack.errors import JsonDict, SlackError
from drill.slack.methods import method, page
from drill.slack.state import File, State

MAX_ALT = 1000
MAX_FILE = 20_000_000  # bytes; this Slack keeps files in memory


@method("conversations.info", "channels:read", "groups:read", "im:read")
def _info(state: State, args: JsonDict) -> JsonDict:
    channel = state.channel(args.get("channel"))
    told = state.channel_json(channel)
    if not content.truthy(args.get("include_num_members")):
        told.pop("num_members", None)
    return {"channel": told}


@method("conversations.members", "channels:read", "groups:read", "im:read", tier=4)
def _members(state: State, args: JsonDict) -> JsonDict:
    some, more = page(sorted(state.channel(args.get("channel")).members), args)
    return {"members": some, "response_metadata": more}


@method("conversations.join", "channels:join")
def _join(state: State, args: JsonDict) -> JsonDict:
    channel = state.channel(args.get("channel"))
    if channel.is_im or channel.is_private:
        raise SlackError("method_not_supported_for_channel_type")
    already = people.BOT_USER in channel.members
    channel.members.add(people.BOT_USER)
    if already:
        return {"channel": state.channel_json(channel), "warning": "already_in_channel"}
    state.emit(
        {
            "type": "member_joined_channel",
            "user": people.BOT_USER,
            "channel": channel.id,
            "channel_type": "C",
            "team": people.TEAM_ID,
            "event_ts": state.now_ts(),
        }
    )
    return {"channel": state.channel_json(channel)}


@method("conversations.open", "im:write")
def _open(state: State, args: JsonDict) -> JsonDict:
    user = str(args.get("users") or args.get("channel") or "").split(",")[0]
    channel = state.channels.get(f"D0{user[2:]}") or state.channels.get(user)
    if channel is None or not channel.is_im:
        raise SlackError("user_not_found")
    told = state.channel_json(channel) if content.truthy(args.get("return_im")) else {"id": channel.id}
    return {"channel": told, "no_op": True, "already_open": True}


def _stamp(value: Any, default: float) -> float:
    try:
        return float(value) if value else default
    except (TypeError, ValueError):
        raise SlackError("invalid_ts_latest") from None


def _between(found: list[JsonDict], args: JsonDict) -> list[JsonDict]:
    oldest, latest = _stamp(args.get("oldest"), 0.0), _stamp(args.get("latest"), float("inf"))
    edges = content.truthy(args.get("inclusive"))
    return [
        message
        for message in found
        if oldest < float(message["ts"]) < latest or (edges and float(message["ts"]) in {oldest, latest})
    ]


def _answer(found: list[JsonDict], args: JsonDict) -> JsonDict:
    some, more = page(found, args)
    metadata = content.truthy(args.get("include_all_metadata"))
    told = {"messages": [messages.public(message, metadata=metadata) for message in some]}
    return {**told, "has_more": bool(more["next_cursor"]), "response_metadata": more}


@method("conversations.history", "channels:history", "groups:history", "im:history")
def _history(state: State, args: JsonDict) -> JsonDict:
    channel = state.bot_channel(args.get("channel")).id
    found = [
        message
        for message in state.messages[channel].values()
        if message.get("thread_ts", message["ts"]) == message["ts"] or message.get("subtype") == "thread_broadcast"
    ]
    return {**_answer(_between(found[::-1], args), args), "pin_count": 0}


@method("conversations.replies", "channels:history", "groups:history", "im:history")
def _replies(state: State, args: JsonDict) -> JsonDict:
    channel = state.bot_channel(args.get("channel")).id
    asked = state.find(channel, args.get("ts"))
    if asked is None:
        raise SlackError("thread_not_found")
    thread_ts = str(asked.get("thread_ts", asked["ts"]))
    root = state.find(channel, thread_ts)
    found = _between(state.replies(channel, thread_ts), args)
    return _answer([*([root] if root else []), *found], args)


@method("files.getUploadURLExternal", "files:write", tier=4)
def _upload_url(state: State, args: JsonDict) -> JsonDict:
    name = str(args.get("filename") or "")
    try:
        length = int(args.get("length") or 0)
    except (TypeError, ValueError):
        length = 0
    if not name or not 0 < length <= MAX_FILE:
        raise SlackError("invalid_arguments")
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    alt = str(args.get("alt_txt") or "")
    if len(alt) > MAX_ALT:
        raise SlackError("alt_txt_too_large")
    file = File(state.new_id("F"), name, name, mimetype=kind, alt=alt, length=length)
    state.files[file.id] = file
    return {"upload_url": f"{state.base_url}/upload/v1/{file.id}", "file_id": file.id}


def file_json(state: State, file: File) -> JsonDict:
    """Return *file* as messages show it."""
    address = f"{state.base_url}/files-pri/{people.TEAM_ID}-{file.id}/{file.name}"
    return {
        "id": file.id,
        "created": int(state.clock()),
        "name": file.name,
        "title": file.title,
        "mimetype": file.mimetype,
        "filetype": file.name.rpartition(".")[2],
        "size": len(file.content),
        "user": people.BOT_USER,
        "alt_txt": file.alt,
        "url_private": address,
        "url_private_download": address,
        "permalink": address,
    }


@method("files.completeUploadExternal", "files:write", tier=4)
def _complete(state: State, args: JsonDict) -> JsonDict:
    wanted = content.decoded(args.get("files"), "invalid_arguments")
    if not isinstance(wanted, list) or not wanted:
        raise SlackError("invalid_arguments")
    files = []
    for item in wanted:
        file = state.files.get(str(item.get("id"))) if isinstance(item, dict) else None
        if file is None or not file.content:
            raise SlackError("file_not_found")
        file.title, file.shared = str(item.get("title") or file.name), True
        files.append(file_json(state, file))
    target = args.get("channel_id") or args.get("channels")
    if target:
        channel = state.bot_channel(str(target).split(",")[0])
        author = {**messages.bot_author({}), "subtype": "file_share"}
        said = {"text": str(args.get("initial_comment") or "")}
        messages.post(state, channel.id, said, author, thread_ts=args.get("thread_ts"), files=files)
    return {"files": files}
