"""What was turned away at the doors: counted at once, and put on the record by the clock, so that a flood cannot fill it.

bot/web.py (HTTP) and bot/identity.py (Slack) note; bot/schedule.py's tick writes. A refusal that concerns a proposal stands
in its incident's record instead (press_refused). One row says how often the same thing was refused since its last row.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.lifecycle import SYSTEM, Lifecycle
from bot.metrics import Metrics
from tools.store import events

QUIET = timedelta(minutes=5)  # between two rows about the same
MOST_KINDS = 200  # more are summed up as "others"
Kind = tuple[str, str, str]
OTHERS: Kind = ("any", "others", "")


@dataclass
class Refusals:
    """Counts refusals by (door, reason, who); *write* is called every few seconds and once at the end."""

    life: Lifecycle
    metrics: Metrics
    _waiting: Counter[Kind] = field(default_factory=Counter)
    _written: dict[Kind, datetime] = field(default_factory=dict)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def note(self, door: str, reason: str, who: str = "") -> None:
        """Count one refusal; *who* is a user id from a signed request, "" for what nobody signed."""
        self.metrics.refused.labels(door, reason).inc()
        kind = (door, reason, who[:64])
        known = kind in self._waiting or len(self._waiting) < MOST_KINDS
        self._waiting[kind if known else OTHERS] += 1

    async def write(self, *, everything: bool = False) -> None:
        """Put what was counted on the record: a row for each kind, at most one in QUIET unless *everything* must go."""
        async with self._lock:
            now = self.life.clock()
            self._written = {kind: at for kind, at in self._written.items() if now - at < QUIET}
            due = {kind: n for kind, n in self._waiting.items() if everything or kind not in self._written}
            if not due:
                return
            async with self.life.db.transaction() as conn:
                for (door, reason, who), n in due.items():
                    body = {"door": door, "reason": reason, "times": n}
                    await events.append(conn, 0, "refused", who or SYSTEM, body, now)
            for kind, n in due.items():
                self._waiting[kind] -= n
                self._written[kind] = now
            self._waiting = +self._waiting
