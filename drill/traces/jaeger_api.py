"""Jaeger's query API over the practice traces; mounted by the world under /jaeger."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from drill.timeline import Clock
from drill.traces.store import Span, Trace, TraceStore

_MAX = 1500


class JaegerApi:
    """Answers /jaeger/api/services, operations, traces and dependencies."""

    def __init__(self, traces: TraceStore, clock: Clock) -> None:
        self._traces, self._clock = traces, clock

    def routes(self) -> list[BaseRoute]:
        """Return the query API's routes."""
        return [
            Route("/jaeger/api/services", self._services),
            Route("/jaeger/api/services/{service}/operations", self._operations),
            Route("/jaeger/api/traces", self._search),
            Route("/jaeger/api/traces/{trace}", self._one),
            Route("/jaeger/api/dependencies", self._dependencies),
        ]

    async def _services(self, _: Request) -> Response:
        return _answer(sorted({span.service for trace in self._traces.all() for span in trace.spans}))

    async def _operations(self, request: Request) -> Response:
        service = request.path_params["service"]
        return _answer(sorted({s.name for t in self._traces.all() for s in t.spans if s.service == service}))

    async def _search(self, request: Request) -> Response:
        asked = request.query_params
        if not asked.get("service"):
            return _refused("parameter 'service' is required")
        try:
            start, end = int(asked.get("start", 0)) / 1e6, int(asked.get("end", self._clock() * 1e6)) / 1e6
            limit, tags = int(asked.get("limit", 20)), json.loads(asked.get("tags", "{}"))
        except ValueError as error:
            return _refused(f"unable to parse parameter: {error}")
        if limit > _MAX:
            return _refused(f"limit is above the maximum of {_MAX}")
        name = asked.get("operation", "")
        found = [
            trace
            for trace in self._traces.all()
            if start <= trace.start < end and any(_is(span, asked["service"], name, tags) for span in trace.spans)
        ]
        return _answer([_trace(trace) for trace in reversed(found[-limit:] if limit else [])])

    async def _one(self, request: Request) -> Response:
        wanted = request.path_params["trace"]
        found = [trace for trace in self._traces.all() if trace.spans[0].trace == wanted]
        return _answer([_trace(trace) for trace in found]) if found else _refused("trace not found", 404)

    async def _dependencies(self, _: Request) -> Response:
        calls: dict[tuple[str, str], int] = {}
        for trace in self._traces.all():
            by_id = {span.id: span for span in trace.spans}
            for span in trace.spans:
                parent = by_id.get(span.parent)
                if parent and parent.service != span.service:
                    calls[parent.service, span.service] = calls.get((parent.service, span.service), 0) + 1
        return _answer([{"parent": a, "child": b, "callCount": n} for (a, b), n in sorted(calls.items())])


def _is(span: Span, service: str, name: str, tags: dict[str, str]) -> bool:
    had = _tags(span)
    return span.service == service and name in ("", span.name) and all(had.get(k) == v for k, v in tags.items())


def _tags(span: Span) -> dict[str, str]:
    tags = {"span.kind": span.kind} | ({"peer.service": span.peer} if span.peer else {})
    if span.kind != "internal":
        tags["http.status_code"] = str(span.status)
    return tags | ({"error": "true", "otel.status_description": span.error} if span.error else {})


def _trace(trace: Trace) -> dict[str, Any]:
    pods = list(dict.fromkeys((span.service, span.pod, span.namespace) for span in trace.spans))
    processes = {
        f"p{number}": {
            "serviceName": service,
            "tags": [_tag("k8s.pod.name", pod), _tag("k8s.namespace.name", namespace)],
        }
        for number, (service, pod, namespace) in enumerate(pods, 1)
    }
    spans = [
        {
            "traceID": span.trace,
            "spanID": span.id,
            "operationName": span.name,
            "references": [{"refType": "CHILD_OF", "traceID": span.trace, "spanID": span.parent}]
            if span.parent
            else [],
            "startTime": round(span.start * 1e6),
            "duration": round((span.end - span.start) * 1e6),
            "tags": [_tag(key, value) for key, value in _tags(span).items()],
            "logs": [],
            "processID": f"p{pods.index((span.service, span.pod, span.namespace)) + 1}",
            "warnings": None,
        }
        for span in trace.spans
    ]
    return {"traceID": trace.spans[0].trace, "spans": spans, "processes": processes, "warnings": None}


def _tag(key: str, value: str) -> dict[str, Any]:
    if key == "error":
        return {"key": key, "type": "bool", "value": True}
    if key == "http.status_code":
        return {"key": key, "type": "int64", "value": int(value)}
    return {"key": key, "type": "string", "value": value}


def _answer(data: list[Any]) -> Response:
    return JSONResponse({"data": data, "total": len(data), "limit": 0, "offset": 0, "errors": None})


def _refused(message: str, status: int = 400) -> Response:
    body = {"data": None, "total": 0, "limit": 0, "offset": 0, "errors": [{"code": status, "msg": message}]}
    return JSONResponse(body, status)
