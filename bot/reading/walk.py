"""Any JSON as a flat list of leaves with snake_case paths, so that roles.py can look for what keys mean.

Lists of {key, value} objects and of "key:value" tags become leaves of their own; a JSON object inside a string (as SNS
sends it) is walked too. Bounded: at most MAX_LEAVES leaves, MAX_DEPTH levels.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

from bot.reading.keys import listed
from bot.reading.text import MAX_TEXT, clean, tags_of

MAX_LEAVES, MAX_DEPTH, MAX_ITEMS = 2000, 12, 60
LABEL_HOLDERS = frozenset(
    listed(
        """
        alert_tags common_labels custom_tags dimensions entity_tags event_tags group_labels label label_set labels
        match_labels metric_labels policy_user_labels system_labels tag tags targets_labels user_labels
        """
    )
)
# Whatever stands below these is about somebody or something else than the trouble.
ASIDE = frozenset(
    listed(
        """
        _links account acknowledged_by acknowledger actions actor agent_user annotations_user assigned_to assigned_user
        assignee assignees assignments author before breadcrumbs browser client_os contact contacts created_by creator
        device_info escalation_policy extra_context frames geo headers integration integrations last_status_change_by
        links_templates modules notifier old on_call org organisation organization os owner packages performed_by
        previous previous_attributes previous_state recipient recipients request resolve_user resolved_by responder
        responders response runtime sdk sender_info stacktrace teams updated_by user user_agent users
        """
    )
)


@dataclass(frozen=True)
class Leaf:
    """One scalar: the snake_case keys that lead to it, and the value."""

    path: tuple[str, ...]
    value: str | int | float | bool

    @property
    def names(self) -> tuple[str, str]:
        """Its key, and its parent's key with its own ("service_name" for {"service": {"name": ...}})."""
        last = self.path[-1] if self.path else ""
        return last, "_".join(self.path[-2:])


def snake(key: Any) -> str:
    """Write "alarmName", "NOTIFICATION TYPE", "$HOST.NAME$" and "alarm-name" as alarm_name and so on."""
    return _snake(str(key)[:120])


@lru_cache(4096)
def _snake(key: str) -> str:
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", key)
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def leaves(value: Any) -> list[Leaf]:
    """Return the leaves of *value*, those that are about the trouble, in document order."""
    return list(islice(walked(value), MAX_LEAVES))


def walked(value: Any) -> Iterator[Leaf]:
    """Yield the leaves of *value* one by one, for who needs only the first of a kind."""
    return _walk(clean(value) if not isinstance(value, dict | list) else value, (), MAX_DEPTH)


def _walk(value: Any, path: tuple[str, ...], depth: int) -> Iterator[Leaf]:
    if depth <= 0:
        return
    if path and path[-1] in LABEL_HOLDERS and not isinstance(value, dict):
        for key, text in tags_of(value).items():
            yield Leaf((*path, snake(key)), text)
    elif isinstance(value, dict):
        yield from _object(value, path, depth)
    elif isinstance(value, list):
        yield from _list(value, path, depth)
    elif isinstance(value, str):
        inner = _json_in(value)
        if isinstance(inner, dict):
            yield from _walk(inner, path, depth - 1)
        elif value.strip():
            yield Leaf(path, str(clean(value)).strip()[:MAX_TEXT])
    elif isinstance(value, bool | int | float) and path:
        yield Leaf(path, value)


def _object(value: dict[Any, Any], path: tuple[str, ...], depth: int) -> Iterator[Leaf]:
    for key, item in list(value.items())[:400]:
        name = snake(clean(str(key)))
        if name and name not in ASIDE and not name.startswith(("previous_", "old_", "prev_")):
            yield from _walk(item, (*path, name), depth - 1)


def _list(value: list[Any], path: tuple[str, ...], depth: int) -> Iterator[Leaf]:
    for item in value[:MAX_ITEMS]:
        pair = _pair(item)
        if pair:
            yield Leaf((*path, snake(pair[0])), pair[1])
        else:
            yield from _walk(item, path, depth - 1)


def _pair(item: Any) -> tuple[str, str] | None:
    """Read a {name, value} object as one leaf."""
    if isinstance(item, dict) and len(item) <= 4 and isinstance(item.get("value"), str | int | float):
        key = next((item[one] for one in ("key", "name", "title", "label") if isinstance(item.get(one), str)), "")
        if key:
            return str(clean(key)), str(clean(str(item["value"])))[:MAX_TEXT]
    return None


def _json_in(text: str) -> Any:
    stripped = text.strip()
    if not (stripped.startswith("{") and stripped.endswith("}")) or len(stripped) > 200_000:
        return None
    try:
        return json.loads(stripped)
    except (ValueError, RecursionError):
        return None
