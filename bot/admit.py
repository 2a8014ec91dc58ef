"""The door between alerts and incidents: gather what is known, let the stages decide, do it and keep the reason, in one transaction.

bot/intake.py calls `admit` for each alert that was read; the job `open_group` opens what had to wait; a tick calls `sweep`.
Alerts of one group are decided one after another, over all replicas (locks of the transaction), so what is decided
depends on what was heard and not on who heard it.
"""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from agents.incident import AlertResolved, Event, Joined
from bot.admission import decide
from bot.admission.model import Candidate, Decision, Facts, Place
from bot.admission.silence import decide as silenced
from bot.channels import Channels
from bot.facts import ForeignSilences, gather
from bot.labels import Labels
from bot.lifecycle import Lifecycle
from bot.lives import happened, is_exact, locks, own_key
from bot.metrics import Metrics
from bot.opening import Admitted, Arrival, Opening
from bot.parsing import incident_key
from bot.policy import Policy
from tools.records import Alert
from tools.store import admission, aliases, decisions, incidents
from tools.store.db import Connection

log = structlog.get_logger()
AT_A_TIME = 4  # transactions that may wait for each other's locks; the other connections serve the inbox
OVERDUE_S = 30.0
KEEP_DECISIONS = timedelta(days=90)


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
        self._opening = Opening(life, policy)
        self._room = asyncio.Semaphore(AT_A_TIME)

    async def admit(self, alert: Alert, place: Place, forced: str = "") -> Admitted:
        """Decide about one alert; *forced* is the group that the rest of its message is in, "" when it is free to choose."""
        known = await self._labels.known(alert)
        channel = place.channel or await self._channels.id_of(self._policy.channel_of(known.service))
        foreign = await self._foreign.read()
        now = self._life.clock()
        prints = frozenset({alert.fingerprint, known.fingerprint})
        candidate = Candidate(
            alert=known,
            key=own_key(known),
            at=happened(known, place, now),
            now=now,
            grouping=self._policy.grouping,
            maintenance=self._policy.maintenance,
            asked=bool(place.user) or known.sender == "person",
            exact=is_exact(known, place),
            forced=forced,
        )
        keys = [one for one in (candidate.key, incident_key(known), forced) if one]
        async with self._room, self._life.db.transaction() as conn:
            await admission.lock(conn, [*locks(known), *(f"print:{one}" for one in prints), f"key:{forced}"])
            facts = await gather(conn, known, keys, prints, self._policy.grouping, now, foreign)
            arrival = Arrival(replace(candidate, facts=facts), place, channel, prints)
            decision = decide(arrival.candidate)
            admitted = await self._apply(conn, arrival, decision)
        self._metrics.decisions.labels(admitted.reason).inc()
        return admitted

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
            now = self._life.clock()
            if group["due_at"] > now:
                await self._opening.due(conn, waiting_id, group["due_at"])
                return
            waiting = [self._arrival(row, group, now) for row in rows]
            first = waiting[0].alert
            facts = await gather(conn, first, [group["key"]], set(), self._policy.grouping, now, foreign)
            left = [one for one in waiting if not await self._quiet_now(conn, one, facts)]
            if not left:
                await admission.drop_group(conn, waiting_id)
                return
            if group["cap"] and not group["critical"] and await admission.critical_first(conn, waiting_id):
                await self._opening.hold(conn, waiting_id, group["cap"])
                return
            await self._opening.open(
                conn, left, group["key"], "opened", waiting_id=waiting_id, facts=facts, held=group["cap"]
            )

    async def sweep(self) -> None:
        """Look after groups whose job was lost, and forget decisions older than 90 days."""
        now = self._life.clock()
        async with self._life.db.transaction() as conn:
            for waiting_id in await admission.overdue(conn, now - timedelta(seconds=OVERDUE_S)):
                await self._opening.due(conn, waiting_id, now)
            await decisions.forget(conn, now - KEEP_DECISIONS)

    async def _apply(self, conn: Connection, arrival: Arrival, decision: Decision) -> Admitted:
        match decision.action:
            case "join" | "reopen":
                admitted = await self._opening.join(conn, arrival, decision)
            case "resolve":
                admitted = await self._resolve(conn, arrival, decision)
            case "wait":
                admitted = await self._wait(conn, arrival, decision)
            case "open" | "open_over":
                return await self._begin(conn, arrival, decision)
            case _:
                await self._opening.learn(conn, arrival, decision)
                incident = await incidents.get(conn, decision.incident_id) if decision.incident_id else None
                key = (incident.group_key if incident else "") or (decision.group.key if decision.group else "")
                admitted = Admitted(incident, key, decision.reason)
        await self._opening.keep(conn, arrival, decision, admitted)
        return admitted

    async def _resolve(self, conn: Connection, arrival: Arrival, decision: Decision) -> Admitted:
        group = decision.group
        if group is None or group.incident_id is None:
            if group and group.waiting_id is not None:
                await admission.drop_waiting(conn, group.waiting_id, arrival.prints)
            return Admitted(None, "", decision.reason)
        await incidents.lock(conn, group.incident_id)
        firing = await aliases.resolve(conn, group.incident_id, arrival.prints)
        # A message without labels resolves what we know by labels: the one alert of that name that fires here.
        alone = firing == 1 and not arrival.candidate.facts.known
        reason = "resolved" if alone or not firing else "resolved_one_of_several"
        event: Event = AlertResolved(alert=arrival.alert)
        if reason != "resolved":
            event = Joined(alert=arrival.alert, reason="another alert still fires")
        await self._life.record_on(conn, group.incident_id, event)
        return Admitted(await incidents.get(conn, group.incident_id), group.key, reason)

    async def _wait(self, conn: Connection, arrival: Arrival, decision: Decision) -> Admitted:
        key = decision.group.key if decision.group else arrival.candidate.key
        await self._opening.line_up(conn, [arrival], key, "")
        return Admitted(None, key, decision.reason)

    async def _begin(self, conn: Connection, arrival: Arrival, decision: Decision) -> Admitted:
        """Open an incident now, together with those that wait for it; over a cap it lines up."""
        group, arrivals, waiting_id = decision.group, [arrival], None
        key = group.key if group else (arrival.candidate.forced or arrival.candidate.key)
        if group and group.waiting_id is not None:
            waiting_id = group.waiting_id
            row, rows = await admission.waiting(conn, waiting_id)
            arrivals += [self._arrival(one, row, self._life.clock()) for one in rows] if row else []
        opened = await self._opening.open(conn, arrivals, key, decision.reason, waiting_id=waiting_id)
        if decision.action == "open_over" and opened.incident:
            await aliases.resolve(conn, opened.incident.id, arrival.prints)
            over = arrival.alert.model_copy(update={"status": "resolved"})
            await self._life.record_on(conn, opened.incident.id, AlertResolved(alert=over))
        return opened

    async def _quiet_now(self, conn: Connection, one: Arrival, facts: Facts) -> bool:
        """Drop a waiting alert that was silenced meanwhile."""
        decision = silenced(replace(one.candidate, facts=facts))
        if decision is None:
            return False
        await self._opening.decided(conn, one, decision.reason, decision.detail, None, first=False)
        return True

    def _arrival(self, row: Any, group: Any, now: datetime) -> Arrival:
        """Return a waiting alert as it was when it came."""
        alert, place = Alert.model_validate(row["alert"]), Place(**row["place"])
        candidate = Candidate(
            alert=alert,
            key=group["key"],
            at=happened(alert, place, now),
            now=now,
            grouping=self._policy.grouping,
            maintenance=self._policy.maintenance,
            waited=True,
        )
        return Arrival(candidate, place, place.channel or group["channel"], frozenset(row["fingerprints"]))
