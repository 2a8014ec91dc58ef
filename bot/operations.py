"""What people ask from Slack, done: the implementation of bot/desk.py over the record; put together by bot/compose.py."""

from collections.abc import Mapping, Sequence
from datetime import UTC, timedelta
from typing import Literal

from agents.incident import LessonKept, PostMortemDrafted
from bot import postmortem
from bot.admission.model import Place
from bot.approvals import Approvals
from bot.approvals.pressing import UNFOUND
from bot.intake import Intake, asked
from bot.labels import Labels
from bot.lifecycle import Lifecycle
from bot.previews import Preview
from bot.rights import Presser
from bot.silencing import Silencer
from bot.sources import Unreadable
from tools.errors import Permanent
from tools.records import Case, Lesson, TimelineEntry
from tools.store import decisions, incidents
from tools.store.db import NotFound
from tools.store.knowledge import KnowledgeStore
from tools.store.silences import Silence

MAX_QUESTION = 500  # characters of what a person writes beside the service


class Operations:
    """Implements bot.desk.Desk."""

    def __init__(
        self,
        life: Lifecycle,
        intake: Intake,
        approvals: Approvals,
        labels: Labels,
        knowledge: KnowledgeStore,
        silencer: Silencer,
    ) -> None:
        self._life = life
        self._intake = intake
        self._approvals = approvals
        self._labels = labels
        self._knowledge = knowledge
        self._silencer = silencer

    async def diagnose(self, service: str, channel: str, user: str, request_id: str, text: str = "") -> str:
        """Open an incident for *service*; its thread starts in *channel*."""
        incident = await self._intake.admit(
            asked(service, text[:MAX_QUESTION], user, request_id), Place(channel=channel, user=user)
        )
        number = incident.id if incident else "?"
        return f"Looking at *{service}*. The answer comes in this channel, in the thread of incident {number}."

    async def diagnose_message(self, channel: str, message: Mapping[str, object], user: str, request_id: str) -> str:
        """Read a message as an alert; one that is none is taken as a question about the service it names."""
        place = Place(channel, str(message.get("thread_ts") or message.get("ts") or ""), user)
        try:
            incident = await self._intake.message(message, place)
        except Unreadable as error:
            incident = await self._intake.question(str(message.get("text") or ""), place, request_id)
            if incident is None:
                return f"I could not read that message as an alert, and it names no service I know. {error}"
        return f"Looking. See the thread of that message (incident {incident.id})." if incident else "Nothing is open."

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
        """Record a decision; the sentence says why it did not count."""
        said = await self._approvals.press(decision, proposal_id, Presser(user, team, channel, thread), reason)
        if said in UNFOUND:
            raise Permanent(said)
        return said

    async def break_glass(self, incident_id: int, reason: str, user: str, *, team: str, channel: str) -> str:
        """Approve the change on an incident's table in spite of the rules."""
        case = await self.case(incident_id)
        waiting = [one for one in case.proposals if one.state == "proposed"] if case else []
        if not waiting:
            return f"No change of incident {incident_id} waits for a decision. Nothing was changed."
        presser = Presser(user, team, channel)
        no = await self._approvals.press("break_glass", waiting[-1].id, presser, reason)
        return no or f"The glass is broken for incident {incident_id}: it is posted here and on the record."

    async def postmortem(self, incident_id: int, user: str) -> str:
        """Write the draft on the record; the redraw posts it."""
        case = await self.case(incident_id)
        if case is None:
            return f"There is no incident {incident_id}."
        text = postmortem.markdown(postmortem.draft(case))
        await self._life.record(incident_id, PostMortemDrafted(by=user, text=text), user)
        return ""

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
        """Replace the incident's lesson by what a person wrote."""
        case = await self.case(incident_id)
        if case is None:
            return f"There is no incident {incident_id}."
        alert = case.incident.alert
        fixed = [proposal for proposal in case.proposals if proposal.state == "done"]
        lesson = Lesson(
            id=f"lesson-{incident_id}",
            incident_id=incident_id,
            alert_name=alert.name,
            service=alert.service,
            severity=alert.severity,
            cause=cause,
            title=title,
            symptoms=alert.annotations.get("summary", alert.name),
            solution=solution,
            action=fixed[-1].action if fixed else "",
            effectiveness=min(max(effectiveness, 0.0), 1.0),
            confirmed_by=user,
            at=self._life.clock(),
        )
        try:
            await self._knowledge.keep(lesson)
        except Permanent as error:
            return f"I could not keep that: {error}"
        await self._life.record(incident_id, LessonKept(lesson_id=lesson.id, by=user), user)
        return "Kept. I will recall it when this comes back."

    async def case(self, incident_id: int) -> Case | None:
        """Read everything on record about one incident."""
        async with self._life.db.connection() as conn:
            try:
                return await incidents.case(conn, incident_id)
            except NotFound:
                return None

    async def open_cases(self, limit: int) -> Sequence[Case]:
        """List the incidents that are not over, newest first."""
        async with self._life.db.connection() as conn:
            unsettled = await incidents.unsettled(conn)
            newest = sorted(unsettled, key=lambda incident: -incident.id)[:limit]
            return [await incidents.case(conn, incident.id) for incident in newest]

    async def why(self, incident_id: int) -> list[TimelineEntry]:
        """Read the record of one incident, oldest row first."""
        case = await self.case(incident_id)
        return list(case.timeline) if case else []

    async def decided(self, incident_id: int) -> Mapping[str, int]:
        """Count what was decided about the alerts of one incident."""
        async with self._life.db.connection() as conn:
            return (await decisions.of_incident(conn, incident_id))[0]

    async def decided_about(self, name: str) -> Sequence[decisions.Decided]:
        """Read the newest decisions about alerts of this name."""
        async with self._life.db.connection() as conn:
            return await decisions.of_name(conn, name)

    async def stats(self, days: int) -> Sequence[decisions.Day]:
        """Read the noise figures of the last *days* UTC days."""
        today = self._life.clock().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        async with self._life.db.connection() as conn:
            return await decisions.days(conn, today - timedelta(days=days - 1))

    async def silence(self, matchers: str, duration: str, comment: str, user: str, *, team: str, channel: str) -> str:
        """Silence alerts and tell the channel."""
        return await self._silencer.add(matchers, duration, comment, user, team=team, channel=channel)

    async def silence_preview(self, matchers: str) -> Preview:
        """Say what these matchers would have hidden in the last 24 h."""
        return await self._silencer.preview(matchers)

    async def silences(self) -> Sequence[Silence]:
        """List the silences in force."""
        return await self._silencer.active()

    async def expire_silence(self, silence_id: int, user: str, *, team: str, channel: str) -> str:
        """End a silence now."""
        return await self._silencer.expire(silence_id, user, team=team, channel=channel)

    async def known_services(self) -> Sequence[str]:
        """Name the services of policy and cluster, in alphabetical order."""
        return sorted(await self._labels.services())
