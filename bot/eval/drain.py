"""The baseline for templates: Drain (He et al., ICWS 2017) with drain3's defaults. Called by bot/commands/eval.py.

Depth 4 (length, then one word below it), similarity 0.4, at most 100 children; words with digits are wildcards in the
tree; nothing is masked. It is given messages without their headers, as in the field's benchmarks.
"""

from collections.abc import Iterable

SIMILAR = 0.4
CHILDREN = 100
WILD = "<*>"
Key = tuple[int, str]


def drain(messages: Iterable[str]) -> list[int]:
    """Return the number of each message's group."""
    leaves: dict[Key, list[int]] = {}
    templates: list[list[str]] = []
    firsts: dict[int, set[str]] = {}
    found = []
    for message in messages:
        words = message.split()
        leaf = leaves.setdefault(_key(words, firsts), [])
        best = max(leaf, key=lambda number: _similar(templates[number], words), default=-1)
        if best < 0 or _similar(templates[best], words)[0] < SIMILAR:
            best = len(templates)
            templates.append(words)
            leaf.append(best)
        else:
            templates[best] = [a if a == b else WILD for a, b in zip(templates[best], words, strict=True)]
        found.append(best)
    return found


def _key(words: list[str], firsts: dict[int, set[str]]) -> Key:
    first = words[0] if words else ""
    known = firsts.setdefault(len(words), set())
    if first not in known:
        if any(letter.isdigit() for letter in first) or len(known) >= CHILDREN - 1:
            return len(words), WILD
        known.add(first)
    return len(words), first


def _similar(template: list[str], words: list[str]) -> tuple[float, int]:
    same = sum(a == b for a, b in zip(template, words, strict=True) if a != WILD)
    return same / max(len(words), 1), template.count(WILD)
