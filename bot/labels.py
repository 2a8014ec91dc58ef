"""What Alertmanager, Prometheus and the cluster know about an alert that came as bare text; called by bot/intake.py.

Alertmanager's default Slack message has values without label names and no query. Its own API (or Prometheus' rules)
has both while the alert fires. Every look has a deadline; without an answer the message's own words stand.
"""

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass, field

import structlog

from bot.parsing import enrich, is_about
from bot.policy import Policy
from tools.alertmanager import Alertmanager
from tools.errors import TocsinError
from tools.kube import Kube
from tools.prometheus import Prometheus
from tools.records import Alert
from tools.service_names import workloads

log = structlog.get_logger()
DEADLINE_S = 2.0
KEEP_S = 30.0


@dataclass
class Labels:
    """Lookups with a deadline; a source that is None or away is passed over."""

    policy: Policy
    prometheus: Prometheus | None
    alertmanager: Alertmanager | None
    kube: Kube | None
    _services: frozenset[str] = frozenset()
    _read_at: float = field(default=float("-inf"))

    async def services(self) -> Collection[str]:
        """Return the services of the policy and the Deployments and StatefulSets of the cluster, at most 30 s old."""
        if self.kube is not None and time.monotonic() - self._read_at > KEEP_S:
            self._read_at = time.monotonic()
            try:
                async with asyncio.timeout(DEADLINE_S):
                    self._services = frozenset(await workloads(self.kube))
            except (TocsinError, TimeoutError) as error:
                log.warning("services_unknown", error=str(error))
        return self._services | frozenset(self.policy.services)

    async def known(self, alert: Alert) -> Alert:
        """Return *alert* with the labels, annotations and query that the monitoring system has for it."""
        if (alert.labels.get("alertname") and alert.query) or alert.status == "resolved" or alert.sender == "person":
            return alert
        services = await self.services()
        for look in (self._from_prometheus, self._from_alertmanager):
            try:
                async with asyncio.timeout(DEADLINE_S):
                    alert = await look(alert, services)
            except (TocsinError, TimeoutError) as error:
                log.warning("labels_unknown", source=look.__name__, alert=alert.name, error=str(error))
        return alert

    async def _from_prometheus(self, alert: Alert, services: Collection[str]) -> Alert:
        if self.prometheus is None:
            return alert
        for rule in await self.prometheus.rules():
            if rule.name != alert.name:
                continue
            for active in rule.alerts:
                if is_about(alert, active.labels):
                    return enrich(
                        alert,
                        active.labels,
                        annotations=active.annotations,
                        query=rule.query,
                        starts_at=active.active_at,
                        known_services=services,
                    )
        return alert

    async def _from_alertmanager(self, alert: Alert, services: Collection[str]) -> Alert:
        if self.alertmanager is None or alert.labels.get("alertname"):
            return alert
        for found in await self.alertmanager.alerts([f'alertname="{_escaped(alert.name)}"']):
            labels = {str(name): str(value) for name, value in (found.get("labels") or {}).items()}
            if is_about(alert, labels):
                annotations = {str(name): str(value) for name, value in (found.get("annotations") or {}).items()}
                return enrich(alert, labels, annotations=annotations, known_services=services)
        return alert


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
