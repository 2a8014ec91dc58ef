"""The durable steps of an incident's life, as jobs: each reads the record, does one thing, and records what came of it.

Registered by bot/compose.py, deferred by bot/lifecycle.py. A job that runs twice finds that its step is done.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from agents.incident import Diagnosed, LessonKept, Observed
from agents.knowledge import lesson_from
from agents.ports import Investigation, Progress
from bot.approvals import Approvals
from bot.inbox import reader
from bot.intake import Intake
from bot.leftovers import noted
from bot.lifecycle import SYSTEM, Lifecycle
from bot.metrics import Metrics
from bot.remediations.origin import by_hand
from bot.thread import Thread
from tools.queue import INVESTIGATE, SLACK, Queue
from tools.records import Alert, Evidence
from tools.store import evidence as evidences
from tools.store import incidents
from tools.store.knowledge import KnowledgeStore

Investigate = Callable[[Alert, Progress], Awaitable[Investigation]]
CarryOut = Callable[[str], Awaitable[None]]
log = structlog.get_logger()
TELLING = 0.5  # a finding at least this strong is worth a first line before the diagnosis is done


def _as_it_is(run: CarryOut) -> CarryOut:
    return run


@dataclass(frozen=True)
class Jobs:
    """The steps, bound to what they need; *room* bounds how many investigations run at once, *checked* looks before a run."""

    life: Lifecycle
    intake: Intake
    approvals: Approvals
    investigator: Investigate
    knowledge: KnowledgeStore
    thread: Thread
    room: asyncio.Semaphore
    metrics: Metrics
    checked: Callable[[CarryOut], CarryOut] = _as_it_is

    def register(self, queue: Queue) -> None:
        """Hand every step to the queue under the name it is deferred by."""
        queue.task("intake", noted(self.life.db, self.intake.process), patient=True)
        queue.task(
            "read_many", reader(self.life.db, queue, self.intake.process, self.intake.process_many), patient=True
        )
        queue.task("investigate", self.investigate, lane=INVESTIGATE)
        queue.task("open_group", self.intake.admission.open_group, patient=True)
        queue.task("say", self.thread.say, patient=True, lane=SLACK)
        queue.task("plan", self.approvals.plan)
        queue.task("run", self.checked(self.approvals.run))
        queue.task("verify", self.approvals.verify)
        queue.task("remember", self.remember)
        queue.task("redraw", self.thread.redraw, patient=True, lane=SLACK)

    async def investigate(self, incident_id: int) -> None:
        """Gather, rank, recall and diagnose; the first telling fact is put on record while the rest goes on."""
        async with self.life.db.connection() as conn:
            incident = await incidents.get(conn, incident_id)
        if incident.state != "open":
            return
        told = False

        async def progress(seen: Evidence) -> None:
            nonlocal told
            best = max(seen.findings, key=lambda found: found.score, default=None)
            if told or best is None or best.score < TELLING:
                return
            told = True
            await self.life.record(incident_id, Observed(line=best.statement, evidence_id=seen.id))
            self.metrics.first_line.observe((self.life.clock() - incident.opened_at).total_seconds())

        async with self.room:
            found = await self.investigator(incident.alert, progress)
        async with self.life.db.transaction() as conn:
            await evidences.save(conn, incident_id, found.evidence)
            await self.life.record_on(conn, incident_id, Diagnosed(diagnosis=found.diagnosis))
        self.metrics.diagnosis.observe((self.life.clock() - incident.opened_at).total_seconds())

    async def remember(self, incident_id: int) -> None:
        """Keep what a finished incident taught, unless a person has already written it better."""
        async with self.life.db.connection() as conn:
            case = await incidents.case(conn, incident_id)
        if by_hand(case):
            return  # nothing was diagnosed
        if any(row.kind == "lesson_kept" and row.actor != SYSTEM for row in case.timeline):
            return
        lesson = lesson_from(case, self.life.clock())
        if lesson is None:
            return
        await self.knowledge.keep(lesson)
        await self.life.record(incident_id, LessonKept(lesson_id=lesson.id, by=SYSTEM))
