"""Readers of alert senders, one file each; dropping a file in adds a sender. bot/intake.py calls `read`.

A reader has `KIND` ("slack": a message event, "webhook": a request's JSON body), `matches(payload) -> bool` and
`parse(payload, known_services) -> list[Alert]`. `generic` is asked last. What nobody can read is refused with a sentence.
"""

import sys
from collections.abc import Collection, Mapping
from typing import Any, Literal

from tools.errors import Permanent
from tools.records import Alert
from tools.registry import plugins

Kind = Literal["slack", "webhook"]


class Unreadable(Permanent):
    """This is no alert that any reader knows."""


def read(kind: Kind, payload: Any, known_services: Collection[str] = ()) -> list[Alert]:
    """Return the alerts in *payload*, at least one; raise Unreadable with the reason in one sentence."""
    if not isinstance(payload, Mapping):
        msg = f"A {kind} payload must be a JSON object and is {type(payload).__name__}."
        raise Unreadable(msg)
    message = dict(payload)
    readers = plugins(sys.modules[__name__])
    for name in sorted(readers, key=lambda reader: (reader == "generic", reader)):
        if kind in readers[name].KIND and readers[name].matches(message):
            try:
                alerts: list[Alert] = readers[name].parse(message, known_services)
            except ValueError as error:
                raise Unreadable(str(error)) from error
            if alerts:
                return alerts
    msg = f"No reader knows this {kind} payload; its keys are: {', '.join(sorted(map(str, message))[:12]) or 'none'}."
    raise Unreadable(msg)
