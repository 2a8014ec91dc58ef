"""The one door through which an incident changes: reduce, append, save and defer in a single transaction.

Called by intake, approvals, the investigation job and the scheduler. What `advance` commands is deferred on the same
connection, so a crash leaves either the event with its jobs or neither.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from agents.incident import (
    AlertResolved,
    Command,
    Event,
    Investigate,
    Plan,
    Proposed,
    Redraw,
    Remember,
    Run,
    State,
    Verify,
    advance,
)
from tools.store import events, incidents, proposals
from tools.store.db import Connection, Database

if TYPE_CHECKING:
    from tools.queue import Queue

SYSTEM = "tocsin"


@dataclass(frozen=True)
class Lifecycle:
    """Records events and defers what follows from them; *verify_delay_s* is how long a change gets before it is judged."""

    db: Database
    queue: "Queue"
    clock: Callable[[], datetime]
    verify_delay_s: float

    async def record(self, incident_id: int, event: Event, actor: str = SYSTEM) -> State:
        """Append *event* to the incident's record in a transaction of its own; return the state after it."""
        async with self.db.transaction() as conn:
            return await self.record_on(conn, incident_id, event, actor)

    async def record_on(self, conn: Connection, incident_id: int, event: Event, actor: str = SYSTEM) -> State:
        """Do what `record` does inside the caller's transaction, which holds the incident's row until it commits."""
        _, stored = await incidents.lock(conn, incident_id)
        after, commands = await self.step(conn, incident_id, State.model_validate(stored), event)
        await events.append(conn, *self.entry(incident_id, event, actor))
        for command in commands:
            await self.defer(conn, incident_id, command)
        return after

    def entry(self, incident_id: int, event: Event, actor: str) -> events.New:
        """Return what the record says of *event*, as of now."""
        body = event.model_dump(mode="json", exclude={"kind"})
        return events.New(incident_id, event.kind, actor, body, self.clock())

    async def step(
        self, conn: Connection, incident_id: int, before: State, event: Event
    ) -> tuple[State, Sequence[Command]]:
        """Move a locked incident on, without the record: save its state, return it and what is to be deferred."""
        after, commands = advance(before, event)
        if after != before:
            closed = self.clock() if after.state == "resolved" else None
            await incidents.save_state(conn, incident_id, after.model_dump(mode="json"), closed)
        if isinstance(event, Proposed) and after.proposal_id == event.proposal_id:
            await proposals.supersede(conn, incident_id, except_id=event.proposal_id)
        if isinstance(event, AlertResolved) and before.proposal_id and not after.proposal_id:
            await proposals.supersede(conn, incident_id, except_id="")
        return after, commands

    async def defer(self, conn: Connection, incident_id: int, command: Command) -> None:
        """Turn one command into one durable job."""
        match command:
            case Investigate() | Plan() | Remember():
                name = type(command).__name__.lower()
                await self.queue.defer(conn, name, lock=f"incident:{incident_id}", incident_id=incident_id)
            case Redraw():
                thread = f"thread:{incident_id}"  # one that waits to start will show this too
                await self.queue.defer(conn, "redraw", lock=thread, queueing_lock=thread, incident_id=incident_id)
            case Run(proposal_id=proposal_id):
                await self.queue.defer(conn, "run", lock=f"run:{proposal_id}", proposal_id=proposal_id)
            case Verify(proposal_id=proposal_id):
                at = self.clock() + timedelta(seconds=self.verify_delay_s)
                await self.queue.defer(conn, "verify", lock=f"verify:{proposal_id}", at=at, proposal_id=proposal_id)
