"""What the stages of admission decide on, and with what words; made by bot/admit.py from the store, read by every stage.

Everything here is plain and frozen, so that a decision is a pure function of what is known.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from bot.matchers import Matcher
from bot.policy_intake import Grouping, Maintenance
from tools.records import Alert, Severity

RANK: dict[Severity, int] = {"info": 0, "warning": 1, "critical": 2}
# Whose webhooks carry exact times: startsAt is when this episode fired, endsAt when it ended. Others repeat old times.
EXACT = frozenset({"alertmanager", "grafana"})

Action = Literal["drop", "join", "reopen", "open", "open_over", "wait", "hold", "resolve"]


@dataclass(frozen=True)
class Place:
    """Where an alert was read ("" when it came by webhook): its Slack channel, message, and who asked."""

    channel: str = ""
    ts: str = ""
    user: str = ""


@dataclass(frozen=True)
class Life:
    """What was last heard of an alert; *changes* are the times at which it began to fire or was over, oldest first."""

    status: Literal["firing", "resolved"]
    severity: Severity
    started_at: datetime
    ended_at: datetime | None = None
    changes: tuple[datetime, ...] = ()
    incident_id: int | None = None
    flapping: bool = False


@dataclass(frozen=True)
class Group:
    """An incident that is open (*incident_id*), or alerts that wait to become one (None).

    *started_at* is when its first alert started, *group_keys* are Alertmanager's keys seen in it.
    """

    key: str
    alert: Alert
    started_at: datetime
    incident_id: int | None = None
    waiting_id: int | None = None
    state: str = ""
    group_keys: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Ended:
    """An incident that is over: from *started_at* to *at*, by the sender's clock if it tells.

    *same*: it was of this very alert or group; else of another alert of the service.
    """

    incident_id: int
    key: str
    at: datetime
    started_at: datetime
    alert: Alert
    same: bool = True


@dataclass(frozen=True)
class Quiet:
    """One silence of Tocsin's or Alertmanager's that is in force."""

    name: str
    matchers: tuple[Matcher, ...]
    own: bool = True


@dataclass(frozen=True)
class Facts:
    """What is known about an alert's past and its surroundings.

    *member* is the open group this very alert fires in already; *known*: the first of *groups* has this alert, firing or
    not. *silences_unknown* says why Alertmanager's silences
    could not be read.
    """

    life: Life | None = None
    member: Group | None = None
    groups: tuple[Group, ...] = ()
    known: bool = False
    ended: tuple[Ended, ...] = ()
    silences: tuple[Quiet, ...] = ()
    silences_unknown: str = ""


@dataclass(frozen=True)
class Candidate:
    """One alert at the door; *at* is when it began or ended by the best clock there is.

    *asked*: a person wants it looked at. *waited*: it was decided about before, when it came. *exact*: *at* puts reports of
    this alert in their true order. *forced*: the key of the group that the rest of its message is in.
    """

    alert: Alert
    key: str
    at: datetime
    now: datetime
    grouping: Grouping
    facts: Facts = Facts()
    maintenance: tuple[Maintenance, ...] = ()
    asked: bool = False
    waited: bool = False
    exact: bool = False
    forced: str = ""

    @property
    def urgent(self) -> bool:
        """Whether it may not wait for others."""
        return self.asked or self.alert.severity == "critical" or self.grouping.debounce_seconds == 0


class Decision(NamedTuple):
    """What becomes of an alert, under a name; *group* or *incident_id* say where it goes."""

    action: Action
    reason: str
    detail: str = ""
    group: Group | None = None
    incident_id: int | None = None


Stage = Callable[[Candidate], Decision | None]


@dataclass(frozen=True)
class Load:
    """How much is under way, over all replicas: see bot.policy_intake.Caps."""

    at_once: int = 0
    per_channel: int = 0
    per_service: int = 0
    per_hour: int = 0
