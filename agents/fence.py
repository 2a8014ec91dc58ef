"""Fencing: how text from alerts, logs and past threads is shown to a model as data, and cannot get out of its fence.

Called by agents/model.py for the first prompt and for each tool answer.
"""

import re
from collections.abc import Collection, Sequence

from agents.ports import Service
from agents.rank import Facts
from tools.records import Evidence, Recalled, Suspect

# Anything that could be read as one of our tags, in any width of angle bracket, with any spacing.
TAG = re.compile(r"[<\uff1c\ufe64\u2039\u3008]\s*[/\uff0f\u2215]?\s*data\b", re.IGNORECASE)
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
BODY_CHARS = 1000
RECALL_CHARS = 600
RANKED = 5


def fenced(id_: str, about: str, text: str) -> str:
    """Return *text* as data under *id_*; *about* is our own word for its source."""
    return f'<data id="{id_}" from="{_plain(about)}">\n{inert(text)}\n</data>'


def inert(text: str) -> str:
    """Make *text* unable to close or open a fence: what looks like our tag loses its bracket."""
    return TAG.sub("[data", CONTROL.sub("", text))


def _plain(text: str) -> str:
    return re.sub(r"[^\w .:/-]", "", text)[:80]


def evidence_text(item: Evidence, cap: int = BODY_CHARS) -> str:
    """Return one piece of evidence, fenced: what code found in it first, then as much of the raw text as fits *cap*."""
    if item.error:
        return fenced(item.id, item.title, f"FAILED: {item.error}\nquery: {item.query}")
    best = sorted(item.findings, key=lambda found: -found.score)[:8]
    said = [f"- {found.statement}" + (f" [{found.at:%H:%M:%S}]" if found.at else "") for found in best]
    known = "\n".join([item.summary, *said])
    lines = said if any(item.summary in line for line in said) else [item.summary, *said]
    # The body repeats what the findings say: only what is new in it is worth tokens.
    rest = "\n".join(line for line in item.body.splitlines() if line.strip() and line.strip() not in known)
    if len(rest) > cap:
        rest = rest[:cap] + f"\n[cut; call {item.tool} for more]"
    return fenced(item.id, item.title, "\n".join(filter(None, [*lines, rest])))


def _telling(item: Evidence, service: str, full: Collection[str]) -> bool:
    """Tell whether the model should read all of *item*: it failed, a suspect rests on it, or it is about the service itself."""
    about = {found.service for found in item.findings if found.score}
    return bool(item.error) or item.id in full or service in about


def _one_line(item: Evidence) -> str:
    return fenced(item.id, item.title, f"{item.summary}\n[call {item.tool} for more]")


def opening(
    facts: Facts,
    evidence: Sequence[Evidence],
    suspects: Sequence[Suspect],
    recalled: Sequence[Recalled],
    known: Sequence[tuple[str, Service]],
) -> str:
    """Return the model's first message: the alert, what was seen, code's ranking, and what earlier incidents say."""
    scope, alert = facts.scope, facts.scope.alert
    times = f"began {facts.onset:%H:%M:%S}, now {scope.end:%H:%M:%S} UTC"
    labels = " ".join(f"{key}={value}" for key, value in sorted(alert.labels.items()))
    said = "\n".join(alert.annotations.values())
    about = f"{alert.name} ({alert.severity})\nservice: {scope.service}\nnamespace: {scope.namespace}\n{labels}\n{said}"
    parts = [fenced("alert", "the alert", about.strip()), times]
    calls = [f"{name} calls {', '.join(service.depends_on)}" for name, service in known if service.depends_on]
    if calls:
        parts.append("; ".join(calls))
    ranked = [
        f"{each.confidence:.0%} {each.service}: {each.kind} {each.score:.2f} ({', '.join(each.evidence)})"
        for each in suspects[:RANKED]
    ]
    if ranked:
        parts.append(fenced("ranking", "code; how likely each service is the culprit", "\n".join(ranked)))
    full = {id_ for each in suspects[:RANKED] for id_ in each.evidence}
    parts += [evidence_text(item) if _telling(item, scope.service, full) else _one_line(item) for item in evidence]
    for book in recalled:
        parts.append(
            fenced(book.id, f"{book.kind}, a hint and not evidence", f"{book.title}\n{book.text[:RECALL_CHARS]}")
        )
    return "\n".join(parts)
