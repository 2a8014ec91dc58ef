"""What planning, presses and runs work with: the record, the policy, the people it names, and the identity that may write."""

from dataclasses import dataclass
from datetime import datetime

from bot.authority.change import Change, Made, of_proposal
from bot.authority.decide import HOUR, Verdict, decide, decide_broken
from bot.authority.order import version
from bot.authority.people import People
from bot.lifecycle import Lifecycle
from bot.metrics import Metrics
from bot.policy import Policy
from tools.clusters import Actors, Views
from tools.records import Proposal
from tools.store import changes
from tools.store.db import Connection


@dataclass
class Parts:
    """*actors* are the identities that may write, *views* what is read; *team* is the workspace's id.

    *cluster* is what rules call the only cluster where tocsin.yaml names none.
    """

    life: Lifecycle
    policy: Policy
    people: People
    actors: Actors
    views: Views
    team: str
    metrics: Metrics
    cluster: str = ""

    @property
    def version(self) -> str:
        """The version of the policy in force here."""
        return version(self.policy)

    def now(self) -> datetime:
        """Return the time."""
        return self.life.clock()

    async def verdict(self, proposal: Proposal, *, broken: bool = False) -> Verdict:
        """Say what the policy asks of *proposal* at this moment; *broken*: by break-glass."""
        async with self.life.db.connection() as conn:
            return await self.verdict_on(conn, of_proposal(proposal), proposal.id, broken=broken)

    async def verdict_on(self, conn: Connection, change: Change, except_id: str, *, broken: bool = False) -> Verdict:
        """Do what `verdict` does on the caller's connection; the proposal *except_id* does not count under caps."""
        if broken:
            return decide_broken(self.policy, change, self.now())
        now = self.now()
        rows = await changes.made(conn, now - HOUR, except_id)
        return decide(self.policy, change, now, [Made(at, of_proposal(row)) for at, row in rows])
