"""The practice traces over both APIs, and what Tocsin's own plug-ins read from the stepped world: the drill only traces explain."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import httpx
import pytest
from starlette.applications import Starlette

from tests.unit.drill_world.conftest import Steps
from tests.unit.tools.fakes import serve
from tools.evidence import traces
from tools.jaeger import Jaeger
from tools.records import Alert, Evidence, Scope
from tools.sources import Sources
from tools.tempo import Tempo


@contextmanager
def served(steps: Steps) -> Iterator[str]:
    """The stepped world behind real HTTP."""
    transport = httpx.ASGITransport(app=Starlette(routes=steps.world.routes()))

    async def ask(method: str, path: str, query: dict[str, list[str]]) -> httpx.Response:
        async with httpx.AsyncClient(transport=transport, base_url="http://drill") as client:
            return await client.request(method, f"{path}?{urlencode(query, doseq=True)}")

    def answer(method: str, path: str, query: dict[str, list[str]], *_: object) -> tuple[int, bytes]:
        got = asyncio.run(ask(method, path, query))
        return got.status_code, got.content

    with serve(answer) as url:
        yield url


def scope_of(steps: Steps, service: str) -> Scope:
    end = datetime.fromtimestamp(steps.now, UTC)
    began = end - timedelta(seconds=5)
    alert = Alert(fingerprint="f", sender="s", name="HighLatency", status="firing", service=service, starts_at=began)
    return Scope(alert=alert, service=service, namespace="shop", start=began - timedelta(minutes=30), end=end,
                 logs_start=began - timedelta(minutes=5))  # fmt: skip


async def look(steps: Steps, store: str, service: str = "checkout") -> Evidence:
    with served(steps) as url:
        client = Jaeger(f"{url}/jaeger") if store == "jaeger" else Tempo(f"{url}/tempo")
        seen = await traces.collect(scope_of(steps, service), Sources(traces=client))
        await client.aclose()
    assert not seen.error, seen.error
    return seen


@pytest.mark.parametrize("store", ["jaeger", "tempo"])
@pytest.mark.parametrize("alerting", ["checkout", "frontend"])
async def test_the_slow_dependency_is_named_and_no_metric_of_it_tells(store: str, alerting: str) -> None:
    steps = Steps(history_s=900)
    steps.world.fire("slow_dependency")
    steps.run(20)
    assert steps.firing() == {("HighLatency", "checkout")}
    seen = await look(steps, store, alerting)
    best = max(seen.findings, key=lambda found: found.score)
    assert (best.kind, best.service, best.data["operation"]) == ("span_slow", "payment", "wait for a worker")
    assert best.score > 0.8
    assert best.at is not None
    assert abs(best.at.timestamp() - steps.now) < 25
    waits = [(found.service, found.data["peer"]) for found in seen.findings if found.kind == "calls" and found.score]
    assert ("checkout", "payment") in waits
    assert not [found for found in seen.findings if found.kind in ("span_error", "dependency_errors")]
    slow = {bucket for bucket in _own_seconds(steps, "payment") if bucket > 0.5}
    assert not slow, "payment's own clock does not see the wait"


def _own_seconds(steps: Steps, service: str) -> list[float]:
    """The mean of each of the service's pods' own histograms."""
    uids = {pod["metadata"]["uid"] for pod in steps.pods(service)}
    counted = [counters for uid, counters in steps.world.traffic.counters.items() if uid in uids]
    return [counters.seconds / max(int(counters.buckets.sum()), 1) for counters in counted]


async def test_a_quiet_world_has_nothing_slow_and_no_new_errors() -> None:
    steps = Steps(history_s=900)
    steps.run(20)
    for service in ("checkout", "frontend", "payment"):
        seen = await look(steps, "jaeger", service)
        assert [found for found in seen.findings if found.score] == []
        assert "nothing slower than usual, no new errors" in seen.summary


@pytest.mark.parametrize(("drill", "kind", "service", "peer"), [
    ("bad_rollout", "span_error", "checkout", None), ("dependency_down", "dependency_errors", "checkout", "payment"),
])  # fmt: skip
async def test_where_errors_begin(drill: str, kind: str, service: str, peer: str | None) -> None:
    steps = Steps(history_s=900)
    steps.world.fire(drill)
    steps.run(20)
    seen = await look(steps, "tempo", "frontend")
    best = max(
        (f for f in seen.findings if f.kind in ("span_error", "dependency_errors")), key=lambda found: found.score
    )
    assert (best.kind, best.service, best.data.get("peer")) == (kind, service, peer)


async def test_jaeger_refuses_and_counts_as_it_should(steps: Steps, admin: httpx.AsyncClient) -> None:
    steps.run(5)
    assert (await admin.get("/jaeger/api/traces")).status_code == 400
    assert (await admin.get("/jaeger/api/traces", params={"service": "cart", "limit": "9999"})).status_code == 400
    assert (await admin.get("/jaeger/api/traces/none")).status_code == 404
    found = (await admin.get("/jaeger/api/traces", params={"service": "payment", "limit": "3"})).json()["data"]
    assert 0 < len(found) <= 3
    assert (await admin.get(f"/jaeger/api/traces/{found[0]['traceID']}")).json()["data"] == found[:1]
    operations = (await admin.get("/jaeger/api/services/payment/operations")).json()["data"]
    assert operations == ["POST /charges", "wait for a worker"]
    calls = (await admin.get("/jaeger/api/dependencies")).json()["data"]
    assert {"checkout"} == {call["parent"] for call in calls if call["child"] == "payment"}
    nothing = {"service": "payment", "tags": json.dumps({"error": "true"})}
    assert (await admin.get("/jaeger/api/traces", params=nothing)).json()["data"] == []


async def test_tempo_refuses_what_it_cannot_read(admin: httpx.AsyncClient) -> None:
    for query in ("checkout", "{ duration > 1s }"):
        answer = await admin.get("/tempo/api/search", params={"q": query})
        assert (answer.status_code, "parse error" in answer.text) == (400, True)
    assert (await admin.get("/tempo/api/traces/none")).status_code == 404
