"""Rate, errors, latency, CPU and memory of every service around the alerting one, in a few grouped queries.

Shows which of the services in the same namespace left their usual level, and who calls whom. Use it to see whether the trouble
is the alerting service's own, a callee's or a caller's, before looking closer at one of them.
"""

import asyncio
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from tools import families
from tools.families import Family
from tools.levels import Floats, Shift, human, outline, shift
from tools.observe import Seen, missing, observe
from tools.prometheus import Prometheus, Sample, Series
from tools.records import Evidence, Scope
from tools.selectors import exactly, matcher, selector
from tools.signals import RawSeries, Signals
from tools.sources import Sources

NEEDS = "prometheus"
MAX_SERVICES = 50
MAX_SERIES = 400  # of one query; an answer beyond it is cut, the busiest first
POINTS = 120
SHOWN = 10
LABELS = tuple(label for group in families.SERVICE_LABELS for label in group)
# The smallest difference worth telling, in the unit of the metric; of the others a third of their own level.
FLOORS = {"error ratio": 0.01, "p95 latency": 0.02}
UNITS = {"request rate": "/s", "error ratio": "ratio", "p95 latency": "s", "cpu": " cores", "memory": "bytes"}
# <name>-<pod template hash>-<5 characters>, <name>-<ordinal>, <name>-<5 characters>: the names controllers give to pods.
_POD = re.compile(r"-[a-z0-9]{4,10}-[a-z0-9]{5}$|-\d+$|-[a-z0-9]{5}$")


@dataclass(frozen=True)
class _Where:
    """How the neighbourhood is picked: by which *label* services are told apart, and the matchers of those that are read."""

    label: str
    picked: tuple[str, ...]
    window: str
    families: Mapping[str, Family]
    names: tuple[str, ...]


async def collect(scope: Scope, sources: Sources) -> Evidence:
    """Read the neighbourhood's series over the window and compare each with its own level."""
    prometheus = sources.prometheus
    if prometheus is None:
        return missing("neighbourhood", "Prometheus", sources, "PROMETHEUS_URL")
    title = f"Services around {scope.service or scope.alert.name}"
    return await observe("neighbourhood", title, sources, lambda seen: _look(seen, scope, prometheus))


async def _look(seen: Seen, scope: Scope, prometheus: Prometheus) -> None:
    where, cut = await _discover(seen, scope, prometheus)
    asked = _Asked(seen, scope, prometheus)
    read = await asyncio.gather(
        *(asked.red(where) if where else ()), asked.edges(where), asked.pods(where, "container_cpu_usage_seconds_total", "cpu"),
        asked.pods(where, "container_memory_working_set_bytes", "memory"),
    )  # fmt: skip
    series = [one for part in read for one in part if not one.metric.startswith("calls ")]
    edges = [one for part in read for one in part if one.metric.startswith("calls ")]
    calls = frozenset((one.service, one.metric.removeprefix("calls ")) for one in edges)
    cut = " ".join(filter(None, [cut, *asked.cuts]))
    seen.signals = Signals(series=tuple(series), calls=calls, cut=cut)
    seen.truncated = bool(cut)
    seen.link = prometheus.link(seen.queries[0]) if seen.queries else ""
    _tell(seen, scope, series, calls, cut)


async def _discover(seen: Seen, scope: Scope, prometheus: Prometheus) -> tuple[_Where | None, str]:
    """Find out which known families the namespace has, and by which label they name their service."""
    place = families.place(scope)
    known = selector(matcher("__name__", "=~", "|".join(families.NAMES)), place)
    rows = await prometheus.query(seen.ask(f"count by (__name__,{','.join(LABELS)}) ({known})"))
    label = _label(rows, scope.service)
    if not label:
        return None, ""
    here = [row for row in rows if row.labels.get(label)]
    present = {row.labels["__name__"] for row in here if "__name__" in row.labels}
    found = {
        kind: family
        for kind, families_ in (("rate", families.REQUESTS), ("latency", families.LATENCY), ("calls", families.CALLS))
        if (family := next((each for each in families_ if each.name in present), None))
    }
    names = sorted({row.labels[label] for row in here}, key=lambda name: (name != scope.service, name))
    picked, cut = [place], ""
    if len(names) > MAX_SERVICES:
        cut = f"{MAX_SERVICES} of {len(names)} services were read."
        picked.append(matcher(label, "=~", "|".join(exactly(name) for name in names[:MAX_SERVICES])))
    first = next(iter(found.values()), None)
    window = await _window(prometheus, selector(*picked, name=first.name)) if first else "60s"
    return _Where(label, tuple(filter(None, picked)), window, found, tuple(names[:MAX_SERVICES])), cut


def _label(rows: Sequence[Sample], service: str) -> str:
    """Return the label that names services: the one that names *service*, else the first that tells several apart."""
    values = {label: {row.labels[label] for row in rows if row.labels.get(label)} for label in LABELS}
    own = next((label for label in LABELS if service in values[label]), "")
    return own or next((label for label in LABELS if len(values[label]) > 1), "")


async def _window(prometheus: Prometheus, picked: str) -> str:
    rows = await prometheus.query(f"max(count_over_time({picked}[{families.LOOKBACK_S}s]))")
    interval = families.LOOKBACK_S / max(rows[0].value, 1.0) if rows else 60.0
    return f"{max(families.SCRAPES_PER_WINDOW * interval, families.MIN_WINDOW_S):.0f}s"


class _Asked:
    """The queries of one look; each returns raw series and notes a bound that bit in *cuts*."""

    def __init__(self, seen: Seen, scope: Scope, prometheus: Prometheus) -> None:
        self.seen, self.scope, self.prometheus = seen, scope, prometheus
        self.step = max(math.ceil((scope.end - scope.start).total_seconds() / POINTS), 1)
        self.cuts: list[str] = []

    async def range(self, promql: str) -> list[Series]:
        found = await self.prometheus.query_range(self.seen.ask(promql), self.scope.start, self.scope.end, self.step)
        if len(found) > MAX_SERIES:
            self.cuts.append(f"{MAX_SERIES} of {len(found)} series were kept of one query.")
            found = sorted(found, key=lambda one: -float(np.nanmax(one.values, initial=0.0)))[:MAX_SERIES]
        return found

    def red(self, where: _Where) -> Iterable["asyncio.Future[list[RawSeries]]"]:
        """Ask for rate, errors and latency by service."""
        return [asyncio.ensure_future(self.requests(where)), asyncio.ensure_future(self.latency(where))]

    async def requests(self, where: _Where) -> list[RawSeries]:
        family = where.families.get("rate")
        if family is None:
            return []
        all_ = selector(*where.picked, name=family.name)
        rates = await self.range(f"sum by ({where.label}) (rate({all_}[{where.window}]))")
        found = [RawSeries(one.labels.get(where.label, ""), "request rate", one.times, one.values) for one in rates]
        code = await self._label_of(family.codes, all_)
        if code:
            failed = selector(*where.picked, families.failed(code, client=False), name=family.name)
            errors = await self.range(f"sum by ({where.label}) (rate({failed}[{where.window}]))")
            wrong = {one.labels.get(where.label, ""): one for one in errors}
            found += [_share(rate, wrong.get(rate.service)) for rate in found]
        return [one for one in found if one.service]

    async def latency(self, where: _Where) -> list[RawSeries]:
        family = where.families.get("latency")
        if family is None:
            return []
        picked = selector(*where.picked, name=family.name)
        p95 = f"histogram_quantile(0.95, sum by (le,{where.label}) (rate({picked}[{where.window}])))"
        return [
            RawSeries(one.labels[where.label], "p95 latency", one.times, one.values * family.unit)
            for one in await self.range(p95)
            if one.labels.get(where.label)
        ]

    async def edges(self, where: _Where | None) -> list[RawSeries]:
        """Ask who calls whom; the peer's name is in the metric's."""
        family = where.families.get("calls") if where else None
        if where is None or family is None:
            return []
        picked = selector(*where.picked, name=family.name)
        peer = await self._label_of(family.peers, picked)
        if not peer:
            return []
        asked = self.seen.ask(f"sum by ({where.label},{peer}) (rate({picked}[{where.window}]))")
        rows = (await self.prometheus.query(asked))[:MAX_SERIES]
        found = [(row.labels.get(where.label, ""), _host(row.labels.get(peer, ""))) for row in rows]
        return [RawSeries(one, f"calls {other}", (), ()) for one, other in found if one and other and one != other]

    async def pods(self, where: _Where | None, metric: str, name: str) -> list[RawSeries]:
        """Ask for one resource of the services' pods, of the hungriest ones where no service is known; a workload is its hungriest."""
        owners = f"({'|'.join(exactly(each) for each in where.names)})-.+" if where else ""
        of_them = matcher("pod", "=~", owners) if owners else ""
        picked = selector(families.place(self.scope), matcher("container", "!~", "|POD"), of_them, name=metric)
        used = f"rate({picked}[2m])" if metric.endswith("_total") else picked
        hungriest = f"max by (pod) ({used})" if where else f"topk({MAX_SERVICES}, max by (pod) ({used}))"
        best: dict[str, Series] = {}
        for one in await self.range(hungriest):
            owner = _POD.sub("", one.labels.get("pod", ""))
            if owner and (owner not in best or _last(one) > _last(best[owner])):
                best[owner] = one
        return [RawSeries(owner, name, one.times, one.values) for owner, one in sorted(best.items())[:MAX_SERVICES]]

    async def _label_of(self, wanted: Sequence[str], picked: str) -> str:
        if not wanted:
            return ""
        rows = await self.prometheus.query(f"count by ({','.join(wanted)}) ({picked})")
        present = {key for row in rows for key, value in row.labels.items() if value}
        return next((label for label in wanted if label in present), "")


def _last(one: Series) -> float:
    return float(one.values[-1]) if one.values.size else 0.0


def _host(peer: str) -> str:
    return peer.rsplit("://", maxsplit=1)[-1].split(":", maxsplit=1)[0].split(".", maxsplit=1)[0]


def _share(rate: RawSeries, failed: Series | None) -> RawSeries:
    """Return which share of the requests failed: 0 where none was counted, NaN where nothing was asked."""
    at = {} if failed is None else dict(zip(failed.times.tolist(), failed.values.tolist(), strict=True))
    whole = np.asarray(rate.values, dtype=np.float64)
    part = np.array([at.get(when, 0.0) for when in np.asarray(rate.times).tolist()])
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(whole > 0, np.nan_to_num(part) / whole, np.nan)
    return RawSeries(rate.service, "error ratio", rate.times, share)


def _moved(scope: Scope, series: Sequence[RawSeries]) -> list[tuple[float, RawSeries, Shift]]:
    """Return the series that left their level for the worse, the furthest first."""
    around = (scope.alert.starts_at or scope.end).timestamp()
    found = []
    for one in series:
        values: Floats = np.asarray(one.values, dtype=np.float64)
        finite = values[np.isfinite(values)]
        if not finite.size:
            continue
        median = float(np.median(finite))
        floor = max(FLOORS.get(one.metric, 0.3 * abs(median)), 0.5 * median if one.metric == "p95 latency" else 0.0)
        moved = shift(np.asarray(one.times, dtype=np.float64), values, around, floor)
        if moved is not None and (moved.after > moved.before or one.metric == "request rate"):
            found.append((abs(moved.after - moved.before) / max(abs(moved.before), floor, 1e-9), one, moved))
    return sorted(found, key=lambda each: -each[0])


def _tell(seen: Seen, scope: Scope, series: Sequence[RawSeries], calls: frozenset[tuple[str, str]], cut: str) -> None:
    names = {one.service for one in series}
    if not names:
        seen.summary = f"Prometheus has no known metric of services in {scope.namespace or 'any namespace'}"
        return
    moved = _moved(scope, series)
    said = [_said(one, change) for _, one, change in moved[:SHOWN]]
    seen.summary = f"{len(names)} services; " + ("; ".join(said[:3]) if said else "all at their usual levels")
    seen.body = [
        f"{line}; over the window: {' '.join(f'{value:.3g}' for value in outline(np.asarray(one.values, dtype=np.float64), 6))}"
        for line, (_, one, _change) in zip(said, moved, strict=False)
    ]
    callers: dict[str, list[str]] = {}
    for caller, callee in sorted(calls):
        callers.setdefault(caller, []).append(callee)
    seen.body += [f"{caller} calls {', '.join(callees)}" for caller, callees in callers.items()]
    seen.body += [cut] if cut else []


def _said(one: RawSeries, moved: Shift) -> str:
    unit = UNITS[one.metric]
    way = "rose" if moved.after > moved.before else "fell"
    when = f"{datetime.fromtimestamp(moved.onset, UTC):%H:%M:%S} UTC"
    return f"{one.service}: {one.metric} {way} from {human(moved.before, unit)} to {human(moved.after, unit)} at {when}"
