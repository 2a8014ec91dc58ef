"""Times and durations as the Prometheus and Loki APIs accept them."""

import re
from datetime import datetime

from drill.metrics.values import QueryError

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31536000.0}
_PART = re.compile(r"(\d+)(ms|[smhdwy])")


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
