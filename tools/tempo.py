"""Spans from Grafana Tempo (/api/search with TraceQL, /api/traces/{id} as OTLP JSON); a SpanSource of tools.evidence.traces."""

import asyncio
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from tools.access import Access, client
from tools.errors import Permanent
from tools.fetch import Absent, get_json
from tools.selectors import literal
from tools.spans import KINDS, failed, message_of, peer_of
from tools.traces import Span

AT_ONCE = 10
_ID = re.compile(r"[0-9A-Za-z]{1,64}")
_KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}


class Tempo:
    """A read-only Tempo client; *headers* may carry ``Authorization`` and ``X-Scope-OrgID``, *timeout_s* is seconds."""

    name = "Tempo"

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
        access: Access | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        asked = {"Accept": "application/json", **(headers or {})}
        self._client = client(self.url, asked, access, timeout_s)
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def services(self) -> list[str]:
        """Name the services Tempo has recent spans of."""
        tried = "Tempo values of service.name"
        try:
            answer = await get_json(self._client, "/api/search/tag/service.name/values", [], tried)
        except Absent:
            return []
        values = answer.get("tagValues") if isinstance(answer, dict) else None
        if values is not None and not isinstance(values, list):
            raise Permanent(f"{tried}: the answer has no tagValues; is {self.url} a Tempo?")
        return [str(value["value"]) if isinstance(value, dict) else str(value) for value in values or ()]

    async def spans(
        self, service: str, start: datetime, end: datetime, limit: int, *, errors: bool = False
    ) -> list[Span]:
        """Return the spans of up to *limit* traces through *service* in [start, end)."""
        asked = self.query(service, errors=errors)
        window = [("start", str(int(start.timestamp()))), ("end", str(int(end.timestamp()) + 1))]
        tried = f"Tempo {asked}"
        found = await get_json(self._client, "/api/search", [("q", asked), *window, ("limit", str(limit))], tried)
        rows = found.get("traces", []) if isinstance(found, dict) else None
        if not isinstance(rows, list) or not ("traces" in found or "metrics" in found):
            raise Permanent(f"{tried}: the answer has no traces; is {self.url} a Tempo?")
        try:
            ids = list(dict.fromkeys(str(row["traceID"]) for row in rows))[:limit]
        except (KeyError, TypeError) as exc:
            raise Permanent(f"{tried}: a row of the answer has no traceID ({rows[:1]!r})") from exc
        read = await asyncio.gather(*(self._trace(each) for each in ids))
        return [span for trace in read for span in trace]

    def query(self, service: str, *, errors: bool = False) -> str:
        """Return the TraceQL."""
        return f"{{ resource.service.name = {literal(service)}{' && status = error' if errors else ''} }}"

    def link(self, service: str, start: datetime, end: datetime) -> str:
        """Return the search's own address: Tempo has no page for people."""
        query = {"q": self.query(service), "start": int(start.timestamp()), "end": int(end.timestamp()) + 1}
        return f"{self.url}/api/search?{urlencode(query)}"

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _trace(self, number: str) -> list[Span]:
        if not _ID.fullmatch(number):
            raise Permanent(f"Tempo: {number[:80]!r} is not a trace id")
        tried = f"Tempo trace {number}"
        async with self._slots:
            try:
                answer = await get_json(self._client, f"/api/traces/{number}", [], tried)
            except Absent:  # found by the search, gone by now
                return []
        try:
            return list(read_otlp(answer, number))
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            raise Permanent(f"{tried}: the answer cannot be read as OTLP ({type(exc).__name__}: {exc})") from exc


def read_otlp(answer: Mapping[str, Any], trace: str) -> Iterator[Span]:
    """Yield the spans of an OTLP trace in JSON: Tempo's `batches`, or `resourceSpans`, bare or under `trace`."""
    body = answer.get("trace") or answer
    for batch in body.get("batches") or body.get("resourceSpans") or ():
        service = _attributes((batch.get("resource") or {}).get("attributes")).get("service.name", "unknown")
        for scope in batch.get("scopeSpans") or batch.get("instrumentationLibrarySpans") or ():
            for raw in scope.get("spans") or ():
                yield _span(raw, trace, service)


def _span(raw: Mapping[str, Any], trace: str, service: str) -> Span:
    tags, kind = _attributes(raw.get("attributes")), _kind(raw.get("kind", 0))
    status = raw.get("status") or {}
    begun, ended = int(raw["startTimeUnixNano"]), int(raw["endTimeUnixNano"])
    events = [
        _attributes(event.get("attributes")) | {"event": str(event.get("name", ""))}
        for event in raw.get("events") or ()
    ]
    said = str(status.get("message") or "")
    return Span(
        trace=trace,
        id=str(raw["spanId"]),
        parent=str(raw.get("parentSpanId") or ""),
        service=service,
        operation=str(raw.get("name", "")),
        start=begun / 1e9,
        seconds=max(ended - begun, 0) / 1e9,
        kind=kind,
        error=status.get("code") in {2, "STATUS_CODE_ERROR"} or failed(tags, kind),
        message=said[:300] or message_of(tags, events),
        peer=peer_of(tags),
    )


def _kind(value: Any) -> str:
    kind = _KINDS.get(value, "internal") if isinstance(value, int) else str(value).removeprefix("SPAN_KIND_").lower()
    return kind if kind in KINDS else "internal"


def _attributes(rows: Any) -> dict[str, str]:
    """Return OTLP attributes as text; arrays and maps, which nothing here reads, are left out."""
    found = {}
    for row in rows or ():
        for kind, value in (row.get("value") or {}).items():
            if kind in {"stringValue", "intValue", "doubleValue", "boolValue"}:
                found[str(row["key"])] = str(value)
    return found
