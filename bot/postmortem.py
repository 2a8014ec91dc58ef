"""The post-mortem draft of a case, from its record alone; called by the desk, bot/blocks/postmortem.py and outcome.py.

Pure: the same record gives the same draft. Times count from the alert's own start, else from when Tocsin heard of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from bot import story
from tools.records import Case, TimelineEntry

MAX_ROWS = 60


@dataclass(frozen=True)
class Figures:
    """Seconds from the alert's start to each step that happened, in order; *lasted_s* to its end, None while open."""

    steps: tuple[tuple[str, float], ...]
    lasted_s: float | None


@dataclass(frozen=True)
class Row:
    """One line of the timeline: when, who ("" is Tocsin), what."""

    at: datetime
    who: str
    what: str


@dataclass(frozen=True)
class Draft:
    """A post-mortem draft; every field is text that people may edit. *lesson_** are what the form starts with."""

    title: str
    summary: str
    impact: str
    cause: str
    evidence: tuple[str, ...]
    done: tuple[str, ...]
    open_points: tuple[str, ...]
    timeline: tuple[Row, ...]
    lesson_title: str
    lesson_cause: str
    lesson_solution: str
    effectiveness: float


def figures(case: Case) -> Figures:
    """Measure how long each step took: heard of, first observation, diagnosed, approved, recovered, resolved."""
    start = _start(case)
    ended = story.resolved_at(case)
    marks = (
        ("heard", case.incident.opened_at),
        ("first line", _at(story.first(case, "observed", "diagnosed"))),
        ("diagnosed", _at(story.first(case, "diagnosed"))),
        ("approved", _at(_complete(case))),
        ("recovered", _recovered(case)),
        ("resolved", ended),
    )
    steps = tuple((name, max((at - start).total_seconds(), 0.0)) for name, at in marks if at)
    return Figures(steps, max((ended - start).total_seconds(), 0.0) if ended else None)


def draft(case: Case) -> Draft:
    """Write the draft of *case* as far as its record goes."""
    diagnosis = case.diagnosis
    subject = story.subject(case)
    fixed_by = story.fix(case)
    headline = diagnosis.headline if diagnosis else "No diagnosis was made."
    cause = diagnosis.hypotheses[0].statement if diagnosis and diagnosis.hypotheses else headline
    solution = fixed_by.plan.line if fixed_by else _other_solution(case)
    return Draft(
        title=f"{subject}: {case.incident.alert.name or 'alert'}, {case.incident.opened_at:%Y-%m-%d}",
        summary=f"{headline.rstrip('. ')}. {_ending(case)}",
        impact=_impact(case),
        cause=cause,
        evidence=_evidence(case),
        done=tuple(_done(case)),
        open_points=tuple(_open_points(case)),
        timeline=rows(case.timeline)[:MAX_ROWS],
        lesson_title=headline,
        lesson_cause=cause,
        lesson_solution=solution,
        effectiveness=1.0 if fixed_by else 0.5,
    )


def rows(entries: Iterable[TimelineEntry]) -> tuple[Row, ...]:
    """Return the record as sentences, one row per entry that means something to people."""
    return tuple(row for entry in entries if (row := _row(entry)))


def markdown(one: Draft) -> str:
    """Return the draft as Markdown for a wiki or a ticket; times are UTC."""
    table = "\n".join(
        f"| {row.at.astimezone(UTC):%H:%M:%S} | {_cell(row.who)} | {_cell(row.what)} |" for row in one.timeline
    )
    parts = [
        f"# Post-mortem: {one.title}",
        f"## Summary\n\n{one.summary}",
        f"## Impact\n\n{one.impact}",
        f"## Cause\n\n{one.cause}\n\n{_bullets(one.evidence)}".rstrip(),
        f"## What was done\n\n{_bullets(one.done)}",
        f"## Still open\n\n{_bullets(one.open_points)}",
        f"## Lesson\n\nNext time: {one.lesson_solution}",
        f"## Timeline (UTC)\n\n| When | Who | What |\n|---|---|---|\n{table}",
    ]
    return "\n\n".join(parts) + "\n"


def _start(case: Case) -> datetime:
    return min(case.incident.alert.starts_at or case.incident.opened_at, case.incident.opened_at)


def _at(entry: TimelineEntry | None) -> datetime | None:
    return entry.at if entry else None


def _complete(case: Case) -> TimelineEntry | None:
    return next((entry for entry in story.entries(case, "approved") if entry.body.get("complete")), None)


def _recovered(case: Case) -> datetime | None:
    fixed_by = story.fix(case)
    verified = story.verification(case, fixed_by.id) if fixed_by else None
    return verified.at if verified else None


def _ending(case: Case) -> str:
    ended = story.resolved_at(case)
    if not ended:
        return "It is not over yet."
    fixed_by = story.fix(case)
    by = f"after this change: {fixed_by.plan.line}." if fixed_by else "without a change by Tocsin."
    return f"It ended at {ended.astimezone(UTC):%H:%M} UTC {by}"


def _impact(case: Case) -> str:
    alert = case.incident.alert
    told = alert.annotations.get("summary") or alert.annotations.get("description") or alert.name
    lasted = figures(case).lasted_s
    length = story.duration(lasted) if lasted is not None else "not over yet"
    return f"{told.rstrip('. ')}. Severity {alert.severity}, service {alert.service or 'unknown'}. Duration: {length}."


def _evidence(case: Case) -> tuple[str, ...]:
    return tuple(
        f"{finding.statement if finding else evidence.summary} [{evidence.id}]"
        for evidence, finding in [*story.changes(case)[:3], *story.telling(case)[:6]]
    )


def _done(case: Case) -> list[str]:
    said = []
    for proposal in case.proposals:
        result = story.outcome(case, proposal.id)
        verified = story.verification(case, proposal.id)
        ending = verified.verdict.replace("_", " ") if verified else (result.result if result else proposal.state)
        said.append(f"{proposal.plan.line}: {ending}")
    return said or ["Nothing was changed by Tocsin."]


def _open_points(case: Case) -> list[str]:
    points = [f"Could not be seen: {text}" for text in story.blind(case)]
    if not case.diagnosis or not case.diagnosis.conclusive:
        points.append("The cause is not certain.")
    if story.fix(case) and case.proposals[-1].action == "rollout_undo":
        points.append("The change that was rolled back still has to be mended before it is released again.")
    return points or ["Nothing that the record shows."]


def _other_solution(case: Case) -> str:
    suggested = case.diagnosis.suggestions[0].why if case.diagnosis and case.diagnosis.suggestions else ""
    return suggested or "Write down what ended it."


def _row(entry: TimelineEntry) -> Row | None:
    body = entry.body
    alert = body.get("alert")
    name = str(alert.get("name", "")) if isinstance(alert, dict) else ""
    over = isinstance(alert, dict) and alert.get("status") == "resolved"
    outcome = body.get("outcome")
    verified = body.get("verification")
    found = body.get("diagnosis")
    sentences = {
        "opened": f"Alert {name}: incident opened{_reason(body)}",
        "joined": f"Alert {name} {'is over' if over else 'joined'}{_reason(body)}",
        "reopened": f"Alert {name} fires again: incident continued{_reason(body)}",
        "alert_resolved": f"Alert {name} resolved",
        "observed": f"First observation: {body.get('line', '')}",
        "diagnosed": f"Diagnosis: {found.get('headline', '') if isinstance(found, dict) else ''}",
        "plan_failed": f"Could not plan {body.get('action', '')}: {body.get('reason', '')}",
        "proposed": f"Proposed: {body.get('line', '')}",
        "approved": "Approved the change" if body.get("complete") else "Approved the change (more approvals needed)",
        "rejected": f"Rejected the change {body.get('reason', '')}".rstrip(),
        "press_refused": f"Press refused: {body.get('reason', '')}",
        "expired": "The proposal expired",
        "target_changed": f"The target changed: {body.get('detail', '')}",
        "run_started": "Started the change",
        "run_ended": f"Change {outcome.get('result', '') if isinstance(outcome, dict) else ''}",
        "verified": f"Verified: {str(verified.get('verdict', '')).replace('_', ' ') if isinstance(verified, dict) else ''}",
        "noted": str(body.get("text", "")),
        "lesson_kept": "Kept the lesson",
    }
    what = sentences.get(entry.kind)
    by = body.get("by")
    return Row(entry.at, by if isinstance(by, str) else "", what) if what else None


def _reason(body: dict[str, object]) -> str:
    """Return the named reason of an intake decision in words: " (same service)"."""
    reason = str(body.get("reason") or "").replace("_", " ")
    return f" ({reason})" if reason and reason != "opened" else ""


def _bullets(items: tuple[str, ...]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|") or "Tocsin"
