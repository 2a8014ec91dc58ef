"""The fault diagnostician: evidence, ranking and recalled knowledge in, a checked Diagnosis out.

Called by agents/coordinator.py. With a model configured the model speaks (agents/model.py); without one, or when it is
down, slow, over budget or talks nonsense, the rules do (agents/rules.py), and the diagnosis says so.
"""

from collections.abc import Mapping, Sequence

from agents import check, rules
from agents.ports import ActionSpec, Service
from agents.rank import Facts
from tools.records import Diagnosis, Evidence, Recalled

NO_MODEL = "No model is configured: this is the rule-based diagnosis."


def by_rules(
    facts: Facts,
    evidence: Sequence[Evidence],
    services: Mapping[str, Service],
    actions: Mapping[str, ActionSpec],
    notes: Sequence[str] = (),
) -> Diagnosis:
    """Return the rule-based diagnosis, checked like any other; *notes* say why it is not the model's."""
    draft = rules.diagnose(facts, evidence, services)
    draft = draft.model_copy(update={"notes": (*notes, *draft.notes)})
    return check.check(draft, evidence, known(facts, services), actions)


def known(facts: Facts, services: Mapping[str, Service]) -> set[str]:
    """Name every service that a claim could be about."""
    return {*services, facts.scope.service} - {""}


def complete(draft: Diagnosis, recalled: Sequence[Recalled], blind: Sequence[str]) -> Diagnosis:
    """Attach what was recalled and what could not be seen."""
    unseen = tuple(dict.fromkeys((*draft.blind_spots, *blind)))
    return draft.model_copy(update={"recalled": tuple(recalled), "blind_spots": unseen})
