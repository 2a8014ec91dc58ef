"""The whole life of an incident as one pure function: state and event in, state and commands out.

bot/lifecycle.py calls `advance` inside the transaction that appends the event, and defers one durable job for each
command. A late, repeated or forged event changes nothing, so a redelivered job can never run a change twice.
"""

from datetime import datetime
from typing import Annotated, Literal, assert_never

from pydantic import Field, TypeAdapter

from tools.records import Alert, Diagnosis, IncidentState, Outcome, Record, Verification


class State(Record):
    """Where an incident stands, and which exact change is on the table.

    *closed* are the proposals that can never be on the table again, so that a late or repeated event revives none.
    """

    state: IncidentState = "open"
    proposal_id: str = ""
    digest: str = ""
    alert_firing: bool = True
    closed: tuple[str, ...] = ()


class Opened(Record):
    """An alert opened the incident."""

    kind: Literal["opened"] = "opened"
    alert: Alert
    reason: str


class Joined(Record):
    """A further alert of the same group, or the same alert again; *reason* names the decision."""

    kind: Literal["joined"] = "joined"
    alert: Alert
    reason: str


class Reopened(Record):
    """An alert of the group fires again so soon, or so often, that it continues this incident; *reason* names why.

    *diagnosed*: there is a diagnosis already, so nothing new is investigated.
    """

    kind: Literal["reopened"] = "reopened"
    alert: Alert
    reason: str
    diagnosed: bool


class AlertResolved(Record):
    """The sender says that the alert is over."""

    kind: Literal["alert_resolved"] = "alert_resolved"
    alert: Alert


class Observed(Record):
    """The first telling fact, before the diagnosis is done."""

    kind: Literal["observed"] = "observed"
    line: str
    evidence_id: str


class Diagnosed(Record):
    """The diagnosis, by a model or by rules."""

    kind: Literal["diagnosed"] = "diagnosed"
    diagnosis: Diagnosis


class PlanFailed(Record):
    """A suggested change could not be planned: *reason* is what the API server or the policy said."""

    kind: Literal["plan_failed"] = "plan_failed"
    action: str
    reason: str
    policy: str = ""


class Proposed(Record):
    """A planned change is shown and waits for a human; *policy*, here and below, is the version of the team's policy."""

    kind: Literal["proposed"] = "proposed"
    proposal_id: str
    digest: str
    line: str
    expires_at: datetime
    policy: str = ""


class Approved(Record):
    """One valid approval; *complete* once as many people approved as policy asks.

    *rule* let them decide. *broke_glass*: it was given in spite of the rules, for the *reason* that was stated.
    """

    kind: Literal["approved"] = "approved"
    proposal_id: str
    digest: str
    by: str
    complete: bool
    policy: str = ""
    rule: str = ""
    broke_glass: bool = False
    reason: str = ""


class PressRefused(Record):
    """Somebody pressed a button they may not press; kept for the audit, changes nothing."""

    kind: Literal["press_refused"] = "press_refused"
    proposal_id: str
    by: str
    reason: str
    policy: str = ""


class Rejected(Record):
    """Somebody allowed to decide said no."""

    kind: Literal["rejected"] = "rejected"
    proposal_id: str
    by: str
    reason: str = ""
    policy: str = ""


class Expired(Record):
    """Nobody decided in time."""

    kind: Literal["expired"] = "expired"
    proposal_id: str
    policy: str = ""


class TargetChanged(Record):
    """The target is no longer what was shown: the change is planned and shown again, not run."""

    kind: Literal["target_changed"] = "target_changed"
    proposal_id: str
    detail: str
    policy: str = ""


class Withdrawn(Record):
    """The policy no longer allows what was shown, or who approved it: it is planned and shown again, not run."""

    kind: Literal["withdrawn"] = "withdrawn"
    proposal_id: str
    reason: str
    policy: str = ""


class RunStarted(Record):
    """The approved row was claimed; written before the API server is called."""

    kind: Literal["run_started"] = "run_started"
    proposal_id: str
    policy: str = ""


class RunEnded(Record):
    """What applying came to."""

    kind: Literal["run_ended"] = "run_ended"
    outcome: Outcome
    policy: str = ""


class Verified(Record):
    """Whether the change worked."""

    kind: Literal["verified"] = "verified"
    verification: Verification
    policy: str = ""


class Noted(Record):
    """A human's message in the thread, kept for the post-mortem."""

    kind: Literal["noted"] = "noted"
    by: str
    text: str
    ts: str


class LessonKept(Record):
    """A lesson was kept or confirmed."""

    kind: Literal["lesson_kept"] = "lesson_kept"
    lesson_id: str
    by: str


class PostMortemDrafted(Record):
    """A post-mortem draft was asked for; *text* is Markdown."""

    kind: Literal["postmortem_drafted"] = "postmortem_drafted"
    by: str
    text: str


Event = Annotated[
    Opened
    | Joined
    | Reopened
    | AlertResolved
    | Observed
    | Diagnosed
    | PlanFailed
    | Proposed
    | Approved
    | PressRefused
    | Rejected
    | Expired
    | TargetChanged
    | Withdrawn
    | RunStarted
    | RunEnded
    | Verified
    | Noted
    | LessonKept
    | PostMortemDrafted,
    Field(discriminator="kind"),
]
EVENT: TypeAdapter[Event] = TypeAdapter(Event)


class Investigate(Record):
    """Command: gather, rank, recall, diagnose."""


class Plan(Record):
    """Command: plan the diagnosis's first suggestion and show it."""


class Run(Record):
    """Command: claim and carry out exactly this proposal."""

    proposal_id: str


class Verify(Record):
    """Command: watch the target and the alert's own query."""

    proposal_id: str


class Remember(Record):
    """Command: keep a lesson."""


class Redraw(Record):
    """Command: bring the Slack thread up to date with the record."""


Command = Investigate | Plan | Run | Verify | Remember | Redraw
Step = tuple[State, list[Command]]


def advance(now: State, event: Event) -> Step:  # noqa: PLR0911  # one return for each kind of event
    """Return the next state and what to do; an event out of turn changes nothing and commands nothing but a redraw."""
    match event:
        case Opened():
            return now, [Investigate(), Redraw()]
        case Joined(alert=alert):
            return _joined(now, alert)
        case Reopened():
            return _reopened(now, event)
        case AlertResolved():
            return _alert_resolved(now)
        case Diagnosed(diagnosis=diagnosis):
            return _diagnosed(now, diagnosis)
        case Proposed() | Approved() | Rejected() | Expired() | TargetChanged() | Withdrawn():
            return _decided(now, event)
        case RunStarted() | RunEnded() | Verified():
            return _carried_out(now, event)
        case Observed() | PlanFailed() | Noted() | LessonKept() | PostMortemDrafted():
            return now, [Redraw()]
        case PressRefused():
            return now, []
        case _:
            assert_never(event)


def _cleared(now: State, state: IncidentState) -> State:
    """Take what is on the table off it, for good."""
    return _closed(now, now.proposal_id).model_copy(update={"state": state, "proposal_id": "", "digest": ""})


def _closed(now: State, proposal_id: str) -> State:
    if not proposal_id or proposal_id in now.closed:
        return now
    return now.model_copy(update={"closed": (*now.closed, proposal_id)})


def _joined(now: State, alert: Alert) -> Step:
    if alert.status == "resolved":
        return now, [Redraw()]  # another alert of the group still fires
    firing = now.model_copy(update={"alert_firing": True})
    if now.state == "recovered":  # verified as recovered and firing again: a fresh look, in the same thread
        return firing.model_copy(update={"state": "open"}), [Investigate(), Redraw()]
    return firing, [Redraw()]


def _reopened(now: State, event: Reopened) -> Step:
    if now.state != "resolved":
        return _joined(now, event.alert)
    firing = now.model_copy(update={"alert_firing": True, "state": "diagnosed" if event.diagnosed else "open"})
    return firing, [Redraw()] if event.diagnosed else [Investigate(), Redraw()]


def _alert_resolved(now: State) -> Step:
    still = now.model_copy(update={"alert_firing": False})
    if now.state in ("running", "verifying"):
        return still, [Redraw()]  # the verification decides; it sees the same metrics
    if now.state == "resolved":
        return still, []
    return _cleared(still, "resolved"), [Remember(), Redraw()]


def _diagnosed(now: State, diagnosis: Diagnosis) -> Step:
    if now.state not in ("open", "diagnosed"):
        return now, [Redraw()]
    commands: list[Command] = [Plan()] if diagnosis.suggestions else []
    return now.model_copy(update={"state": "diagnosed"}), [*commands, Redraw()]


def _decided(now: State, event: Proposed | Approved | Rejected | Expired | TargetChanged | Withdrawn) -> Step:  # noqa: PLR0911  # one guard after another
    if isinstance(event, Proposed):
        return _proposed(now, event)
    if event.proposal_id != now.proposal_id:
        return now if isinstance(event, Approved) else _closed(now, event.proposal_id), []
    if isinstance(event, (TargetChanged, Withdrawn)) and now.state in ("proposed", "running"):
        return _cleared(now, "diagnosed"), [Plan(), Redraw()]
    if isinstance(event, Expired) and now.state in ("proposed", "running"):
        return _cleared(now, "diagnosed"), [Redraw()]  # recorded only for a row that nobody had claimed
    if now.state != "proposed":
        return now, []
    if isinstance(event, Approved):
        if event.digest != now.digest or not event.by:
            return now, []
        if not event.complete:
            return now, [Redraw()]
        return now.model_copy(update={"state": "running"}), [Run(proposal_id=event.proposal_id), Redraw()]
    return _cleared(now, "diagnosed"), [Redraw()]


def _proposed(now: State, event: Proposed) -> Step:
    """Put a change on the table in place of what is there; one that is closed, or comes out of turn, never gets there."""
    if event.proposal_id in now.closed:
        return now, []
    if now.state not in ("open", "diagnosed", "proposed"):
        return now if event.proposal_id == now.proposal_id else _closed(now, event.proposal_id), []
    free = now if event.proposal_id == now.proposal_id else _closed(now, now.proposal_id)
    on_table = {"state": "proposed", "proposal_id": event.proposal_id, "digest": event.digest}
    return free.model_copy(update=on_table), [Redraw()]


def _carried_out(now: State, event: RunStarted | RunEnded | Verified) -> Step:  # noqa: PLR0911  # one guard after another
    if isinstance(event, RunStarted):
        return now, [Redraw()] if event.proposal_id == now.proposal_id else []
    if isinstance(event, RunEnded):
        outcome = event.outcome
        if now.state != "running" or outcome.proposal_id != now.proposal_id:
            return now, []
        if outcome.result in ("applied", "unknown"):
            return now.model_copy(update={"state": "verifying"}), [Verify(proposal_id=outcome.proposal_id), Redraw()]
        return _cleared(now, "diagnosed"), [Redraw()]
    if now.state != "verifying" or event.verification.proposal_id != now.proposal_id:
        return now, []
    if event.verification.verdict == "recovered":
        return _cleared(now, "recovered" if now.alert_firing else "resolved"), [Remember(), Redraw()]
    return _cleared(now, "diagnosed"), [Redraw()]
