"""Which metrics a service has, under the names of common exporters and libraries; used by tools.evidence.service_metrics.

Nothing is assumed: Prometheus is asked which of these families carry the service's name under which label, and how often
they are scraped. Names are those of the libraries' documentation (client_golang and promhttp conventions, Micrometer, OpenTelemetry,
Istio, go-grpc-middleware, ingress-nginx, Traefik, cAdvisor, kube-state-metrics).
"""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tools.errors import Permanent
from tools.prometheus import Prometheus
from tools.records import Scope
from tools.selectors import exactly, literal, matcher, selector

SERVER_ERROR = "5..|5xx|SERVER_ERROR"
# Of a client every answer but a success or the caller's own mistake is the callee's: also no answer at all ("", "error", "0").
NOT_ANSWERED = "[1-4].{0,2}|[1-4]xx|OK|SUCCESS|INFORMATIONAL|REDIRECTION|CLIENT_ERROR"
GRPC_FAILED = "Unknown|DeadlineExceeded|ResourceExhausted|Internal|Unavailable|DataLoss|Unimplemented"


@dataclass(frozen=True)
class Family:
    """One metric name: what it measures, the labels an answer's code may be under, the label that names the peer."""

    name: str
    codes: tuple[str, ...] = (
        "code",
        "status",
        "status_code",
        "response_code",
        "http_status_code",
        "http_response_status_code",
    )
    peers: tuple[str, ...] = ()
    unit: float = 1.0  # seconds per unit of a latency family


REQUESTS = (
    Family("http_requests_total"),
    Family("http_server_requests_seconds_count", ("status", "outcome")),
    Family("http_server_request_duration_seconds_count"),
    Family("http_server_requests_total"),
    Family("istio_requests_total", ("response_code",)),
    Family("grpc_server_handled_total", ("grpc_code",)),
    Family("nginx_ingress_controller_requests", ("status",)),
    Family("traefik_service_requests_total", ("code",)),
    Family("http_request_duration_seconds_count"),
    Family("flask_http_request_total", ("status",)),
    Family("django_http_responses_total_by_status_total", ("status",)),
)
LATENCY = (
    Family("http_request_duration_seconds_bucket"),
    Family("http_server_requests_seconds_bucket"),
    Family("http_server_request_duration_seconds_bucket"),
    Family("istio_request_duration_milliseconds_bucket", unit=0.001),
    Family("grpc_server_handling_seconds_bucket"),
    Family("nginx_ingress_controller_request_duration_seconds_bucket"),
    Family("traefik_service_request_duration_seconds_bucket"),
    Family("flask_http_request_duration_seconds_bucket"),
)
CALLS = (
    Family("http_client_requests_total", peers=("peer", "server_address", "host", "target", "client_name", "upstream")),
    Family("http_client_requests_seconds_count", ("status", "outcome"), ("client_name", "clientName", "host")),
    Family("http_client_request_duration_seconds_count", peers=("server_address", "peer", "host")),
    Family("istio_requests_total", ("response_code",), ("destination_workload", "destination_service_name")),
    Family("grpc_client_handled_total", ("grpc_code",), ("grpc_service",)),
)
NAMES = tuple(dict.fromkeys(family.name for family in (*REQUESTS, *LATENCY, *CALLS)))
# The labels that usually name the service are asked first; the others only when those have no requests.
SERVICE_LABELS = (
    ("service", "app", "job"),
    ("deployment", "app_kubernetes_io_name", "destination_workload", "source_workload", "container", "service_name"),
)
SCRAPES_PER_WINDOW = 4  # Prometheus' own advice for rate(): at least four samples in the range
MIN_WINDOW_S = 20.0
LOOKBACK_S = 300


@dataclass(frozen=True)
class Found:
    """A family that has data for the service: the *selector* that picks it, its scrape *interval_s* in seconds."""

    family: Family
    service: str
    where: str
    interval_s: float

    def select(self, *more: str, name: str = "") -> str:
        """Return the selector, with further matchers, optionally of a sibling metric *name*."""
        return selector(self.service, self.where, *more, name=name or self.family.name)

    @property
    def window(self) -> str:
        """The range for rate()."""
        return f"{max(SCRAPES_PER_WINDOW * self.interval_s, MIN_WINDOW_S):.0f}s"


def place(scope: Scope) -> str:
    """Return the namespace matcher, "" when the namespace is not known."""
    return matcher("namespace", "=", scope.namespace) if scope.namespace else ""


def pods_of(scope: Scope) -> tuple[str, ...]:
    """Return matchers for the pods of the service's workload by the names controllers give them."""
    # <name>-<pod template hash>-<5 characters>, <name>-<ordinal> of a StatefulSet, <name>-<5 characters> of a DaemonSet
    shape = exactly(scope.service) + "-([a-z0-9]{4,10}-[a-z0-9]{5}|[0-9]+|[a-z0-9]{5})"
    return tuple(m for m in (place(scope), matcher("pod", "=~", shape)) if m)


async def discover(prometheus: Prometheus, scope: Scope, ask: Callable[[str], str]) -> list[Found]:
    """Return the known families that have data for the service, in the order of preference; one query a label name.

    The metrics' own ``namespace`` label is tried first; where it names the exporter's, the service's name alone decides.
    """
    found: dict[Family, Found] = {}
    for where, labels in itertools.product(dict.fromkeys((place(scope), "")), SERVICE_LABELS):
        if found and (where != next(iter(found.values())).where or any(family in REQUESTS for family in found)):
            break
        read = await asyncio.gather(*(_present(prometheus, scope, label, where, ask) for label in labels))
        for label, present in zip(labels, read, strict=True):
            for family in (*REQUESTS, *LATENCY, *CALLS):
                if family.name in present and _fits(family, label):
                    found.setdefault(family, Found(family, matcher(label, "=", scope.service), where, 0.0))
    if not found:
        return []
    interval = await _interval(prometheus, next(iter(found.values())).select(), ask)  # one target is scraped as a whole
    return [replace(found[f], interval_s=interval) for f in (*REQUESTS, *LATENCY, *CALLS) if f in found]


def _fits(family: Family, label: str) -> bool:
    """Whether *family* counts what it is meant to under *label*: Istio's one family counts both directions."""
    if label == "source_workload":
        return bool(family.peers)
    if family.name.startswith("istio"):
        return not family.peers
    return label != "destination_workload"


def looked_for(scope: Scope) -> str:
    """Say what was looked for, for a service that has none of it."""
    labels = "/".join(label for group in SERVICE_LABELS for label in group)
    return f"(looked for {len(NAMES)} known metric names with {labels} = {literal(scope.service)})"


async def _present(prometheus: Prometheus, scope: Scope, label: str, where: str, ask: Callable[[str], str]) -> set[str]:
    """Return which known names have data for the service under *label*."""
    picked = selector(matcher("__name__", "=~", "|".join(NAMES)), matcher(label, "=", scope.service), where)
    rows = await prometheus.query(ask(f"count by (__name__) ({picked})"))
    return {row.labels["__name__"] for row in rows if "__name__" in row.labels}


async def _interval(prometheus: Prometheus, picked: str, ask: Callable[[str], str]) -> float:
    """Return how many seconds lie between two scrapes, from how many samples the last 5 minutes have."""
    rows = await prometheus.query(ask(f"max(count_over_time({picked}[{LOOKBACK_S}s]))"))
    return LOOKBACK_S / max(rows[0].value, 1.0) if rows else 60.0


async def label_of(prometheus: Prometheus, found: Found, wanted: Sequence[str]) -> str:
    """Return which of the labels *wanted* the family has, "" for none."""
    rows = await prometheus.query(f"count by ({','.join(wanted)}) ({found.select()})")
    present = {key for row in rows for key, value in row.labels.items() if value}
    return next((label for label in wanted if label in present), "")


def failed(label: str, *, client: bool) -> str:
    """Return the matcher for failed requests under the code label *label*."""
    if not label:
        raise Permanent("the requests carry no code or status label, so failures cannot be told apart")
    if label == "grpc_code":
        return matcher(label, "=~", GRPC_FAILED)
    return matcher(label, "!~", NOT_ANSWERED) if client else matcher(label, "=~", SERVER_ERROR)
