"""Prometheus, Alertmanager and the stores of logs and traces, as the doctor sees them."""

from datetime import UTC, datetime, timedelta

from bot.doctor.check import Check, fail, off, ok, warn
from bot.settings import Settings, bearer
from bot.toolbox import elastic_of, traces_of
from tools.alertmanager import Alertmanager
from tools.errors import TocsinError
from tools.loki import Loki
from tools.prometheus import Prometheus

TIMEOUT_S = 8.0


async def prometheus(settings: Settings) -> list[Check]:
    """Check that queries and rules can be read, and that there is something to read."""
    name = "prometheus"
    if not settings.prometheus_url:
        return [off(name, "not configured: no metrics in a diagnosis, no proof of recovery", "set PROMETHEUS_URL")]
    client = Prometheus(settings.prometheus_url, bearer(settings.prometheus_token), TIMEOUT_S)
    try:
        targets = await client.query("up")
        rules = await client.rules()
    except TocsinError as error:
        return [fail(name, str(error), "check PROMETHEUS_URL (and PROMETHEUS_TOKEN)")]
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
    name = "loki"
    if not settings.loki_url:
        return [off(name, "not configured: no logs in a diagnosis", "set LOKI_URL")]
    client = Loki(settings.loki_url, bearer(settings.loki_token, settings.loki_tenant), TIMEOUT_S)
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
    if not settings.alertmanager_url:
        says = "not configured: label names of Slack alerts come from Prometheus' rules alone"
        return [off(name, says, "set ALERTMANAGER_URL"), hook]
    client = Alertmanager(settings.alertmanager_url, bearer(settings.alertmanager_token), TIMEOUT_S)
    try:
        alerts = await client.alerts()
    except TocsinError as error:
        return [fail(name, str(error), "check ALERTMANAGER_URL (and ALERTMANAGER_TOKEN)"), hook]
    finally:
        await client.aclose()
    return [ok(name, f"answers; {len(alerts)} alerts"), hook]


async def elasticsearch(settings: Settings) -> list[Check]:
    """Check that a search is answered."""
    name = "elasticsearch"
    client = elastic_of(settings)
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
    return [ok(name, f"answers searches of {settings.elasticsearch_index}")]


async def traces(settings: Settings) -> list[Check]:
    """Check that Tempo or Jaeger names the services it has spans of."""
    name, store = "traces", traces_of(settings)
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
