"""What one transaction of admission does to incidents and to the record, written in few statements at its end.

bot/admit.py makes one for each transaction and calls `finish` last; bot/opening.py and bot/outcomes.py write through it.
The end of the record's chain is locked only in `finish`, after every incident: two transactions cannot wait for each
other's incident and chain in turn. States are saved at once, since the next alert of the transaction is decided by them.
"""

from agents.incident import Command, Event, State
from bot.lifecycle import SYSTEM, Lifecycle
from tools.records import Incident, Severity
from tools.store import admission, decisions, events, incidents
from tools.store.db import Connection


class Together:
    """The incidents one transaction has locked, and its events, jobs and decisions that are still to be written."""

    def __init__(self, life: Lifecycle) -> None:
        self.life = life
        self._locked: dict[int, tuple[Incident, State]] = {}
        self._events: list[events.New] = []
        self._commands: dict[tuple[int, str], tuple[int, Command]] = {}
        self._decisions: list[decisions.New] = []

    async def locked(self, conn: Connection, incident_id: int) -> Incident:
        """Lock an incident until the transaction ends; return it as it is now."""
        if incident_id not in self._locked:
            incident, stored = await incidents.lock(conn, incident_id)
            self._locked[incident_id] = incident, State.model_validate(stored)
        return self._locked[incident_id][0]

    async def record_on(self, conn: Connection, incident_id: int, event: Event, actor: str = SYSTEM) -> Incident:
        """Do what bot.lifecycle.Lifecycle.record_on does, the record and the jobs later; return the incident after it."""
        incident = await self.locked(conn, incident_id)
        before = self._locked[incident_id][1]
        after, commands = await self.life.step(conn, incident_id, before, event)
        if after != before:
            over = self.life.clock() if after.state == "resolved" else None
            incident = incident.model_copy(update={"state": after.state, "resolved_at": over})
        self._locked[incident_id] = incident, after
        self._events.append(self.life.entry(incident_id, event, actor))
        for command in commands:  # the same step of the same incident twice is one job
            self._commands[incident_id, repr(command)] = incident_id, command
        return incident

    async def raise_severity(self, conn: Connection, incident_id: int, severity: Severity) -> None:
        """Show the incident with a graver severity."""
        incident = await self.locked(conn, incident_id)
        await admission.raise_severity(conn, incident_id, severity)
        alert = incident.alert.model_copy(update={"severity": severity})
        self._locked[incident_id] = incident.model_copy(update={"alert": alert}), self._locked[incident_id][1]

    def decided(self, decision: decisions.New) -> None:
        """Keep a decision."""
        self._decisions.append(decision)

    async def finish(self, conn: Connection) -> None:
        """Write what is left; nothing may be added afterwards."""
        await decisions.add(conn, self._decisions)
        await events.append_many(conn, self._events)
        for incident_id, command in self._commands.values():
            await self.life.defer(conn, incident_id, command)
