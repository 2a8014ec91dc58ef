"""Once a day, the end of the record is posted to a Slack channel: who rewrites the database later cannot rewrite that.

bot/schedule.py ticks it in every replica; the row that says so is written under the lock of the record's end, together with
the job that posts, so one replica posts and a crash between the two posts nothing twice. `audit.anchor` in tocsin.yaml.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC

from bot.lifecycle import SYSTEM, Lifecycle
from tools.store import events

ANCHORED = "anchored"


@dataclass(frozen=True)
class Anchor:
    """Posts the head of the record; *channel* is the policy's, "" for none, *id_of* finds its id."""

    life: Lifecycle
    channel: str
    id_of: Callable[[str], Awaitable[str]]

    async def tick(self) -> None:
        """Anchor the record unless that was done today (UTC)."""
        if not self.channel:
            return
        now = self.life.clock().astimezone(UTC)
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        channel = await self.id_of(self.channel)
        async with self.life.db.transaction() as conn:
            head = await events.locked_head(conn)
            if not channel or not head.seq or await events.any_since(conn, ANCHORED, midnight):
                return
            body = {"day": f"{now:%Y-%m-%d}", "seq": head.seq, "hash": head.hash, "channel": channel}
            await events.append(conn, 0, ANCHORED, SYSTEM, body, now)
            key = f"anchor:{now:%Y-%m-%d}"
            text = (
                f"The record of {now:%Y-%m-%d} ends at `{head.seq}:{head.hash}`. Keep this message: "
                "`tocsin audit verify --anchor` with it shows whether anything before was rewritten."
            )
            await self.life.queue.defer(conn, "say", lock=key, channel=channel, thread_ts="", key=key, text=text)
