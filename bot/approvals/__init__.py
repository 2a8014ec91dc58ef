"""From a suggestion to a change somebody approved: plan, press, run, verify, expire. The only importer of tools.run.

Jobs (bot/jobs.py) call plan, run and verify; a button press arrives through bot/operations.py; the scheduler calls
expire. Each decision and the row it rests on change in one transaction under the incident's lock.

- planning.py: a suggestion becomes a proposal, with its risk and what the policy asks for
- pressing.py: somebody decides
- running.py: what was approved is checked against the policy once more, carried out, and verified
"""

from bot.approvals.parts import Parts
from bot.approvals.planning import Planner
from bot.approvals.pressing import Presses
from bot.approvals.running import Runner
from bot.authority.decide import Verdict
from bot.rights import Decision, Presser
from tools.records import Proposal


class Approvals:
    """Everything that happens to proposals, in the order in which it happens; *parts* is what all of it works with."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._planner = Planner(parts)
        self._presses = Presses(parts)
        self._runner = Runner(parts, self._planner)

    async def plan(self, incident_id: int) -> None:
        """Show the first suggestion that the API server accepts in a dry-run; Temporary errors reach the job's retry."""
        await self._planner.plan(incident_id)

    async def press(self, decision: Decision, proposal_id: str, who: Presser, reason: str = "") -> str:
        """Record a decision; the sentence says why it did not count, "" when it did."""
        return await self._presses.press(decision, proposal_id, who, reason)

    async def run(self, proposal_id: str) -> None:
        """Carry out an approved proposal, once; a second call finds nothing to claim."""
        await self._runner.run(proposal_id)

    async def verify(self, proposal_id: str) -> None:
        """Look once whether the change worked; until its deadline an open question is asked again later."""
        await self._runner.verify(proposal_id)

    async def expire(self) -> None:
        """Take proposals that nobody decided in time off the table."""
        await self._runner.expire()

    async def standing(self, proposal: Proposal) -> Verdict:
        """Say what the policy asks of a proposal now: who, how many, and what stands against it; for its card."""
        return await self.parts.verdict(proposal)


__all__ = ["Approvals", "Parts"]
