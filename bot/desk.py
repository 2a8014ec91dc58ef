"""What a person may ask of Tocsin from Slack; bot/listeners/* call it, the composition root implements it.

Every method that decides something returns only after the decision is durable, so a listener may acknowledge Slack as
soon as the call is back. A returned sentence is shown to the person who asked, and to nobody else; "" means that the
thread already says everything. Ids come from buttons and forms, so an implementation must check them like any input.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from bot.previews import Preview
from tools.records import Case, TimelineEntry
from tools.store.decisions import Day, Decided
from tools.store.silences import Silence


class Desk(Protocol):
    """The requests of people, in the order in which an incident meets them."""

    async def diagnose(self, service: str, channel: str, user: str, request_id: str, text: str = "") -> str:
        """Open (or join) an incident for *service* as `/diagnose` asks; *request_id* makes a retry harmless.

        *text* is what the person wrote beside it ("slow since 10:00"): evidence's readers and the model see it.
        *service* is one of `known_services`, or a name the person insisted on.
        """
        ...

    async def diagnose_message(self, channel: str, message: Mapping[str, object], user: str, request_id: str) -> str:
        """Read *message* (a Slack message as the shortcut delivers it) as an alert, and investigate in its thread."""
        ...

    async def press(
        self,
        decision: Literal["approve", "reject"],
        proposal_id: str,
        user: str,
        *,
        team: str,
        channel: str,
        thread: str = "",
        reason: str = "",
    ) -> str:
        """Record *user*'s decision about the proposal as it is on record now.

        The sentence says why a press did not count (not allowed, too late, already decided, changed since shown) and
        who may decide; "" when it counted.
        """
        ...

    async def break_glass(self, incident_id: int, reason: str, user: str, *, team: str, channel: str) -> str:
        """Approve the change on an incident's table in spite of the rules, as the policy's break_glass lets *user*.

        The sentence says why it did not count, or that it did; *reason* is posted in the channel and kept.
        """
        ...

    async def postmortem(self, incident_id: int, user: str) -> str:
        """Draft the post-mortem of an incident into its thread."""
        ...

    async def keep_lesson(
        self,
        incident_id: int,
        user: str,
        *,
        title: str,
        cause: str,
        solution: str,
        effectiveness: float,
    ) -> str:
        """Keep (or correct) what the incident taught, as *user* edited it; *effectiveness* is 0..1."""
        ...

    async def case(self, incident_id: int) -> Case | None:
        """Read everything on record about one incident; None when there is no such incident."""
        ...

    async def open_cases(self, limit: int) -> Sequence[Case]:
        """List the incidents that are not over, newest first."""
        ...

    async def why(self, incident_id: int) -> list[TimelineEntry]:
        """Read the record of one incident, oldest row first; empty when there is no such incident."""
        ...

    async def decided(self, incident_id: int) -> Mapping[str, int]:
        """Count, by named reason, what was decided about the alerts of one incident."""
        ...

    async def decided_about(self, name: str) -> Sequence[Decided]:
        """Read the newest decisions about alerts of this name, newest first."""
        ...

    async def stats(self, days: int) -> Sequence[Day]:
        """Read the noise figures of the last *days* UTC days that have any, newest first."""
        ...

    async def silence(self, matchers: str, duration: str, comment: str, user: str, *, team: str, channel: str) -> str:
        """Silence alerts, as *user* wrote it; the sentence says what is silenced until when.

        Raises bot.silencing.BadField when a field cannot be used, or the person may not.
        """
        ...

    async def silence_preview(self, matchers: str) -> Preview:
        """Say what these matchers would have hidden in the last 24 h; raises bot.silencing.BadField."""
        ...

    async def silences(self) -> Sequence[Silence]:
        """List the silences in force."""
        ...

    async def expire_silence(self, silence_id: int, user: str, *, team: str, channel: str) -> str:
        """End a silence now; the sentence says so, or why not."""
        ...

    async def known_services(self) -> Sequence[str]:
        """Name the services that policy or past alerts name, in alphabetical order."""
        ...
