"""The best leaf of a payload for what is asked: by the order of its keys, then the least deep; roles.py, subject.py and naming.py choose by it."""

from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from typing import TypeVar

from bot.reading.text import text_of
from bot.reading.walk import Leaf

T = TypeVar("T")


def pick(found: Iterable[Leaf], keys_: tuple[str, ...], accept: Callable[[Leaf], T | None]) -> T | None:
    """Return what *accept* makes of the best leaf it takes: the earliest key of *keys_*, then the least deep, then the first."""
    rank = _ranks(keys_)
    ranked = []
    for order, leaf in enumerate(found):
        best = min((rank[name] + loss for name, loss in spellings(leaf) if name in rank), default=None)
        if best is not None:
            ranked.append((best, len(leaf.path), order, leaf))
    for *_, leaf in sorted(ranked, key=lambda entry: entry[:3]):
        taken = accept(leaf)
        if taken is not None:
            return taken
    return None


@cache
def _ranks(keys_: tuple[str, ...]) -> dict[str, int]:
    return {key.replace("_", ""): index for index, key in reversed(list(enumerate(keys_)))}


@lru_cache(maxsize=4096)
def _spellings(path: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
    words = path[-1].split("_")
    ends = ["".join(words[at:]) for at in range(1, len(words) - 1)]
    if len(path) > 1 and "_" in path[-2]:
        ends.append(path[-2].rpartition("_")[2] + "".join(words))
    return (("".join(words), 0), ("".join(path).replace("_", ""), 0), *((end, 0.5) for end in ends))


def spellings(leaf: Leaf) -> tuple[tuple[str, float], ...]:
    """Its key and its parent's with its own, without underscores (MONITORNAME is monitor_name), and the key's last words.

    "health_rule_name", or a name in "health_rule", is also a rule_name, a little less surely; one last word alone says too little.
    """
    return _spellings(leaf.path[-2:]) if leaf.path else ()


def told(leaf: Leaf) -> str | None:
    """Accept any text or number that is not just "null"."""
    text = text_of(leaf.value)
    return text if text and text.lower() not in ("null", "none", "n/a", "-", "undefined") else None
