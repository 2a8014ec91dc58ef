"""The part of tocsin.yaml about alerts before they are incidents: grouping, silences, maintenance, caps; for bot/policy.py.

Every default is a choice of ours, said here and in docs/operations.md; none is taken from a standard.
"""

from datetime import datetime, timedelta
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt, StrictStr, model_validator

from bot.matchers import Matcher, Misread, parse
from bot.policy_times import Hours
from bot.section import Section

MAX_DEBOUNCE_S = 120.0


def _matchers(text: str) -> str:
    try:
        parse(text)
    except Misread as error:
        raise ValueError(f"is not a list of matchers: {error}") from error
    return text


Matchers = Annotated[StrictStr, AfterValidator(_matchers)]


class Grouping(Section):
    """How alerts become incidents.

    *debounce_seconds*: how long an alert that is not critical waits for others, again from each one that comes, up to
    *debounce_max_seconds*. *window_minutes*: how far apart alerts of one service may start and still be one incident.
    *cooldown_seconds*: how soon after its end a group that fires again continues its incident. An alert that fired or
    resolved *flapping_changes* times within *flapping_minutes* flaps (0: never). *stale_hours*: an alert first heard of
    when it has fired for longer is no news.
    """

    debounce_seconds: float = Field(default=30.0, ge=0, le=MAX_DEBOUNCE_S)
    debounce_max_seconds: float = Field(default=MAX_DEBOUNCE_S, ge=0, le=MAX_DEBOUNCE_S)
    window_minutes: float = Field(default=10.0, ge=0)
    cooldown_seconds: float = Field(default=300.0, ge=0)
    flapping_changes: int = Field(default=5, ge=0, le=20)
    flapping_minutes: PositiveFloat = 30.0
    stale_hours: PositiveFloat = 168.0

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.debounce_seconds > self.debounce_max_seconds:
            msg = f"debounce_seconds ({self.debounce_seconds:g}) is over debounce_max_seconds ({self.debounce_max_seconds:g})"
            raise ValueError(msg)
        return self

    def due(self, first: datetime, latest: datetime) -> datetime:
        """When a group that first heard at *first* and last at *latest* has waited long enough."""
        quiet = latest + timedelta(seconds=self.debounce_seconds)
        return min(quiet, first + timedelta(seconds=self.debounce_max_seconds))


class Silencing(Section):
    """Who may silence from Slack ("approvers" of what the matchers name, or "anyone"), and for how long at most."""

    who: Literal["approvers", "anyone"] = "approvers"
    max_hours: PositiveFloat = 168.0


class Maintenance(Hours):
    """A recurring window in which matching alerts open nothing."""

    name: StrictStr
    matchers: Matchers

    @cached_property
    def parsed(self) -> tuple[Matcher, ...]:
        """The matchers, read."""
        return parse(self.matchers)


class Caps(Section):
    """What is begun at most, counted in Postgres and so over all replicas; the rest waits in line, nothing is lost.

    *at_once*, *per_channel* and *per_service*: incidents without a diagnosis. *per_hour*: incidents opened within the last
    hour. *model_usd_per_day* (0: no cap): once spent, UTC day by day, diagnoses are made by rules alone. A group held
    back is looked at again every *retry_seconds*, critical ones first.
    """

    at_once: PositiveInt = 50
    per_channel: PositiveInt = 40
    per_service: PositiveInt = 5
    per_hour: PositiveInt = 120
    model_usd_per_day: float = Field(default=0.0, ge=0)
    retry_seconds: PositiveFloat = 10.0
