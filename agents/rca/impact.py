"""How much of what users feel each service adds: seconds waited and requests failed, by volume. Called by fuse.py.

Used where it is known which service and signal hurts and how many requests each service serves. A slow service that
nobody asks explains nothing; a caller's share that its callees add too is theirs. Every moment counts as much as users
suffered in it, so that the onset inside the window needs no guess.
"""

import numpy as np

from agents.rca.graph import Calls, below
from agents.rca.metrics import Kind, kind_of, measures, period
from agents.rca.signals import Floats, Incident, Series

CALLEE_SHARE = 0.75  # of what its worst callee adds, taken off a caller: part of it may be its own


def impact(incident: Incident, graph: Calls) -> dict[str, float]:
    """Return each service's own share (1 = all) of what the hurting service adds; empty when that cannot be told."""
    kind = kind_of(incident.hurts_metric)
    felt = _felt(incident, graph, kind)
    if felt is None:
        return {}
    total = float(felt.sum())
    if total <= 0:
        return {}
    weight = felt / total
    served: dict[str, float] = {}
    strange: set[str] = set()
    for service in sorted(below(graph, incident.hurts)):
        one = _signal(incident, service, kind)
        if one is None or one.values.size != felt.size:
            continue
        served[service] = float((weight * _added(incident, one, kind)).sum())
        if incident.normal and not _known(incident, one).size:
            strange.add(service)
    own = {}
    for service, amount in served.items():
        # A callee that was never called before does not explain its caller: calling it is what is new.
        callees = [served.get(callee, 0.0) for callee in graph.get(service, ()) if callee not in strange]
        left = amount - CALLEE_SHARE * max(callees, default=0.0)
        own[service] = 0.0 if service in strange else max(left, 0.0) / float((weight * felt).sum())
    return own


def _felt(incident: Incident, graph: Calls, kind: Kind) -> Floats | None:
    """Return what the hurting service adds at every moment; what its callees add where it is not measured itself."""
    hurting = _signal(incident, incident.hurts, kind)
    if hurting is not None:
        return _added(incident, hurting, kind)
    callees = [
        one for name in sorted(graph.get(incident.hurts, ())) if (one := _signal(incident, name, kind)) is not None
    ]
    if not callees:
        return None
    size = max(one.values.size for one in callees)
    return np.asarray(sum(_added(incident, one, kind) for one in callees if one.values.size == size), dtype=np.float64)


def _signal(incident: Incident, service: str, kind: Kind) -> Series | None:
    """Return the service's series of *kind*, its mean before any percentile: means add up, percentiles do not."""
    fitting = [one for one in incident.series if one.service == service and measures(one) == kind]
    return min(fitting, key=lambda one: ("average" not in one.metric.lower(), one.metric), default=None)


def _known(incident: Incident, one: Series) -> Floats:
    before = incident.normal.get((one.service, one.metric))
    if before is None:
        before = one.values[one.times <= incident.at - period(one)]
    return before[np.isfinite(before)]


def _added(incident: Incident, one: Series, kind: Kind) -> Floats:
    """Return seconds waited (latency) or requests failed (good, in percent) above normal at every moment."""
    before = _known(incident, one)
    seen = one.values[np.isfinite(one.values)]
    if not before.size:
        before = np.array([100.0]) if kind == "good" else seen[:1]
    if not before.size:
        return np.zeros(one.values.size)
    usual = float(np.median(before))
    worse = (usual - one.values) / 100.0 if kind == "good" else one.values - usual
    volume = _volume(incident, one.service, one.values.size)
    if volume is None:
        volume = _usual_volume(incident, one.values.size)
    amount = np.maximum(worse, 0.0) * (1.0 if volume is None else volume)
    return np.where(np.isfinite(amount), amount, 0.0)


def _volume(incident: Incident, service: str, size: int) -> Floats | None:
    fitting = (one.values for one in incident.series if one.service == service and _counts(one))
    return next((values for values in fitting if values.size == size), None)


def _usual_volume(incident: Incident, size: int) -> Floats | None:
    """Return the median of all services' requests: the guess for a service whose requests nobody counts."""
    counted = [one.values for one in incident.series if one.values.size == size and _counts(one)]
    return np.asarray(np.median(np.nan_to_num(counted), axis=0), dtype=np.float64) if counted else None


def _counts(one: Series) -> bool:
    return measures(one) == "traffic" and "request" in one.metric.lower()
