"""What a channel is told once while it lasts: a cap, spent money, an alert that flaps, Alertmanager out of reach.

bot/admit.py and bot/opening.py call it inside their transaction: the sentence is a durable job, posted once per key.
"""

from dataclasses import dataclass
from datetime import UTC

from bot.admission import caps
from bot.blocks.text import prose
from bot.lifecycle import Lifecycle
from bot.policy import Policy
from tools.records import Alert, Incident
from tools.store import admission
from tools.store.db import Connection


@dataclass(frozen=True)
class Announcements:
    """Sentences of admission, each once per episode."""

    life: Lifecycle
    policy: Policy

    async def held(self, conn: Connection, channel: str, cap: str) -> None:
        """Say that *cap* is reached; again only after nothing was held back by it."""
        await self._once(conn, cap, channel, caps.sentence(cap, self.policy.caps))

    async def opened(self, conn: Connection, channel: str, cap: str, silences_unknown: str) -> None:
        """Note that an incident was opened: a cap's episode may be over, silences may be unknown, money may be spent."""
        if cap and not await admission.held(conn, cap, channel):
            await admission.end_episode(conn, cap, channel)
        if silences_unknown:
            why = prose(silences_unknown, 300)
            text = (
                f":grey_question: I cannot read Alertmanager's silences, so I take nothing to be silenced there. {why}"
            )
            await self._once(conn, "silences_unknown", channel, text)
        else:
            await admission.end_episode(conn, "silences_unknown", channel)
        await self._money(conn, channel)

    async def flapping(self, conn: Connection, alert: Alert, incident: Incident, times: str) -> None:
        """Say in the incident's thread that its alert goes on and off."""
        name, minutes = prose(alert.name, 100), self.policy.grouping.flapping_minutes
        text = (
            f":left_right_arrow: *{name}* goes on and off: {prose(times, 50)} within {minutes:g} min. It stays in this"
            " incident and is not investigated anew. I say this once."
        )
        key = f"flapping:{incident.id}:{alert.fingerprint}:{self.life.clock().timestamp():.0f}"
        await self._say(conn, incident.channel, incident.thread_ts, key, text)

    async def _money(self, conn: Connection, channel: str) -> None:
        cap = self.policy.caps.model_usd_per_day
        if not cap:
            return
        day = self.life.clock().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        if await admission.spent(conn, day) >= cap:
            text = (
                f":moneybag: Today's {cap:g} USD for the model are spent. Until midnight UTC I diagnose by rules alone."
            )
            await self._once(conn, "money", f"{day:%Y-%m-%d} {channel}", text, channel)

    async def _once(self, conn: Connection, kind: str, subject: str, text: str, channel: str = "") -> None:
        number = await admission.begin_episode(conn, kind, subject, self.life.clock())
        if number is not None:
            await self._say(conn, channel or subject, "", f"episode:{number}", text)

    async def _say(self, conn: Connection, channel: str, thread_ts: str, key: str, text: str) -> None:
        if channel:
            await self.life.queue.defer(
                conn, "say", lock=f"say:{key}", channel=channel, thread_ts=thread_ts, key=key, text=text
            )
