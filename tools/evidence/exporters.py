"""Every metric that exists for the service (JVM, Go, pools, Postgres, Redis, Kafka, mesh, kubelet ...), and which of them moved.

What exists is asked, not assumed: names by the service's labels and pods, their types from the targets. Use it to see saturation
and resources behind a symptom: a connection pool that is empty, lag, throttling, restarts, garbage collection.
"""

import asyncio
import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from tools import exporters, families
from tools.errors import TocsinError
from tools.exporters import ALONE, Metric
from tools.levels import Floats, Shift, human, outline, shift
from tools.observe import Seen, missing, observe
from tools.prometheus import Prometheus, Series
from tools.records import Evidence, Finding, Scope
from tools.season import AGO, same_then, told
from tools.selectors import matcher, selector
from tools.sources import Sources

NEEDS = "prometheus"
MAX_NAMES = 2_000  # of one label's answer
MAX_METRICS = 40  # looked at; the known ones first
MAX_FINDINGS = 12
POINTS = 240
LEAST = 0.3  # of its own usual level must a metric move to be told
USUAL = 0.25
# What tools.evidence.service_metrics tells already
COVERED = frozenset(
    name.removesuffix("_bucket").removesuffix("_count") for name in families.NAMES
) | {"container_memory_working_set_bytes", "container_cpu_usage_seconds_total"}  # fmt: skip


@dataclass(frozen=True)
class _Found:
    """A metric of the service with the matchers that pick it."""

    metric: Metric
    picked: str


async def collect(scope: Scope, sources: Sources) -> Evidence:
    """Discover the service's metrics and tell which left their usual level."""
    prometheus = sources.prometheus
    if prometheus is None:
        return missing("exporters", "Prometheus", sources, "PROMETHEUS_URL")
    title = f"Everything that is measured about {scope.service or 'the service'}"
    return await observe("exporters", title, sources, lambda seen: _look(seen, scope, prometheus))


async def _look(seen: Seen, scope: Scope, prometheus: Prometheus) -> None:
    if not scope.service:
        raise ValueError("the alert names no service, so its metrics cannot be looked up")
    found, total = await _discover(seen, scope, prometheus)
    if not found:
        seen.summary = f"Prometheus has no further metric that names {scope.service}"
        return
    step = float(max(math.ceil((scope.end - scope.start).total_seconds() / POINTS), 1))
    window = f"{max(int(step * 2), 120)}s"
    looks = [_one(seen, scope, prometheus, each, step, window) for each in found]
    read = await asyncio.gather(*looks)
    findings = sorted((finding for finding, _ in read if finding), key=lambda finding: -finding.score)
    seen.findings = findings[:MAX_FINDINGS]
    seen.body = [line for _, line in sorted(read, key=lambda row: -(row[0].score if row[0] else 0)) if line]
    seen.truncated = total > len(found) or len(findings) > MAX_FINDINGS
    seen.link = prometheus.link(found[0].metric.promql(found[0].picked, window))
    cut = f" of {total}" if total > len(found) else ""
    seen.summary = f"{len(found)}{cut} metrics looked at; " + (
        "; ".join(finding.statement.partition(": ")[2] for finding in seen.findings[:3]) or "none left its usual level"
    )


async def _discover(seen: Seen, scope: Scope, prometheus: Prometheus) -> tuple[list[_Found], int]:
    """Return the metrics to look at, the known ones first, and how many there are."""
    where = families.place(scope)
    labels = [label for group in families.SERVICE_LABELS for label in group]
    picks = [f"{matcher(label, '=', scope.service)}{',' if where else ''}{where}" for label in labels]
    picks.append(",".join(families.pods_of(scope)))
    asked = (prometheus.names(seen.ask(selector(pick)), scope.start, scope.end, MAX_NAMES) for pick in picks)
    answers, types = await asyncio.gather(asyncio.gather(*asked), _types(prometheus))
    found: dict[str, _Found] = {}
    for pick, names in zip(picks, answers, strict=True):
        for metric in exporters.read(set(names), types):
            if metric.base not in COVERED:
                found.setdefault(metric.base, _Found(metric, pick))
    ordered = sorted(found.values(), key=lambda each: (-_worth(each.metric), each.metric.base))
    return ordered[:MAX_METRICS], len(ordered)


async def _types(prometheus: Prometheus) -> dict[str, str]:
    """Return the metrics' types; {} where the server does not keep them (Thanos without a sidecar, backfilled blocks)."""
    try:
        return await prometheus.types()
    except TocsinError:
        return {}


def _worth(metric: Metric) -> float:
    return metric.means.worth if metric.means else ALONE


async def _one(
    seen: Seen, scope: Scope, prometheus: Prometheus, each: _Found, step: float, window: str
) -> tuple[Finding | None, str]:
    promql = each.metric.promql(each.picked, window)
    series = await prometheus.query_range(promql, scope.start, scope.end, step)
    if not series or not np.isfinite(series[0].values).any():
        return None, ""
    times, values = series[0].times, series[0].values
    usual = float(np.median(values[np.isfinite(values)]))
    onset = (scope.alert.starts_at or scope.end).timestamp()
    moved = shift(times, values, onset, max(LEAST * abs(usual), 1e-9))
    unit = each.metric.means.unit if each.metric.means else ""
    says = each.metric.means.says if each.metric.means else each.metric.kind
    now = float(values[np.isfinite(values)][-1])
    line = f"{each.metric.base} ({says}): now {human(now, unit)}; {' '.join(f'{v:.3g}' for v in outline(values, 8))}"
    if moved is None:
        return None, line
    seen.ask(promql)
    same = await _same(prometheus, promql, scope, step, (times, moved))
    return _finding(scope, each.metric, moved, same), line


async def _same(prometheus: Prometheus, promql: str, scope: Scope, step: float, now: tuple[Floats, Shift]) -> str:
    """Say when the level changed alike at the same hour, "" for never."""
    grid, moved = now

    async def then(ago: float) -> bool | None:
        past = timedelta(seconds=ago)
        found = await prometheus.query_range(promql, scope.start - past, scope.end - past, step)
        return same_then(grid, _on(grid, found[0], ago), moved) if found else None

    found = await asyncio.gather(*(then(ago) for _, ago in AGO))
    return told(list(zip((when for when, _ in AGO), found, strict=True)))


def _on(grid: Floats, series: Series, ago: float) -> Floats:
    """Return an earlier series' values at the times of *grid*, NaN where it has none."""
    place = {round(at + ago): value for at, value in zip(series.times.tolist(), series.values.tolist(), strict=True)}
    return np.array([place.get(round(at), math.nan) for at in grid.tolist()])


def _finding(scope: Scope, metric: Metric, moved: Shift, same: str) -> Finding:
    """Tell one shift: the way that is known to be bad counts whole, the other way little."""
    means, rose = metric.means, moved.after > moved.before
    bad = means is None or means.bad == "either" or (means.bad == "up") == rose
    score = _worth(metric) * (1.0 if bad else 0.3) * (1.0 if moved.ongoing else 0.6) * (USUAL if same else 1.0)
    unit = means.unit if means else ""
    at = datetime.fromtimestamp(moved.onset, UTC)
    called = f"{metric.base} ({means.says})" if means else metric.base
    said = (
        f"{scope.service}: {called} {'rose' if rose else 'fell'} from {human(moved.before, unit)} to "
        f"{human(moved.after, unit)} at {at:%H:%M:%S} UTC"
    )
    said += "" if moved.ongoing else ", back to its usual level since"
    said += f", which is usual: it did so {same} at this hour" if same else ""
    ratio = moved.ratio if math.isfinite(moved.ratio) else None
    return Finding(
        kind="metric_shift", service=scope.service, statement=said, score=score, at=at,
        data={
            "signal": "resource", "metric": metric.base, "before": round(moved.before, 6), "after": round(moved.after, 6),
            "unit": unit, "ratio": round(ratio, 3) if ratio is not None else None, "ongoing": moved.ongoing,
            "usual": same, "exporter": means.exporter if means else "", "type": metric.kind,
        },
    )  # fmt: skip
