"""A practice world with a clock that tests step by hand, and its API over an in-process transport."""

from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from starlette.applications import Starlette

from drill.cluster import kinds
from drill.cluster.objects import Obj
from drill.cluster.rbac import Tokens
from drill.control import Control
from drill.timeline import Timeline
from drill.world import World

TOKENS = Tokens("reader-token", "actor-token", "admin-token")
NOW = 1_700_000_000.0


class Steps:
    """A world whose time moves only when told."""

    def __init__(self, history_s: float = 60.0) -> None:
        self.now = NOW
        self.world = World(Timeline(lambda: self.now), TOKENS)
        self.world.build(history_s)
        self.run(2)

    def run(self, seconds: float, until: Callable[[], object] | None = None) -> float:
        """Step until *until* holds or *seconds* have passed; returns the seconds spent."""
        begin = self.now
        while self.now - begin < seconds:
            if until is not None and until():
                break
            self.now = round(self.now + 0.2, 3)
            self.world.step()
        return self.now - begin

    def firing(self) -> set[tuple[str, str]]:
        """(alert, service) of everything that fires."""
        return {(rule.name, alert.labels.get("service", "")) for rule, alert in self.world.rules.firing()}

    def pods(self, app: str) -> list[Obj]:
        """The pods of a service, going ones included."""
        pods = self.world.cluster.store.list(kinds.PODS)
        return [pod for pod in pods if (pod["metadata"].get("labels") or {}).get("app") == app]

    def deployment(self, name: str) -> Obj:
        """One Deployment."""
        return self.world.cluster.store.get(kinds.DEPLOYMENTS, "shop", name)

    def events(self, reason: str) -> list[str]:
        """Messages of events with that reason."""
        return [e["message"] for e in self.world.cluster.store.list(kinds.EVENTS) if e["reason"] == reason]


@pytest.fixture
def steps() -> Steps:
    return Steps()


def client_of(world: World, token: str) -> httpx.AsyncClient:
    """A client of the world's APIs that is somebody."""
    app = Starlette(routes=[*Control(world).routes(), *world.routes()])
    transport = httpx.ASGITransport(app=app)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.AsyncClient(transport=transport, base_url="http://drill", headers=headers)


@pytest.fixture
async def admin(steps: Steps) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(steps.world, TOKENS.admin) as client:
        yield client
