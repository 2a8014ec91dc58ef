"""Turns an on-call list of the policy into Slack entries: by rotation, from a file, from PagerDuty or Opsgenie.

The latter two answer with e-mail addresses; `people` of the list says whose they are. Slack is not asked by address: whoever
can change an address in a profile could become an approver that way. Remembered for KEEP_S seconds. bot/assembly.py wires it.
"""

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Protocol

from bot.policy_changes import APPROVER, OnCall
from tools.errors import Permanent

KEEP_S = 5.0


class Schedules(Protocol):
    """The part of tools.oncall's clients that is needed here."""

    async def on_call(self, schedule: str) -> frozenset[str]:
        """Return the e-mail addresses of those on call now."""
        ...


class OnCalls:
    """Reads on-call lists; *pagerduty* and *opsgenie* are None when not configured."""

    def __init__(
        self,
        clock: Callable[[], datetime],
        pagerduty: Schedules | None = None,
        opsgenie: Schedules | None = None,
    ) -> None:
        self._clock = clock
        self._pagerduty = pagerduty
        self._opsgenie = opsgenie
        self._known: dict[str, tuple[float, frozenset[str]]] = {}

    async def of(self, source: OnCall) -> frozenset[str]:
        """Return the Slack ids (U..., or S... of a rotation among groups) of those on call now.

        Raises Temporary when the source does not answer, Permanent when it cannot be read or is not configured.
        """
        if source.rotation is not None:
            return frozenset({source.rotation.on_call(self._clock())} - {""})
        if source.file:
            return _from_file(Path(source.file))
        key = source.model_dump_json()
        at, known = self._known.get(key, (float("-inf"), frozenset[str]()))
        if time.monotonic() - at < KEEP_S:
            return known
        found = await self._ask(source)
        self._known[key] = (time.monotonic(), found)
        return found

    async def _ask(self, source: OnCall) -> frozenset[str]:
        client, schedule, variable = (
            (self._pagerduty, source.pagerduty, "PAGERDUTY_TOKEN")
            if source.pagerduty
            else (self._opsgenie, source.opsgenie, "OPSGENIE_API_KEY")
        )
        if client is None:
            raise Permanent(f"who is on call for {schedule} cannot be asked: {variable} is not set")
        mine = {address.lower(): entry for address, entry in source.people.items()}
        return frozenset(mine[address] for address in await client.on_call(schedule) if address in mine)


def _from_file(path: Path) -> frozenset[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Permanent(f"the on-call file {path} cannot be read: {error}") from error
    entries = [line.partition("#")[0].strip() for line in text.splitlines()]
    wrong = [entry for entry in entries if entry and not APPROVER.fullmatch(entry)]
    if wrong:
        raise Permanent(f'the on-call file {path} holds "{wrong[0]}"; write one Slack id (U... or S...) a line')
    return frozenset(entry for entry in entries if entry)
