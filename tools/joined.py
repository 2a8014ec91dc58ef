"""Joins groups of log lines of different lengths that are one template; the last step of tools.templates.

Lines are compared at equal length first. A value of several words (an error's text, a list, a path with blanks) then falls into
as many groups as it has lengths. Two signs say that groups are one: their templates are the same once neighbouring
variables are one, and a varied end behind the same words and a colon.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

WILD = "<*>"
ENDS = (":", "=", "->", "-", "as", "because", "reason")  # what introduces a text of any length
STEM = 2  # words that must stand before a varied end
LENGTHS = 2  # different lengths that a varied end must have
LAST = 2  # words that close a template behind a text of any length
ENDINGS = 4  # different ends behind the same stem: fewer may be templates of their own

Words = tuple[str, ...]
Part = tuple[Words, list[int]]


def joined(parts: Sequence[Part]) -> list[Part]:
    """Return *parts* (a template and what belongs to it) with those joined that are one template."""
    return _varied_ends(_same(parts))


def _same(parts: Iterable[Part]) -> list[Part]:
    found: dict[Words, list[int]] = {}
    for words, members in parts:
        found.setdefault(collapsed(words), []).extend(members)
    return list(found.items())


def collapsed(words: Words) -> Words:
    """*words* with variables that stand side by side as one."""
    found: list[str] = []
    for word in words:
        if bare(word) and found and bare(found[-1]) and not found[-1].endswith((":", "=")):
            found[-1] = WILD + word[word.rindex(WILD) + len(WILD) :]
        else:
            found.append(word)
    return tuple(found)


def bare(word: str) -> bool:
    """Whether *word* is a variable and nothing else but punctuation."""
    return WILD in word and not any(letter.isalnum() for letter in word.replace(WILD, ""))


def _varied_ends(parts: Sequence[Part]) -> list[Part]:
    by_stem: dict[Words, list[int]] = defaultdict(list)
    for number, (words, _members) in enumerate(parts):
        for stem in _stems(words):
            by_stem[stem].append(number)
    taken: dict[int, Words] = {}
    for stem in sorted(by_stem, key=len):  # the shortest stem says where the variable begins
        numbers = [number for number in by_stem[stem] if number not in taken]
        for last, family in _families(numbers, [parts[number][0][len(stem) :] for number in numbers]):
            ends = [parts[number][0][len(stem) :] for number in family]
            if (
                len(ends) >= ENDINGS * (2 if bare(stem[-1]) else 1)
                and len({len(end) for end in ends}) > LENGTHS
                and _varied(ends)
            ):
                taken.update(dict.fromkeys(family, (*stem, WILD, *last)))
    found: dict[Words, list[int]] = {}
    for number, (words, members) in enumerate(parts):
        found.setdefault(taken.get(number, words), []).extend(members)
    return list(found.items())


def _families(numbers: Sequence[int], ends: Sequence[Words]) -> list[tuple[Words, list[int]]]:
    """Part *numbers* by the last words that many of their *ends* share: the text of any length stands before those."""
    by_last: dict[Words, list[int]] = defaultdict(list)
    for number, end in zip(numbers, ends, strict=True):
        by_last[end[-LAST:] if len(end) > LAST else ()].append(number)
    rest = by_last.pop((), [])
    families: list[tuple[Words, list[int]]] = []
    for last, members in by_last.items():
        if len(members) >= ENDINGS:
            families.append((last, members))
        else:
            rest += members
    return [*families, ((), rest)]


def _stems(words: Words) -> list[Words]:
    """Beginnings of *words* behind which a text of any length may follow."""
    return [
        words[: place + 1]
        for place, word in enumerate(words)
        if place + 1 >= STEM
        and (bare(word) or word.endswith(ENDS[:3]) or word.lower() in ENDS)
        and sum(map(_says, words[: place + 1])) >= STEM
    ]


def _says(word: str) -> bool:
    return any(letter.isalpha() for letter in word.replace(WILD, ""))


def _varied(ends: Sequence[Words]) -> bool:
    """Whether no word begins most of *ends*: templates of one family often share more than their first words."""
    first: dict[str, int] = defaultdict(int)
    for end in ends:
        first[end[0] if end else ""] += 1
    return max(first.values()) <= len(ends) / 2
