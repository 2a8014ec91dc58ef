"""The part of LogQL that on-call tools use: stream selectors, line filters, count_over_time and rate with sum by."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from drill.formats import QueryError, duration, test_of

_MATCHER = re.compile(r'\s*([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|`[^`]*`)\s*(,?)')
_LINE = re.compile(r'\s*(\|=|!=|\|~|!~)\s*("(?:[^"\\]|\\.)*"|`[^`]*`)')
_SUM = re.compile(r"\s*sum\s*(?:by\s*\(([^)]*)\))?\s*\((.*)\)\s*(?:by\s*\(([^)]*)\))?\s*\Z", re.DOTALL)
_RANGE = re.compile(r"\s*(count_over_time|rate)\s*\((.*)\[(\w+)\]\s*\)\s*\Z", re.DOTALL)


@dataclass(frozen=True)
class LogQuery:
    """Which streams and which of their lines; with *function*, counted per *range_s* and summed by *by*."""

    streams: tuple[tuple[str, Callable[[str], bool]], ...]
    lines: tuple[Callable[[str], bool], ...]
    function: str = ""
    range_s: float = 0.0
    by: tuple[str, ...] | None = field(default=None)

    def wants(self, labels: Mapping[str, str]) -> bool:
        """Whether a stream's labels match."""
        return all(test(labels.get(name, "")) for name, test in self.streams)

    def accepts(self, line: str) -> bool:
        """Whether a line passes every filter."""
        return all(test(line) for test in self.lines)


def parse(text: str) -> LogQuery:
    """Read a query; QueryError in Loki's manner when it cannot be read."""
    by: tuple[str, ...] | None = None
    summed = _SUM.match(text)
    if summed:
        names = summed[1] or summed[3] or ""
        by, text = tuple(name.strip() for name in names.split(",") if name.strip()), summed[2]
    counted = _RANGE.match(text)
    if summed and not counted:
        raise QueryError("parse error at line 1, col 1: syntax error: sum needs a range aggregation", "bad_data")
    if counted:
        inner = _plain(counted[2])
        return LogQuery(inner.streams, inner.lines, counted[1], duration(counted[3], "range"), by)
    return _plain(text)


def _plain(text: str) -> LogQuery:
    text = text.strip()
    if not text.startswith("{"):
        raise QueryError("parse error at line 1, col 1: syntax error: unexpected IDENTIFIER", "bad_data")
    at, streams = 1, []
    try:
        while True:
            match = _MATCHER.match(text, at)
            if not match:
                break
            streams.append((match[1], test_of((match[1], match[2], _string(match[3])))))
            at = match.end()
        rest = text[at:].lstrip()
        if not rest.startswith("}"):
            raise QueryError(f"parse error at line 1, col {at + 1}: syntax error: unexpected token", "bad_data")
        if not streams:
            raise QueryError(
                "parse error : queries require at least one regexp or equality matcher that does not have an "
                'empty-compatible value. For instance, app=~".*" does not meet this requirement, but app=~".+" will',
                "bad_data",
            )
        return LogQuery(tuple(streams), tuple(_filters(rest[1:])))
    except re.error as error:
        raise QueryError(f"parse error: error parsing regexp: {error}", "bad_data") from error


def _filters(text: str) -> list[Callable[[str], bool]]:
    found: list[Callable[[str], bool]] = []
    at = 0
    while text[at:].strip():
        match = _LINE.match(text, at)
        if not match:
            raise QueryError(f"parse error: unsupported or malformed pipeline: {text[at:].strip()!r}", "bad_data")
        found.append(_line_test(match[1], _string(match[2])))
        at = match.end()
    return found


def _line_test(operator: str, value: str) -> Callable[[str], bool]:
    if operator == "|=":
        return lambda line: value in line
    if operator == "!=":
        return lambda line: value not in line
    pattern = re.compile(value)
    if operator == "|~":
        return lambda line: pattern.search(line) is not None
    return lambda line: pattern.search(line) is None


def _string(text: str) -> str:
    if text.startswith("`"):
        return text[1:-1]
    try:
        return str(json.loads(text))
    except ValueError as error:
        raise QueryError(f"parse error: invalid string {text}", "bad_data") from error
