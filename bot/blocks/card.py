"""The incident's card, the first message in its thread: the answer first; called by bot/blocks/thread.py."""

import re

from bot import story
from bot.blocks.chart import image, native
from bot.blocks.kit import Block, Post, actions, button, context, fallback, fit, lines, section
from bot.blocks.life import life
from bot.blocks.text import code, link, moment, percent, prose
from bot.story import NATIVE, Facts
from tools.records import Case, Diagnosis, Evidence, Finding, Recalled

# A probability in words that people read alike; the bands follow the order of ICD 203's, with fewer steps.
SURENESS = ((0.85, "Very likely"), (0.65, "Likely"), (0.4, "Possible"), (0.0, "A guess"))
SEVERITY = {
    "critical": ":rotating_light: critical",
    "warning": ":warning: warning",
    "info": ":information_source: info",
}
TELLS = 0.25  # a finding's score
_REGISTRY = re.compile(r"(?:[\w.:-]+/)+(?=[\w.-]+[:@]\S+)")  # of an image's name
_CLOCK = re.compile(r"\b\d\d:\d\d\b")
MAX_EVIDENCE = 5  # with the changes among them
LINE = 150  # characters: one line of a wide window; all of it is behind "Show evidence"
MAX_CHANGES = 2
MAX_OTHERS = 3
MAX_RECALLED = 2


def card(case: Case, facts: Facts) -> Post:
    """Draw what is known now: looking, first observation, or the diagnosis."""
    if case.diagnosis:
        return _diagnosed(case, case.diagnosis, facts)
    return _looking(case)


def sureness(diagnosis: Diagnosis) -> str:
    """Say how sure a diagnosis is, in words and as a percentage."""
    word = next(word for least, word in SURENESS if diagnosis.confidence >= least)
    if not diagnosis.conclusive:
        word = "Not certain"
    return f"{word} ({percent(diagnosis.confidence)})"


def _looking(case: Case) -> Post:
    subject = prose(story.subject(case), 100)
    observed = story.text_of(story.last(case, "observed"), "line")
    if case.incident.state in story.OVER:
        said = f"*{subject}: the alert was over before I had an answer.*"
    elif observed:
        said = f":eyes: *Looking at {subject}.* First thing I see: {prose(observed, 600)}"
    else:
        said = f":eyes: *Looking at {subject}.* First answer in a few seconds."
    blocks = [section(said), context(_alert_line(case)), *life(case)]
    seen = prose(observed, 300) if observed else f"{prose(case.incident.alert.name, 150)}: looking"
    return Post("card", fallback(f"Looking at {subject}. {seen}"), fit(blocks))


def _diagnosed(case: Case, diagnosis: Diagnosis, facts: Facts) -> Post:
    headline = prose(diagnosis.headline, 600) or "No cause found"
    changed = story.changes(case)[:MAX_CHANGES]
    blocks: list[Block] = [
        section(f"*{headline}*"),
        context(f"*{sureness(diagnosis)}*", _by(diagnosis), _alert_line(case)),
        *lines("What I saw", [_saw(*seen) for seen in _seen(case)[: MAX_EVIDENCE - len(changed)]]),
        *lines("What changed", [_saw(*seen) for seen in changed]),
        *_chart(case, facts),
        *lines("It could also be", _also(diagnosis)),
        *lines("What I could not see", [prose(text, 250) for text in story.blind(case)[:MAX_OTHERS]]),
        *lines("Seen before", _recalled(diagnosis, "lesson", facts)),
        *lines("Runbooks", _recalled(diagnosis, "runbook", facts)),
        *_no_change(case, diagnosis),
        *life(case),
        actions(
            button("Show evidence", "show_evidence", case.incident.id),
            button("Post-mortem", "postmortem", case.incident.id),
        ),
    ]
    text = f"{headline} {sureness(diagnosis)}, {prose(story.subject(case), 100)}"
    return Post("card", fallback(text), fit(blocks))


def _by(diagnosis: Diagnosis) -> str:
    who = "Found by the model" if diagnosis.by == "model" else "Found by rules"
    notes = "; ".join(prose(note, 200) for note in diagnosis.notes[:MAX_OTHERS])
    return f"{who}: {notes}" if notes else who


def _alert_line(case: Case) -> str:
    alert = case.incident.alert
    name = prose(alert.name or "alert", 150)
    url = next((alert.links[key] for key in sorted(alert.links) if alert.links[key]), "")
    shown = link(url, alert.name) if url and alert.name else name
    started = alert.starts_at or case.incident.opened_at
    return f"{SEVERITY[alert.severity]} · {shown} · since {moment(started)} · incident {case.incident.id}"


def _seen(case: Case) -> list[tuple[Evidence, Finding | None]]:
    """Return what tells something; what says that all is well only where nothing else is to be said."""
    telling = story.telling(case)
    return [(seen, found) for seen, found in telling if found and found.score >= TELLS] or telling


def _saw(evidence: Evidence, finding: Finding | None) -> str:
    said = prose(_REGISTRY.sub("", finding.statement if finding else evidence.summary), LINE)
    timed = finding and finding.at and not _CLOCK.search(finding.statement)
    at = f", {moment(finding.at)}" if timed and finding and finding.at else ""
    where = f" {link(evidence.link, 'open')}" if evidence.link else ""
    return f"{said}{at} [{code(evidence.id, 40)}]{where}" if evidence.id else f"{said}{at}{where}"


def _chart(case: Case, facts: Facts) -> list[Block]:
    drawn = story.chart(case) if facts.chart else None
    if drawn is None:
        return []
    block = native(drawn) if facts.chart == NATIVE else image(drawn, facts.chart)
    return [block] if block else []


def _also(diagnosis: Diagnosis) -> list[str]:
    return [f"{prose(one.statement, 250)} ({percent(one.confidence)})" for one in diagnosis.hypotheses[1:MAX_OTHERS]]


def _recalled(diagnosis: Diagnosis, kind: str, facts: Facts) -> list[str]:
    return [_known(one, facts) for one in diagnosis.recalled if one.kind == kind][:MAX_RECALLED]


def _known(one: Recalled, facts: Facts) -> str:
    url = one.link or facts.threads.get(one.incident_id or 0, "")
    title = link(url, one.title) if url else prose(one.title, 150)
    if one.kind == "runbook":
        return title
    from_case = f"Incident {one.incident_id}: " if one.incident_id else "Earlier case: "
    return f"{from_case}{title}. {prose(one.text, 200)}".rstrip()


def _no_change(case: Case, diagnosis: Diagnosis) -> list[Block]:
    failed = story.last(case, "plan_failed")
    proposed = story.last(case, "proposed")
    if not failed and not proposed and not diagnosis.suggestions and diagnosis.advice:
        return [section(f":no_entry: *I propose no change of the cluster.* {prose(diagnosis.advice, 600)}")]
    if not failed or (proposed and proposed.seq > failed.seq):
        return []
    action = prose(story.text_of(failed, "action").replace("_", " "), 60)
    return [
        section(
            f":no_entry: *I propose no change.* I tried to plan a {action}: {prose(story.text_of(failed, 'reason'), 400)}"
        )
    ]
