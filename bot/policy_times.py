"""Days, times of day and time zones in tocsin.yaml; for bot/policy_intake.py and bot/policy_changes.py."""

import re
from datetime import date, datetime, time
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, StrictStr

from bot.section import Section

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


def _clock(text: str) -> str:
    if _CLOCK.fullmatch(text):
        return text
    msg = 'is not a time of day; write it in quotes, for example "02:00"'
    raise ValueError(msg)


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        msg = "is not a time zone; write its IANA name, for example Europe/Berlin"
        raise ValueError(msg) from error
    return text


def _moment(value: Any) -> Any:
    """Read what YAML makes of a date with or without a time; the zone stands beside it, not in it."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time())
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            msg = "is not a date and time; write for example 2026-12-24 18:00"
            raise ValueError(msg) from error
    if isinstance(value, datetime) and value.tzinfo is not None:
        msg = "names an offset; write the local time and set timezone beside it"
        raise ValueError(msg)
    return value


Clock = Annotated[StrictStr, AfterValidator(_clock)]
Zone = Annotated[StrictStr, AfterValidator(_zone)]
Moment = Annotated[datetime, BeforeValidator(_moment)]


class Hours(Section):
    """A weekly window. One that ends before it starts ends the next day; *days* name the day on which it starts.

    *start* = *end* is the whole day.
    """

    days: tuple[Day, ...] = DAYS
    start: Clock = "00:00"
    end: Clock = "00:00"
    timezone: Zone = "UTC"

    def covers(self, at: datetime) -> bool:
        """Say whether *at* (with a zone) is inside the window."""
        local = at.astimezone(ZoneInfo(self.timezone))
        clock, start, end = local.time(), time.fromisoformat(self.start), time.fromisoformat(self.end)
        today, yesterday = DAYS[local.weekday()], DAYS[local.weekday() - 1]
        if start < end:
            return today in self.days and start <= clock < end
        return (today in self.days and clock >= start) or (yesterday in self.days and clock < end)

    def words(self) -> str:
        """Return ``mon-fri 09:00 to 18:00 Europe/Berlin``."""
        whole = self.start == self.end == "00:00"
        clock = "all day" if whole else f"{self.start} to {self.end}"
        return f"{_days(self.days)} {clock} {self.timezone}"


def _days(days: tuple[Day, ...]) -> str:
    at = sorted({DAYS.index(day) for day in days})
    if not at:
        return "on no day"
    if len(at) == len(DAYS):
        return "every day"
    if len(at) > 2 and at == list(range(at[0], at[-1] + 1)):
        return f"{DAYS[at[0]]}-{DAYS[at[-1]]}"
    return ", ".join(DAYS[number] for number in at)
