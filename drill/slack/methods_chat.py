"""chat.*, reactions.*, views.* and assistant.threads.setStatus for the Web API; registered in methods.METHODS."""

from drill.slack import content, messages, people, views
from drill.slack.blocks import walk
from drill.slack.errors import JsonDict, SlackError, refused
from drill.slack.methods import method
from drill.slack.state import State

_CHANGED = ("text", "markdown_text", "blocks", "attachments", "metadata")


@method("chat.postMessage", "chat:write", tier=5, posts=True)
def _post(state: State, args: JsonDict) -> JsonDict:
    channel = state.bot_channel(args.get("channel"))
    said = content.read(args)
    if content.empty(said):
        raise SlackError("no_text")
    _pictures(state, said)
    custom = args if "chat:write.customize" in state.scopes else {}
    sent = messages.post(
        state,
        channel.id,
        said,
        messages.bot_author(custom),
        thread_ts=args.get("thread_ts"),
        reply_broadcast=content.truthy(args.get("reply_broadcast")),
    )
    _status(state, channel.id, str(sent.get("thread_ts", "")), "")
    return {"channel": channel.id, "ts": sent["ts"], "message": messages.public(sent, metadata=True)}


@method("chat.postEphemeral", "chat:write", tier=4)
def _post_ephemeral(state: State, args: JsonDict) -> JsonDict:
    channel = state.bot_channel(args.get("channel"))
    user = str(args.get("user") or "")
    if user not in channel.members:
        raise SlackError("user_not_in_channel")
    said = content.read(args)
    if content.empty(said):
        raise SlackError("no_text")
    thread_ts = str(args.get("thread_ts") or "")
    sent = messages.whisper(state, channel.id, user, said, messages.bot_author({}), thread_ts=thread_ts)
    return {"message_ts": sent["ts"]}


def _pictures(state: State, said: JsonDict) -> None:
    """Refuse blocks that show a file which is not there, not complete, or no picture."""
    for item in walk(said.get("blocks")):
        wanted = (item.get("slack_file") or {}).get("id") if isinstance(item.get("slack_file"), dict) else None
        file = state.files.get(str(wanted)) if wanted else None
        if wanted and (file is None or not file.shared or not file.mimetype.startswith("image/")):
            raise refused("invalid_blocks", [f"invalid slack file [json-pointer:/blocks/slack_file/{wanted}]"])


def _own(state: State, args: JsonDict, error: str) -> tuple[str, JsonDict]:
    channel = state.channel(args.get("channel")).id
    message = state.find(channel, args.get("ts"))
    if message is None or message.get("subtype") == "tombstone":
        raise SlackError("message_not_found")
    if message.get("bot_id") != people.BOT_ID:
        raise SlackError(error)
    return channel, message


@method("chat.update", "chat:write")
def _update(state: State, args: JsonDict) -> JsonDict:
    channel, message = _own(state, args, "cant_update_message")
    given = {name: value for name, value in args.items() if name in _CHANGED}
    said = content.read(given, content.UPDATE_CHARS)
    if not said or content.empty({**message, **said}):
        raise SlackError("no_text")
    _pictures(state, said)
    changed = messages.edit(state, channel, message, said, people.BOT_USER)
    public = messages.public(changed, metadata=True)
    return {"channel": channel, "ts": changed["ts"], "text": changed.get("text", ""), "message": public}


@method("chat.delete", "chat:write")
def _delete(state: State, args: JsonDict) -> JsonDict:
    channel, message = _own(state, args, "cant_delete_message")
    ts = message["ts"]
    messages.delete(state, channel, message)
    return {"channel": channel, "ts": ts}


@method("chat.getPermalink", tier=5)
def _permalink(state: State, args: JsonDict) -> JsonDict:
    channel = state.channel(args.get("channel")).id
    message = state.find(channel, args.get("message_ts"))
    if message is None:
        raise SlackError("message_not_found")
    link = f"{state.base_url}/archives/{channel}/p{message['ts'].replace('.', '')}"
    thread = message.get("thread_ts", message["ts"])
    if thread != message["ts"]:
        link += f"?thread_ts={thread}&cid={channel}"
    return {"channel": channel, "permalink": link}


@method("reactions.add", "reactions:write")
def _react(state: State, args: JsonDict) -> JsonDict:
    _reaction(state, args, add=True)
    return {}


@method("reactions.remove", "reactions:write", tier=2)
def _unreact(state: State, args: JsonDict) -> JsonDict:
    _reaction(state, args, add=False)
    return {}


def _reaction(state: State, args: JsonDict, *, add: bool) -> None:
    channel = state.channel(args.get("channel")).id
    name = str(args.get("name") or "").strip(":")
    messages.react(state, channel, str(args.get("timestamp") or ""), name, people.BOT_USER, add=add)


@method("reactions.get", "reactions:read")
def _reactions(state: State, args: JsonDict) -> JsonDict:
    channel = state.channel(args.get("channel")).id
    message = state.find(channel, args.get("timestamp"))
    if message is None:
        raise SlackError("message_not_found")
    return {"type": "message", "channel": channel, "message": messages.public(message)}


@method("views.open", tier=4)
def _views_open(state: State, args: JsonDict) -> JsonDict:
    return {"view": views.open_modal(state, args)}


@method("views.push", tier=4)
def _views_push(state: State, args: JsonDict) -> JsonDict:
    return {"view": views.push(state, args)}


@method("views.update", tier=4)
def _views_update(state: State, args: JsonDict) -> JsonDict:
    return {"view": views.update(state, args)}


@method("views.publish", tier=4)
def _views_publish(state: State, args: JsonDict) -> JsonDict:
    return {"view": views.publish(state, args)}


def _status(state: State, channel: str, thread_ts: str, status: str) -> None:
    if thread_ts:
        state.live({"kind": "status", "channel": channel, "thread_ts": thread_ts, "status": status})


@method("assistant.threads.setStatus", "assistant:write", "chat:write", tier=5)
def _set_status(state: State, args: JsonDict) -> JsonDict:
    channel = state.bot_channel(args.get("channel_id")).id
    thread_ts = str(args.get("thread_ts") or "")
    if state.find(channel, thread_ts) is None:
        raise SlackError("thread_not_found")
    _status(state, channel, thread_ts, str(args.get("status") or ""))
    return {}
