"""The figures Tocsin shows at /metrics; bot/compose.py makes one `Metrics` and hands it to whoever counts."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.25, 0.5, 1, 2, 5, 10, 20, 40, 60, 120)


disable_created_metrics()  # type: ignore[no-untyped-call]  # a _created series beside each counter doubles what is scraped


class Metrics:
    """Counters, gauges and histograms of one process, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.rejected = self._counter("tocsin_rejected_requests", "HTTP requests turned away", "reason")
        self.refused = self._counter("tocsin_refused", "What was turned away, by door and reason", "door", "reason")
        self.received = self._counter("tocsin_received", "Notifications and events kept in the inbox", "kind")
        self.duplicates = self._counter("tocsin_duplicates", "Deliveries that were already in the inbox", "kind")
        self.unreadable = self._counter("tocsin_unreadable", "Payloads that no reader could read", "kind")
        self.given_up = self._counter(
            "tocsin_given_up", "Kept events that could not be taken in, see `tocsin inbox`", "kind"
        )
        self.decisions = self._counter("tocsin_intake_decisions", "What became of alerts, by named reason", "reason")
        self.approvals = self._counter("tocsin_approvals", "Pressed buttons, by what they came to", "result")
        self.changes = self._counter("tocsin_changes", "Changes run, by what they came to", "action", "result")
        self.first_line = self._seconds(
            "tocsin_first_line_seconds", "Incident opened to the first telling fact on record"
        )
        self.diagnosis = self._seconds("tocsin_diagnosis_seconds", "Incident opened to the diagnosis on record")
        self.up = Gauge("tocsin_up", "Whether a dependency answers (1) or not (0)", ["part"], registry=self._registry)
        self.jobs = Gauge("tocsin_jobs", "Jobs of the queue, over all replicas", ["state"], registry=self._registry)
        self.oldest_job = Gauge(
            "tocsin_oldest_job_seconds", "How long the oldest due job has waited", registry=self._registry
        )

    def text(self) -> bytes:
        """Render everything in Prometheus' text format."""
        return generate_latest(self._registry)

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(name, about, labels, registry=self._registry)

    def _seconds(self, name: str, about: str) -> Histogram:
        return Histogram(name, about, buckets=_SECONDS, registry=self._registry)
