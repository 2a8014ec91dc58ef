"""The part of tocsin.yaml about changes: who may approve what, when, how often; for bot/policy.py and bot/authority/*.

Rules grant: the first one that matches decides, and what none matches is denied. Limits and freezes take away: every one
that matches holds, whatever the rule. Nothing here can ask for less than the risk itself does (bot/authority/decide.py).
"""

import re
from datetime import datetime, timedelta
from functools import cached_property
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, PositiveFloat, PositiveInt, StrictStr, model_validator

from bot.policy_times import Hours, Moment, Zone
from bot.section import Section

APPROVER = re.compile(r"[UWS][A-Z0-9]{2,20}")
ONCALL = "oncall:"
RiskName = Literal["low", "medium", "high", "critical"]
RISKS: tuple[RiskName, ...] = ("low", "medium", "high", "critical")
Per = Literal["target", "service", "namespace", "cluster", "all"]
_GLOB = re.compile(r"[A-Za-z0-9._:/@*?-]+")


def _approver(text: str) -> str:
    if APPROVER.fullmatch(text) or text.startswith(ONCALL):
        return text
    msg = (
        "is not a Slack id; write a member id (U..., from the profile's menu: Copy member ID), a user group id (S...) "
        "or oncall:NAME with NAME under changes.oncall"
    )
    raise ValueError(msg)


def _glob(text: str) -> str:
    if _GLOB.fullmatch(text):
        return text
    msg = "is not a name or a pattern; write letters, digits, . _ : / @ - and the wildcards * and ?"
    raise ValueError(msg)


def _several(value: Any) -> Any:
    """Take one where a list is expected."""
    return (value,) if isinstance(value, (str, dict)) else value


def compiled(glob: str) -> re.Pattern[str]:
    """Return *glob* as a pattern for fullmatch: ``*`` is any text, ``?`` any one character, nothing else is special."""
    parts = {"*": ".*", "?": "."}
    return re.compile("".join(parts.get(char) or re.escape(char) for char in glob), re.DOTALL)


Entry = Annotated[StrictStr, AfterValidator(_approver)]
Glob = Annotated[StrictStr, AfterValidator(_glob)]
Globs = Annotated[tuple[Glob, ...], BeforeValidator(_several)]
Entries = Annotated[tuple[Entry, ...], BeforeValidator(_several)]
ANY: tuple[str, ...] = ("*",)


class Match(Section):
    """Which changes something is about: all keys must match, each by any of its patterns; a key left out matches all.

    *services* are those of the policy file, found from what is changed; *labels* are the target's own and its
    namespace's, never an alert's, which anybody who can send an alert could set.
    """

    changes: Globs = ANY
    clusters: Globs = ANY
    namespaces: Globs = ANY
    services: Globs = ANY
    labels: dict[StrictStr, Globs] = Field(default={})
    risks: Annotated[tuple[RiskName, ...], BeforeValidator(_several)] = RISKS

    @cached_property
    def patterns(self) -> dict[str, tuple[re.Pattern[str], ...]]:
        """The four lists of names, compiled, by key."""
        named = {key: getattr(self, key) for key in ("changes", "clusters", "namespaces", "services")}
        return {key: tuple(compiled(glob) for glob in globs) for key, globs in named.items()}

    @cached_property
    def label_patterns(self) -> dict[str, tuple[re.Pattern[str], ...]]:
        """The labels' patterns, compiled, by label."""
        return {label: tuple(compiled(glob) for glob in globs) for label, globs in self.labels.items()}


class Caps(Section):
    """How much at most: *per_hour* changes that were made, counted per target, service ..., and replicas that must be left."""

    per_hour: PositiveInt | None = None
    per: Per = "target"
    min_replicas: PositiveInt | None = None


class Rule(Match):
    """Who may approve what it matches: *count* of *approvers*, within *hours* (at any time when left out), under *caps*.

    *allow: false* says that such a change is never made from here. Outside its hours a rule denies, unless *outside_hours*
    is next: then the rules after it are asked.
    """

    name: StrictStr
    approvers: Entries = ()
    count: PositiveInt = 1
    hours: Annotated[tuple[Hours, ...], BeforeValidator(_several)] | None = None
    outside_hours: Literal["deny", "next"] = "deny"
    caps: Caps = Caps()
    allow: bool = True

    def open_at(self, at: datetime) -> bool:
        """Whether *at* is within its hours."""
        return self.hours is None or any(window.covers(at) for window in self.hours)


class Limit(Match, Caps):
    """Caps on everything it matches, whichever rule decides."""

    name: StrictStr


class Freeze(Match):
    """A window in which nothing it matches is changed: from *start* to *end* once, or *weekly*."""

    name: StrictStr
    start: Moment | None = None
    end: Moment | None = None
    timezone: Zone = "UTC"
    weekly: Hours | None = None

    @model_validator(mode="after")
    def _one_window(self) -> Self:
        if (self.weekly is None) == (self.start is None or self.end is None):
            msg = "needs start and end, or weekly"
            raise ValueError(msg)
        if self.start and self.end and self.start >= self.end:
            msg = f"ends ({self.end:%Y-%m-%d %H:%M}) before it starts ({self.start:%Y-%m-%d %H:%M})"
            raise ValueError(msg)
        return self

    def covers(self, at: datetime) -> bool:
        """Say whether *at* (with a zone) is inside the window."""
        if self.weekly is not None:
            return self.weekly.covers(at)
        local = at.astimezone(ZoneInfo(self.timezone)).replace(tzinfo=None)
        return self.start is not None and self.end is not None and self.start <= local < self.end

    def over(self, at: datetime) -> bool:
        """Say whether it can never come again."""
        return self.end is not None and at.astimezone(ZoneInfo(self.timezone)).replace(tzinfo=None) >= self.end

    def words(self) -> str:
        """Return when it is."""
        if self.weekly is not None:
            return self.weekly.words()
        return f"{self.start:%Y-%m-%d %H:%M} to {self.end:%Y-%m-%d %H:%M} {self.timezone}"


class BreakGlass(Match):
    """Who may, with a reason and loudly, approve in spite of rules, hours, freezes and caps per hour."""

    name: StrictStr = "break glass"
    approvers: Entries = ()
    count: PositiveInt = 1


class Rotation(Section):
    """People who take turns: the first from *start* on, each for *turn_hours*, by the clock of *timezone*."""

    people: Annotated[tuple[Entry, ...], Field(min_length=1)]
    start: Moment
    turn_hours: PositiveFloat = 168.0
    timezone: Zone = "UTC"

    def on_call(self, at: datetime) -> str:
        """Return whose turn it is, "" before the first one."""
        passed = at.astimezone(ZoneInfo(self.timezone)).replace(tzinfo=None) - self.start
        if passed < timedelta(0):
            return ""
        return self.people[int(passed / timedelta(hours=self.turn_hours)) % len(self.people)]


class OnCall(Section):
    """Where it stands who is on call: one of four sources.

    *pagerduty*: a schedule's id. *opsgenie*: a schedule's name or id. Both answer with e-mail addresses, which *people* turns
    into Slack ids; who is not among them may not approve. *file*: one Slack id a line, read at every check.
    """

    pagerduty: StrictStr = ""
    opsgenie: StrictStr = ""
    file: StrictStr = ""
    rotation: Rotation | None = None
    people: dict[StrictStr, Entry] = Field(default={})

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(bool(source) for source in (self.pagerduty, self.opsgenie, self.file, self.rotation)) != 1:
            msg = "needs exactly one of pagerduty, opsgenie, file and rotation"
            raise ValueError(msg)
        if (self.pagerduty or self.opsgenie) and not self.people:
            msg = "needs people: the e-mail address of each person on call, and their Slack id (U...)"
            raise ValueError(msg)
        return self


class Changes(Section):
    """Who may approve which change, when, how often; nobody may anything by default.

    *cluster* is the name of the cluster that is changed from here ("": as the actor's kubeconfig calls it).
    """

    cluster: StrictStr = ""
    business_hours: Annotated[tuple[Hours, ...], BeforeValidator(_several)] = ()
    oncall: dict[StrictStr, OnCall] = Field(default={})
    rules: tuple[Rule, ...] = ()
    limits: tuple[Limit, ...] = ()
    freezes: tuple[Freeze, ...] = ()
    break_glass: Annotated[tuple[BreakGlass, ...], BeforeValidator(_several)] = ()

    def contradictions(self) -> list[str]:
        """Say which names are used twice, and which on-call lists are named but not declared."""
        problems = []
        for key in ("rules", "limits", "freezes", "break_glass"):
            names = [one.name for one in getattr(self, key)]
            problems += [
                f'changes.{key}: two are called "{name}"' for name in sorted(set(names)) if names.count(name) > 1
            ]
        approved: tuple[Rule | BreakGlass, ...] = (*self.rules, *self.break_glass)
        for one in approved:
            problems += [
                f'changes: "{entry}" of "{one.name}" is not declared; add "{entry.removeprefix(ONCALL)}" under changes.oncall'
                for entry in one.approvers
                if entry.startswith(ONCALL) and entry.removeprefix(ONCALL) not in self.oncall
            ]
        return problems
