"""What a reader is handed: one Slack message or one webhook body, with what is common to all readers worked out once."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from bot.reading.slack import Sheet, sheet_of
from bot.reading.walk import Leaf, leaves

Kind = Literal["slack", "webhook"]


@dataclass(frozen=True)
class Post:
    """*body* is the message or the webhook's object; *known* the names of services that exist."""

    kind: Kind
    body: dict[str, Any]
    known: Collection[str] = ()

    @cached_property
    def sheet(self) -> Sheet:
        """The message as flat text; of a webhook, an empty one."""
        return sheet_of(self.body if self.kind == "slack" else {})

    @cached_property
    def leaves(self) -> list[Leaf]:
        """Every scalar of the body with its path."""
        return leaves(self.body)

    @cached_property
    def paths(self) -> frozenset[str]:
        """Every path of the body, joined by dots, for a reader's `matches`."""
        return frozenset(".".join(leaf.path) for leaf in self.leaves)

    def has(self, *keys: str) -> bool:
        """Say whether the body has all of *keys* at its top."""
        return all(key in self.body for key in keys)

    def from_app(self, *names: str) -> bool:
        """Say whether a Slack message was posted under one of *names* (lower case), or its footer begins with one."""
        posted = (self.sheet.username.lower(), self.sheet.footer.lower())
        return self.kind == "slack" and any(text.startswith(name) for text in posted for name in names)


def part(value: Any, *keys: str) -> dict[str, Any]:
    """Return the object at *keys* below *value*; {} when there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def entries(value: Any) -> list[dict[str, Any]]:
    """Return the objects of a list; [] for anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
