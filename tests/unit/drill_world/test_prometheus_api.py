"""The Prometheus API: the shapes, rules and alerts, and that the series tell the cluster's story."""

from typing import Any

import httpx
import pytest

from tests.unit.drill_world.conftest import Steps, client_of

API = "/prometheus/api/v1"


async def ask(client: httpx.AsyncClient, query: str, **params: Any) -> dict[str, float]:
    """Values by service (or pod, or "")."""
    answer = await client.get(f"{API}/query", params={"query": query, **params})
    assert answer.status_code == 200, answer.text
    rows = answer.json()["data"]["result"]
    return {row["metric"].get("service", row["metric"].get("pod", "")): float(row["value"][1]) for row in rows}


async def test_rates_follow_the_call_graph(steps: Steps, admin: httpx.AsyncClient) -> None:
    steps.run(30)
    rps = await ask(admin, "sum by (service) (rate(http_requests_total[20s]))")
    assert rps["frontend"] == pytest.approx(42, rel=0.35)
    assert rps["checkout"] == pytest.approx(0.3 * rps["frontend"], rel=0.35)
    calls = await ask(admin, 'sum(rate(http_client_requests_total{service="checkout",peer="payment"}[20s]))')
    assert calls[""] == pytest.approx(rps["payment"], rel=0.4)
    errors = await ask(admin, 'sum by (service) (rate(http_requests_total{code=~"5.."}[20s]))')
    assert all(value < 0.5 for value in errors.values())


async def test_the_callers_see_what_the_callee_cannot_say(steps: Steps, admin: httpx.AsyncClient) -> None:
    steps.world.fire("dependency_down")
    steps.run(25)
    refused = await ask(admin, 'sum by (service) (rate(http_client_requests_total{peer="payment",code="503"}[15s]))')
    assert refused["checkout"] > 3
    assert await ask(admin, 'sum(http_requests_total{service="payment"})') == {}
    assert await ask(admin, 'kube_deployment_spec_replicas{deployment="payment"}') == {"": 0.0}
    ratio = await ask(
        admin,
        'sum by (service) (rate(http_requests_total{code="503"}[10s])) / sum by (service) (rate(http_requests_total[10s]))',
    )
    assert ratio["checkout"] > 0.7


async def test_memory_and_restarts_show_the_oom_kill(steps: Steps, admin: httpx.AsyncClient) -> None:
    steps.world.fire("oom_kill")
    steps.run(20)
    assert max((await ask(admin, "kube_pod_container_status_restarts_total")).values()) >= 2
    killed = await ask(admin, 'kube_pod_container_status_last_terminated_reason{reason="OOMKilled"}')
    assert all(pod.startswith("catalogue-") for pod in killed)
    assert killed
    limits = await ask(admin, 'kube_pod_container_resource_limits{resource="memory",container="catalogue"}')
    assert 160 * 2**20 in limits.values()
    query = (
        "max_over_time(container_memory_working_set_bytes[30s]) / on(namespace, pod, container) "
        'kube_pod_container_resource_limits{resource="memory"}'
    )
    assert max((await ask(admin, query)).values()) <= 1.0


async def test_rules_and_alerts_show_pending_then_firing(steps: Steps, admin: httpx.AsyncClient) -> None:
    steps.world.fire("bad_rollout")
    steps.run(20, until=steps.world.rules.active)
    pending = (await admin.get(f"{API}/alerts")).json()["data"]["alerts"]
    assert [alert["state"] for alert in pending] == ["pending"]
    steps.run(10)
    groups = (await admin.get(f"{API}/rules")).json()["data"]["groups"]
    rule = next(rule for rule in groups[0]["rules"] if rule["name"] == "HighErrorRate")
    assert (rule["state"], rule["type"], rule["health"], rule["duration"]) == ("firing", "alerting", "ok", 3.0)
    alert = rule["alerts"][0]
    assert alert["labels"] == {
        "alertname": "HighErrorRate", "namespace": "shop", "service": "checkout", "severity": "critical",
    }  # fmt: skip
    assert alert["annotations"]["summary"].startswith("checkout answers ")
    assert 0.05 < float(alert["value"]) < 0.6
    value = (await admin.get(f"{API}/query", params={"query": rule["query"]})).json()["data"]["result"]
    assert float(value[0]["value"][1]) > 0.05
    shown = await ask(admin, 'sum(ALERTS{alertname="HighErrorRate",alertstate="firing"})')
    assert shown == {"": 1.0}


async def test_discovery_of_names_and_labels(admin: httpx.AsyncClient) -> None:
    names = (await admin.get(f"{API}/label/__name__/values")).json()["data"]
    assert {"http_requests_total", "container_memory_working_set_bytes", "kube_pod_info", "up"} <= set(names)
    services = (await admin.get(f"{API}/label/service/values", params={"match[]": "up"})).json()["data"]
    assert "cart" in services
    series = (await admin.get(f"{API}/series", params={"match[]": 'up{service="cart"}'})).json()["data"]
    assert len(series) == 2
    assert "le" in (await admin.get(f"{API}/labels")).json()["data"]
    metadata = (await admin.get(f"{API}/metadata", params={"metric": "http_requests_total"})).json()["data"]
    assert metadata["http_requests_total"][0]["type"] == "counter"
    targets = (await admin.get(f"{API}/targets")).json()["data"]["activeTargets"]
    assert {target["health"] for target in targets} == {"up"}


async def test_ranges_by_get_and_post(steps: Steps, admin: httpx.AsyncClient) -> None:
    form = {"query": "sum(up)", "start": str(steps.now - 30), "end": str(steps.now), "step": "10s"}
    got = (await admin.get(f"{API}/query_range", params=form)).json()
    posted = (await admin.post(f"{API}/query_range", data=form)).json()
    assert got == posted
    assert [value for _, value in got["data"]["result"][0]["values"]] == ["17"] * 4


@pytest.mark.parametrize(("path", "params", "code"), [
    ("query", {"query": "sum("}, 400),
    ("query", {}, 400),
    ("query", {"query": "up", "time": "soon"}, 400),
    ("query", {"query": "up + on(namespace) up"}, 422),
    ("query_range", {"query": "up", "start": "0", "end": "1"}, 400),
    ("query_range", {"query": "up", "start": "0", "end": "1", "step": "0"}, 400),
    ("query_range", {"query": "up", "start": "5", "end": "1", "step": "1"}, 400),
    ("query_range", {"query": "up", "start": "0", "end": "100000", "step": "1"}, 400),
    ("query_range", {"query": "up[1m]", "start": "0", "end": "1", "step": "1"}, 400),
    ("series", {}, 400),
    ("label/bad-name/values", {}, 400),
    ("query", {"query": 'up{pod=~"("}'}, 400),
])  # fmt: skip
async def test_what_prometheus_refuses(admin: httpx.AsyncClient, path: str, params: dict[str, str], code: int) -> None:
    answer = await admin.get(f"{API}/{path}", params=params)
    assert answer.status_code == code
    assert answer.json()["status"] == "error"
    assert answer.json()["errorType"] == ("bad_data" if code == 400 else "execution")


async def test_history_reaches_back() -> None:
    steps = Steps(history_s=3000)
    async with client_of(steps.world, "") as client:
        query = {"query": "sum(rate(http_requests_total[1m]))", "start": steps.now - 2700, "end": steps.now, "step": 60}
        points = (await client.get(f"{API}/query_range", params=query)).json()["data"]["result"][0]["values"]
    assert len(points) == 46
    values = [float(value) for _, value in points]
    assert max(values) < 2 * min(values)
    assert max(values) > 1.05 * min(values)
