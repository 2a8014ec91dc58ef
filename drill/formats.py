"""Times, numbers, durations and label matchers as the Prometheus family of APIs writes them; used by all of drill."""

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31536000.0}
_PART = re.compile(r"(\d+)(ms|[smhdwy])")
Matcher = tuple[str, str, str]
"""(label name, operator ``= != =~ !~``, value)."""


class QueryError(Exception):
    """A question that the API refuses: *kind* is ``bad_data`` or ``execution``."""

    def __init__(self, message: str, kind: str = "execution") -> None:
        super().__init__(message)
        self.kind = kind


def stamp(at: float) -> str:
    """Return RFC 3339 with milliseconds."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def number(value: float) -> str:
    """Return a float as Go's strconv 'f' format with the shortest digits, as Prometheus' JSON has it."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == int(value) and abs(value) < 1e15:
        return "-0" if value == 0 and math.copysign(1, value) < 0 else str(int(value))
    text = repr(value)
    return format(Decimal(text), "f") if "e" in text else text


def when(text: str | None, default: float, name: str) -> float:
    """Epoch seconds from a number or RFC 3339; *default* when absent. QueryError names the parameter."""
    if not text:
        return default
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError as error:
        raise QueryError(
            f'invalid parameter "{name}": cannot parse "{text}" to a valid timestamp', "bad_data"
        ) from error


def duration(text: str, name: str) -> float:
    """Seconds from a number or ``1m30s``."""
    try:
        return float(text)
    except ValueError:
        pass
    parts = _PART.findall(text)
    if not parts or "".join(a + b for a, b in parts) != text:
        raise QueryError(f'invalid parameter "{name}": cannot parse "{text}" to a valid duration', "bad_data")
    return sum(int(count) * _UNITS[unit] for count, unit in parts)


@lru_cache(maxsize=512)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(f"^(?:{text})$", re.DOTALL)


def test_of(matcher: Matcher) -> Callable[[str], bool]:
    """The predicate of one matcher; re.error for a regular expression that cannot be compiled."""
    _, operator, value = matcher
    if operator == "=":
        return lambda given: given == value
    if operator == "!=":
        return lambda given: given != value
    pattern = _pattern(value)
    if operator == "=~":
        return lambda given: pattern.match(given) is not None
    return lambda given: pattern.match(given) is None
