"""Which combinations of name patterns some text can match: exact, by walking all of them at once; for lint.py. Pure."""

from collections import deque
from collections.abc import Sequence
from string import ascii_lowercase, digits

State = tuple[frozenset[int], ...]
MOST_STATES = 20_000
_SPARE = ascii_lowercase + digits


class TooManyError(Exception):
    """There are too many different combinations to look at all of them."""


def witnesses(globs: Sequence[str]) -> list[str]:
    """Return one non-empty text for every set of *globs* that some non-empty text matches and no others.

    A pattern is an automaton whose state is the set of places it can be at; all run side by side over the letters that
    occur, and one that does not. Raises TooManyError beyond MOST_STATES states.
    """
    letters = sorted({char for glob in globs for char in glob if char not in "*?"})
    letters.append(next((char for char in _SPARE if char not in letters), "~"))
    start: State = tuple(_closure(glob, {0}) for glob in globs)
    seen, found = {start}, dict[tuple[bool, ...], str]()
    todo = deque([(start, "")])
    while todo:
        state, text = todo.popleft()
        if text:
            found.setdefault(tuple(len(glob) in at for glob, at in zip(globs, state, strict=True)), text)
        for char in letters:
            after = tuple(_step(glob, at, char) for glob, at in zip(globs, state, strict=True))
            if after not in seen or not text:
                if after not in seen and len(seen) >= MOST_STATES:
                    raise TooManyError
                seen.add(after)
                todo.append((after, text + char))
    return list(found.values())


def _closure(glob: str, places: set[int]) -> frozenset[int]:
    """Add the places that are reached without a letter: a star may stand for nothing."""
    todo = list(places)
    while todo:
        at = todo.pop()
        if at < len(glob) and glob[at] == "*" and at + 1 not in places:
            places.add(at + 1)
            todo.append(at + 1)
    return frozenset(places)


def _step(glob: str, places: frozenset[int], char: str) -> frozenset[int]:
    after = set[int]()
    for at in places:
        if at < len(glob) and glob[at] == "*":
            after.add(at)
        elif at < len(glob) and glob[at] in ("?", char):
            after.add(at + 1)
    return _closure(glob, after)
