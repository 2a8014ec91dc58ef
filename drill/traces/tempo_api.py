"""Tempo's HTTP API over the practice traces; mounted by the world under /tempo.

Of TraceQL it knows what a search by service needs: one spanset of `=` and `!=` over service name, span name, status and kind.
"""

import re
from itertools import groupby
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from drill.timeline import Clock
from drill.traces.store import Span, Trace, TraceStore

_CLAUSE = re.compile(r'\s*([\w.:]+)\s*(=|!=)\s*("(?:[^"\\]|\\.)*"|\w+)\s*')
_FIELDS = {
    "resource.service.name": "service",
    ".service.name": "service",
    "name": "name",
    "status": "status",
    "kind": "kind",
}


class TempoApi:
    """Answers /tempo/api/search, /api/traces/{id}, the values of service.name, and readiness."""

    def __init__(self, traces: TraceStore, clock: Clock) -> None:
        self._traces, self._clock = traces, clock

    def routes(self) -> list[BaseRoute]:
        """Return the API's routes."""
        return [
            Route("/tempo/ready", _ready),
            Route("/tempo/api/echo", _echo),
            Route("/tempo/api/search", self._search),
            Route("/tempo/api/search/tag/service.name/values", self._names),
            Route("/tempo/api/traces/{trace}", self._one),
        ]

    async def _names(self, _: Request) -> Response:
        return JSONResponse({"tagValues": sorted({s.service for t in self._traces.all() for s in t.spans})})

    async def _search(self, request: Request) -> Response:
        asked = request.query_params
        try:
            wanted = _parse(asked.get("q", "{}"))
            start, end = int(asked.get("start", 0)), int(asked.get("end", self._clock()))
            limit = int(asked.get("limit", 20))
        except ValueError as error:
            return PlainTextResponse(f"invalid TraceQL query: parse error: {error}", 400)
        found = [
            trace
            for trace in self._traces.all()
            if start <= trace.start < end and any(_is(span, wanted) for span in trace.spans)
        ]
        rows = [_row(trace) for trace in reversed(found[-limit:])]
        return JSONResponse({"traces": rows, "metrics": {"inspectedTraces": len(rows)}})

    async def _one(self, request: Request) -> Response:
        wanted = request.path_params["trace"]
        for trace in self._traces.all():
            if trace.spans[0].trace == wanted:
                return JSONResponse({"batches": _batches(trace)})
        return PlainTextResponse("trace not found", 404)


def _parse(query: str) -> list[tuple[str, str, str]]:
    """Return (field, operator, value) of each clause; ValueError for what is not understood."""
    inner = query.strip()
    if not (inner.startswith("{") and inner.endswith("}")):
        raise ValueError(f"unexpected {query!r}")
    clauses = []
    for part in inner[1:-1].split("&&") if inner[1:-1].strip() else []:
        match = _CLAUSE.fullmatch(part)
        if match is None or match[1] not in _FIELDS:
            raise ValueError(f"unsupported {part.strip()!r}")
        clauses.append((_FIELDS[match[1]], match[2], match[3].strip('"')))
    return clauses


def _is(span: Span, wanted: list[tuple[str, str, str]]) -> bool:
    had = {"service": span.service, "name": span.name, "kind": span.kind, "status": "error" if span.error else "unset"}
    return all((had[name] == value) is (operator == "=") for name, operator, value in wanted)


def _row(trace: Trace) -> dict[str, Any]:
    root = trace.spans[0]
    return {
        "traceID": root.trace,
        "rootServiceName": root.service,
        "rootTraceName": root.name,
        "startTimeUnixNano": str(round(root.start * 1e9)),
        "durationMs": round((root.end - root.start) * 1e3),
    }


def _batches(trace: Trace) -> list[dict[str, Any]]:
    batches = []
    for (service, pod, namespace), spans in groupby(trace.spans, lambda span: (span.service, span.pod, span.namespace)):
        attributes = {"service.name": service, "k8s.pod.name": pod, "k8s.namespace.name": namespace}
        scope = {"scope": {"name": "drill"}, "spans": [_span(span) for span in spans]}
        batches.append({"resource": {"attributes": _attributes(attributes)}, "scopeSpans": [scope]})
    return batches


def _span(span: Span) -> dict[str, Any]:
    said = {"http.response.status_code": span.status} if span.kind != "internal" else {}
    tags: dict[str, Any] = {**said, **({"peer.service": span.peer} if span.peer else {})}
    status = {"code": "STATUS_CODE_ERROR", "message": span.error} if span.error else {}
    return {
        "traceId": span.trace,
        "spanId": span.id,
        **({"parentSpanId": span.parent} if span.parent else {}),
        "name": span.name,
        "kind": f"SPAN_KIND_{span.kind.upper()}",
        "startTimeUnixNano": str(round(span.start * 1e9)),
        "endTimeUnixNano": str(round(span.end * 1e9)),
        "attributes": _attributes(tags),
        "status": status,
    }


def _attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
        for key, value in values.items()
    ]


async def _ready(_: Request) -> Response:
    return PlainTextResponse("ready\n")


async def _echo(_: Request) -> Response:
    return PlainTextResponse("echo")
