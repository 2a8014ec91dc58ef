"""Alertmanager's API v2 over the practice Alertmanager; mounted by the app under /alertmanager."""

import json
import re
import uuid
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from drill.formats import QueryError, stamp, test_of, when
from drill.metrics.alertmanager import RESOLVE_TIMEOUT_S, Alertmanager, Notice, Silence
from drill.timeline import Clock

_FILTER = re.compile(r'\s*([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*"?(.*?)"?\s*\Z')


class AlertmanagerApi:
    """Answers /alertmanager/api/v2/...."""

    def __init__(self, alertmanager: Alertmanager, clock: Clock) -> None:
        self._manager, self._clock = alertmanager, clock

    def routes(self) -> list[BaseRoute]:
        """Alerts, groups, silences, status and health."""
        base = "/alertmanager/api/v2"
        return [
            Route(f"{base}/alerts", self._alerts),
            Route(f"{base}/alerts/groups", self._groups),
            Route(f"{base}/silences", self._silences, methods=["GET", "POST"]),
            Route(f"{base}/silence/{{id}}", self._silence, methods=["GET", "DELETE"]),
            Route(f"{base}/status", self._status),
            Route(f"{base}/receivers", self._receivers),
            Route("/alertmanager/-/healthy", self._healthy),
            Route("/alertmanager/-/ready", self._healthy),
        ]

    def _shown(self, notice: Notice) -> dict[str, Any]:
        silenced = self._manager.hidden_by(notice.labels)
        return {
            "annotations": notice.annotations,
            "endsAt": stamp(notice.ends or notice.updated + RESOLVE_TIMEOUT_S),
            "fingerprint": notice.fingerprint,
            "receivers": [{"name": "slack"}],
            "startsAt": stamp(notice.starts),
            "status": {
                "inhibitedBy": [],
                "silencedBy": silenced,
                "state": "suppressed" if silenced else "active",
            },
            "updatedAt": stamp(notice.updated),
            "generatorURL": notice.generator,
            "labels": notice.labels,
        }

    async def _alerts(self, request: Request) -> Response:
        try:
            keep = _filters(request.query_params.getlist("filter"))
        except QueryError as error:
            return JSONResponse(str(error), status_code=400)
        hide = {s for s in ("active", "silenced") if request.query_params.get(s, "true") == "false"}
        rows = [self._shown(n) for g in self._manager.groups.values() for n in g.alerts.values() if not n.ends]
        rows = [row for row in rows if all(test(row["labels"].get(name, "")) for name, test in keep)]
        return JSONResponse(
            [row for row in rows if ("silenced" if row["status"]["silencedBy"] else "active") not in hide]
        )

    async def _groups(self, _: Request) -> Response:
        return JSONResponse(
            [
                {
                    "labels": group.labels,
                    "receiver": {"name": "slack"},
                    "alerts": [self._shown(n) for n in group.alerts.values() if not n.ends],
                }
                for group in self._manager.groups.values()
            ]
        )

    async def _silences(self, request: Request) -> Response:
        if request.method == "GET":
            return JSONResponse([self._silence_view(s) for s in self._manager.silences.values()])
        try:
            silence = _read(await request.json(), self._clock())
        except (QueryError, KeyError, TypeError, json.JSONDecodeError) as error:
            return JSONResponse(f"bad silence: {error}", status_code=400)
        self._manager.silences[silence.id] = silence
        return JSONResponse({"silenceID": silence.id})

    async def _silence(self, request: Request) -> Response:
        silence = self._manager.silences.get(request.path_params["id"])
        if silence is None:
            return JSONResponse("silence not found", status_code=404)
        if request.method == "DELETE":
            silence.ends = silence.updated = self._clock()
            return PlainTextResponse("")
        return JSONResponse(self._silence_view(silence))

    def _silence_view(self, silence: Silence) -> dict[str, Any]:
        return {
            "id": silence.id,
            "status": {"state": silence.state(self._clock())},
            "updatedAt": stamp(silence.updated),
            "comment": silence.comment,
            "createdBy": silence.created_by,
            "startsAt": stamp(silence.starts),
            "endsAt": stamp(silence.ends),
            "matchers": silence.matchers,
        }

    async def _status(self, _: Request) -> Response:
        return JSONResponse(
            {
                "cluster": {"name": "drill", "status": "ready", "peers": []},
                "versionInfo": {"version": "0.27.0", "revision": "drill", "branch": "HEAD", "goVersion": "go1.22"},
                "config": {"original": "route:\n  receiver: slack\n  group_by: [alertname, service]\n"},
                "uptime": stamp(self._clock()),
            }
        )

    async def _receivers(self, _: Request) -> Response:
        return JSONResponse([{"name": "slack"}])

    async def _healthy(self, _: Request) -> Response:
        return PlainTextResponse("OK")


def _filters(texts: list[str]) -> list[tuple[str, Any]]:
    found = []
    for text in texts:
        match = _FILTER.match(text)
        if not match:
            raise QueryError(f"bad matcher format: {text}", "bad_data")
        try:
            found.append((match[1], test_of((match[1], match[2], match[3]))))
        except re.error as error:
            raise QueryError(f"bad matcher format: {text}", "bad_data") from error
    return found


def _read(body: dict[str, Any], now: float) -> Silence:
    if not body["matchers"]:
        raise QueryError("at least one matcher required", "bad_data")
    matchers = [
        {
            "name": str(m["name"]),
            "value": str(m["value"]),
            "isRegex": bool(m["isRegex"]),
            "isEqual": bool(m.get("isEqual", True)),
        }
        for m in body["matchers"]
    ]
    starts, ends = when(body["startsAt"], now, "startsAt"), when(body["endsAt"], now, "endsAt")
    if ends <= starts or ends <= now:
        raise QueryError("end time can't be in the past or before start time", "bad_data")
    author, comment = str(body["createdBy"]), str(body["comment"])
    return Silence(body.get("id") or str(uuid.uuid4()), matchers, max(starts, now), ends, author, comment, now)
