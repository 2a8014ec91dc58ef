"""What changed near the alert's start: rollouts with what differs, scaling, restarts, nodes, autoscaler, Helm, Argo CD, Flux, commits.

Looks at the service and at what it depends on; what is closest before the onset and nearest to the suspect comes first. Image,
environment (secrets as hashes), limits, arguments and probes are compared. Use it for every alert: most have a change behind them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from tools import commits, edits, gitops, history
from tools.errors import TocsinError
from tools.history import Event
from tools.kube import Kube
from tools.observe import Seen, missing, observe
from tools.records import Evidence, Finding, Scope
from tools.sources import Sources
from tools.workloads import Workload, dependencies, find

NEEDS = "kube"
KINDS = ("replicasets", "controllerrevisions", "events", "pods")
HORIZON = timedelta(hours=24)  # older changes are listed and are no findings
HALF_LIFE_S = 3600.0  # a change an hour before the alert tells half as much as one just before it
AFTER_S = 120.0  # an alert's start is its rule's, a little after the cause; a change later than this may be a remedy
NEIGHBOUR = 0.95  # a dependency's change against the service's own of the same moment
MAX_OLD = 10


async def collect(scope: Scope, sources: Sources) -> Evidence:
    """Look at what changed in the workload behind *scope* and its dependencies."""
    kube = sources.kube
    if kube is None:
        return missing("changes", "Kubernetes cluster", sources, "KUBECONFIG")
    return await observe(
        "changes", f"Recent changes to {scope.service or scope.alert.name} and what it depends on", sources,
        lambda seen: _look(seen, scope, kube, sources.repositories),
    )  # fmt: skip


async def _look(seen: Seen, scope: Scope, kube: Kube, repositories: Sequence[commits.Repository]) -> None:
    workload = await find(kube, scope, KINDS, seen.ask)
    near = await dependencies(kube, workload, KINDS, seen.ask)
    onset = scope.alert.starts_at or scope.end
    unread: list[str] = []
    read = await asyncio.gather(
        *(_of(each, kube, repositories, seen, unread.append) for each in (workload, *near)),
        _quietly(edits.node_changes(kube, workload, seen.ask), unread.append),
    )
    found = [(_finding(event, onset), event) for events in read for event in events]
    found.sort(key=lambda pair: -pair[0].score)
    old = [pair for pair in found if not _fresh(pair[0], onset)]
    fresh = [pair for pair in found if _fresh(pair[0], onset)]
    seen.findings += [finding for finding, _ in fresh]
    for finding, event in fresh:
        seen.body += [finding.statement, *event.lines]
    for finding, event in sorted(old, key=_newest, reverse=True)[:MAX_OLD]:
        seen.body += [f"(old) {finding.statement}", *event.lines]
    seen.body += [f"not read: {why}" for why in dict.fromkeys(unread)]
    names = ", ".join(each.name for each in (workload, *near))
    if seen.findings:
        more = f" (and {len(seen.findings) - 1} more changes)" if len(seen.findings) > 1 else ""
        seen.summary = seen.findings[0].statement + more
    else:
        seen.summary = f"no rollout and no scaling of {names} in the last 24 h"
    seen.truncated = bool(workload.namespace.partial)


async def _of(
    workload: Workload,
    kube: Kube,
    repositories: Sequence[commits.Repository],
    seen: Seen,
    unread: Callable[[str], None],
) -> list[Event]:
    """Return everything that happened to one workload."""
    moves = await _quietly(edits.autoscaler_moves(kube, workload, seen.ask), unread)
    delivered = await gitops.deliveries(kube, workload, seen.ask, unread)
    rolled = await commits.explained(list(history.rollouts(workload)), repositories, seen.ask, unread)
    times = [move.at for move in moves if move.at]
    events = [*rolled, *history.scalings(workload, times), *history.template_edits(workload), *moves, *delivered]
    near = NEIGHBOUR if workload.neighbour else 1.0
    return [replace(event, worth=event.worth * near) for event in events]


async def _quietly(look: Awaitable[list[Event]], unread: Callable[[str], None]) -> list[Event]:
    """Return what *look* finds; a failure is told to *unread*: what surrounds a workload must not cost the workload itself."""
    try:
        return await look
    except TocsinError as exc:
        unread(str(exc))
        return []


def _fresh(finding: Finding, onset: datetime) -> bool:
    return finding.at is not None and onset - finding.at <= HORIZON


def _newest(pair: tuple[Finding, Event]) -> float:
    return pair[0].at.timestamp() if pair[0].at else 0.0


def _finding(event: Event, onset: datetime) -> Finding:
    score, age = _score(event.at, onset, event.worth)
    said = event.said.format(when=_ago(age))
    data = {**event.data, "age_s": age}
    return Finding(kind=event.kind, service=event.service, statement=said, score=score, at=event.at, data=data)


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
