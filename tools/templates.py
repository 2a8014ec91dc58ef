"""Groups log lines that differ only in their variables; used by tools.evidence.logs.

A small Drain (He et al., ICWS 2017): what is plainly variable is masked, lines of equal length and equal first word are
compared word by word, and a group's template keeps the words that all its lines share.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WILD = "<*>"
SIMILAR = 0.5  # share of equal words to join a group; Drain's authors use 0.4-0.5
MAX_WORDS = 60
MAX_GROUPS_PER_LEAF = 200
MAX_CHARS = 1_000

_MASKS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"\b\d{1,2}:\d\d:\d\d(?:[.,]\d+)?\b"), "<time>"),
    (re.compile(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"), "<id>"),
    (re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?(?![\w.])"), "<ip>"),
    (re.compile(r"\b0x[0-9a-fA-F]+\b"), "<hex>"),
    (re.compile(r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,64}\b"), "<hex>"),
    (re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h)(?![\w.])"), "<duration>"),
    (re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:[KMGT]i?B?|B|%)(?![\w.])"), "<size>"),
    (re.compile(r"(?<=[=:/#\[(,-])-?\d+(?:\.\d+)?(?![\w.])|(?<![\w.])-?\d+(?:\.\d+)?(?![\w.])"), "<n>"),
)
_LEVELS = (
    ("error", re.compile(r"(?i)\b(?:fatal|panic|crit(?:ical)?|emerg(?:ency)?|severe|err(?:or)?)\b")),
    ("warning", re.compile(r"(?i)\bwarn(?:ing)?\b")),
    ("info", re.compile(r"(?i)\b(?:info|notice)\b")),
    ("debug", re.compile(r"(?i)\b(?:debug|trace)\b")),
)
_FIELD = re.compile(r"(?i)\b(?:level|lvl|severity|loglevel|log\.level)\"?\s*[=:]\s*\"?([A-Za-z]+)")
_PREFIX = 48  # a level word stands near the start of a line; further on, "error" is just a word of the message
_EXCEPTION = re.compile(r"Traceback \(most recent call last\)|\b\w+(?:Exception|Error)\b\s*[:(]|\bpanic:|^\s+at \S+\(")
_SEVERE = re.compile(r"(?i)\b(?:failed|failure|refused|timed? ?out|unavailable|denied|cannot|unable to)\b")
_MESSAGE_KEYS = ("message", "msg", "log", "event", "text", "body")
_ERROR_KEYS = ("error", "err", "exception", "exc", "reason", "cause", "detail")
_LEVEL_KEYS = ("level", "lvl", "severity", "loglevel", "log.level", "levelname", "@level")
_KLOG = re.compile(r"^([IWEF])\d{4} \d\d:\d\d")


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


def mask(text: str) -> str:
    """*text* with times, ids, addresses, numbers, durations and sizes replaced by their kind."""
    for pattern, kind in _MASKS:
        text = pattern.sub(kind, text)
    return text


def read(line: str) -> tuple[str, str]:
    """Level (error, warning, info, debug or "") and message of one line; JSON lines are unwrapped."""
    if line.lstrip().startswith("{"):
        unwrapped = _json(line)
        if unwrapped is not None:
            return unwrapped
    named = _FIELD.search(line)
    if named:
        return level_of(named[1]) or _guess(line), line
    klog = _KLOG.match(line)
    if klog:
        return {"I": "info", "W": "warning"}.get(klog[1], "error"), line
    return _guess(line), line


def level_of(word: str) -> str:
    """Return the level that *word* names, "" when it names none."""
    return next((level for level, pattern in _LEVELS if pattern.fullmatch(word.strip())), "")


def _guess(line: str) -> str:
    if _EXCEPTION.search(line):
        return "error"
    head = line[:_PREFIX]
    for level, pattern in _LEVELS:
        if pattern.search(head):
            return level
    return "warning" if _SEVERE.search(line) else ""


def _json(line: str) -> tuple[str, str] | None:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    level = next((level_of(str(fields[key])) for key in _LEVEL_KEYS if key in fields), "")
    parts = [str(fields[key]) for key in _MESSAGE_KEYS if fields.get(key)][:1]
    parts += [f"{key}={fields[key]}" for key in _ERROR_KEYS if fields.get(key)]
    message = " ".join(parts) or line
    return level or _guess(message), message


def mine(lines: Iterable[str], levels: Sequence[str] | None = None) -> Mined:
    """Group *lines*; each line is in exactly one group. *levels*: known levels, in the same order ("" = not known)."""
    groups: list[Group] = []
    leaves: dict[tuple[int, str], list[int]] = {}
    exact: dict[str, int] = {}
    assigned: list[int] = []
    for number, line in enumerate(lines):
        level, message = read(line)
        known = levels[number] if levels else ""
        masked = mask(message[:MAX_CHARS])
        index = exact.get(masked)
        if index is None:
            index = _place(masked.split()[:MAX_WORDS], groups, leaves)
            if index == len(groups):
                groups.append(Group(masked.split()[:MAX_WORDS], 0, known or level, message[:MAX_CHARS], number))
            exact[masked] = index
        groups[index].count += 1
        assigned.append(index)
    return Mined(tuple(groups), tuple(assigned))


def _place(words: list[str], groups: list[Group], leaves: dict[tuple[int, str], list[int]]) -> int:
    """Return the index of the group that *words* join, or of the one to be opened."""
    first = words[0] if words and "<" not in words[0] else ""
    leaf = leaves.setdefault((len(words), first), [])
    best, best_share = -1, SIMILAR
    for index in leaf:
        share = _alike(groups[index].words, words)
        if share >= best_share:
            best, best_share = index, share
    if best < 0 and len(leaf) >= MAX_GROUPS_PER_LEAF:
        best = leaf[-1]
    if best < 0:
        leaf.append(len(groups))
        return len(groups)
    groups[best].words = [
        ours if ours == theirs else WILD for ours, theirs in zip(groups[best].words, words, strict=True)
    ]
    return best


def _alike(template: list[str], words: list[str]) -> float:
    if not words:
        return 1.0
    return sum(ours == theirs for ours, theirs in zip(template, words, strict=True)) / len(words)
