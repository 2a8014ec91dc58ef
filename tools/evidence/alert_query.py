"""The alert's own expression: its value now, its threshold, when it crossed it, and how it moved before.

Use it for every alert that comes from a Prometheus rule; it says whether the alert still holds and since when. Where the
alert carries no expression, it is found in Prometheus' rules by the alert's name and labels.
"""

from datetime import UTC, datetime, timedelta

import numpy as np

from tools.alertexpr import Bools, rule_of, take_apart
from tools.alertvalue import Reading, read
from tools.errors import Permanent
from tools.levels import LEAD_S, MIN_BEFORE, human, outline
from tools.observe import Seen, missing, observe
from tools.prometheus import Prometheus, Series
from tools.records import Evidence, Finding, Scalar, Scope
from tools.signals import chart
from tools.sources import Sources

NEEDS = "prometheus"
POINTS = 360  # over the whole window; 30 min in steps of 5 s
MIN_STEP_S = 1.0
NEAR = timedelta(minutes=2)


async def collect(scope: Scope, sources: Sources) -> Evidence:
    """Evaluate the alert's expression over the window."""
    prometheus = sources.prometheus
    if prometheus is None:
        return missing("alert_query", "Prometheus", sources, "PROMETHEUS_URL")
    return await observe(
        "alert_query",
        f"The alert's own query: {scope.alert.name}",
        sources,
        lambda seen: _look(seen, scope, prometheus),
    )


async def _look(seen: Seen, scope: Scope, prometheus: Prometheus) -> None:
    expression = scope.query or scope.alert.query
    if not expression and scope.alert.sender == "person":
        seen.summary = "a person asked; there is no alert whose query could be read"
        return
    if not expression:
        seen.ask("GET /api/v1/rules?type=alert")
        rule = await rule_of(prometheus, scope.alert)
        if rule is None:
            raise Permanent(
                f"Prometheus has no alerting rule named {scope.alert.name!r}, and the alert carries no expression; "
                "was it raised by another Prometheus or another kind of sender?"
            )
        expression = rule.query
        seen.body.append(f"rule: {rule.name}, for {rule.duration_s:g} s")
    seen.queries.clear()
    seen.ask(expression)
    threshold = take_apart(expression)
    seen.link = prometheus.link(threshold.query)
    span = scope.end - scope.start
    step = max(span / POINTS, timedelta(seconds=MIN_STEP_S)).total_seconds()
    reading = await read(prometheus, threshold, scope.alert.labels, start=scope.start, end=scope.end, step_s=step)
    if not reading.firing and reading.crossed is None and step > MIN_STEP_S:  # it was met for less than a step
        near = max(scope.start, (scope.alert.starts_at or scope.end) - NEAR)
        fine = max((scope.end - near) / POINTS, timedelta(seconds=MIN_STEP_S)).total_seconds()
        closer = await read(prometheus, threshold, scope.alert.labels, start=near, end=scope.end, step_s=fine)
        reading = closer if closer.crossed else reading
    _tell(seen, scope, reading, threshold.whole)


def _usual(scope: Scope, reading: Reading) -> dict[str, Scalar]:
    """Return the value's range before the alert, how much of that time met the condition, and when it last ended.

    *low*, *usual*, *high*: 1st percentile, median and 99th; *held*: share (0..1); *ended*: while the condition is not met.
    """
    series = reading.series
    if series is None or reading.threshold.against or not reading.threshold.op:
        return {}
    holds = reading.threshold.holds(series.values)
    before = series.times < (scope.alert.starts_at or scope.end).timestamp() - LEAD_S
    if before.sum() < MIN_BEFORE:
        return _ended(reading, series, holds)
    low, usual, high = (float(each) for each in np.quantile(series.values[before], (0.01, 0.5, 0.99)))
    known: dict[str, Scalar] = {"low": round(low, 6), "usual": round(usual, 6), "high": round(high, 6)}
    return known | {"held": round(float(holds[before].mean()), 3)} | _ended(reading, series, holds)


def _ended(reading: Reading, series: Series, holds: Bools) -> dict[str, Scalar]:
    if reading.firing or not holds.any() or reading.value is None:
        return {}
    last = int(np.flatnonzero(holds)[-1])
    at = series.times[min(last + 1, series.times.size - 1)]
    return {"ended": datetime.fromtimestamp(float(at), UTC).isoformat()}


def _limit(reading: Reading) -> str:
    """Say what the value is compared with."""
    side = reading.threshold
    if not side.op:
        return "fires by having a result"
    if side.against:
        now = f" ({human(reading.bound, '')} now)" if reading.bound is not None else ""
        return f"threshold {side.op} {side.against}{now}"
    return f"threshold {side.op} {side.bound:g}"


def _tell(seen: Seen, scope: Scope, reading: Reading, whole: str) -> None:
    series, threshold, limit = reading.series, reading.threshold, _limit(reading)
    if series is None:
        seen.summary = f"no data for this expression in the window ({limit})"
        seen.body.append(seen.summary)
        return
    value = reading.value
    now = "no data any more" if value is None else human(value, "")
    since = f" since {reading.crossed:%H:%M:%S} UTC" if reading.crossed else ""
    state = (
        f"firing{since}"
        if reading.firing
        else f"not firing now{f', last began {reading.crossed:%H:%M:%S} UTC' if reading.crossed else ''}"
    )
    labels = ", ".join(f"{key}={label}" for key, label in sorted(series.labels.items()) if key != "__name__")
    seen.summary = f"value now {now}, {limit}: {state}"
    if reading.seen > 1:
        seen.summary += f" ({reading.over} of {reading.seen} series)"
    seen.chart = chart(
        scope.alert.name or "The alert's query",
        series.times,
        series.values,
        threshold=reading.bound,
        onset=reading.crossed,
    )
    seen.body += [f"the alert fires on: {whole}"] if whole else []
    seen.body += [
        f"expression: {threshold.query}",
        f"{limit}; series {{{labels}}}",
        f"{state}; now {now}, lowest {human(float(series.values.min()), '')}, highest {human(float(series.values.max()), '')}",
        "over the window: " + " ".join(f"{point:.4g}" for point in outline(series.values, 16)),
    ]
    seen.findings.append(
        Finding(
            kind="alert_value",
            service=scope.service,
            statement=f"{scope.alert.name}: {seen.summary}",
            score=0.8 if reading.firing else 0.3,
            at=reading.crossed,
            data={
                "value": value,
                "threshold": reading.bound,
                "op": threshold.op,
                "crossed": reading.crossed.isoformat() if reading.crossed else None,
                "firing": reading.firing,
                **_usual(scope, reading),
            },
        )
    )
