"""The clients an evidence plug-in may read from; built by bot.compose, read by tools.evidence and tools.observe."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from tools.alertmanager import Alertmanager
from tools.commits import Repository
from tools.elastic import Elastic
from tools.kube import Kube
from tools.loki import Loki
from tools.prometheus import Prometheus
from tools.traces import SpanSource


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Sources:
    """Read-only clients, None where not configured; *max_body_chars* caps each evidence body.

    *declared* is who calls whom as people wrote it down: (caller, callee); *cluster* is the name
    of the cluster that these clients show, "" where there is only one.
    """

    prometheus: Prometheus | None = None
    loki: Loki | None = None
    kube: Kube | None = None
    alertmanager: Alertmanager | None = None
    clock: Callable[[], datetime] = _utc_now
    max_body_chars: int = 6_000
    elastic: Elastic | None = None
    traces: SpanSource | None = None
    declared: tuple[tuple[str, str], ...] = ()
    cluster: str = ""
    repositories: tuple[Repository, ...] = ()

    @property
    def logs(self) -> Loki | Elastic | Kube | None:
        """What log lines are read from first; the next ones are asked when it fails or has none."""
        return self.loki or self.elastic or self.kube

    @property
    def topology(self) -> bool | None:
        """True where anything can say who calls whom, None where nothing can."""
        known = self.declared or self.prometheus or self.traces or self.kube
        return True if known else None
