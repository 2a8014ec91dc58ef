"""Whether a person is among those a rule names: Slack ids, user groups, and who is on call now; for bot/approvals.

Nobody is let in because somebody did not answer: an entry that cannot be looked up raises Temporary, unless another entry
has let the person in already.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from bot.policy_changes import ONCALL, OnCall

Members = Callable[[str], Awaitable[frozenset[str]]]
"""A user group's id to the ids of its members; Temporary when Slack does not say."""
Watch = Callable[[OnCall], Awaitable[frozenset[str]]]
"""An on-call list to the Slack entries of those who are on call now; Temporary or Permanent when it cannot be read."""


async def nobody(source: OnCall) -> frozenset[str]:  # noqa: ARG001  # the shape of a Watch
    """Say that nobody is on call, where no source of on-call people is wired."""
    return frozenset()


@dataclass(frozen=True)
class People:
    """Looks entries of the policy up; *oncall* are the lists that it declares."""

    members: Members
    oncall: dict[str, OnCall]
    watch: Watch = nobody

    async def may(self, user: str, entries: Iterable[str]) -> bool:
        """Whether *user* is named, in a named group or on a named on-call list; the cheap answers are tried first."""
        named = tuple(entries)
        if not user or user in named:
            return bool(user)
        for entry in sorted(named, key=lambda one: one.startswith(ONCALL)):
            if user in await self._of(entry):
                return True
        return False

    async def _of(self, entry: str) -> frozenset[str]:
        if entry.startswith("S"):
            return await self.members(entry)
        source = self.oncall.get(entry.removeprefix(ONCALL)) if entry.startswith(ONCALL) else None
        if source is None:
            return frozenset()
        people: set[str] = set()
        for found in await self.watch(source):
            people |= await self.members(found) if found.startswith("S") else {found}
        return frozenset(people)
