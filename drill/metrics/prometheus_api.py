"""The Prometheus HTTP API over the series store; mounted by the app under /prometheus."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import promql_parser as ast
from starlette.datastructures import ImmutableMultiDict
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from drill.formats import QueryError, duration, number, stamp, when
from drill.metrics.promql import Query, matchers, parse
from drill.metrics.rules import Alert, Rules
from drill.metrics.series import Series, Storage
from drill.metrics.values import Matrix, Text, Value
from drill.timeline import Clock

Params = ImmutableMultiDict[str, str]
_COUNTERS = ("_total", "_count", "_sum", "_bucket")
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")


class PrometheusApi:
    """Answers /prometheus/api/v1/...."""

    def __init__(self, storage: Storage, rules: Rules, clock: Clock) -> None:
        self._storage, self._rules, self._clock = storage, rules, clock

    def routes(self) -> list[BaseRoute]:
        """GET and POST, as Prometheus serves them."""
        handlers: dict[str, Callable[[Params, Mapping[str, Any]], object]] = {
            "query": self._query,
            "query_range": self._query_range,
            "series": self._series,
            "labels": self._labels,
            "label/{name}/values": self._label_values,
            "rules": self._rules_view,
            "alerts": lambda _, __: {"alerts": [_alert(alert) for alert in self._rules.active()]},
            "metadata": self._metadata,
            "targets": self._targets,
            "alertmanagers": lambda _, __: {"activeAlertmanagers": [], "droppedAlertmanagers": []},
            "status/buildinfo": lambda _, __: {
                "version": "2.53.0",
                "revision": "drill",
                "branch": "HEAD",
                "goVersion": "go1.22",
            },
            "status/runtimeinfo": lambda _, __: {"storageRetention": "2h"},
            "status/config": lambda _, __: {"yaml": "global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\n"},
        }
        routes: list[BaseRoute] = [
            Route(f"/prometheus/api/v1/{path}", _endpoint(handler), methods=["GET", "POST"])
            for path, handler in handlers.items()
        ]
        routes += [Route(f"/prometheus/-/{path}", _healthy) for path in ("healthy", "ready")]
        routes.append(Route("/prometheus/graph", self._graph))
        return routes

    def _query(self, params: Params, _: Mapping[str, Any]) -> object:
        at = round(when(params.get("time"), self._clock(), "time") * 1000)
        value = Query(self._storage, parse(_required(params, "query")), at, at).instant()
        return _shown(value, at)

    def _query_range(self, params: Params, _: Mapping[str, Any]) -> object:
        start, end = (round(when(_required(params, key), 0.0, key) * 1000) for key in ("start", "end"))
        step = round(duration(_required(params, "step"), "step") * 1000)
        if end < start:
            raise QueryError('invalid parameter "end": end timestamp must not be before start time', "bad_data")
        if step <= 0:
            message = 'invalid parameter "step": zero or negative query resolution step widths are not accepted. Try a positive integer'
            raise QueryError(message, "bad_data")
        found = Query(self._storage, parse(_required(params, "query")), start, end).range(step)
        rows = [
            {"metric": dict(labels), "values": [[at / 1000, number(value)] for at, value in points]}
            for labels, points in sorted(found.items())
        ]
        return {"resultType": "matrix", "result": rows}

    def _matching(self, params: Params) -> list[Series]:
        start = round(when(params.get("start"), 0.0, "start") * 1000)
        end = round(when(params.get("end"), self._clock() + 3600, "end") * 1000)
        texts = params.getlist("match[]")
        pool = (
            [s for text in texts for s in self._storage.select(_selector(text))] if texts else list(self._storage.all())
        )
        unique = {series.labels: series for series in pool if series.times}
        return [s for s in unique.values() if s.times[-1] >= start and s.times[0] <= end]

    def _series(self, params: Params, _: Mapping[str, Any]) -> object:
        if not params.getlist("match[]"):
            raise QueryError("no match[] parameter provided", "bad_data")
        return [dict(series.labels) for series in self._matching(params)]

    def _labels(self, params: Params, _: Mapping[str, Any]) -> object:
        return sorted({name for series in self._matching(params) for name, _ in series.labels})

    def _label_values(self, params: Params, path: Mapping[str, Any]) -> object:
        if not _NAME.match(path["name"]):
            raise QueryError(f'invalid label name: "{path["name"]}"', "bad_data")
        rows = (value for s in self._matching(params) for name, value in s.labels if name == path["name"])
        return sorted(set(rows))

    def _rules_view(self, params: Params, _: Mapping[str, Any]) -> object:
        if params.get("type", "alert") != "alert":
            return {"groups": []}
        groups: dict[str, list[dict[str, object]]] = {}
        for rule in self._rules.rules:
            shown = {
                "state": rule.state,
                "name": rule.name,
                "query": rule.expr,
                "duration": rule.hold,
                "keepFiringFor": 0,
                "labels": rule.labels,
                "annotations": rule.annotations,
                "alerts": [_alert(alert) for alert in rule.active.values()],
                "health": "ok",
                "evaluationTime": rule.took,
                "lastEvaluation": stamp(rule.evaluated_at),
                "type": "alerting",
            }
            groups.setdefault(rule.group, []).append(shown)
        return {
            "groups": [
                {"name": name, "file": f"/etc/prometheus/{name}.yaml", "interval": 1, "limit": 0, "rules": rules}
                for name, rules in groups.items()
            ]
        }

    def _metadata(self, params: Params, _: Mapping[str, Any]) -> object:
        only = params.get("metric")
        names = [name for name in self._storage.names() if only in (None, name)]
        return {
            name: [{"type": "counter" if name.endswith(_COUNTERS) else "gauge", "help": "", "unit": ""}]
            for name in names
        }

    def _targets(self, _: Params, __: Mapping[str, Any]) -> object:
        targets = []
        for series in self._storage.select([("__name__", "=", "up")]):
            value = series.at(round(self._clock() * 1000), 10_000)
            if value is not None:
                labels = {k: v for k, v in series.labels if k != "__name__"}
                health = "up" if value else "down"
                targets.append({"labels": labels, "health": health, "scrapePool": "pods", "lastError": ""})
        return {"activeTargets": targets, "droppedTargets": []}

    async def _graph(self, request: Request) -> Response:
        """Return a plain-text look at an expression, so that links from alerts lead somewhere."""
        expr = request.query_params.get("g0.expr", "")
        try:
            at = round(self._clock() * 1000)
            value = Query(self._storage, parse(expr), at, at).instant()
        except QueryError as error:
            return PlainTextResponse(f"{expr}\n\n{error}", status_code=400)
        rows = value if isinstance(value, list) else []
        lines = [f"{dict(labels)}  {number(sample)}" for labels, sample in rows] or [repr(value)]
        return PlainTextResponse(expr + "\n\n" + "\n".join(lines))


def _endpoint(handler: Callable[[Params, Mapping[str, Any]], object]) -> Callable[[Request], Any]:
    async def serve(request: Request) -> Response:
        pairs = list(request.query_params.multi_items())
        if request.method == "POST":
            pairs += parse_qsl((await request.body()).decode(), keep_blank_values=True)
        try:
            data = handler(ImmutableMultiDict(pairs), request.path_params)
        except QueryError as error:
            code = 400 if error.kind == "bad_data" else 422
            return JSONResponse({"status": "error", "errorType": error.kind, "error": str(error)}, status_code=code)
        return JSONResponse({"status": "success", "data": data})

    return serve


async def _healthy(request: Request) -> Response:
    return PlainTextResponse(
        "Prometheus Server is Healthy.\n" if "healthy" in request.url.path else "Prometheus Server is Ready.\n"
    )


def _required(params: Params, name: str) -> str:
    value = params.get(name, "")
    if not value:
        problem = (
            "unknown position: parse error: no expression found in input"
            if name == "query"
            else 'cannot parse "" to a valid value'
        )
        raise QueryError(f'invalid parameter "{name}": {problem}', "bad_data")
    return value


def _selector(text: str) -> list[Any]:
    tree = parse(text)
    if not isinstance(tree, ast.VectorSelector):
        raise QueryError(f'invalid parameter "match[]": {text!r} is not a selector', "bad_data")
    return matchers(tree)


def _shown(value: Value, at: int) -> dict[str, object]:
    if isinstance(value, float):
        return {"resultType": "scalar", "result": [at / 1000, number(value)]}
    if isinstance(value, Text):
        return {"resultType": "string", "result": [at / 1000, value.value]}
    if isinstance(value, Matrix):
        rows: list[dict[str, object]] = [
            {
                "metric": dict(w.labels),
                "values": [[time / 1000, number(v)] for time, v in zip(w.times, w.values, strict=True)],
            }
            for w in value.windows
        ]
        return {"resultType": "matrix", "result": rows}
    rows = [{"metric": dict(labels), "value": [at / 1000, number(sample)]} for labels, sample in value]
    return {"resultType": "vector", "result": rows}


def _alert(alert: Alert) -> dict[str, object]:
    return {
        "labels": alert.labels,
        "annotations": alert.annotations,
        "state": alert.state,
        "activeAt": stamp(alert.active_at),
        "value": _scientific(alert.value),
    }


def _scientific(value: float) -> str:
    """Go's 'e' format with the shortest digits."""
    mantissa, _, exponent = f"{value:.16e}".partition("e")
    for digits in range(17):
        short = f"{value:.{digits}e}"
        if float(short) == value:
            mantissa, _, exponent = short.partition("e")
            break
    return f"{mantissa}e{exponent[0]}{exponent[1:].zfill(2)}" if exponent else number(value)
