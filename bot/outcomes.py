"""What a decision of admission leads to: joined, resolved, made to wait, opened; bot/admit.py calls `apply` for each alert."""

from datetime import datetime
from typing import Any

from agents.incident import AlertResolved, Event, Joined
from bot.admission.model import Candidate, Decision, Place
from bot.lives import happened
from bot.opening import Admitted, Arrival, Opening
from bot.policy import Policy
from bot.together import Together
from tools.records import Alert
from tools.store import admission, aliases, incidents
from tools.store.db import Connection


class Outcomes:
    """Carries decisions out inside one transaction, which holds the locks of every group that is decided about."""

    def __init__(self, together: Together, opening: Opening, policy: Policy) -> None:
        self._together = together
        self._opening = opening
        self._policy = policy

    async def apply(self, conn: Connection, arrival: Arrival, decision: Decision) -> Admitted:
        """Carry *decision* out and keep it; return what became of the alert."""
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
        await self._together.locked(conn, group.incident_id)
        firing = await aliases.resolve(conn, group.incident_id, arrival.prints)
        # A message without labels resolves what we know by labels: the one alert of that name that fires here.
        alone = firing == 1 and not arrival.candidate.facts.known
        reason = "resolved" if alone or not firing else "resolved_one_of_several"
        event: Event = AlertResolved(alert=arrival.alert)
        if reason != "resolved":
            event = Joined(alert=arrival.alert, reason="another alert still fires")
        return Admitted(await self._together.record_on(conn, group.incident_id, event), group.key, reason)

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
            arrivals += [waited(one, row, self._together.life.clock(), self._policy) for one in rows] if row else []
        opened = await self._opening.open(conn, arrivals, key, decision.reason, waiting_id=waiting_id)
        if decision.action == "open_over" and opened.incident:
            await aliases.resolve(conn, opened.incident.id, arrival.prints)
            over = arrival.alert.model_copy(update={"status": "resolved"})
            await self._together.record_on(conn, opened.incident.id, AlertResolved(alert=over))
        return opened


def waited(row: Any, group: Any, now: datetime, policy: Policy) -> Arrival:
    """Return a waiting alert as it was when it came."""
    alert, place = Alert.model_validate(row["alert"]), Place(**row["place"])
    candidate = Candidate(
        alert=alert,
        key=group["key"],
        at=happened(alert, place, now),
        now=now,
        grouping=policy.grouping,
        maintenance=policy.maintenance,
        waited=True,
    )
    return Arrival(candidate, place, place.channel or group["channel"], frozenset(row["fingerprints"]))
