"""Who calls whom, from what was declared and from spans; the caller of a broken callee is a symptom. Called by fuse.py."""

from collections.abc import Mapping

import numpy as np

from agents.rca.signals import Incident

Calls = Mapping[str, frozenset[str]]


def calls(incident: Incident) -> Calls:
    """Return the callees of every service that calls any."""
    pairs = set(incident.calls)
    if incident.spans is not None:
        spans, has = incident.spans, incident.spans.parent >= 0
        above = spans.service[np.maximum(spans.parent, 0)]
        across = has & (above != spans.service)
        for pair in np.unique(above[across] * len(spans.services) + spans.service[across]).tolist():
            caller, callee = divmod(pair, len(spans.services))
            pairs.add((spans.services[caller], spans.services[callee]))
    found: dict[str, set[str]] = {}
    for caller, callee in pairs:
        if caller != callee:
            found.setdefault(caller, set()).add(callee)
    return {caller: frozenset(callees) for caller, callees in found.items()}


def below(graph: Calls, service: str) -> frozenset[str]:
    """Return every service that *service* depends on, directly or not, without itself."""
    seen: set[str] = set()
    todo = list(graph.get(service, ()))
    while todo:
        name = todo.pop()
        if name not in seen and name != service:
            seen.add(name)
            todo.extend(graph.get(name, ()))
    return frozenset(seen)
