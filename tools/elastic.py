"""Log lines from Elasticsearch or OpenSearch (_search), whatever shipper wrote them; a LogSource of tools.evidence.logs.

The field that names the service differs by shipper (Filebeat, Fluent Bit, the OpenTelemetry collector, a logger of its own)
and by mapping (keyword, or text with a keyword beside it). All usual ones are asked at once; what comes back is kept only
where one of them is exactly the name, since a text field also matches parts of it.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from tools.access import Access, client
from tools.errors import Permanent, Temporary
from tools.fetch import post_json
from tools.logsource import ERROR_WORDS, MAX_LINE, LogLine, Where
from tools.prometheus import moment

SERVICE_FIELDS = (
    "kubernetes.labels.app",
    "kubernetes.labels.app_kubernetes_io/name",
    "kubernetes.deployment.name",
    "kubernetes.container.name",
    "kubernetes.container_name",
    "service.name",
    "resource.attributes.service.name",
    "resource.service.name",
    "container.name",
    "service",
    "app",
)
POD_FIELDS = ("kubernetes.pod.name", "kubernetes.pod_name", "resource.attributes.k8s.pod.name")
NAMESPACE_FIELDS = (
    "kubernetes.namespace",
    "kubernetes.namespace_name",
    "kubernetes.namespace.name",
    "resource.attributes.k8s.namespace.name",
    "namespace",
)
MESSAGE_FIELDS = ("message", "log", "body.text", "body", "msg", "event.original")
LEVEL_FIELDS = ("log.level", "level", "severity_text", "severity")
SIZE = 10_000  # index.max_result_window's default
Doc = Mapping[str, Any]


class Elastic:
    """A read-only client; *index* is a pattern such as ``logs-*,filebeat-*``, *timeout_s* is seconds.

    *headers* may carry ``Authorization`` (``ApiKey ...`` or ``Basic ...``).
    """

    name = "Elasticsearch"

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        index: str = "*",
        timeout_s: float = 10.0,
        access: Access | None = None,
    ) -> None:
        self.url, self.index = url.rstrip("/"), index
        self._path = f"/{quote(index, safe='*,-_.+')}/_search"
        self._client = client(self.url, headers, access, timeout_s)

    async def find(self, where: Where, ask: Callable[[str], str]) -> list[str]:
        """Return the filters to try: by the service's fields, then by its pods' names."""
        named = {"service": where.service, "namespace": where.namespace}
        return [ask(json.dumps(named)), ask(json.dumps({**named, "by": "pod"}))]

    async def lines(
        self, query: str, start: datetime, end: datetime, limit: int, *, errors: bool = False
    ) -> list[LogLine]:
        """Return the newest *limit* lines in [start, end), oldest first; *query* is one of `find`'s."""
        asked: dict[str, str] = json.loads(query)
        body = _body(asked, start, end, min(limit, SIZE), errors=errors)
        tried = f"Elasticsearch {self.index}/_search {query}"
        params = [("ignore_unavailable", "true"), ("allow_no_indices", "true")]
        answer = await post_json(self._client, self._path, params, body, tried)
        hits = (answer.get("hits") or {}).get("hits") if isinstance(answer, dict) else None
        if not isinstance(hits, list):
            raise Permanent(f"{tried}: the answer has no hits; is {self.url} an Elasticsearch or OpenSearch?")
        failed = (answer.get("_shards") or {}).get("failed")
        if not hits and (answer.get("timed_out") or failed):
            raise Temporary(f"{tried}: {failed or 'some'} shards did not answer")
        found = [line for hit in hits if (line := _line(hit, asked, tried))]
        return sorted(found, key=lambda line: line.at)

    def link(self, query: str, start: datetime, end: datetime) -> str:
        """Return the search's own address, in the query language of its `q` parameter."""
        asked: dict[str, str] = json.loads(query)
        window = f'@timestamp:["{start.isoformat()}" TO "{end.isoformat()}"]'
        fields = POD_FIELDS[:2] if asked.get("by") else (SERVICE_FIELDS[0], "service.name")
        named = " OR ".join(f"{field}:{json.dumps(asked['service'])}" for field in fields)
        return f"{self.url}{self._path}?{urlencode({'q': f'({named}) AND {window}', 'sort': '@timestamp:desc'})}"

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _body(asked: Mapping[str, str], start: datetime, end: datetime, size: int, *, errors: bool) -> dict[str, Any]:
    window = {"gte": start.isoformat(), "lt": end.isoformat()}
    filters: list[dict[str, Any]] = [{"range": {"@timestamp": window}}]
    if asked.get("by") == "pod":
        stem = f"{asked['service']}-"
        names = [{"prefix": {field: stem}} for each in POD_FIELDS for field in (each, f"{each}.keyword")]
        filters.append(_any(names))
    else:
        filters.append(_any(_named(SERVICE_FIELDS, asked["service"])))
    if asked.get("namespace"):
        # Documents that say no namespace at all are kept: not every logger knows where it runs.
        unsaid = {"bool": {"must_not": [{"exists": {"field": field}} for field in NAMESPACE_FIELDS]}}
        filters.append(_any([*_named(NAMESPACE_FIELDS, asked["namespace"]), unsaid]))
    if errors:
        words = " ".join(ERROR_WORDS)
        said = [{"match": {field: words}} for field in MESSAGE_FIELDS]
        levels = ["error", "ERROR", "Error", "fatal", "FATAL", "critical", "CRITICAL"]
        filters.append(_any([*said, *({"terms": {field: levels}} for field in LEVEL_FIELDS)]))
    order = {"order": "desc", "unmapped_type": "date"}
    return {"size": size, "query": {"bool": {"filter": filters}}, "sort": [{"@timestamp": order}]}


def _any(clauses: list[dict[str, Any]]) -> dict[str, Any]:
    return {"bool": {"should": clauses, "minimum_should_match": 1}}


def _named(fields: tuple[str, ...], value: str) -> list[dict[str, Any]]:
    terms = [{"terms": {field: [value]}} for each in fields for field in (each, f"{each}.keyword")]
    return [*terms, *({"match": {field: {"query": value, "operator": "and"}}} for field in fields)]


def _line(hit: Any, asked: Mapping[str, str], tried: str) -> LogLine | None:
    """Read one hit; None where it is another service's or says nothing."""
    try:
        source = hit["_source"]
        stamp = field_of(source, "@timestamp")
        at = moment(stamp) if isinstance(stamp, str) else datetime.fromtimestamp(float(stamp) / 1e3, UTC)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError) as exc:
        raise Permanent(f"{tried}: a hit cannot be read ({type(exc).__name__}: {exc})") from exc
    text = _first(source, MESSAGE_FIELDS)
    if at is None or not text or not _is(source, asked):
        return None
    places = {"pod": POD_FIELDS, "namespace": NAMESPACE_FIELDS, "level": LEVEL_FIELDS}
    labels = {name: found for name, fields in places.items() if (found := _first(source, fields))}
    return LogLine(at.astimezone(UTC), labels, text[:MAX_LINE].rstrip("\n"))


def _is(source: Doc, asked: Mapping[str, str]) -> bool:
    service, namespace = asked["service"], asked.get("namespace", "")
    if asked.get("by") == "pod":
        named = any(str(field_of(source, field) or "").startswith(f"{service}-") for field in POD_FIELDS)
    else:
        named = any(field_of(source, field) == service for field in SERVICE_FIELDS)
    places = {str(place) for field in NAMESPACE_FIELDS if isinstance(place := field_of(source, field), str)}
    return named and (not namespace or not places or namespace in places)


def _first(source: Doc, fields: tuple[str, ...]) -> str:
    return next(
        (str(found) for field in fields if isinstance(found := field_of(source, field), str | int) and found), ""
    )


def field_of(source: Any, path: str) -> Any:
    """Return the value at a dotted *path*, nested or with dots in its keys at any depth; None when it is not there."""
    if not isinstance(source, Mapping):
        return None
    if path in source:
        return source[path]
    parts = path.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        inner = source.get(".".join(parts[:cut]))
        if inner is not None and (found := field_of(inner, ".".join(parts[cut:]))) is not None:
            return found
    return None
