"""What happened to one workload: its rollouts with what they changed, restarts, and scalings that are no step of a rollout.

Used by tools.evidence.changes. Deployments keep their revisions as ReplicaSets, StatefulSets and DaemonSets as ControllerRevisions.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tools.podspec import Change
from tools.podspec import changes as template_changes
from tools.prometheus import moment
from tools.records import Scalar
from tools.workloads import Workload, annotations_of, name_of, owned, revision_of, when, writer_of

Obj = dict[str, Any]
MAX_CHANGES = 12
ROLLOUT_WINDOW = timedelta(minutes=10)
HISTORY = "deployment.kubernetes.io/revision-history"
# "Scaled down replica set payment-6c9f to 0 from 2"; before Kubernetes 1.25 without the last two words
_SCALED = re.compile(
    r"Scaled (?P<way>up|down) replica set (?P<set>\S+?) (?:from (?P<first>\d+) )?to (?P<to>\d+)(?: from (?P<from>\d+))?"
)


@dataclass(frozen=True)
class Event:
    """One change: *worth* is how telling it is when it is fresh (0..1), *lines* what a reader wants to see of it."""

    kind: str
    service: str
    said: str  # with {when} where the time goes
    at: datetime | None
    worth: float
    data: dict[str, Scalar] = field(default_factory=dict)
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Revision:
    """One revision of a pod template, and when it was last rolled out."""

    number: int
    template: Obj
    at: datetime | None
    cause: str = ""


def place(workload: Workload) -> dict[str, Scalar]:
    """Return what every finding about a workload carries."""
    key = "deployment" if workload.kind == "Deployment" else "workload"  # only a Deployment may be suggested as one
    return {"namespace": workload.namespace.name, key: workload.name}


def revisions(workload: Workload) -> list[Revision]:
    """Return the last two revisions of the workload, newest first."""
    if workload.kind == "Deployment":
        sets = [rs for rs in workload.replica_sets if revision_of(rs)][:2]
        return [
            Revision(
                revision_of(rs), (rs.get("spec") or {}).get("template") or {},
                rolled_at(workload, rs) if number == 0 else moment((rs.get("metadata") or {}).get("creationTimestamp")),
                annotations_of(rs).get("kubernetes.io/change-cause", ""),
            )
            for number, rs in enumerate(sets)
        ]  # fmt: skip
    kept = [obj for obj in owned(workload.namespace.of("controllerrevisions"), workload.obj) if obj.get("revision")]
    kept.sort(key=lambda obj: int(obj["revision"]), reverse=True)
    return [_controller_revision(obj) for obj in kept[:2]]


def _controller_revision(obj: Obj) -> Revision:
    """Read a ControllerRevision; one that a rollback took up again is older than its last use, which its field's writer dates."""
    spec = (obj.get("data") or {}).get("spec") or {}
    template = {key: value for key, value in (spec.get("template") or {}).items() if key != "$patch"}
    created = moment((obj.get("metadata") or {}).get("creationTimestamp"))
    return Revision(int(obj["revision"]), template, writer_of(obj, "revision")[1] or created)


def rollouts(workload: Workload) -> Iterator[Event]:
    """Return the last rollout: the newest revision against the one before it."""
    both = revisions(workload)
    if len(both) < 2:
        return
    new, old = both
    diff = template_changes(old.template, new.template)
    restarted = bool(diff) and all(change.what == "restart" for change in diff)
    data = place(workload) | {"revision": new.number, "previous_revision": old.number}
    if restarted:
        said = f"{workload.name} was restarted (revision {new.number}) {{when}}"
        yield Event("restarted", workload.service, said, new.at, 0.3, data)
        return
    first = diff[0] if diff else Change("other", "template", "", "")
    back = " again (a rollback)" if workload.kind == "Deployment" and _taken_up(workload) else ""
    said = f"{workload.name} rolled out revision {new.number}{back} {{when}}: {_literal(told(diff))}"
    data |= {
        "what": first.what, "path": first.path, "before": first.before, "after": first.after,
        "changes": "; ".join(change.line for change in diff[:MAX_CHANGES]), "cause": new.cause,
    }  # fmt: skip
    lines = [f"  {change.line}" for change in diff[:MAX_CHANGES]]
    if len(diff) > MAX_CHANGES:
        lines.append(f"  and {len(diff) - MAX_CHANGES} more differences")
    yield Event("rollout", workload.service, said, new.at, 0.95, data, tuple(lines))


def _literal(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def told(diff: Sequence[Change]) -> str:
    """Return the first differences in one line."""
    if not diff:
        return "no difference in the pod template"
    more = f" and {len(diff) - 2} more differences" if len(diff) > 2 else ""
    return "; ".join(change.line for change in diff[:2]) + more


def _taken_up(workload: Workload) -> bool:
    sets = workload.replica_sets
    return bool(sets) and bool(annotations_of(sets[0]).get(HISTORY))


def template_edits(workload: Workload) -> Iterator[Event]:
    """Return the last edit of a CronJob's template after it was made; what it was is known where `kubectl apply` kept it."""
    manager, at = writer_of(workload.obj, "spec", "jobTemplate")
    made = moment((workload.obj.get("metadata") or {}).get("creationTimestamp"))
    if workload.kind != "CronJob" or at is None or (made is not None and at - made < timedelta(seconds=2)):
        return
    before = _applied(workload.obj)
    diff = template_changes(_job_template(before), _job_template(workload.obj)) if before else []
    what = "; ".join(change.line for change in diff[:MAX_CHANGES])
    said = f"the job template of {workload.name} was edited {{when}}" + (f" by {_literal(manager)}" if manager else "")
    said += f": {_literal(what)}" if what else ""
    data: dict[str, Scalar] = {
        "namespace": workload.namespace.name, "cronjob": workload.name, "by": manager, "changes": what,
    }  # fmt: skip
    yield Event("template_edited", workload.service, said, at, 0.9, data)


def _applied(obj: Obj) -> Obj:
    try:
        said = json.loads(annotations_of(obj).get("kubectl.kubernetes.io/last-applied-configuration", "{}"))
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _job_template(cron: Obj) -> Obj:
    job = ((cron.get("spec") or {}).get("jobTemplate") or {}).get("spec") or {}
    template: Obj = job.get("template") or {}
    return template


def rolled_at(workload: Workload, newest: Obj) -> datetime | None:
    """When the newest revision was rolled out; a ReplicaSet that a rollback took up again is older than that."""
    created = moment((newest.get("metadata") or {}).get("creationTimestamp"))
    if not annotations_of(newest).get(HISTORY):
        return created
    became = [step.at for step in _steps(workload) if step.begins and step.set == name_of(newest)]
    if became:
        return became[-1]
    conditions: list[Obj] = (workload.obj.get("status") or {}).get("conditions") or []
    progressing: Obj = next((c for c in conditions if c.get("type") == "Progressing"), {})
    return moment(progressing.get("lastUpdateTime")) or created


@dataclass(frozen=True)
class _Step:
    """One scaling of a ReplicaSet: *begins* when it made its set the current one, *rollout* when it is a step of a rollout."""

    at: datetime
    set: str
    before: str | None
    after: str
    begins: bool
    rollout: bool


def _steps(workload: Workload) -> list[_Step]:
    """Return the scalings of all ReplicaSets in order, each judged by which set was the current one at that time.

    A set that is scaled up while another is current begins a rollout (or a rollback); what then happens to the others, and its
    own way up, are steps of it. Only what happens to the current set afterwards is somebody's, or an autoscaler's, doing.
    """
    seen = [
        (at, match)
        for event in workload.events
        if (match := _scaling(event)) is not None and (at := when(event)) is not None
    ]
    seen.sort(key=lambda row: (row[0], row[1]["way"] == "down"))  # the controller scales up first
    sets = workload.replica_sets
    others = len(sets) > 1
    current, began = "", None
    found = []
    for at, match in seen:
        name, up = match["set"], match["way"] == "up"
        before = match["from"] or match["first"]
        begins = up and name != current and (bool(current) or others or not int(before or 0))
        if begins:
            current, began = name, at
        if not current:
            current = name_of(sets[0]) if sets else name
        climbing = up and began is not None and at - began < ROLLOUT_WINDOW and others
        found.append(_Step(at, name, before, match["to"], begins, begins or name != current or climbing))
    return found


def _scaling(event: Obj) -> re.Match[str] | None:
    return _SCALED.search(str(event.get("message", ""))) if event.get("reason") == "ScalingReplicaSet" else None


def scalings(workload: Workload, moves: Sequence[datetime] = ()) -> Iterator[Event]:
    """Return changes of the number of replicas that are no steps of a rollout, nor near *moves* (its autoscaler's)."""
    spec = workload.obj.get("spec") or {}
    manager, written = writer_of(workload.obj, "spec", "replicas")
    sets = workload.replica_sets
    newest = name_of(sets[0]) if sets else ""
    told_of = False
    for step in reversed(_steps(workload)) if workload.kind == "Deployment" else ():
        if step.rollout or step.set != newest or any(abs(step.at - move) < timedelta(minutes=1) for move in moves):
            continue
        by = manager if written and abs(step.at - written) < ROLLOUT_WINDOW else ""
        yield _scaled(workload, step.at, before=step.before, after=step.after, by=by)
        told_of = True
    if not told_of and spec.get("replicas") == 0 and written:  # events are gone after an hour; managedFields stay
        yield _scaled(workload, written, before=None, after="0", by=manager)


def _scaled(workload: Workload, at: datetime, *, before: str | None, after: str, by: str) -> Event:
    down = before is None or int(after) < int(before)
    worth = 0.95 if after == "0" else 0.8 if down else 0.5
    said = f"{workload.name} was scaled{f' from {before}' if before else ''} to {after} {{when}}" + (
        f" by {_literal(by)}" if by else ""
    )
    data = place(workload) | {"from": int(before) if before else None, "to": int(after), "by": by}
    return Event("scaled", workload.service, said, at, worth, data)
