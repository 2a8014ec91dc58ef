"""Readers of alert senders, one file each; dropping a file in adds a sender. Intake and `tocsin parse` call `read`.

A reader has `matches(post) -> bool` and `parse(post) -> list[Facts]` (bot/reading/post.py, facts.py), for the sender's Slack
messages, its webhook, or both. `person` and `generic` are asked last. What nobody can read is refused with a sentence.
"""

import sys
from collections.abc import Collection, Mapping
from functools import cache
from types import ModuleType
from typing import Any

from bot import parsing
from bot.reading.facts import Facts
from bot.reading.post import Kind, Post
from bot.reading.text import clean
from tools.errors import Permanent
from tools.records import Alert
from tools.registry import plugins

__all__ = ["Kind", "Unreadable", "read", "readers", "senders"]
_LAST = ("person", "generic")
MAX_ALERTS = 2000  # of one payload; Alertmanager's own limit is max_alerts, and a body of 1 MB holds fewer


class Unreadable(Permanent):
    """This is no alert that any reader knows."""


@cache
def readers() -> dict[str, ModuleType]:
    """Every reader by name, in the order in which they are asked."""
    found = plugins(sys.modules[__name__])
    return {name: found[name] for name in sorted(found, key=lambda one: (one in _LAST, one == "generic", one))}


def senders() -> list[str]:
    """Return the names a webhook's path or `--sender` may have."""
    return list(readers())


def read(kind: Kind, payload: Any, known_services: Collection[str] = (), *, sender: str = "") -> list[Alert]:
    """Return the alerts in *payload*, at least one; raise Unreadable with the reason in one sentence.

    *sender*: whose webhook it came by, "" when nobody said; its reader is asked first, and the others when it knows
    nothing of it.
    """
    if not isinstance(payload, Mapping):
        msg = f"A {kind} payload must be a JSON object and is {type(payload).__name__}."
        raise Unreadable(msg)
    try:
        post = Post("slack" if _slack_shaped(payload) else kind, clean(dict(payload)), known_services)
        found = _facts(post, sender)
    except RecursionError:
        found, post = [], Post(kind, {})
    except ValueError as error:
        raise Unreadable(str(error)) from error
    if found:
        return [parsing.alert_of(facts, known_services) for facts in found]
    keys = ", ".join(sorted(map(str, post.body))[:12]) or "none"
    msg = f"No reader finds an alert in this {kind} payload; its keys are: {keys}."
    raise Unreadable(msg)


def _facts(post: Post, sender: str) -> list[Facts]:
    for name in sorted(readers(), key=lambda one: one != sender):
        reader = readers()[name]
        if reader.matches(post):
            found: list[Facts] = reader.parse(post)
            if found:
                return found[:MAX_ALERTS]
    return []


def _slack_shaped(payload: Mapping[str, Any]) -> bool:
    """Many senders that know no webhook of their own can post what they would post to Slack."""
    shaped = [payload.get("attachments"), payload.get("blocks")]
    return (
        any(isinstance(part, list) and part and isinstance(part[0], dict) for part in shaped)
        and "alerts" not in payload
    )
