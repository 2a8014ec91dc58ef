"""What a reader found out about one alert, before the gaps are named; bot/parsing.py makes the Alert of it."""

from dataclasses import dataclass, field
from datetime import datetime

from bot.reading.words import Status
from tools.records import Severity


@dataclass
class Facts:
    """What was told; "" and None mean that it was not.

    *identity* is the sender's own name for the life of this alert (monitor and group, incident key, rule uid): firing and
    resolved share it. *own_labels* says that `labels` is the label set Alertmanager's fingerprint is made of.
    *guessed_** say that a value is inferred, not told: it stands, and `missing` names it.
    *words* are the words of a text in which a known service may stand.
    """

    sender: str = "generic"
    name: str = ""
    status: Status | None = None
    severity: Severity | None = None
    service: str = ""
    namespace: str = ""
    cluster: str = ""
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    at: datetime | None = None
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    value: str = ""
    query: str = ""
    links: dict[str, str] = field(default_factory=dict)
    identity: str = ""
    fingerprint: str = ""
    own_labels: bool = False
    group_key: str = ""
    guessed_service: str = ""
    guessed_severity: Severity | None = None
    query_expected: bool = True
    notes: tuple[str, ...] = ()
    words: list[str] = field(default_factory=list)
