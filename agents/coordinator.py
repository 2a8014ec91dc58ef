"""The decision coordinator: one investigation as a LlamaIndex Workflow, gather -> rank -> recall -> diagnose -> check.

The raw signals of the evidence are ranked in a thread (agents/raw.py): once to choose which neighbours to look at, once for
the suspects that the model or the rules start from, and again after a model looked at more.

Called by the durable investigation job in bot/. Only `workflows` is imported here; the model's library is imported by
agents/model.py when a model is configured (`warm` does it ahead of time, in a thread).
"""

import asyncio
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from workflows import Workflow, step
from workflows.events import Event, StartEvent, StopEvent

from agents import diagnosis, knowledge, monitor, rank
from agents.gather import attempt, gather
from agents.ports import (
    ActionSpec,
    Clock,
    EvidenceTool,
    Investigation,
    Knowledge,
    Limits,
    ModelSettings,
    Progress,
    Service,
)
from agents.standing import Standing
from tools.records import Alert, Evidence, Recalled, Scope, Suspect


@dataclass(frozen=True)
class Job:
    """Everything one investigation works with; *blind* are sources known to be missing, in words for people."""

    alert: Alert
    tools: Sequence[EvidenceTool]
    knowledge: Knowledge | None
    model: ModelSettings | None
    clock: Clock
    progress: Progress
    limits: Limits
    services: Mapping[str, Service]
    actions: Mapping[str, ActionSpec]
    blind: Sequence[str]
    notes: list[str] = field(default_factory=list)

    async def standing(self, evidence: Sequence[Evidence], scope: Scope) -> Standing | None:
        """Rank the raw signals of *evidence*; None, with a note, when that fails or takes too long."""
        if all(item.signals is None for item in evidence):
            return None
        from agents.raw import standing  # numpy

        ranked = await attempt(asyncio.to_thread(standing, evidence, scope, self.services), self.limits.rank_s)
        if isinstance(ranked, str):
            self.notes.append(f"Could not rank the raw signals: {ranked}.")
            return None
        return ranked

    def facts(self, evidence: Sequence[Evidence], scope: Scope, standing: Standing | None) -> rank.Facts:
        """Weigh what was found together with what the raw signals say."""
        return rank.weigh(evidence, scope, self.services, standing)


class Gathered(Event):
    """What the tools saw."""

    scope: Scope
    evidence: tuple[Evidence, ...]


class Ranked(Gathered):
    """The same, weighed, with suspects."""

    facts: rank.Facts
    suspects: tuple[Suspect, ...]


class Remembered(Ranked):
    """The same, with what earlier incidents and runbooks say."""

    recalled: tuple[Recalled, ...]


class Drafted(Gathered):
    """A diagnosis that nobody has checked yet, with what the model looked at besides."""

    facts: rank.Facts
    recalled: tuple[Recalled, ...]
    draft: diagnosis.Draft
    looked: bool


class Investigating(Workflow):
    """Five steps in a row; each bounds its own time, so the whole needs no further deadline."""

    def __init__(self, job: Job) -> None:
        super().__init__(timeout=None)
        self._job = job

    @step
    async def gather(self, _begin: StartEvent) -> Gathered:
        """Look at everything at once."""
        job = self._job
        scope = monitor.scope_for(job.alert, job.clock(), job.services, job.limits)

        async def leads(seen: Sequence[Evidence]) -> Sequence[str]:
            ranked = await job.standing(seen, scope)
            return ranked.leads() if ranked else ()

        evidence = await gather(
            job.tools,
            scope,
            services=job.services,
            clock=job.clock,
            progress=job.progress,
            limits=job.limits,
            leads=leads,
        )
        return Gathered(scope=scope, evidence=evidence)

    @step
    async def rank(self, seen: Gathered) -> Ranked:
        """Order the suspects."""
        standing = await self._job.standing(seen.evidence, seen.scope)
        self._job.notes.extend(standing.cut if standing else ())
        facts = self._job.facts(seen.evidence, seen.scope, standing)
        return Ranked(scope=seen.scope, evidence=seen.evidence, facts=facts, suspects=rank.rank(facts))

    @step
    async def recall(self, ranked: Ranked) -> Remembered:
        """Search runbooks and lessons; a search that fails costs a note, not the diagnosis."""
        job, found = self._job, []
        if job.knowledge is not None:
            text = knowledge.query_text(ranked.scope, ranked.suspects)
            search = job.knowledge.recall(text, ranked.scope.service, job.alert.severity, job.limits.recall)
            answer = await attempt(search, job.limits.recall_s)
            if isinstance(answer, str):
                job.notes.append(f"Could not search runbooks and earlier incidents: {answer}.")
            else:
                found = list(answer)
        return Remembered(
            scope=ranked.scope,
            evidence=ranked.evidence,
            facts=ranked.facts,
            suspects=ranked.suspects,
            recalled=tuple(found),
        )

    @step
    async def diagnose(self, known: Remembered) -> Drafted:
        """Say what is wrong, by model or by rules."""
        job = self._job
        drafted = await diagnosis.draft(
            job.model,
            facts=known.facts,
            evidence=known.evidence,
            suspects=known.suspects,
            recalled=known.recalled,
            tools=job.tools,
            services=job.services,
            actions=job.actions,
            limits=job.limits,
            clock=job.clock,
        )
        return Drafted(
            scope=known.scope,
            evidence=drafted.evidence,
            facts=known.facts,
            recalled=known.recalled,
            draft=drafted,
            looked=len(drafted.evidence) > len(known.evidence),
        )

    @step
    async def check(self, drafted: Drafted) -> StopEvent:
        """Keep what the evidence carries, rank again with what the model looked at, and say what could not be seen."""
        job = self._job
        facts = drafted.facts
        if drafted.looked:
            standing = await job.standing(drafted.evidence, drafted.scope)
            facts = job.facts(drafted.evidence, drafted.scope, standing)
        final = diagnosis.checked(drafted.draft, facts, job.services, job.actions)
        unseen = tuple(dict.fromkeys((*final.blind_spots, *job.blind)))
        changes = {"recalled": drafted.recalled, "blind_spots": unseen, "notes": (*job.notes, *final.notes)}
        done = Investigation(
            evidence=drafted.evidence,
            suspects=rank.rank(facts),
            recalled=drafted.recalled,
            diagnosis=final.model_copy(update=changes),
        )
        return StopEvent(result=done)


def warm() -> None:
    """Import the model's library ahead of the first investigation; for a thread, it takes more than a second."""
    importlib.import_module("agents.model")


async def investigate(
    alert: Alert,
    *,
    tools: Sequence[EvidenceTool],
    knowledge: Knowledge | None,
    model: ModelSettings | None,
    clock: Clock,
    progress: Progress,
    limits: Limits,
    services: Mapping[str, Service],
    actions: Mapping[str, ActionSpec],
    blind: Sequence[str] = (),
) -> Investigation:
    """Investigate *alert* from nothing to a checked diagnosis.

    *progress* is awaited with each piece of evidence as it comes, already under its final id. Sources, knowledge and model
    may each fail: the result says what could not be seen and who diagnosed. *blind* are sources known to be missing.
    """
    job = Job(alert, tools, knowledge, model, clock, progress, limits, services, actions, blind)
    result = await Investigating(job).run()
    if not isinstance(result, Investigation):  # pragma: no cover - the workflow's only StopEvent carries one
        raise TypeError(f"the coordinator returned {type(result).__name__}")
    return result


@dataclass(frozen=True)
class Coordinator:
    """`investigate` with everything but the alert bound."""

    tools: Sequence[EvidenceTool]
    knowledge: Knowledge | None
    model: ModelSettings | None
    clock: Clock
    limits: Limits
    services: Mapping[str, Service]
    actions: Mapping[str, ActionSpec]
    blind: Sequence[str] = ()

    async def investigate(self, alert: Alert, progress: Progress) -> Investigation:
        """Investigate *alert*; see the function of the same name."""
        return await investigate(
            alert,
            tools=self.tools,
            knowledge=self.knowledge,
            model=self.model,
            clock=self.clock,
            progress=progress,
            limits=self.limits,
            services=self.services,
            actions=self.actions,
            blind=self.blind,
        )
