"""The decision coordinator: one investigation as a LlamaIndex Workflow, gather -> rank -> recall -> diagnose -> check.

Called by the durable investigation job in bot/. Only `workflows` is imported here; the model's library is imported by
agents/model.py when a model is configured (`warm` does it ahead of time, in a thread).
"""

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


class Gathered(Event):
    """What the tools saw."""

    scope: Scope
    evidence: tuple[Evidence, ...]


class Ranked(Gathered):
    """The same, with suspects."""

    suspects: tuple[Suspect, ...]


class Remembered(Ranked):
    """The same, with what earlier incidents and runbooks say."""

    recalled: tuple[Recalled, ...]


class Drafted(Gathered):
    """A diagnosis that nobody has checked yet, with what the model looked at besides."""

    recalled: tuple[Recalled, ...]
    draft: diagnosis.Draft


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
        evidence = await gather(
            job.tools, scope, services=job.services, clock=job.clock, progress=job.progress, limits=job.limits
        )
        return Gathered(scope=scope, evidence=evidence)

    @step
    async def rank(self, seen: Gathered) -> Ranked:
        """Order the suspects."""
        facts = rank.weigh(seen.evidence, seen.scope, self._job.services)
        return Ranked(scope=seen.scope, evidence=seen.evidence, suspects=rank.rank(facts))

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
        return Remembered(scope=ranked.scope, evidence=ranked.evidence, suspects=ranked.suspects, recalled=tuple(found))

    @step
    async def diagnose(self, known: Remembered) -> Drafted:
        """Say what is wrong, by model or by rules."""
        job = self._job
        drafted = await diagnosis.draft(
            job.model,
            facts=rank.weigh(known.evidence, known.scope, job.services),
            evidence=known.evidence,
            suspects=known.suspects,
            recalled=known.recalled,
            tools=job.tools,
            services=job.services,
            actions=job.actions,
            limits=job.limits,
            clock=job.clock,
        )
        return Drafted(scope=known.scope, evidence=drafted.evidence, recalled=known.recalled, draft=drafted)

    @step
    async def check(self, drafted: Drafted) -> StopEvent:
        """Keep what the evidence carries, rank again with what the model looked at, and say what could not be seen."""
        job = self._job
        facts = rank.weigh(drafted.evidence, drafted.scope, job.services)
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
