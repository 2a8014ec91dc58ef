"""The door between alerts and incidents: gather what is known, let the stages decide, do it and keep the reason, in one transaction.

bot/intake.py calls `admit` and `admit_all` for alerts that were read; the job `open_group` opens what had to wait; a tick
calls `sweep`. Alerts of one group are decided one after another, over all replicas (locks of the transaction), so what is
decided depends on what was heard and not on who heard it. Many alerts share one transaction, its commit and its end of
the record's chain; each is decided by what those before it left behind.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import structlog

from bot.admission import decide
from bot.admission.model import Candidate, Facts, Place, Quiet
from bot.admission.silence import decide as silenced
from bot.channels import Channels
from bot.facts import ForeignSilences, gather, quiet_now
from bot.labels import Labels
from bot.lifecycle import Lifecycle
from bot.lives import happened, is_exact, locks, own_key
from bot.metrics import Metrics
from bot.opening import Admitted, Arrival, Opening
from bot.outcomes import Outcomes, waited
from bot.parsing import incident_key
from bot.policy import Policy
from bot.together import Together
from tools.records import Alert
from tools.store import admission, decisions, inbox
from tools.store.db import Connection

log = structlog.get_logger()
AT_A_TIME = 4  # transactions that may wait for each other's locks; the other connections serve the inbox
LOOKS_AT_ONCE = 4
OVERDUE_S = 30.0
KEEP_DECISIONS = timedelta(days=90)


@dataclass(frozen=True)
class Heard:
    """One alert that was read: *event_id* is the inbox's, "" when it is in none; *forced* the group of its message."""

    alert: Alert
    place: Place
    event_id: str = ""
    forced: str = ""


class Admission:
    """Decides about alerts and carries it out."""

    def __init__(
        self,
        life: Lifecycle,
        policy: Policy,
        channels: Channels,
        labels: Labels,
        metrics: Metrics,
        foreign: ForeignSilences,
    ) -> None:
        self._life = life
        self._policy = policy
        self._channels = channels
        self._labels = labels
        self._metrics = metrics
        self._foreign = foreign
        self._room = asyncio.Semaphore(AT_A_TIME)

    async def admit(self, alert: Alert, place: Place, forced: str = "") -> Admitted:
        """Decide about one alert; *forced* is the group that the rest of its message is in, "" when it is free to choose."""
        return (await self.admit_all([Heard(alert, place, forced=forced)]))[0]

    async def admit_all(self, heard: Sequence[Heard], settles: Sequence[str] = ()) -> list[Admitted]:
        """Decide about alerts in their order, in one transaction that also settles the events *settles* of the inbox.

        An alert of an event that somebody else has settled is left out.
        """
        foreign = await self._foreign.read()
        arrivals = await self._arrivals(heard)
        async with self._room, self._life.db.transaction() as conn:
            mine = await inbox.settle(conn, settles) if settles else set()
            pairs = zip(heard, arrivals, strict=True)
            todo = [arrival for one, arrival in pairs if not one.event_id or one.event_id in mine]
            admitted = await self._decide(conn, todo, foreign)
        for one in admitted:
            self._metrics.decisions.labels(one.reason).inc()
        return admitted

    async def _decide(
        self, conn: Connection, arrivals: Sequence[Arrival], foreign: tuple[tuple[Quiet, ...], str]
    ) -> list[Admitted]:
        names = {name for one in arrivals for name in _names(one)}
        if not names:
            return []
        await admission.lock(conn, names)
        together = Together(self._life)
        outcomes = Outcomes(together, Opening(together, self._policy), self._policy)
        admitted = []
        async with conn.pipeline():  # what is only written is not waited for
            quiet = await quiet_now(conn, self._life.clock(), foreign)
            for one in arrivals:
                told = one.candidate
                keys = [key for key in (told.key, incident_key(one.alert), told.forced) if key]
                facts = await gather(conn, one.alert, keys, one.prints, told.grouping, told.now, quiet)
                arrival = replace(one, candidate=replace(told, facts=facts))
                admitted.append(await outcomes.apply(conn, arrival, decide(arrival.candidate)))
        await together.finish(conn)
        return admitted

    async def _arrivals(self, heard: Sequence[Heard]) -> list[Arrival]:
        """Learn what the monitoring system knows of the alerts, a few at once: each look may take its deadline."""
        room = asyncio.Semaphore(LOOKS_AT_ONCE)

        async def arrival(one: Heard) -> Arrival:
            async with room:
                return await self._arrival(one)

        return await asyncio.gather(*(arrival(one) for one in heard))

    async def _arrival(self, heard: Heard) -> Arrival:
        known = await self._labels.known(heard.alert)
        channel = heard.place.channel or await self._channels.id_of(self._policy.channel_of(known.service))
        now = self._life.clock()
        candidate = Candidate(
            alert=known,
            key=own_key(known),
            at=happened(known, heard.place, now),
            now=now,
            grouping=self._policy.grouping,
            maintenance=self._policy.maintenance,
            asked=bool(heard.place.user) or known.sender == "person",
            exact=is_exact(known, heard.place),
            forced=heard.forced,
        )
        return Arrival(candidate, heard.place, channel, frozenset({heard.alert.fingerprint, known.fingerprint}))

    async def open_group(self, waiting_id: int) -> None:
        """Open the incident of a waiting group once it is due and there is room; else let it wait on."""
        foreign = await self._foreign.read()
        async with self._room, self._life.db.transaction() as conn:
            group, rows = await admission.waiting(conn, waiting_id)
            if group is None:
                return
            await admission.lock(conn, [one for row in rows for one in locks(Alert.model_validate(row["alert"]))])
            group, rows = await admission.waiting(conn, waiting_id)
            if group is None:
                return
            now, together = self._life.clock(), Together(self._life)
            opening = Opening(together, self._policy)
            if group["due_at"] > now:
                await opening.due(conn, waiting_id, group["due_at"])
                return
            waiting = [waited(row, group, now, self._policy) for row in rows]
            first = waiting[0].alert
            quiet = await quiet_now(conn, now, foreign)
            facts = await gather(conn, first, [group["key"]], set(), self._policy.grouping, now, quiet)
            left = [one for one in waiting if not _quiet(opening, one, facts)]
            if not left:
                await admission.drop_group(conn, waiting_id)
            elif group["cap"] and not group["critical"] and await admission.critical_first(conn, waiting_id):
                await opening.hold(conn, waiting_id, group["cap"])
            else:
                held = group["cap"]
                await opening.open(conn, left, group["key"], "opened", waiting_id=waiting_id, facts=facts, held=held)
            await together.finish(conn)

    async def sweep(self) -> None:
        """Look after groups whose job was lost, and forget decisions older than 90 days."""
        now = self._life.clock()
        async with self._life.db.transaction() as conn:
            opening = Opening(Together(self._life), self._policy)
            for waiting_id in await admission.overdue(conn, now - timedelta(seconds=OVERDUE_S)):
                await opening.due(conn, waiting_id, now)
            await decisions.forget(conn, now - KEEP_DECISIONS)


def _names(one: Arrival) -> list[str]:
    """Name what must not be decided about elsewhere meanwhile."""
    return [*locks(one.alert), *(f"print:{name}" for name in one.prints), f"key:{one.candidate.forced}"]


def _quiet(opening: Opening, one: Arrival, facts: Facts) -> bool:
    """Drop a waiting alert that was silenced meanwhile."""
    decision = silenced(replace(one.candidate, facts=facts))
    if decision is None:
        return False
    opening.decided(one, decision.reason, decision.detail, None, first=False)
    return True
