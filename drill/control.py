"""The control API that the page's "fire a drill" menu and the tests use; mounted by the app under /drill."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from drill.cluster import kinds
from drill.cluster.objects import is_ready
from drill.cluster.tables import pod_status
from drill.scenarios.model import ScenarioError
from drill.world import World


class Control:
    """GET /drill/scenarios and /drill/state, POST /drill/fire and /drill/reset."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[BaseRoute]:
        """Return the four routes."""
        return [
            Route("/drill/scenarios", self._scenarios),
            Route("/drill/state", self._state),
            Route("/drill/fire", self._fire, methods=["POST"]),
            Route("/drill/reset", self._reset, methods=["POST"]),
        ]

    async def _scenarios(self, _: Request) -> Response:
        return JSONResponse({"scenarios": self._world.scenarios()})

    async def _fire(self, request: Request) -> Response:
        try:
            body = await request.json()
            name = str(body["scenario"])
        except (ValueError, KeyError, TypeError):
            return JSONResponse({"ok": False, "error": 'send {"scenario": name}'}, status_code=400)
        try:
            self._world.fire(name)
        except ScenarioError as error:
            code = 404 if name not in self._world.drills.known else 409
            return JSONResponse({"ok": False, "error": str(error)}, status_code=code)
        return JSONResponse({"ok": True})

    async def _reset(self, _: Request) -> Response:
        self._world.reset()
        return JSONResponse({"ok": True})

    async def _state(self, _: Request) -> Response:
        return JSONResponse(state(self._world))


def state(world: World) -> dict[str, Any]:
    """Return the world at a glance: services with rates and pods, alerts, running drills."""
    pods: dict[str, list[dict[str, Any]]] = {}
    for pod in world.cluster.store.list(kinds.PODS):
        app = (pod["metadata"].get("labels") or {}).get("app", "")
        restarts = sum(s["restartCount"] for s in pod["status"].get("containerStatuses", ()))
        row = {"name": pod["metadata"]["name"], "ready": is_ready(pod), "status": pod_status(pod), "restarts": restarts}
        pods.setdefault(app, []).append(row)
    services = []
    for deployment in world.cluster.store.list(kinds.DEPLOYMENTS):
        name, status = deployment["metadata"]["name"], deployment.get("status", {})
        if name not in world.cluster.catalogue.services:
            continue
        flow = world.traffic.flows.get(name)
        services.append(
            {
                "name": name,
                "namespace": deployment["metadata"]["namespace"],
                "image": deployment["spec"]["template"]["spec"]["containers"][0]["image"],
                "wanted": deployment["spec"]["replicas"],
                "ready": status.get("readyReplicas", 0),
                "rps": round(flow.rps, 1) if flow and flow.serving else 0.0,
                "error_ratio": round(flow.failing, 4) if flow and flow.serving else 0.0,
                "latency_ms": round(flow.latency_ms, 1) if flow and flow.serving else 0.0,
                "calls": [edge.call.peer for edge in flow.edges] if flow else [],
                "pods": pods.get(name, []),
            }
        )
    alerts = [
        {"name": alert.labels["alertname"], "state": alert.state, "since": alert.active_at, "labels": alert.labels}
        for alert in world.rules.active()
    ]
    running = [{"name": n, "since": r.since, "alerted": r.alerted} for n, r in world.drills.running.items()]
    return {"now": world.clock(), "services": services, "alerts": alerts, "running": running}
