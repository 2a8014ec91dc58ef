"""Times as senders and people write them; used by every reader. All results are aware UTC."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

_CLOCK = re.compile(
    r"\b(?:since|from|at|started(?: at)?|starting|beginning|after)\s+(?:about |around |~ ?|approximately )?"
    r"(?P<hour>[01]?\d|2[0-3])(?:[:.h](?P<minute>[0-5]\d))?\s*(?P<half>am|pm|a\.m\.|p\.m\.)?"
    r"(?P<zone>\s*(?:utc|gmt|z))?(?![\w%])",
    re.IGNORECASE,
)
_AGO = re.compile(
    r"\b(?:(?:for|since|in|over)(?: the| about| around| over| at least| more than| last| past)*\s+)?"
    r"(?P<number>\d{1,4}|an?|half an|a few)\s*(?P<unit>s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)\b(?P<ago>\s+ago)?",
    re.IGNORECASE,
)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_FORMATS = (
    "%Y-%m-%d %H:%M:%S %Z",
    "%Y-%m-%d %H:%M:%S %z",
    "%Y.%m.%d %H:%M:%S",
    "%Y/%m/%d %H:%M:%S",
    "%d-%m-%Y %H:%M:%S",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %I:%M:%S %p",
    "%a %b %d %H:%M:%S %Z %Y",
    "%a %b %d %Y %H:%M:%S %Z",
    "%a %b %d %H:%M:%S %Y",
    "%A %d %B, %Y %H:%M:%S %Z",
    "%B %d, %Y %H:%M:%S %Z",
)


def when(value: Any) -> datetime | None:
    """ISO 8601 and other written dates, or Unix time in s, ms, us or ns (text or number), as aware UTC.

    None for "never" (Go's year 1), for times before 1971 and for what is no time.
    """
    try:
        if (isinstance(value, int | float) and not isinstance(value, bool)) or (
            isinstance(value, str) and re.fullmatch(r"\d{9,19}(\.\d+)?", value.strip())
        ):
            found = _unix(float(value))
        else:
            found = _written(str(value).strip())
        found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError, TypeError):
        return None
    return found if found.year > 1970 else None


def _unix(number: float) -> datetime:
    for scale in (1e18, 1e15, 1e12):  # ns, us, ms: as seconds these would be tens of thousands of years away
        if number >= scale / 10:
            number /= scale / 1e9
            break
    return datetime.fromtimestamp(number, UTC)


def _written(text: str) -> datetime:
    if len(text) > 60 or not any(char.isdigit() for char in text):
        msg = "not a time"
        raise ValueError(msg)
    try:
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
    except ValueError:
        pass
    for form in _FORMATS:
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007  # `when` makes it aware
        except ValueError:
            continue
    return parsedate_to_datetime(text)


def spoken(text: str, now: datetime | None) -> datetime | None:
    """Read "since 10:00", "since 3pm", "for 20 min", "10 minutes ago" relative to *now* (a message's time).

    A clock time is UTC unless the text says otherwise, and the latest such time that is not after *now*.
    """
    if now is None:
        return None
    clock = _CLOCK.search(text)
    if clock and (clock["minute"] or clock["half"]):
        hour = int(clock["hour"]) % 12 if clock["half"] else int(clock["hour"])
        hour += 12 if (clock["half"] or "").lower().startswith("p") else 0
        found = now.replace(hour=hour, minute=int(clock["minute"] or 0), second=0, microsecond=0)
        return found if found <= now else found - timedelta(days=1)
    for match in _AGO.finditer(text):
        if match["ago"] or re.match(r"(for|since|in|over)\b", match[0], re.IGNORECASE):
            word = match["number"].lower()
            number = int(word) if word.isdigit() else {"half an": 0.5, "a few": 3}.get(word, 1)
            return now - timedelta(seconds=number * _UNITS[match["unit"][0].lower()])
    return None
