"""The practice world without Slack: cluster, traffic, metrics, logs, alerts and drills; started by drill.app.

`step` moves it on by what is due, so that a test can run an hour in a second with its own clock.
"""

import asyncio
import logging
import random
from typing import Any

import httpx
from starlette.requests import Request
from starlette.routing import BaseRoute

from drill.cluster import catalogue, kinds
from drill.cluster.cluster import Cluster
from drill.cluster.kubernetes_api import KubernetesApi
from drill.cluster.objects import Obj, clone
from drill.cluster.rbac import Identities, Tokens
from drill.drills import Drills
from drill.logs import lines
from drill.logs.loki_api import LokiApi
from drill.logs.store import LogStore
from drill.metrics import rules
from drill.metrics.alertmanager import Alertmanager
from drill.metrics.alertmanager_api import AlertmanagerApi
from drill.metrics.circumstances import Outside
from drill.metrics.exporter import Exporter
from drill.metrics.prometheus_api import PrometheusApi
from drill.metrics.series import KEEP_S, Storage
from drill.metrics.traffic import Traffic
from drill.podlog import pod_log
from drill.timeline import Timeline
from drill.traces.jaeger_api import JaegerApi
from drill.traces.store import TraceStore
from drill.traces.tempo_api import TempoApi

_log = logging.getLogger(__name__)
HISTORY_S, HISTORY_STEP_S = 50 * 60.0, 5.0
_AGE_S = 3 * 86400.0
_BEAT_S = 0.2
_SCRAPE_S = 1.0
_TRIM_EVERY_S = 60.0


class World:
    """Everything Tocsin watches and changes, behind `routes`; *webhook_url* also receives version 4 webhooks."""

    def __init__(self, clock: Timeline, tokens: Tokens, *, seed: int = 7, webhook_url: str = "") -> None:
        self.clock, self.tokens = clock, tokens
        self.logs, self.storage, self.rules = LogStore(), Storage(), rules.load()
        self.cluster = Cluster(catalogue.load(), clock, random.Random(seed), self._container_line)
        outside = Outside()
        self.traffic = Traffic(self.cluster, self.logs, seed, outside)
        self.traces = TraceStore(seed)
        self._exporter = Exporter(self.cluster, self.traffic, self.storage)
        self.alertmanager = Alertmanager(clock, webhook_url)
        self.drills = Drills(self.cluster, self.rules, clock, outside)
        self.kubernetes = KubernetesApi(self.cluster.store, Identities(tokens), self._pod_log, self.cluster.step)
        self._prometheus_url = ""
        self._scraped = self._trimmed = 0.0
        self._task: asyncio.Task[None] | None = None
        self._client: httpx.AsyncClient | None = None

    def routes(self) -> list[BaseRoute]:
        """Return the APIs of Kubernetes, Prometheus, Alertmanager and Loki, and the drills."""
        return [
            *self.kubernetes.routes(),
            *PrometheusApi(self.storage, self.rules, self.clock).routes(),
            *AlertmanagerApi(self.alertmanager, self.clock).routes(),
            *LokiApi(self.logs, self.clock).routes(),
            *JaegerApi(self.traces, self.clock).routes(),
            *TempoApi(self.traces, self.clock).routes(),
        ]

    def address(self, base: str, slack_url: str) -> None:
        """Tell where the world is served and where Alertmanager posts."""
        self._prometheus_url = f"{base}/prometheus"
        self.alertmanager.base, self.alertmanager.slack_url = base, slack_url

    def build(self, history_s: float = HISTORY_S) -> None:
        """Make the cluster, three days old, and *history_s* seconds of healthy metrics up to now."""
        present = self.clock.present
        self.clock.set(present - _AGE_S)
        self.cluster.build()
        self._run_until(present - _AGE_S + 8)
        self._roll_past(present - _AGE_S / 2)
        begin = present - history_s
        steps = int(history_s / HISTORY_STEP_S)
        for number in range(steps):
            at = begin + number * HISTORY_STEP_S
            self.clock.set(at)
            self.cluster.step()
            self.traffic.tick(at, HISTORY_STEP_S)
            self.traces.tick(self.traffic.flows, at, HISTORY_STEP_S)
            self._exporter.scrape(at)
        self._scraped = begin + (steps - 1) * HISTORY_STEP_S
        self.clock.go()

    def _run_until(self, end: float) -> None:
        at = self.clock()
        while at < end:
            at += _BEAT_S
            self.clock.set(at)
            self.cluster.step()

    def _roll_past(self, at: float) -> None:
        """Deployments with a history ran an earlier tag before: their previous ReplicaSet is there to go back to."""
        for service in self.cluster.catalogue.services.values():
            if service.history:
                self._set_image(service.namespace, service.name, f"{service.repository}:{service.tag}")
        self.clock.set(at)
        self._run_until(at + 12)

    def _set_image(self, namespace: str, name: str, image: str) -> None:
        fresh = clone(self.cluster.store.get(kinds.DEPLOYMENTS, namespace, name))
        fresh["spec"]["template"]["spec"]["containers"][0]["image"] = image
        self.cluster.store.update(kinds.DEPLOYMENTS, fresh)

    def step(self) -> None:
        """Do what is due now: the cluster always, traffic, scrape and rules once a second."""
        now = self.clock()
        self.cluster.step()
        spent = now - self._scraped
        if spent < _SCRAPE_S:
            return
        # Keep the beat of whole seconds unless the process slept for long.
        self._scraped = now if spent > 3 * _SCRAPE_S else self._scraped + _SCRAPE_S
        at = self._scraped
        spent = min(spent, HISTORY_STEP_S) if spent > 3 * _SCRAPE_S else _SCRAPE_S
        self.traffic.tick(at, spent)
        self.traces.tick(self.traffic.flows, at, spent)
        self._exporter.scrape(at)
        self.rules.evaluate(self.storage, at)
        firing = [
            (alert.labels, alert.annotations, alert.fired_at, rules.generator_url(self._prometheus_url, rule.expr))
            for rule, alert in self.rules.firing()
        ]
        self.alertmanager.receive(firing)
        self.drills.watch()
        if now - self._trimmed >= _TRIM_EVERY_S:
            self._trimmed = now
            self.storage.trim(round((now - KEEP_S) * 1000))
            self.logs.trim(round((now - KEEP_S) * 1e9))
            self.traces.trim(now - KEEP_S)

    async def notify(self) -> None:
        """Let Alertmanager post what is due."""
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=5.0, trust_env=False)
        await self.alertmanager.notify(self._client)

    async def start(self) -> None:
        """Run in real time until `stop`."""
        self._task = asyncio.create_task(self._run(), name="drill-world")

    async def stop(self) -> None:
        """End the run and every open watch."""
        self.kubernetes.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    def scenarios(self) -> list[dict[str, Any]]:
        """Every drill, for the page and for evaluation."""
        return self.drills.shown()

    def fire(self, name: str) -> None:
        """Start a drill; ScenarioError when unknown or running."""
        self.drills.fire(name)
        self.cluster.step()

    def reset(self) -> None:
        """Bring everything back to its baseline."""
        self.drills.reset()
        self.cluster.step()

    async def _run(self) -> None:
        notifying: asyncio.Task[None] | None = None
        while True:
            self.step()
            if notifying is None or notifying.done():
                if notifying is not None:
                    notifying.result()
                notifying = asyncio.create_task(self.notify(), name="drill-notify")
            await asyncio.sleep(_BEAT_S)

    def _container_line(self, pod: Obj, container: str, level: str, text: str) -> None:
        service = self.cluster.catalogue.services.get((pod["metadata"].get("labels") or {}).get("app", ""))
        at = self.clock()
        ready_made = text.startswith(("{", "level="))
        style = service.log_format if service else "logfmt"
        self.traffic.raw(pod, container, at, text if ready_made else lines.render(style, at, level, text, {}))

    def _pod_log(self, pod: Obj, request: Request) -> str:
        return pod_log(self.logs, self.cluster.kubelet.containers(pod), pod, request.query_params, self.clock())
