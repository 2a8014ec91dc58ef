"""What changed near the alert's start: rollouts with the difference between the last two revisions, scaling, restarts.

Looks at the service and at the services it depends on; the change closest before the alert comes first. Image, environment
(secrets as hashes), resource limits, arguments and probes are compared. Use it for every alert: most have a change behind them.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from tools.kube import Kube
from tools.observe import Seen, missing, observe
from tools.podspec import Change
from tools.podspec import changes as template_changes
from tools.prometheus import moment
from tools.records import Evidence, Finding, Scalar, Scope
from tools.sources import Sources
from tools.workloads import Workload, annotations_of, dependencies, find, name_of, revision_of, when, writer_of

NEEDS = "kube"
KINDS = ("replicasets", "events")
HORIZON = timedelta(hours=24)  # older changes are listed and are no findings
HALF_LIFE_S = 3600.0  # a change an hour before the alert tells half as much as one just before it
AFTER_S = 120.0  # an alert's start is its rule's, a little after the cause; a change later than this may be a remedy
ROLLOUT_WINDOW = timedelta(minutes=10)
MAX_CHANGES = 12
# "Scaled down replica set payment-6c9f to 0 from 2"; before Kubernetes 1.25 without the last two words
_SCALED = re.compile(
    r"Scaled (?P<way>up|down) replica set (?P<set>\S+?) (?:from (?P<first>\d+) )?to (?P<to>\d+)(?: from (?P<from>\d+))?"
)


async def collect(scope: Scope, sources: Sources) -> Evidence:
    """Look at what changed in the workload behind *scope* and its dependencies."""
    kube = sources.kube
    if kube is None:
        return missing("changes", "Kubernetes cluster", sources, "KUBECONFIG")
    return await observe(
        "changes", f"Recent changes to {scope.service or scope.alert.name} and what it depends on", sources,
        lambda seen: _look(seen, scope, kube),
    )  # fmt: skip


async def _look(seen: Seen, scope: Scope, kube: Kube) -> None:
    workload = await find(kube, scope, KINDS, seen.ask)
    near = await dependencies(kube, workload, KINDS, seen.ask)
    onset = scope.alert.starts_at or scope.end
    found: list[tuple[Finding, list[str]]] = []
    for each in (workload, *near):
        found += [*_rollouts(each, onset), *_scalings(each, onset)]
    found.sort(key=lambda pair: -pair[0].score)
    for finding, lines in found:
        fresh = finding.at is not None and onset - finding.at <= HORIZON
        seen.findings += [finding] if fresh else []
        seen.body += [("" if fresh else "(old) ") + finding.statement, *lines]
    names = ", ".join(each.name for each in (workload, *near))
    if seen.findings:
        more = f" (and {len(seen.findings) - 1} more changes)" if len(seen.findings) > 1 else ""
        seen.summary = seen.findings[0].statement + more
    else:
        seen.summary = f"no rollout and no scaling of {names} in the last 24 h"
    seen.truncated = bool(workload.namespace.partial)


def _score(at: datetime | None, onset: datetime, base: float) -> tuple[float, int | None]:
    if at is None:
        return base * 0.2, None
    age = (onset - at).total_seconds()
    if age < -AFTER_S:
        return base * 0.3, int(age)
    return base * 0.5 ** (max(age, 0.0) / HALF_LIFE_S), int(age)


def _ago(age: int | None) -> str:
    if age is None:
        return "at an unknown time"
    text = (
        f"{abs(age)} s" if abs(age) < 120 else f"{abs(age) // 60} min" if abs(age) < 7200 else f"{abs(age) // 3600} h"
    )
    return f"{text} {'before' if age >= 0 else 'after'} the alert began"


def _place(workload: Workload) -> dict[str, Scalar]:
    return {"namespace": workload.namespace.name, "deployment": workload.name}


def _rollouts(workload: Workload, onset: datetime) -> Iterator[tuple[Finding, list[str]]]:
    """Return the last rollout: the newest revision against the one before it."""
    sets = [rs for rs in workload.replica_sets if revision_of(rs)]
    if len(sets) < 2:
        return
    new, old = sets[0], sets[1]
    diff = template_changes(_template(old), _template(new))
    at = _rolled_at(workload, new)
    restarted = bool(diff) and all(change.what == "restart" for change in diff)
    score, age = _score(at, onset, 0.3 if restarted else 0.95)
    place = _place(workload) | {"age_s": age, "revision": revision_of(new), "previous_revision": revision_of(old)}
    if restarted:
        said = f"{workload.name} was restarted (revision {revision_of(new)}) {_ago(age)}"
        yield Finding(kind="restarted", service=workload.service, statement=said, score=score, at=at, data=place), []
        return
    first = diff[0] if diff else Change("other", "template", "", "")
    cause = annotations_of(new).get("kubernetes.io/change-cause", "")
    said = f"{workload.name} rolled out revision {revision_of(new)} {_ago(age)}: {_told(diff)}"
    data = place | {
        "what": first.what, "path": first.path, "before": first.before, "after": first.after,
        "changes": "; ".join(change.line for change in diff[:MAX_CHANGES]), "cause": cause,
    }  # fmt: skip
    lines = [f"  {change.line}" for change in diff[:MAX_CHANGES]]
    if len(diff) > MAX_CHANGES:
        lines.append(f"  and {len(diff) - MAX_CHANGES} more differences")
    yield Finding(kind="rollout", service=workload.service, statement=said, score=score, at=at, data=data), lines


def _told(diff: Sequence[Change]) -> str:
    if not diff:
        return "no difference in the pod template"
    more = f" and {len(diff) - 2} more differences" if len(diff) > 2 else ""
    return "; ".join(change.line for change in diff[:2]) + more


def _template(replica_set: dict[str, Any]) -> dict[str, Any]:
    template: dict[str, Any] = (replica_set.get("spec") or {}).get("template") or {}
    return template


def _rolled_at(workload: Workload, newest: dict[str, Any]) -> datetime | None:
    """When the newest revision was rolled out; a ReplicaSet that a rollback took up again is older than that."""
    created = moment((newest.get("metadata") or {}).get("creationTimestamp"))
    if not annotations_of(newest).get("deployment.kubernetes.io/revision-history"):
        return created
    ups = [when(e) for e in workload.events if (m := _scaling(e)) and m["set"] == name_of(newest) and m["way"] == "up"]
    known = [at for at in ups if at]
    if known:
        return max(known)
    conditions: list[dict[str, Any]] = (workload.obj.get("status") or {}).get("conditions") or []
    progressing: dict[str, Any] = next((c for c in conditions if c.get("type") == "Progressing"), {})
    return moment(progressing.get("lastUpdateTime")) or created


def _scaling(event: dict[str, Any]) -> re.Match[str] | None:
    return _SCALED.search(str(event.get("message", ""))) if event.get("reason") == "ScalingReplicaSet" else None


def _scalings(workload: Workload, onset: datetime) -> Iterator[tuple[Finding, list[str]]]:
    """Return changes of the number of replicas that are not steps of a rollout."""
    sets = workload.replica_sets
    if workload.kind != "Deployment" or not sets:
        return
    newest = sets[0]
    rolled = _rolled_at(workload, newest)
    manager, written = writer_of(workload.obj, "spec", "replicas")
    told = False
    for event in reversed(workload.events):
        match, at = _scaling(event), when(event)
        if not match or match["set"] != name_of(newest) or at is None:
            continue
        # A rollout scales its new ReplicaSet up, step by step; everything else is somebody's (or an autoscaler's) doing.
        if match["way"] == "up" and rolled is not None and abs(at - rolled) < ROLLOUT_WINDOW and len(sets) > 1:
            continue
        before = match["from"] or match["first"]
        if (
            match["way"] == "up"
            and rolled is not None
            and abs(at - rolled) < timedelta(seconds=30)
            and not int(before or 0)
        ):
            continue  # the very first rollout
        by = manager if written and abs(at - written) < ROLLOUT_WINDOW else ""
        yield _scaled(workload, at, onset, before=before, after=match["to"], by=by)
        told = True
    replicas = (workload.obj.get("spec") or {}).get("replicas")
    if not told and replicas == 0 and written:  # events are gone after an hour; managedFields stay
        yield _scaled(workload, written, onset, before=None, after="0", by=manager)


def _scaled(
    workload: Workload, at: datetime, onset: datetime, *, before: str | None, after: str, by: str
) -> tuple[Finding, list[str]]:
    down = before is None or int(after) < int(before)
    score, age = _score(at, onset, 0.95 if after == "0" else 0.8 if down else 0.5)
    said = f"{workload.name} was scaled{f' from {before}' if before else ''} to {after} {_ago(age)}" + (
        f" by {by}" if by else ""
    )
    data = _place(workload) | {"from": int(before) if before else None, "to": int(after), "age_s": age, "by": by}
    return Finding(kind="scaled", service=workload.service, statement=said, score=score, at=at, data=data), []
