"""Reads what a sender wants to say (text, blocks, attachments, metadata) and refuses what Slack refuses.

Called by messages.py for the Web API, by webhooks.py for incoming webhooks and response URLs.
"""

import json
import secrets
from typing import Any

from drill.slack.blocks import MARKDOWN_CHARS, check_blocks, too_long, walk
from drill.slack.elements import ELEMENTS
from drill.slack.errors import JsonDict, SlackError, refused

POST_CHARS = 40_000  # chat.postMessage: longer text is cut or refused
UPDATE_CHARS = 4_000  # chat.update refuses longer text (msg_too_long)
ATTACHMENTS = 100
METADATA_CHARS = 16_000
_ACTED_ON = set(ELEMENTS) - {"image", "url"}


def decoded(value: Any, error: str) -> Any:
    """Return *value*, decoded when it is JSON text as form-encoded callers send it; raises SlackError(*error*)."""
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as exception:
        raise SlackError(error) from exception


def truthy(value: Any, default: bool = False) -> bool:
    """Read a boolean argument, which form-encoded callers send as text."""
    if value is None or value == "":
        return default
    return value is True or str(value).lower() in {"1", "true"}


def blocks_of(value: Any) -> list[JsonDict] | None:
    """Return the checked blocks with ids filled in, None when there were none; raises as chat.postMessage does."""
    blocks = decoded(value, "invalid_blocks_format")
    if blocks is None:
        return None
    if not isinstance(blocks, list):
        raise SlackError("invalid_blocks_format")
    problems = check_blocks(blocks)
    if problems:
        raise refused("invalid_blocks", problems)
    if too_long(blocks):
        raise SlackError("msg_blocks_too_long")
    return with_ids(blocks)


def with_ids(blocks: list[JsonDict]) -> list[JsonDict]:
    """Return a copy in which every block has a block_id and every interactive element an action_id."""
    copy: list[JsonDict] = json.loads(json.dumps(blocks))
    for block in copy:
        block.setdefault("block_id", secrets.token_urlsafe(4))
        for item in walk(block):
            if item.get("type") in _ACTED_ON:
                item.setdefault("action_id", secrets.token_urlsafe(4))
    return copy


def attachments_of(value: Any) -> list[JsonDict] | None:
    """Return the checked legacy attachments, numbered, None when there were none."""
    attachments = decoded(value, "invalid_attachments")
    if attachments is None:
        return None
    if not isinstance(attachments, list) or not all(isinstance(item, dict) for item in attachments):
        raise SlackError("invalid_attachments")
    if len(attachments) > ATTACHMENTS:
        raise SlackError("too_many_attachments")
    checked = []
    for index, item in enumerate(attachments, start=1):
        copy = {"id": index, **item}
        if "blocks" in item:
            problems = check_blocks(item["blocks"], path=f"/attachments/{index - 1}/blocks")
            if problems:
                raise refused("invalid_attachments", problems)
            copy["blocks"] = with_ids(item["blocks"])
        checked.append(copy)
    return checked


def metadata_of(value: Any) -> JsonDict | None:
    """Return checked message metadata: event_type and a flat event_payload."""
    metadata = decoded(value, "invalid_metadata_format")
    if metadata is None:
        return None
    if not isinstance(metadata, dict) or set(metadata) - {"event_type", "event_payload", "entities"}:
        raise SlackError("invalid_metadata_format")
    if not isinstance(metadata.get("event_type"), str) or not isinstance(metadata.get("event_payload"), dict):
        raise SlackError("invalid_metadata_schema")
    if len(json.dumps(metadata)) > METADATA_CHARS:
        raise SlackError("metadata_too_large")
    return metadata


def read(args: JsonDict, most: int = POST_CHARS) -> JsonDict:
    """Return the ``text``, ``blocks``, ``attachments`` and ``metadata`` that *args* hold; absent ones are left out.

    Raises msg_too_long beyond *most* characters of text; saying nothing at all is for the caller to judge.
    """
    said: JsonDict = {}
    if args.get("markdown_text"):
        return _markdown(args)
    text = args.get("text")
    if text is not None:
        if not isinstance(text, str | int | float):
            raise SlackError("invalid_arguments")
        if len(str(text)) > most:
            raise SlackError("msg_too_long")
        said["text"] = str(text)
    for name, reader in (("blocks", blocks_of), ("attachments", attachments_of), ("metadata", metadata_of)):
        value = reader(args.get(name))
        if value is not None:
            said[name] = value
    return said


def _markdown(args: JsonDict) -> JsonDict:
    """Read ``markdown_text``, which stands alone: https://docs.slack.dev/reference/methods/chat.postMessage."""
    if args.get("text") or args.get("blocks"):
        raise SlackError("markdown_text_conflict")
    text = str(args["markdown_text"])
    if len(text) > MARKDOWN_CHARS:
        raise SlackError("msg_too_long")
    metadata = metadata_of(args.get("metadata"))
    block = {"type": "markdown", "text": text}
    return {"text": text, "blocks": with_ids([block]), **({"metadata": metadata} if metadata else {})}


def empty(said: JsonDict) -> bool:
    """Tell whether nothing visible is said (``no_text``)."""
    return not (said.get("text", "").strip() or said.get("blocks") or said.get("attachments"))
