"""The service's usual four: request rate, error ratio, p95 latency, saturation of memory and CPU, and errors by dependency.

Each is compared with its own level in the half hour before the alert (median and spread), so what moved, by how much and
since when is told. Use it to see the symptom, to date its onset, and to see whether a dependency's answers fail.
"""

import asyncio
import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from tools import families
from tools.families import Found
from tools.levels import Shift, human, outline, shift
from tools.observe import Seen, missing, observe
from tools.prometheus import Prometheus, Series
from tools.records import Evidence, Finding, Scalar, Scope
from tools.season import AGO, same_then, told
from tools.selectors import matcher, selector
from tools.signals import Chart, RawSeries, Signals, chart
from tools.sources import Sources

NEEDS = "prometheus"
Floats = npt.NDArray[np.float64]
POINTS = 400
HIGH = 0.9  # of a limit: memory this near its limit is about to be killed, CPU is being throttled
PEER_ERRORS = 0.05
# The smallest difference worth telling: a share of requests, seconds, a share of the limit; rates are relative to their level.
FLOORS = {"errors": 0.01, "latency": 0.02, "saturation": 0.15}
UNITS = {"rate": "/s", "errors": "ratio", "latency": "s", "saturation": "ratio"}
USUAL = 0.25  # what is left of a shift that also happened at the same hour yesterday or a week ago
WEIGHT = {"errors": 0.9, "latency": 0.75, "saturation": 0.7, "rate": 0.6}


@dataclass(frozen=True)
class _Signal:
    """One series of the service on the common time grid; *name* tells several of one kind apart.

    *promql* gives it again at another time, "" where it is not one query's answer; *unit* is what its value is multiplied by.
    """

    kind: str
    name: str
    values: Floats
    promql: str = ""
    unit: float = 1.0


class _Look:
    """One look: the time grid, the client, what was seen; each method reads one of the four."""

    def __init__(self, seen: Seen, scope: Scope, prometheus: Prometheus) -> None:
        self.seen, self.scope, self.prometheus = seen, scope, prometheus
        last, span = math.ceil(scope.end.timestamp()), (scope.end - scope.start).total_seconds()
        self.step = float(max(math.ceil(span / POINTS), 1))
        # The last point is "now"; the series come on the same grid (see Prometheus.query_range)
        self.grid = last - self.step * np.arange(int(span / self.step), -1, -1, dtype=np.float64)
        self.onset = (scope.alert.starts_at or scope.end).timestamp()

    async def range(self, promql: str) -> list[Series]:
        return await self.prometheus.query_range(self.seen.ask(promql), self.scope.start, self.scope.end, self.step)

    def on_grid(self, series: Series, empty: float) -> Floats:
        """Return the series' values at the grid's times, *empty* where it has none."""
        values = np.full(self.grid.size, empty)
        index = np.rint((series.times - self.grid[0]) / self.step).astype(int)
        inside = (index >= 0) & (index < self.grid.size)
        values[index[inside]] = series.values[inside]
        return values

    async def total(self, promql: str) -> Floats | None:
        """Return a single summed series, 0 where absent once it has begun; None when it never was."""
        found = await self.range(promql)
        if not found:
            return None
        values = self.on_grid(found[0], np.nan)
        begun = int(np.argmax(np.isfinite(values)))
        values[begun:] = np.nan_to_num(values[begun:], nan=0.0)
        return values

    async def seasons(self, signal: _Signal, moved: Shift) -> str:
        """Say when, at the same hour, the level changed alike: "yesterday and a week ago", "" for never."""
        if not signal.promql:
            return ""

        async def then(ago: float) -> bool | None:
            past = timedelta(seconds=ago)
            window = self.scope.start - past, self.scope.end - past
            found = await self.prometheus.query_range(self.seen.ask(signal.promql), *window, self.step)
            if not found:
                return None
            moved_on = Series(found[0].labels, found[0].times + ago, found[0].values * signal.unit)
            return same_then(self.grid, self.on_grid(moved_on, np.nan), moved)

        found = await asyncio.gather(*(then(ago) for _, ago in AGO))
        return told(list(zip((when for when, _ in AGO), found, strict=True)))

    async def requests(self, found: Found) -> list[_Signal]:
        total = f"sum(rate({found.select()}[{found.window}]))"
        rate = await self.total(total)
        if rate is None:
            return []
        signals = [_Signal("rate", "requests", rate, total)]
        label = await families.label_of(self.prometheus, found, found.family.codes)
        if label:
            failed = found.select(families.failed(label, client=False))
            wrong = f"sum(rate({failed}[{found.window}]))"
            errors = await self.total(wrong)
            signals.append(_Signal("errors", "error ratio", _ratio(errors, rate), f"{wrong} / {total}"))
        return signals

    async def latency(self, found: Found) -> list[_Signal]:
        p95 = f"histogram_quantile(0.95, sum by (le) (rate({found.select()}[{found.window}])))"
        series, unit = await self.range(p95), found.family.unit
        return [_Signal("latency", "p95 latency", self.on_grid(s, np.nan) * unit, p95, unit) for s in series[:1]]

    async def saturation(self) -> list[_Signal]:
        pods = families.pods_of(self.scope)
        running = (*pods, matcher("container", "!~", "|POD"))
        memory = selector(*running, name="container_memory_working_set_bytes")
        scraped = await self.prometheus.query(self.seen.ask(f"max(count_over_time({memory}[300s]))"))
        if not scraped:
            return []
        window = max(families.SCRAPES_PER_WINDOW * 300 / max(scraped[0].value, 1.0), families.MIN_WINDOW_S)
        cpu = f"rate({selector(*running, name='container_cpu_usage_seconds_total')}[{window:.0f}s])"
        read = await asyncio.gather(self._share("memory", memory, pods), self._share("cpu", cpu, pods))
        return [signal for signal in read if signal]

    async def _share(self, resource: str, usage: str, pods: tuple[str, ...]) -> _Signal | None:
        """Return the fullest container's share of its limit."""
        limit = selector(*pods, matcher("resource", "=", resource), name="kube_pod_container_resource_limits")
        by = "by (pod, container)"
        used, limits = await asyncio.gather(self.range(f"max {by} ({usage})"), self.range(f"max {by} ({limit})"))
        caps = {_key(series): self.on_grid(series, np.nan) for series in limits}
        shares = [self.on_grid(series, np.nan) / caps[_key(series)] for series in used if _key(series) in caps]
        if not shares:
            return None
        stacked = np.vstack(shares)
        fullest = np.where(np.isfinite(stacked), stacked, -np.inf).max(axis=0)
        return _Signal("saturation", f"{resource} of limit", np.where(np.isfinite(fullest), fullest, np.nan))

    async def peers(self, found: Found) -> list[_Signal]:
        """Errors of the service's own calls, by whom it calls."""
        family = found.family
        peer = await families.label_of(self.prometheus, found, family.peers)
        code = await families.label_of(self.prometheus, found, family.codes)
        if not peer or not code:
            return []
        failed = found.select(families.failed(code, client=True))
        total, errors = await asyncio.gather(
            self.range(f"sum by ({peer}) (rate({found.select()}[{found.window}]))"),
            self.range(f"sum by ({peer}) (rate({failed}[{found.window}]))"),
        )
        wrong = {series.labels.get(peer, ""): self.on_grid(series, 0.0) for series in errors}
        for series in total:
            name = series.labels.get(peer, "")
            if name:
                rate = np.nan_to_num(self.on_grid(series, 0.0))
                self._peer(name, _ratio(wrong.get(name), rate))
        return []

    def _peer(self, peer: str, ratio: Floats) -> None:
        moved = shift(self.grid, ratio, self.onset, PEER_ERRORS)
        recent = ratio[np.isfinite(ratio)]
        now = float(recent[-1]) if recent.size else 0.0
        self.seen.body.append(
            f"calls to {peer}: {human(now, 'ratio')} fail now"
            + (f", before {human(moved.before, 'ratio')}" if moved else "")
        )
        if not moved or moved.after < moved.before or not moved.ongoing:
            return
        said = f"{self.scope.service}'s calls to {peer} fail: {human(moved.after, 'ratio')}, before {human(moved.before, 'ratio')}"
        self.seen.findings.append(
            Finding(
                kind="dependency_errors", service=self.scope.service, statement=f"{said}, since {_clock(moved)}",
                score=min(0.95, 0.6 + moved.after / 2), at=datetime.fromtimestamp(moved.onset, UTC),
                data={"peer": peer.rsplit("://", maxsplit=1)[-1].split(":", maxsplit=1)[0].split(".", maxsplit=1)[0], "ratio": round(moved.after, 4), "before": round(moved.before, 4)},
            )
        )  # fmt: skip


def _key(series: Series) -> tuple[str, str]:
    return series.labels.get("pod", ""), series.labels.get("container", "")


def _ratio(part: Floats | None, whole: Floats) -> Floats:
    """Part / whole where there is any traffic; 0 where no part was counted."""
    if part is None:
        part = np.zeros(whole.size)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(whole > 0, np.nan_to_num(part) / whole, np.nan)


async def collect(scope: Scope, sources: Sources) -> Evidence:
    """Read the four signals of the service over the window and compare."""
    prometheus = sources.prometheus
    if prometheus is None:
        return missing("service_metrics", "Prometheus", sources, "PROMETHEUS_URL")
    title = f"Rate, errors, latency and saturation of {scope.service or 'the service'}"
    return await observe("service_metrics", title, sources, lambda seen: _look(seen, scope, prometheus))


async def _look(seen: Seen, scope: Scope, prometheus: Prometheus) -> None:
    if not scope.service:
        raise ValueError("the alert names no service, so its metrics cannot be looked up")
    look = _Look(seen, scope, prometheus)
    found, saturation = await asyncio.gather(families.discover(prometheus, scope, seen.ask), look.saturation())
    seen.queries[:] = [query for query in seen.queries if "__name__" not in query]  # how the names were found
    requests = next((f for f in found if f.family in families.REQUESTS), None)
    latency = next((f for f in found if f.family in families.LATENCY), None)
    calls = [f for f in found if f.family in families.CALLS][:2]
    read = await asyncio.gather(
        look.requests(requests) if requests else _nothing(),
        look.latency(latency) if latency else _nothing(),
        *(look.peers(each) for each in calls),
    )
    read.append(saturation)
    signals = [signal for group in read for signal in group]
    for signal in signals:
        await _tell(look, signal)
    seen.signals = Signals(
        series=[RawSeries(scope.service, signal.name, look.grid, signal.values) for signal in signals]
    )
    seen.chart = _chart(look, signals)
    seen.findings.sort(key=lambda finding: -finding.score)
    seen.link = prometheus.link(seen.queries[0]) if seen.queries else ""
    if not signals:
        seen.ask(families.looked_for(scope))
        seen.summary = f"Prometheus has no known request, latency or container metric for {scope.service}"
        return
    seen.summary = _summary(scope, seen)


def _chart(look: _Look, signals: list[_Signal]) -> Chart | None:
    """Chart the signal that moved most telling, None when none did."""
    best = next(
        (each for each in sorted(look.seen.findings, key=lambda found: -found.score) if each.kind == "metric_shift"),
        None,
    )
    signal = next((each for each in signals if best and each.name == best.data.get("metric")), None)
    if best is None or signal is None:
        return None
    title = f"{look.scope.service}: {signal.name}"
    return chart(title, look.grid, signal.values, unit=UNITS[signal.kind], onset=best.at)


async def _nothing() -> list[_Signal]:
    return []


async def _tell(look: _Look, signal: _Signal) -> None:
    seen, unit = look.seen, UNITS[signal.kind]
    finite = signal.values[np.isfinite(signal.values)]
    if not finite.size:
        return
    median = float(np.median(finite))
    floor = FLOORS.get(signal.kind, 0.3 * abs(median))
    if signal.kind == "latency":
        floor = max(floor, 0.5 * median)
    moved = shift(look.grid, signal.values, look.onset, floor)
    now = float(finite[-1])
    points = " ".join(f"{point:.3g}" for point in outline(signal.values))
    seen.body.append(
        f"{signal.name}: now {human(now, unit)}, usual {human(moved.before if moved else median, unit)}; over the window: {points}"
    )
    if moved:
        seen.findings.append(_finding(look.scope, signal, moved, await look.seasons(signal, moved)))
    elif signal.kind == "saturation" and float(np.max(finite[-max(3, int(300 / look.step)) :])) >= HIGH:
        high = float(np.max(finite[-max(3, int(300 / look.step)) :]))
        data: dict[str, Scalar] = {
            "signal": "saturation",
            "before": round(median, 4),
            "after": round(high, 4),
            "unit": "ratio",
        }
        said = f"{look.scope.service}: {signal.name} reached {human(high, unit)}"
        seen.findings.append(
            Finding(kind="metric_shift", service=look.scope.service, statement=said, score=0.6, data=data)
        )


def _finding(scope: Scope, signal: _Signal, moved: Shift, usual: str) -> Finding:
    unit = UNITS[signal.kind]
    way = "rose" if moved.after > moved.before else "fell"
    better = signal.kind != "rate" and way == "fell"
    score = WEIGHT[signal.kind] * (1.0 if moved.ongoing else 0.6) * (0.3 if better else 1.0)
    if signal.kind == "rate" and way == "fell" and moved.after < 0.1 * moved.before:
        score = 0.85
    if usual:  # a daily or weekly rhythm is no symptom
        score *= USUAL
    rhythm = f", which is usual: it did so {usual} at this hour" if usual else ""
    over = "" if moved.ongoing else ", back to its usual level since"
    said = f"{scope.service}: {signal.name} {way} from {human(moved.before, unit)} to {human(moved.after, unit)} at {_clock(moved)}{over}{rhythm}"
    ratio = moved.ratio if np.isfinite(moved.ratio) else None
    return Finding(
        kind="metric_shift", service=scope.service, statement=said, score=score,
        at=datetime.fromtimestamp(moved.onset, UTC),
        data={
            "signal": signal.kind, "metric": signal.name, "before": round(moved.before, 6), "after": round(moved.after, 6),
            "unit": unit, "ratio": round(ratio, 3) if ratio is not None else None, "ongoing": moved.ongoing,
            "usual": usual,
        },
    )  # fmt: skip


def _clock(moved: Shift) -> str:
    return f"{datetime.fromtimestamp(moved.onset, UTC):%H:%M:%S} UTC"


def _summary(scope: Scope, seen: Seen) -> str:
    shifts = [f for f in seen.findings if f.kind == "metric_shift"]
    failing = [str(f.data["peer"]) for f in seen.findings if f.kind == "dependency_errors"]
    parts = [f.statement.removeprefix(f"{scope.service}: ") for f in shifts[:3]]
    if failing:
        parts.append(f"calls to {', '.join(failing)} fail")
    return "; ".join(parts) if parts else "rate, errors, latency and saturation are at their usual levels"
