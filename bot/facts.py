"""What is known about an alert at the door, read from the store and from Alertmanager; bot/admit.py calls it.

Alertmanager's silences are read at most every 30 s, within a deadline. When they cannot be read, nothing is taken to be
silenced there, and the decision says so.
"""

import asyncio
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog

from bot.admission.model import Ended, Facts, Group, Life, Quiet
from bot.matchers import Matcher, Misread, check, parse
from bot.policy_intake import Grouping
from tools.alertmanager import Alertmanager
from tools.errors import TocsinError
from tools.records import Alert
from tools.store import admission, silences
from tools.store.db import Connection

log = structlog.get_logger()
DEADLINE_S = 2.0
KEEP_S = 30.0
PAUSE_S = 10.0  # after a failure, so that a dead Alertmanager does not cost every alert its deadline


@dataclass
class ForeignSilences:
    """Alertmanager's own silences; *alertmanager* None means that there are none."""

    alertmanager: Alertmanager | None
    _known: tuple[Quiet, ...] = ()
    _problem: str = ""
    _until: float = float("-inf")
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def read(self) -> tuple[tuple[Quiet, ...], str]:
        """Return the active silences, and "" or why they could not be read (then none is taken to be active)."""
        if self.alertmanager is None:
            return (), ""
        async with self._reading:
            if time.monotonic() >= self._until:
                await self._refresh(self.alertmanager)
        return self._known, self._problem

    async def _refresh(self, alertmanager: Alertmanager) -> None:
        try:
            async with asyncio.timeout(DEADLINE_S):
                found = await alertmanager.silences()
        except (TocsinError, TimeoutError) as error:
            self._problem = str(error) or f"no answer within {DEADLINE_S:g} s"
            self._known, self._until = (), time.monotonic() + PAUSE_S
            log.warning("silences_unknown", error=self._problem)
            return
        quiet = (_foreign(silence) for silence in found)
        self._known, self._problem = tuple(one for one in quiet if one), ""
        self._until = time.monotonic() + KEEP_S


def _foreign(silence: Mapping[str, Any]) -> Quiet | None:
    status = silence.get("status")
    if not isinstance(status, dict) or status.get("state") != "active":
        return None
    try:
        matchers = check(tuple(_matcher(one) for one in silence.get("matchers") or ()))
    except (Misread, AttributeError, TypeError) as error:
        log.warning("silence_unusable", silence=str(silence.get("id")), error=str(error))
        return None
    return Quiet(f"Alertmanager's silence {silence.get('id', '')}", matchers, own=False)


def _matcher(told: Mapping[str, Any]) -> Matcher:
    same, regex = told.get("isEqual", True), told.get("isRegex", False)
    name, value = str(told.get("name", "")), str(told.get("value", ""))
    if regex:
        return Matcher(name, "=~" if same else "!~", value)
    return Matcher(name, "=" if same else "!=", value)


async def quiet_now(
    conn: Connection, now: datetime, foreign: tuple[tuple[Quiet, ...], str]
) -> tuple[tuple[Quiet, ...], str]:
    """Return every silence in force, our own first, and why Alertmanager's are unknown ("": they are known)."""
    own = [Quiet(f"silence {one.id}", parse(one.matchers)) for one in await silences.active(conn, now)]
    return (*own, *foreign[0]), foreign[1]


async def gather(
    conn: Connection,
    alert: Alert,
    keys: Collection[str],
    prints: Collection[str],
    grouping: Grouping,
    now: datetime,
    quiet: tuple[tuple[Quiet, ...], str],
) -> Facts:
    """Read what the stages decide on; the caller holds the locks of the alert's group.

    *keys*: the group keys it may be known under, its own first. *prints*: its fingerprints. *quiet*: from quiet_now.
    """
    back = max(grouping.cooldown_seconds, grouping.flapping_minutes * 60, grouping.window_minutes * 60)
    since = now - timedelta(seconds=back)
    around = await admission.surroundings(conn, keys, alert.group_key, alert.service, prints, since)
    found = [(row, _group(row)) for row in around.groups]
    known = [group for row, group in found if row["known"]]
    others = [group for row, group in found if not row["known"]]
    return Facts(
        life=_life(around.life) if around.life else None,
        member=next((group for row, group in found if row["member"]), None),
        groups=(*known, *others),
        known=bool(known),
        ended=tuple(_ended(row) for row in around.ended),
        silences=quiet[0],
        silences_unknown=quiet[1],
    )


def _group(row: Mapping[str, Any]) -> Group:
    return Group(
        key=row["key"],
        alert=Alert.model_validate(row["alert"]),
        started_at=row["started_at"],
        incident_id=row["incident_id"],
        waiting_id=row["waiting_id"],
        state=row["state"],
        group_keys=frozenset(row["group_keys"]),
    )


def _ended(row: Mapping[str, Any]) -> Ended:
    alert = Alert.model_validate(row["alert"])
    return Ended(row["incident_id"], row["key"], row["at"], row["started_at"], alert, row["same"])


def _life(row: Mapping[str, Any]) -> Life:
    return Life(
        status=row["status"],
        severity=row["severity"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        changes=tuple(row["changes"]),
        incident_id=row["incident_id"],
        flapping=row["flapping"],
    )
