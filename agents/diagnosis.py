"""The fault diagnostician: evidence, ranking and recalled knowledge in, a draft out; then the check that makes it final.

Called by agents/coordinator.py. With a model configured the model speaks (agents/model.py); without one, or when it is
down, slow, over budget or talks nonsense, the rules do (agents/rules.py), and the diagnosis says so.
"""

from collections.abc import Mapping, Sequence

from agents import check, rulebook, rules
from agents.ports import ActionSpec, Clock, EvidenceTool, Limits, ModelSettings, Service
from agents.rank import Facts, weigh
from tools.records import Diagnosis, Evidence, Recalled, Record, Suspect, Usage

NO_MODEL = "No model is configured: this is the rule-based diagnosis."


class Draft(Record):
    """A diagnosis nobody has checked yet; *diagnosis* None means the rules must speak, and *notes* why."""

    diagnosis: Diagnosis | None
    evidence: tuple[Evidence, ...]
    notes: tuple[str, ...] = ()
    usage: Usage = Usage()


async def draft(
    model: ModelSettings | None,
    *,
    facts: Facts,
    evidence: tuple[Evidence, ...],
    suspects: Sequence[Suspect],
    recalled: Sequence[Recalled],
    tools: Sequence[EvidenceTool],
    services: Mapping[str, Service],
    actions: Mapping[str, ActionSpec],
    limits: Limits,
    clock: Clock,
) -> Draft:
    """Ask the model if there is one; its looks are added to the evidence."""
    if model is None:
        return Draft(diagnosis=None, evidence=evidence, notes=(NO_MODEL,))
    from agents.model import ask  # LlamaIndex: more than a second of imports, only with a model

    answer = await ask(
        model,
        facts=facts,
        evidence=evidence,
        suspects=suspects,
        recalled=recalled,
        tools=tools,
        services=services,
        actions=actions,
        limits=limits,
        clock=clock,
    )
    if answer.draft is None:
        note = f"The model {model.name} gave no diagnosis: {answer.reason}. This is the rule-based diagnosis."
        return Draft(diagnosis=None, evidence=answer.evidence, notes=(note,), usage=answer.usage)
    return Draft(diagnosis=answer.draft, evidence=answer.evidence, usage=answer.usage)


def checked(
    drafted: Draft, facts: Facts, services: Mapping[str, Service], actions: Mapping[str, ActionSpec]
) -> Diagnosis:
    """Return what of the draft its evidence carries; a model of whose claims none stands is replaced by the rules."""
    known = {*services, facts.scope.service} - {""}
    notes = drafted.notes
    if drafted.diagnosis is not None:
        kept = check.check(drafted.diagnosis, drafted.evidence, known, actions)
        if kept.hypotheses or not drafted.diagnosis.hypotheses:
            unseen = rules.blind_spots(drafted.evidence)
            return kept.model_copy(update={"usage": drafted.usage, "blind_spots": unseen})
        notes = (*kept.notes, "None of the model's claims could be kept. This is the rule-based diagnosis.")
    seen = weigh(drafted.evidence, facts.scope, services, facts.standing)
    ruled = rulebook.diagnose(seen, drafted.evidence, services)
    final = check.check(ruled, drafted.evidence, known, actions)
    return final.model_copy(update={"notes": (*notes, *final.notes), "usage": drafted.usage})
