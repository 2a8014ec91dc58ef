"""How many messages wait for the service: consumer lag and queue length, now against before.

Knows the exporters of Kafka, RabbitMQ, SQS, NATS and Celery; a queue belongs to the service when a label of it, or of the alert,
says so. Use it for whatever works off a queue: a backlog says that it is too slow or stands still.
"""

from dataclasses import dataclass

import numpy as np

from tools.levels import LEAD_S
from tools.observe import Seen, missing, observe
from tools.prometheus import Prometheus, Series
from tools.records import Evidence, Finding, Scope
from tools.selectors import matcher, selector
from tools.sources import Sources

NEEDS = "prometheus"
METRICS = (
    "kafka_consumergroup_lag_sum", "kafka_consumergroup_lag", "kafka_consumer_group_lag", "rabbitmq_queue_messages_ready",
    "rabbitmq_queue_messages", "aws_sqs_approximate_number_of_messages_visible_average", "nats_consumer_num_pending",
    "celery_queue_length",
)  # fmt: skip
LABELS = ("queue", "queue_name", "topic", "consumergroup", "group", "consumer_name", "service", "app", "job")
POINTS = 240
MIN_WAITING = 10
GROWN = 3.0  # times what usually waits
RECENT_S = 20.0


@dataclass(frozen=True)
class _Queue:
    """One queue over the window: what waits now, what usually did, and by how much a second it grows."""

    name: str
    metric: str
    now: float
    usual: float
    growth: float


async def collect(scope: Scope, sources: Sources) -> Evidence:
    """Read the queues that the service or the alert names."""
    prometheus = sources.prometheus
    if prometheus is None:
        return missing("queues", "Prometheus", sources, "PROMETHEUS_URL")
    title = f"Queues of {scope.service or scope.alert.name}"
    return await observe("queues", title, sources, lambda seen: _look(seen, scope, prometheus))


async def _look(seen: Seen, scope: Scope, prometheus: Prometheus) -> None:
    names = {scope.service, *(scope.alert.labels.get(label, "") for label in LABELS)} - {""}
    if not names:
        raise ValueError("the alert names neither a service nor a queue, so no queue can be looked up")
    step = max((scope.end - scope.start).total_seconds() / POINTS, 1.0)
    query = seen.ask(selector(matcher("__name__", "=~", "|".join(METRICS))))
    series = await prometheus.query_range(query, scope.start, scope.end, step)
    mine = [
        each for each in series if names & {each.labels.get(label, "") for label in LABELS} and each.values.size > 1
    ]
    onset = (scope.alert.starts_at or scope.end).timestamp()
    queues = sorted((_read(each, onset) for each in mine), key=lambda queue: -queue.now)
    for queue in queues[:10]:
        said = f"{queue.now:.0f} messages wait in {queue.name}, usually {queue.usual:.0f}"
        if abs(queue.growth) >= 0.05:
            said += f"; {'growing' if queue.growth > 0 else 'shrinking'} by {abs(queue.growth):.1f} a second"
        seen.body.append(said)
        if queue.now >= max(MIN_WAITING, GROWN * queue.usual):
            seen.findings.append(
                Finding(
                    kind="queue_backlog", service=scope.service, statement=f"{scope.service}: {said}", score=0.85,
                    data={"queue": queue.name, "waiting": round(queue.now), "before": round(queue.usual, 1),
                          "growth": round(queue.growth, 2), "metric": queue.metric},
                )
            )  # fmt: skip
    seen.link = prometheus.link(query)
    seen.summary = seen.body[0] if seen.body else "no queue is known that names the service"


def _read(series: Series, onset: float) -> _Queue:
    labels = series.labels
    name = next((labels[label] for label in LABELS if labels.get(label)), "a queue")
    usual = series.values[series.times < onset - LEAD_S]
    usual = usual if usual.size else series.values[: max(series.values.size // 2, 1)]
    recent = series.times >= series.times[-1] - max(RECENT_S, 2 * float(series.times[-1] - series.times[-2]))
    span = float(series.times[recent][-1] - series.times[recent][0])
    growth = float(series.values[recent][-1] - series.values[recent][0]) / span if span else 0.0
    return _Queue(name, labels.get("__name__", ""), float(series.values[-1]), float(np.median(usual)), growth)
