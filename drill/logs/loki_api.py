"""Loki's HTTP API over the practice logs; mounted by the app under /loki."""

import bisect
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from starlette.datastructures import ImmutableMultiDict
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from drill.formats import QueryError, duration, number, when
from drill.logs.logql import LogQuery, parse
from drill.logs.store import LogStore, Stream
from drill.timeline import Clock

Params = ImmutableMultiDict[str, str]
_MAX_LINES = 5000
_HOUR_NS = 3600 * 10**9


class LokiApi:
    """Answers /loki/loki/api/v1/... and, for short base URLs, /loki/api/v1/...."""

    def __init__(self, logs: LogStore, clock: Clock) -> None:
        self._logs, self._clock = logs, clock

    def routes(self) -> list[BaseRoute]:
        """Return queries, labels and readiness; LOKI_URL is the drill's address, as a real one's is without a path."""
        handlers: dict[str, Callable[[Params, dict[str, Any]], object]] = {
            "query_range": self._query_range,
            "query": self._query,
            "labels": lambda params, _: sorted({name for s in self._streams(params) for name in s.labels}),
            "label/{name}/values": lambda params, path: sorted(
                {s.labels[path["name"]] for s in self._streams(params) if path["name"] in s.labels}
            ),
            "series": self._series,
        }
        routes: list[BaseRoute] = []
        for prefix in ("/loki/loki/api/v1", "/loki/api/v1"):
            routes += [
                Route(f"{prefix}/{path}", _endpoint(handler), methods=["GET", "POST"])
                for path, handler in handlers.items()
            ]
            routes.append(Route(f"{prefix}/status/buildinfo", _buildinfo))
        return [*routes, Route("/loki/ready", _ready), Route("/ready", _ready)]

    def _now_ns(self) -> int:
        return round(self._clock() * 1e9)

    def _span(self, params: Params) -> tuple[int, int]:
        end = _ns(params.get("end"), self._now_ns(), "end")
        since = params.get("since")
        default = end - round(duration(since, "since") * 1e9) if since else end - _HOUR_NS
        start = _ns(params.get("start"), default, "start")
        if end < start:
            raise QueryError("end timestamp must not be before or equal to start time", "bad_data")
        return start, end

    def _query_range(self, params: Params, _: dict[str, Any]) -> object:
        query, (start, end) = parse(params.get("query", "")), self._span(params)
        if query.function:
            default = max(1.0, (end - start) / 1e9 / 250)
            step = duration(params["step"], "step") if params.get("step") else default
            return self._matrix(query, start, end, round(step * 1e9))
        limit = _limit(params)
        return self._lines(query, start, end, limit, newest_first=params.get("direction", "backward") != "forward")

    def _query(self, params: Params, _: dict[str, Any]) -> object:
        query, at = parse(params.get("query", "")), _ns(params.get("time"), self._now_ns(), "time")
        if not query.function:
            return self._lines(query, at - _HOUR_NS, at + 1, _limit(params), newest_first=True)
        rows = self._counts(query, [at])
        result = [{"metric": dict(key), "value": [at / 1e9, number(v[0])]} for key, v in rows.items() if v[0]]
        return {"resultType": "vector", "result": result, "stats": {}}

    def _lines(self, query: LogQuery, start: int, end: int, limit: int, *, newest_first: bool) -> object:
        found: list[tuple[int, str, Stream]] = []
        for stream in self._logs.streams():
            if query.wants(stream.labels):
                found += [
                    (line.ns, line.text, stream)
                    for line in stream.lines
                    if start <= line.ns < end and query.accepts(line.text)
                ]
        found.sort(key=lambda row: row[0], reverse=newest_first)
        rows: dict[int, dict[str, Any]] = {}
        for ns, text, stream in found[:limit]:
            row = rows.setdefault(id(stream), {"stream": stream.labels, "values": []})
            row["values"].append([str(ns), text])
        return {"resultType": "streams", "result": list(rows.values()), "stats": {}}

    def _matrix(self, query: LogQuery, start: int, end: int, step: int) -> object:
        if step <= 0 or (end - start) // step > 11_000:
            raise QueryError(
                "exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step parameter",
                "bad_data",
            )
        times = list(range(start, end + 1, step))
        rows = self._counts(query, times)
        result = [
            {
                "metric": dict(key),
                "values": [[at / 1e9, number(value)] for at, value in zip(times, values, strict=True) if value],
            }
            for key, values in rows.items()
        ]
        return {"resultType": "matrix", "result": [row for row in result if row["values"]], "stats": {}}

    def _counts(self, query: LogQuery, times: list[int]) -> dict[tuple[tuple[str, str], ...], list[float]]:
        rows: dict[tuple[tuple[str, str], ...], list[float]] = {}
        span = round(query.range_s * 1e9)
        for stream in self._logs.streams():
            if not query.wants(stream.labels):
                continue
            stamps = [line.ns for line in stream.lines if query.accepts(line.text)]
            names = stream.labels if query.by is None else [n for n in query.by if n in stream.labels]
            key = tuple(sorted((name, stream.labels[name]) for name in names))
            totals = rows.setdefault(key, [0.0] * len(times))
            for index, at in enumerate(times):
                count = bisect.bisect_right(stamps, at) - bisect.bisect_right(stamps, at - span)
                totals[index] += count / query.range_s if query.function == "rate" else count
        return rows

    def _streams(self, params: Params) -> list[Stream]:
        start, end = self._span(params)
        return [s for s in self._logs.streams() if s.lines and s.lines[-1].ns >= start and s.lines[0].ns <= end]

    def _series(self, params: Params, _: dict[str, Any]) -> object:
        queries = [parse(text) for text in params.getlist("match[]") or params.getlist("match")]
        return [s.labels for s in self._streams(params) if not queries or any(q.wants(s.labels) for q in queries)]


def _endpoint(handler: Callable[[Params, dict[str, Any]], object]) -> Callable[[Request], Any]:
    async def serve(request: Request) -> Response:
        pairs = list(request.query_params.multi_items())
        if request.method == "POST":
            pairs += parse_qsl((await request.body()).decode(), keep_blank_values=True)
        try:
            data = handler(ImmutableMultiDict(pairs), request.path_params)
        except QueryError as error:
            return PlainTextResponse(str(error), status_code=400)
        return JSONResponse({"status": "success", "data": data})

    return serve


async def _ready(_: Request) -> Response:
    return PlainTextResponse("ready\n")


async def _buildinfo(_: Request) -> Response:
    return JSONResponse({"version": "3.1.0", "revision": "drill", "branch": "HEAD", "goVersion": "go1.23"})


def _limit(params: Params) -> int:
    text = params.get("limit") or "100"
    if not text.isdecimal():
        raise QueryError(f"invalid limit {text!r}: expected a whole number", "bad_data")
    limit = int(text)
    if limit > _MAX_LINES:
        raise QueryError(
            f"max entries limit per query exceeded, limit > max_entries_limit_per_query ({limit} > {_MAX_LINES})",
            "bad_data",
        )
    return limit


def _ns(text: str | None, default: int, name: str) -> int:
    """Nanoseconds from what Loki accepts: ns, seconds (up to ten digits or a fraction), RFC 3339."""
    if not text:
        return default
    if text.isdigit() and len(text) > 10:
        return int(text)
    return round(when(text, 0.0, name) * 1e9)
