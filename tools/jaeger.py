"""Spans from Jaeger's query API (/api/traces, /api/services), which Jaeger 1 and 2 serve; a SpanSource of tools.evidence.traces."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from tools.access import Access, client
from tools.errors import Permanent
from tools.fetch import Absent, get_json
from tools.spans import KINDS, failed, message_of, peer_of
from tools.traces import Span


class Jaeger:
    """A read-only client of jaeger-query; *headers* may carry ``Authorization``, *timeout_s* is seconds."""

    name = "Jaeger"

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
        access: Access | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._client = client(self.url, headers, access, timeout_s)

    async def services(self) -> list[str]:
        """Name the services Jaeger has spans of."""
        found = await self._data("/api/services", [], "Jaeger services")
        return [str(name) for name in found]

    async def spans(
        self, service: str, start: datetime, end: datetime, limit: int, *, errors: bool = False
    ) -> list[Span]:
        """Return the spans of up to *limit* traces through *service* that began in [start, end)."""
        params = [
            ("service", service), ("start", str(_us(start))), ("end", str(_us(end))), ("limit", str(limit)),
            ("lookback", "custom"), *([("tags", '{"error":"true"}')] if errors else []),
        ]  # fmt: skip
        tried = f"Jaeger {self.query(service, errors=errors)}"
        try:
            found = await self._data("/api/traces", params, tried)
        except Absent:  # some versions answer 404 where nothing matches
            return []
        try:
            return [_span(span, trace.get("processes") or {}) for trace in found for span in trace.get("spans") or ()]
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            raise Permanent(f"{tried}: a trace in the answer cannot be read ({type(exc).__name__}: {exc})") from exc

    async def dependencies(self, end: datetime, lookback_s: float) -> list[tuple[str, str, int]]:
        """Return (caller, callee, calls) as Jaeger counted them; [] where its store does not count."""
        params = [("endTs", str(_us(end) // 1000)), ("lookback", str(int(lookback_s * 1000)))]
        rows = await self._data("/api/dependencies", params, "Jaeger dependencies")
        return [(str(row["parent"]), str(row["child"]), int(row["callCount"])) for row in rows]

    def query(self, service: str, *, errors: bool = False) -> str:
        """Return the search in Jaeger's own words."""
        return f"service={service}" + (' tags={"error":"true"}' if errors else "")

    def link(self, service: str, start: datetime, end: datetime) -> str:
        """Return the search page of Jaeger's own interface."""
        query = {"service": service, "start": _us(start), "end": _us(end), "lookback": "custom", "limit": 100}
        return f"{self.url}/search?{urlencode(query)}"

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _data(self, path: str, params: list[tuple[str, str]], tried: str) -> list[Any]:
        answer = await get_json(self._client, path, params, tried)
        if not isinstance(answer, dict) or not isinstance(answer.get("data") or [], list):
            raise Permanent(f"{tried}: the answer has no list of data; is {self.url} a jaeger-query?")
        if not answer.get("data") and answer.get("errors"):
            raise Permanent(f"{tried}: {json.dumps(answer['errors'])[:300]}")
        if "data" not in answer:
            raise Permanent(f"{tried}: the answer has no data; is {self.url} a jaeger-query?")
        return answer["data"] or []


def _us(at: datetime) -> int:
    return int(at.timestamp() * 1e6)


def _tags(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    return {str(row["key"]): str(row.get("value", "")) for row in rows}


def _span(raw: Mapping[str, Any], processes: Mapping[str, Any]) -> Span:
    tags = _tags(raw.get("tags") or ())
    events = [_tags(log.get("fields") or ()) for log in raw.get("logs") or ()]
    parents = [ref for ref in raw.get("references") or () if ref.get("traceID", raw["traceID"]) == raw["traceID"]]
    parents.sort(key=lambda ref: ref.get("refType") != "CHILD_OF")
    kind = tags.get("span.kind", "internal")
    return Span(
        trace=str(raw["traceID"]),
        id=str(raw["spanID"]),
        parent=str(parents[0]["spanID"]) if parents else str(raw.get("parentSpanID") or ""),
        service=str(processes[raw["processID"]]["serviceName"]),
        operation=str(raw["operationName"]),
        start=int(raw["startTime"]) / 1e6,
        seconds=int(raw["duration"]) / 1e6,
        kind=kind if kind in KINDS else "internal",
        error=failed(tags, kind),
        message=message_of(tags, events),
        peer=peer_of(tags),
    )
