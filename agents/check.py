"""Citation checking: what a diagnosis may claim, decided by code from the evidence alone.

Called by agents/diagnosis.py for every diagnosis, a model's or the rules'. It drops, and lowers confidence; it never adds
or raises. Each correction is one plain note. The check is lexical, so that it can be explained: a claim must cite existing
evidence, and every service and every number it names must stand in the evidence it cites.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from agents.ports import ActionSpec
from tools.records import Diagnosis, Evidence, Hypothesis, Scalar, Suggestion

# The parameters that name what a change would touch; each must stand in the evidence.
TARGETS = ("deployment", "node", "pod", "job", "cronjob", "autoscaler", "claim", "configmap")
MODEL_CAP = 0.95
BLIND = 0.95  # each source that could not be seen could have held another cause
CONCLUSIVE = 0.5
HEADLINE = 300
TOLERANCE = 0.02  # "about 1200" for 1217; else a number may differ by half of its last digit
# Readers convert: fractions to percent and seconds to ms (numbers with a point), bytes to KiB, MiB, GiB or MB (large ones).
FRACTION_SCALES = (100.0, 1000.0)
BYTE_SCALES = (1e-3, 1e-6, 1e-9, 2.0**-10, 2.0**-20, 2.0**-30)
NUMBER = re.compile(r"(?<![\w.:/#-])(\d+(?:[.,]\d+)*)(?![\w]*[:/-]\w)")
# Ages and clock times are arithmetic on timestamps, not facts to look up; a latency in seconds is one.
SPAN = re.compile(
    r"\b\d+(?:\.\d+)?\s*(?:min|minutes?|h|hours?|d|days?)\b"
    r"|\b\d+(?:\.\d+)?\s*(?:s|sec|seconds?)(?=\s+(?:before|after|ago|later|earlier|into))"
    r"|\b\d{1,2}:\d{2}(?::\d{2})?\b"
)
IDS = re.compile(r"\bE\d+\b")
ANY_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Library:
    """The evidence of one investigation, readable by id: all its words, and all its numbers."""

    words: Mapping[str, str]
    numbers: Mapping[str, frozenset[str]]
    names: frozenset[str]

    @classmethod
    def of(cls, evidence: Sequence[Evidence], services: Collection[str]) -> "Library":
        """Read *evidence*; names of services come from *services* and from the findings."""
        words = {item.id: _text(item) for item in evidence}
        numbers = {id_: frozenset(ANY_NUMBER.findall(text)) for id_, text in words.items()}
        found = {each.service for item in evidence for each in item.findings}
        peers = {str(each.data.get("peer") or "").split(":")[0] for item in evidence for each in item.findings}
        return cls(words, numbers, frozenset(name.lower() for name in {*services, *found, *peers} if name))

    def text(self, ids: Iterable[str]) -> str:
        """Return everything the evidence of *ids* says."""
        return "\n".join(self.words[id_] for id_ in ids)

    def holds(self, number: str, ids: Iterable[str]) -> bool:
        """Tell whether *number*, or what it was rounded or converted from, stands in the evidence of *ids*."""
        return any(_same(number, seen) for id_ in ids for seen in self.numbers[id_])


def _text(item: Evidence) -> str:
    parts = [item.title, item.query, item.summary, item.body, item.error]
    for found in item.findings:
        parts += [found.service, found.kind.replace("_", " "), found.kind, found.statement]
        parts += [str(value) for value in found.data.values()]
        parts += _ratio(found.data)
    return "\n".join(parts).lower()


def _ratio(data: Mapping[str, Scalar]) -> list[str]:
    before, after = data.get("before"), data.get("after")
    if isinstance(before, int | float) and isinstance(after, int | float) and before and after:
        return [f"{after / before:.4f}", f"{before / after:.4f}", f"{abs(after - before):.4f}"]
    return []


def _same(said: str, seen: str) -> bool:
    """Tell whether *said* is *seen*, rounded or in another unit."""
    value, known = float(said), float(seen)
    units = [1.0]
    if "." in seen:
        units += FRACTION_SCALES
    elif known >= 1000:
        units += BYTE_SCALES
    slack = 0.5 * 10.0 ** -len(said.partition(".")[2])
    return any(abs(value - known * unit) <= max(slack, TOLERANCE * known * unit) for unit in units)


def _mentions(text: str, name: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(name)}(?![\w]|-[a-z])", text) is not None


def _unsupported(statement: str, service: str, ids: Sequence[str], library: Library) -> str:
    """Name the first thing in *statement* that the evidence of *ids* does not say; "" if it says everything."""
    said, seen = statement.lower(), library.text(ids)
    named = [name for name in sorted(library.names) if _mentions(said, name)]
    for name in [service.lower(), *named] if service else named:
        if name not in seen:
            return f'"{name}"'
    for number in NUMBER.findall(SPAN.sub(" ", IDS.sub(" ", statement))):
        if _counts(number) and not library.holds(number.replace(",", ""), ids):
            return f'"{number}"'
    return ""


def _counts(number: str) -> bool:
    """Tell whether *number* is one to look up: counts below ten are read off lists, and 1.2.3 is a version."""
    plain = number.replace(",", "")
    return (plain.count(".") == 0 and float(plain) >= 10) or plain.count(".") == 1


def _hypotheses(diagnosis: Diagnosis, library: Library, notes: list[str]) -> list[Hypothesis]:
    kept = []
    for claim in diagnosis.hypotheses:
        ids = tuple(dict.fromkeys(id_ for id_ in claim.evidence if id_ in library.words))
        unknown = [id_ for id_ in claim.evidence if id_ not in library.words]
        short = claim.statement if len(claim.statement) <= 80 else claim.statement[:79] + "…"
        if not ids:
            reason = f"cites {', '.join(unknown)}, which does not exist" if unknown else "cites no evidence"
            notes.append(f'Dropped a claim that {reason}: "{short}"')
            continue
        missing = _unsupported(claim.statement, claim.service, ids, library)
        if missing:
            notes.append(f'Dropped a claim: {missing} is nowhere in {", ".join(ids)}: "{short}"')
            continue
        if unknown:
            notes.append(f"Ignored unknown evidence {', '.join(unknown)}.")
        kept.append(claim.model_copy(update={"evidence": ids}))
    return sorted(kept, key=lambda claim: -claim.confidence)


def _suggestions(
    diagnosis: Diagnosis, library: Library, actions: Mapping[str, ActionSpec], notes: list[str]
) -> list[Suggestion]:
    kept = []
    everything = library.text(library.words)
    for wanted in diagnosis.suggestions:
        spec = actions.get(wanted.action)
        ids = tuple(dict.fromkeys(id_ for id_ in wanted.evidence if id_ in library.words))
        try:
            params = dict(spec.validate(wanted.params)) if spec else {}
        except ValueError as error:
            notes.append(f"Dropped a suggested {wanted.action}: {_first_line(error)}")
            continue
        named = [str(params[key]) for key in TARGETS if params.get(key)]
        target = next((name for name in named if not _mentions(everything, name.lower())), "")
        if spec is None:
            notes.append(f'Dropped a suggested change: there is no action "{wanted.action[:40]}".')
        elif not ids:
            notes.append(f"Dropped a suggested {wanted.action}: it cites no evidence.")
        elif target:
            notes.append(f'Dropped a suggested {wanted.action}: "{target}" is nowhere in the evidence.')
        else:
            kept.append(wanted.model_copy(update={"params": params, "evidence": ids}))
    return kept


def _first_line(error: ValueError) -> str:
    return " ".join(str(error).split())[:200]


def check(
    diagnosis: Diagnosis,
    evidence: Sequence[Evidence],
    services: Collection[str],
    actions: Mapping[str, ActionSpec],
) -> Diagnosis:
    """Return *diagnosis* with everything removed that *evidence* does not carry, and notes that say what was removed."""
    library = Library.of(evidence, services)
    notes = list(diagnosis.notes)
    claims = _hypotheses(diagnosis, library, notes)
    unseen = sum(bool(item.error) for item in evidence)
    ceiling = min(diagnosis.confidence, max((claim.confidence for claim in claims), default=0.0))
    if diagnosis.by == "model":
        ceiling = min(ceiling, MODEL_CAP * BLIND**unseen)
    claims = [claim.model_copy(update={"confidence": min(claim.confidence, MODEL_CAP)}) for claim in claims]
    return diagnosis.model_copy(
        update={
            "headline": _headline(diagnosis.headline, claims, library, notes),
            "confidence": round(ceiling, 2),
            "conclusive": diagnosis.conclusive and ceiling >= CONCLUSIVE,
            "hypotheses": tuple(claims),
            "suggestions": tuple(_suggestions(diagnosis, library, actions, notes)),
            "notes": tuple(dict.fromkeys(notes)),
        }
    )


def _headline(said: str, claims: Sequence[Hypothesis], library: Library, notes: list[str]) -> str:
    """Return the headline as it may stand: about kept claims only, on one line."""
    line = " ".join(said.split())[:HEADLINE]
    missing = _unsupported(line, "", tuple(library.words), library)
    if not missing:
        return line
    notes.append(f"Replaced the headline: {missing} is nowhere in the evidence.")
    return claims[0].statement[:HEADLINE] if claims else "No cause that the evidence carries."
