"""Groups log lines that differ only in their variables; used by tools.evidence.logs and `tocsin logs templates`.

Two steps. What is plainly variable is masked (tools.logline). Then lines of equal length are told apart by the words they
share, as Brain (Yu et al., IEEE TSC 2023) does: words that occur equally often belong together, the strongest such
combination is a template's stem, and what is left beside a stem that makes up half of the line is variable, unless it takes
only a few plain words ("started", "stopped"), which are templates of their own. Counts decide and not the order of lines.
"""

import math
import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tools.joined import joined
from tools.logline import WILD, body, headed, level_of, mask, read

__all__ = ["WILD", "Group", "Mined", "level_of", "mask", "mine", "read"]

MAX_WORDS = 60
MAX_CHARS = 1_000
MAX_SHAPES = 50_000  # distinct masked lines that are compared; further ones are grouped by length and first word
FEW = 5  # a place that takes no more plain words than this, each often, tells templates apart (Brain uses 2-6)
OFTEN = 3  # lines per such word, on average
_DIGITS = re.compile(
    r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|(?=[a-f]*\d)[0-9a-f]{4,}|\d+"
)  # ids in hexadecimal too
_ZEROS = str.maketrans("123456789", "000000000")
_PLAIN = re.compile(r"[\"'(\[<]*[A-Za-z]{2,}(?:[_-]?[A-Za-z]+)*\d?[\"')\]>.,:;!]*")
_VALUES = frozenset(
    ["true", "false", "null", "none", "nil", "yes", "no", "on", "off", "root", "admin", "guest", "test", "unknown"]
)
_INTRODUCES = frozenset([
    "user", "username", "account", "host", "node", "client", "named", "name", "by", "to",
    "via", "id", "uid", "key", "value", "type", "ruser",
])  # fmt: skip
_TRACE = re.compile(
    r"^(?:\s+at [\w$.<>/]+|\s+\.\.\. \d+ (?:more|common frames)|\s*Caused by: |\s*Suppressed: |\s+File \".*\", line \d+|\s*Traceback \(most"
    r"|goroutine \d+ \[|\t+/\S+\.go:\d+|\s+\^+\s*$|During handling of the above exception|The above exception was the direct cause)"
)
_THROWN = re.compile(r"^[A-Za-z_$][\w$]*(?:\.[\w$]+)*(?:Exception|Error|Throwable)(?::\s|\s*$)")
_PYTHON = re.compile(r"^\s*Traceback \(most recent call last\)")

Shape = tuple[str, ...]


@dataclass
class Group:
    """Lines of one template: its words, how many, their level, and the first line as an example."""

    words: list[str]
    count: int
    level: str
    example: str
    first: int

    @property
    def template(self) -> str:
        """The template as text."""
        return " ".join(self.words)


@dataclass(frozen=True)
class Mined:
    """The groups, and for each line in order the index of its group."""

    groups: tuple[Group, ...]
    assigned: tuple[int, ...]


class _Reader:
    """Turns lines into shapes, each distinct one once; a stack trace's lines take the shape of the line they follow."""

    def __init__(self) -> None:
        self.shapes: dict[Shape, int] = {}
        self.counts: list[int] = []
        self.known: dict[str, int] = {}
        self.levels: list[str] = []
        self.examples: list[tuple[str, int]] = []
        self.of_line = array("q")
        self._headed: list[bool] = []  # of each shape: a thrown exception's own line belongs to the record above
        self._in_python = False
        self._headers = 0
        self._last = -1

    def add(self, number: int, line: str, level: str) -> None:
        """Take the next line."""
        if self._continues(line):
            index = self._last
        else:
            # The cheap key hits nearly always: the same digits' places. The other joins numbers and ids of any length.
            key = level + "\0" + line[:MAX_CHARS].translate(_ZEROS)
            index = self.known.get(key, -1)
            if index < 0:
                index = self._known(key, number, line, level)
        self.counts[index] += 1
        self.of_line.append(index)
        self._last = index

    def _known(self, key: str, number: int, line: str, level: str) -> int:
        joined_key = _DIGITS.sub("0", key)
        index = self.known.get(joined_key, -1)
        if index < 0:
            index = self._shape(number, line, level)
        if len(self.known) < 4 * MAX_SHAPES:
            self.known[joined_key] = self.known[key] = index
        return index

    def _continues(self, line: str) -> bool:
        if self._last < 0:
            return False
        if self._in_python:
            self._in_python = line[:1].isspace() or not line
            return True
        if self._headed[self._last] and _THROWN.match(line) and not headed(line):
            return True
        found = bool(_TRACE.match(line)) and (line[:1].isspace() or not headed(line))
        if found:
            self._in_python = bool(_PYTHON.match(line))
        # Where records start with a header, what is indented and has none belongs to the record above
        return found or (line[:1] == "\t" and self._headers > 0 and bool(line.strip()))

    def _shape(self, number: int, line: str, level: str) -> int:
        found, message = read(line)
        said = body(message[:MAX_CHARS].strip())
        has_header = said != message.strip()
        self._headers += has_header
        self._in_python = bool(_PYTHON.match(message))
        shape: Shape = tuple(mask(said).split()[:MAX_WORDS])
        if shape not in self.shapes and len(self.shapes) >= MAX_SHAPES:
            shape = (f"{len(shape)} words", *shape[:1], WILD)
        index = self.shapes.setdefault(shape, len(self.shapes))
        if index == len(self.counts):
            self.counts.append(0)
            self._headed.append(has_header)
            self.levels.append(level or found)
            self.examples.append((message[:MAX_CHARS], number))
        return index


def mine(lines: Iterable[str], levels: Sequence[str] | None = None) -> Mined:
    """Group *lines*; each line is in exactly one group. *levels*: known levels, in the same order ("" = not known)."""
    reader = _Reader()
    for number, line in enumerate(lines):
        reader.add(number, line, levels[number] if levels else "")
    by_length: dict[int, list[int]] = defaultdict(list)
    shapes = list(reader.shapes)
    for index, shape in enumerate(shapes):
        by_length[len(shape)].append(index)
    miner = _Miner(shapes, reader.counts)
    parts = [part for members in by_length.values() for part in miner.groups(members)]
    merged = joined(_merged(parts, shapes))
    merged.sort(key=lambda part: min(reader.examples[index][1] for index in part[1]))
    groups: list[Group] = []
    place = [0] * len(shapes)
    for words, members in merged:
        first = min(members, key=lambda index: reader.examples[index][1])
        example, number = reader.examples[first]
        for index in members:
            place[index] = len(groups)
        count = sum(reader.counts[index] for index in members)
        groups.append(Group(list(words), count, reader.levels[first], example, number))
    return Mined(tuple(groups), tuple(place[index] for index in reader.of_line))


class _Miner:
    """Splits shapes of one length into templates. *weights*: how many lines each shape has."""

    def __init__(self, shapes: list[Shape], weights: list[int]) -> None:
        self.shapes = shapes
        self.weights = weights

    def groups(self, members: list[int]) -> list[list[int]]:
        """Return the groups of *members*, shapes of equal length."""
        width = len(self.shapes[members[0]])
        if width == 0:
            return [members]
        done: list[list[int]] = []
        todo: list[tuple[list[int], frozenset[int], int]] = [(members, frozenset(range(width)), 0)]
        while todo:
            done += self._step(*todo.pop(), todo)
        return done

    def _step(
        self, members: list[int], places: frozenset[int], fixed: int,
        todo: list[tuple[list[int], frozenset[int], int]],
    ) -> list[list[int]]:  # fmt: skip
        if len(members) == 1:
            return [members]
        counts = self._counts(members, places)
        same = {place for place, words in counts.items() if len(words) == 1 and WILD not in next(iter(words))}
        masked = {place for place, words in counts.items() if all(WILD in word for word in words)}
        open_places = places - same - masked
        fixed += len(same) + sum(_says(next(iter(counts[place]))) for place in masked)
        if not open_places:
            return [members]
        if fixed and fixed >= len(open_places):
            place = self._telling(counts, open_places, members)
            if place is None:
                return [members]
            todo += [(part, open_places - {place}, fixed + 1) for part in self._by(members, place)]
            return []
        for stem, part in self._stems(members, counts, open_places).items():
            if not stem:  # nothing but masked words: their punctuation is all there is to compare
                todo += [(each, frozenset(), fixed) for each in self._skeletons(part, open_places)]
                continue
            todo.append((part, open_places - {place for place, _ in stem}, fixed + len(stem)))
        return []

    def _counts(self, members: list[int], places: Iterable[int]) -> dict[int, Counter[str]]:
        found: dict[int, Counter[str]] = {place: Counter() for place in places}
        for index in members:
            shape, weight = self.shapes[index], self.weights[index]
            for place, words in found.items():
                words[shape[place]] += weight
        return found

    def _telling(self, counts: dict[int, Counter[str]], places: frozenset[int], members: list[int]) -> int | None:
        """Return the place that takes the fewest plain words, each of them often; None when there is none."""
        best: tuple[int, int] | None = None
        for place in places:
            words = counts[place]
            plain = len(words) <= FEW and all(_PLAIN.fullmatch(w) and w.lower() not in _VALUES for w in words)
            if not plain or words.total() < OFTEN * len(words) or self._introduced(members, place):
                continue
            best = min(best, (len(words), place)) if best else (len(words), place)
        return best[1] if best else None

    def _introduced(self, members: list[int], place: int) -> bool:
        """Whether the word before says that a name follows."""
        before = {self.shapes[index][place - 1] for index in members} if place else set()
        return len(before) == 1 and before.pop().lower().strip(":='\"") in _INTRODUCES

    def _by(self, members: list[int], place: int) -> list[list[int]]:
        found: dict[str, list[int]] = defaultdict(list)
        for index in members:
            found[self.shapes[index][place]].append(index)
        return list(found.values())

    def _stems(
        self, members: list[int], counts: dict[int, Counter[str]], places: frozenset[int]
    ) -> dict[tuple[tuple[int, str], ...], list[int]]:
        """Return *members* by the combination of equally frequent words that speaks loudest in each."""
        found: dict[tuple[tuple[int, str], ...], list[int]] = defaultdict(list)
        order = sorted(places)
        for index in members:
            shape = self.shapes[index]
            by_count: dict[int, list[tuple[int, str]]] = defaultdict(list)
            for place in order:
                if WILD not in shape[place]:
                    by_count[counts[place][shape[place]]].append((place, shape[place]))
            if not by_count:
                found[()].append(index)
                continue
            loudest = max(by_count, key=lambda n: (len(by_count[n]) * math.log2(1 + n), n))
            found[tuple(by_count[loudest])].append(index)
        return found

    def _skeletons(self, members: list[int], places: Iterable[int]) -> list[list[int]]:
        found: dict[tuple[str, ...], list[int]] = defaultdict(list)
        order = sorted(places)
        for index in members:
            found[tuple(_letters(self.shapes[index][place]) for place in order)].append(index)
        return list(found.values())


def _letters(word: str) -> str:
    return re.sub(r"[^A-Za-z]+", "", word)


def _says(word: str) -> bool:
    """Whether a masked word still says something, as ``size=<*>`` does and ``<*>`` does not."""
    return len(_letters(word)) > 1


def _merged(parts: list[list[int]], shapes: list[Shape]) -> list[tuple[Shape, list[int]]]:
    """Join the parts whose templates came out the same."""
    found: dict[Shape, list[int]] = {}
    for members in parts:
        words = tuple(_common(column) for column in zip(*(shapes[index] for index in members), strict=True))
        found.setdefault(words, []).extend(members)
    return list(found.items())


def _common(column: tuple[str, ...]) -> str:
    first = column[0]
    return first if all(word == first for word in column) else WILD
