"""Prometheus, Alertmanager and the stores of logs and traces, as the doctor sees them."""

from datetime import UTC, datetime, timedelta

from bot.connections import Cluster
from bot.doctor.check import Check, fail, off, ok, warn
from bot.doctor.each import each
from bot.settings import Settings
from bot.toolbox import alertmanager_of, elastic_of, loki_of, prometheus_of, traces_of
from tools.errors import TocsinError

TIMEOUT_S = 8.0


async def prometheus(settings: Settings) -> list[Check]:
    """Check that queries and rules can be read, and that there is something to read; in each cluster."""
    return await each(settings, "prometheus", ("prometheus",), _prometheus)


async def _prometheus(name: str, cluster: Cluster) -> list[Check]:
    client = prometheus_of(cluster, TIMEOUT_S)
    if client is None:
        return [off(name, "not configured: no metrics in a diagnosis, no proof of recovery", "set PROMETHEUS_URL")]
    try:
        targets = await client.query("up")
        rules = await client.rules()
    except TocsinError as error:
        return [
            fail(
                name,
                str(error),
                "check PROMETHEUS_URL (and its credentials, tenant and certificates: PROMETHEUS_TOKEN, _TENANT, _CA_FILE ...)",
            )
        ]
    finally:
        await client.aclose()
    down = sum(1 for target in targets if target.value == 0)
    checks = [ok(name, f"answers; {len(targets)} targets, {down} down; {len(rules)} alerting rules")]
    if not targets:
        checks = [warn(name, "answers, and scrapes nothing (no series up)", "is this the right Prometheus?")]
    if not rules:
        says = "no alerting rules: an alert's own query cannot be looked up here"
        checks.append(warn(f"{name} rules", says, "point PROMETHEUS_URL at the server (or ruler) that evaluates them"))
    return checks


async def loki(settings: Settings) -> list[Check]:
    """Check that log lines can be read; an hour without any is worth a word."""
    return await each(settings, "loki", ("loki",), _loki)


async def _loki(name: str, cluster: Cluster) -> list[Check]:
    client = loki_of(cluster, TIMEOUT_S)
    if client is None:
        return [off(name, "not configured: no logs in a diagnosis", "set LOKI_URL")]
    now = datetime.now(UTC)
    query = '{namespace=~".+"}'
    try:
        lines = await client.query_range(query, now - timedelta(hours=1), now, 1)
    except TocsinError as error:
        return [fail(name, str(error), "check LOKI_URL (and LOKI_TOKEN, LOKI_TENANT)")]
    finally:
        await client.aclose()
    if lines:
        return [ok(name, f"answers; streams have the labels {', '.join(sorted(lines[0].labels)[:8])}")]
    says = f"answers, and has no line for {query} in the last hour"
    return [warn(name, says, "is this the right tenant (LOKI_TENANT), and do streams carry the label namespace?")]


async def alertmanager(settings: Settings) -> list[Check]:
    """Check that active alerts can be read, and that the webhook's door is as open as somebody wants it."""
    name = "alertmanager"
    hook = (
        ok(f"{name} webhook", "open to those who have TOCSIN_WEBHOOK_TOKEN, at /webhook/<sender>")
        if settings.webhook_token
        else off(f"{name} webhook", "closed: alerts come from Slack alone", "set TOCSIN_WEBHOOK_TOKEN to open it")
    )
    return [*await each(settings, name, ("alertmanager",), _alertmanager), hook]


async def _alertmanager(name: str, cluster: Cluster) -> list[Check]:
    client = alertmanager_of(cluster, TIMEOUT_S)
    if client is None:
        says = "not configured: label names of Slack alerts come from Prometheus' rules alone"
        return [off(name, says, "set ALERTMANAGER_URL")]
    try:
        alerts = await client.alerts()
    except TocsinError as error:
        return [fail(name, str(error), "check ALERTMANAGER_URL (and ALERTMANAGER_TOKEN)")]
    finally:
        await client.aclose()
    return [ok(name, f"answers; {len(alerts)} alerts")]


async def elasticsearch(settings: Settings) -> list[Check]:
    """Check that a search is answered."""
    return await each(settings, "elasticsearch", ("elasticsearch",), _elasticsearch)


async def _elasticsearch(name: str, cluster: Cluster) -> list[Check]:
    client = elastic_of(cluster)
    if client is None:
        return [off(name, "not configured: logs come from elsewhere", "set ELASTICSEARCH_URL")]
    now = datetime.now(UTC)
    try:
        await client.lines('{"service": "tocsin"}', now - timedelta(hours=1), now, 1)
    except TocsinError as error:
        return [
            fail(name, str(error), "check ELASTICSEARCH_URL (and ELASTICSEARCH_API_KEY or _USER, _PASSWORD, _INDEX)")
        ]
    finally:
        await client.aclose()
    return [ok(name, f"answers searches of {client.index}")]


async def traces(settings: Settings) -> list[Check]:
    """Check that Tempo or Jaeger names the services it has spans of."""
    return await each(settings, "traces", ("tempo", "jaeger"), _traces)


async def _traces(name: str, cluster: Cluster) -> list[Check]:
    store = traces_of(cluster)
    if store is None:
        return [off(name, "not configured: no traces in a diagnosis", "set JAEGER_URL or TEMPO_URL")]
    variable = f"{store.name.upper()}_URL"
    try:
        known = await store.services()
    except TocsinError as error:
        return [fail(name, str(error), f"check {variable} (and {store.name.upper()}_TOKEN)")]
    finally:
        await store.aclose()
    if not known:
        return [
            warn(
                name, f"{store.name} answers and knows no service", f"is {variable} the right one, and do spans arrive?"
            )
        ]
    return [ok(name, f"{store.name} answers; {len(known)} services")]
