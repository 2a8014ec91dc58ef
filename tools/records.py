"""The plain data that moves through Tocsin, one frozen class per stage of an incident.

Every layer may import this module and tools.signals; they import none of them. Times are timezone-aware UTC.
"""

from datetime import datetime
from enum import IntEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, InstanceOf

from tools.signals import Chart, Signals

Severity = Literal["info", "warning", "critical"]
Scalar = str | int | float | bool | None


class Record(BaseModel):
    """Immutable, strict about unknown fields, JSON in and out."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Risk(IntEnum):
    """How much harm a change could do: LOW reads only, MEDIUM is reversible, HIGH is hard to reverse."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4


class Alert(Record):
    """One firing or resolved alert, whatever system sent it; "" means the sender did not say."""

    fingerprint: str
    sender: str
    name: str
    status: Literal["firing", "resolved"]
    severity: Severity = "warning"
    service: str = ""
    namespace: str = ""
    cluster: str = ""
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    value: str = ""
    query: str = ""
    links: dict[str, str] = {}
    group_key: str = ""
    missing: tuple[str, ...] = ()


class Scope(Record):
    """What an evidence tool is asked to look at: one service of one alert, over one window."""

    alert: Alert
    service: str
    namespace: str = ""
    cluster: str = ""
    query: str = ""
    start: datetime
    end: datetime
    logs_start: datetime


class Finding(Record):
    """One fact that code, not a model, concluded from a tool's answer.

    *kind* is a named condition (``oom_killed``, ``rollout``, ``metric_shift``, ``log_template``, ...), *service* what it
    is about, *score* how telling it is (0..1), *data* the numbers and names behind the statement.
    """

    kind: str
    service: str
    statement: str
    score: float = Field(ge=0, le=1)
    at: datetime | None = None
    data: dict[str, Scalar] = {}


class Evidence(Record):
    """What one tool saw: the exact query, and its result or its error.

    *summary* is one line for people, *body* the capped text a model reads, *seconds* how long the tool took, *chart* its
    most telling series. *signals* feed the ranking and are not stored.
    """

    id: str = ""
    tool: str
    title: str
    query: str
    summary: str = ""
    body: str = ""
    findings: tuple[Finding, ...] = ()
    link: str = ""
    error: str = ""
    truncated: bool = False
    started_at: datetime
    seconds: float = 0.0
    chart: Chart | None = None
    signals: InstanceOf[Signals] | None = Field(default=None, exclude=True, repr=False)


class Suspect(Record):
    """One entry of the ranking: a service, why it is suspected, and the evidence behind it; score 0..1.

    *confidence* is the probability that its service is the culprit (docs/evaluation.md: how far that holds).
    """

    service: str
    kind: str
    statement: str
    score: float
    evidence: tuple[str, ...]
    confidence: float = 0.0


class Suggestion(Record):
    """A change that a diagnosis asks for, not yet planned: the action's name and its parameters."""

    action: str
    params: dict[str, Scalar]
    why: str
    evidence: tuple[str, ...] = ()


class Hypothesis(Record):
    """One possible cause; *cause* is a named condition, *confidence* 0..1, *evidence* the ids that say it."""

    statement: str
    cause: str = ""
    service: str = ""
    confidence: float = Field(ge=0, le=1)
    evidence: tuple[str, ...]


class Usage(Record):
    """What a diagnosis cost: tokens, model calls, tool calls, seconds, US dollars."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    calls: int = 0
    tools: int = 0
    seconds: float = 0.0
    usd: float = 0.0


class Recalled(Record):
    """A runbook passage or a lesson that a search found; *how* names the search arms that found it."""

    id: str
    kind: Literal["runbook", "lesson"]
    title: str
    text: str
    service: str = ""
    severity: str = ""
    score: float
    how: str
    incident_id: int | None = None
    link: str = ""


class Diagnosis(Record):
    """What is wrong and how sure; *blind_spots* is what could not be seen, *notes* what code had to correct.

    *advice*: what a person should do where no change of the cluster is proposed, "" when that is not known.
    """

    headline: str
    by: Literal["model", "rules"]
    confidence: float = Field(ge=0, le=1)
    conclusive: bool
    hypotheses: tuple[Hypothesis, ...] = ()
    suggestions: tuple[Suggestion, ...] = ()
    blind_spots: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    recalled: tuple[Recalled, ...] = ()
    usage: Usage = Usage()
    advice: str = ""


ProposalState = Literal[
    "proposed", "approved", "running", "done", "failed", "unknown", "rejected", "expired", "superseded"
]


class Plan(Record):
    """What an action would do, from a server-side dry-run.

    *precondition* holds facts (uid, resourceVersion, template hash) compared again at the moment of applying; *cluster* is
    the one that the dry-run ran in, by the name tocsin.yaml gives it, "" where there is only one.
    """

    target: str
    line: str
    diff: str
    undo: str
    precondition: dict[str, str]
    cluster: str = ""


class ChangeTarget(Record):
    """What a change touches, as the team's policy sees it; read when it is planned, kept with the proposal.

    *cluster* "" is not known, *namespace* "" none, *service* "" none that policy declares. *labels* are the target's own
    over its namespace's, None when they could not be read. *takes_pods*: pods are replaced or removed; *leaves* is how many
    of the workload's pods are sure to run meanwhile, None when not known.
    """

    cluster: str = ""
    namespace: str = ""
    service: str = ""
    labels: dict[str, str] | None = Field(default={})
    takes_pods: bool = False
    leaves: int | None = None


class Proposal(Record):
    """One planned change that waits for a human; *digest* binds an approval to exactly what was shown.

    *policy* is the version of the team's policy that it was planned under, *needed* how many people that asked for.
    """

    id: str
    incident_id: int
    action: str
    params: dict[str, Scalar]
    plan: Plan
    risk: Risk
    reasons: tuple[str, ...]
    why: str = ""
    evidence: tuple[str, ...] = ()
    digest: str
    state: ProposalState
    requested_by: str
    created_at: datetime
    expires_at: datetime
    about: ChangeTarget = ChangeTarget()
    policy: str = ""
    needed: int = Field(default=1, ge=1)


class Approval(Record):
    """One person's decision about one digest, under one version of the policy; *rule* is the rule that let them decide."""

    proposal_id: str
    by: str
    decision: Literal["approved", "rejected"]
    digest: str
    at: datetime
    reason: str = ""
    policy: str = ""
    rule: str = ""
    broke_glass: bool = False


class Outcome(Record):
    """What applying a change came to; "unknown" means the answer was lost and a human must look."""

    proposal_id: str
    result: Literal["applied", "refused", "failed", "unknown"]
    detail: str
    at: datetime


class Verification(Record):
    """Whether the change worked: the action's own check and the alert's own query."""

    proposal_id: str
    verdict: Literal["recovered", "not_recovered", "worse", "unknown"]
    detail: str
    value: str = ""
    at: datetime


class Lesson(Record):
    """What a finished incident taught: symptoms, cause, solution, and how well the solution worked (0..1)."""

    id: str
    incident_id: int
    alert_name: str
    service: str
    severity: Severity
    cause: str
    title: str
    symptoms: str
    solution: str
    action: str = ""
    effectiveness: float = Field(ge=0, le=1)
    confirmed_by: str = ""
    at: datetime


IncidentState = Literal["open", "diagnosed", "proposed", "running", "verifying", "recovered", "resolved"]


class Incident(Record):
    """One incident: a group of alerts that share a cause as far as anybody knew when it opened.

    *channel* and *thread_ts* say where its Slack thread is ("" until it has one).
    """

    id: int
    group_key: str
    alert: Alert
    state: IncidentState
    channel: str = ""
    thread_ts: str = ""
    opened_at: datetime
    resolved_at: datetime | None = None


class TimelineEntry(Record):
    """One row of the record: who did what when; *hash* chains it to the row before."""

    seq: int
    incident_id: int
    at: datetime
    kind: str
    actor: str
    body: dict[str, object]
    prev_hash: str
    hash: str


class Case(Record):
    """Everything on record about one incident, as its Slack thread is drawn from."""

    incident: Incident
    evidence: tuple[Evidence, ...] = ()
    diagnosis: Diagnosis | None = None
    proposals: tuple[Proposal, ...] = ()
    approvals: tuple[Approval, ...] = ()
    timeline: tuple[TimelineEntry, ...] = ()
