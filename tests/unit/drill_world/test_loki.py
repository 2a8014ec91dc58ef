"""The Loki API: selectors, filters, counting, limits, directions, and refusals in plain text."""

from typing import Any

import httpx
import pytest

from drill.formats import QueryError
from drill.logs.logql import parse
from tests.unit.drill_world.conftest import NOW, Steps

RANGE = "/loki/api/v1/query_range"


async def streams(client: httpx.AsyncClient, query: str, **params: str) -> list[dict[str, Any]]:
    answer = await client.get(RANGE, params={"query": query, **params})
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"]["resultType"] == "streams"
    return list(answer.json()["data"]["result"])


async def test_lines_of_a_stream_newest_first_or_oldest_first(admin: httpx.AsyncClient) -> None:
    down = await streams(admin, '{namespace="shop",app="checkout"}', limit="30")
    stamps = sorted((int(ns) for row in down for ns, _ in row["values"]), reverse=True)
    assert len(stamps) == 30
    assert stamps[0] > (NOW - 10) * 1e9
    assert {row["stream"]["container"] for row in down} == {"checkout"}
    for row in down:
        own = [int(ns) for ns, _ in row["values"]]
        assert own == sorted(own, reverse=True)
    up = await streams(admin, '{app="checkout"}', limit="5", direction="forward")
    assert all(int(ns) < stamps[-1] for row in up for ns, _ in row["values"])


async def test_filters_and_matchers(steps: Steps, admin: httpx.AsyncClient) -> None:
    steps.world.fire("bad_rollout")
    steps.run(10)

    async def count(query: str) -> int:
        return sum(len(row["values"]) for row in await streams(admin, query, limit="5000"))

    everything = await count('{app="checkout"}')
    errors = await count('{app="checkout"} |= "orders_v2"')
    assert 5 < errors < everything
    assert await count('{app="checkout"} != "orders_v2"') == everything - errors
    assert await count('{app="checkout"} |~ "orders_v[0-9]" != `GET`') < errors
    assert await count('{app="checkout"} !~ "orders_v[0-9]"') == everything - errors
    assert await count('{app=~"check.*|cart", app!="cart"}') == everything
    assert await count('{app="nothing"}') == 0


async def test_the_window_is_half_open(admin: httpx.AsyncClient) -> None:
    row = (await streams(admin, '{app="cart"}', limit="1"))[0]
    ns = row["values"][0][0]
    selector = f'{{pod="{row["stream"]["pod"]}"}}'
    assert await streams(admin, selector, start=ns, end=str(int(ns) + 1)) != []
    assert await streams(admin, selector, start=str(int(ns) - 1), end=ns) == []


async def test_counting(steps: Steps, admin: httpx.AsyncClient) -> None:
    steps.run(30)
    params = {"query": 'sum by (app) (count_over_time({namespace="shop"}[20s]))', "time": str(steps.now)}
    answer = (await admin.get("/loki/api/v1/query", params=params)).json()["data"]
    assert answer["resultType"] == "vector"
    counts = {row["metric"]["app"]: float(row["value"][1]) for row in answer["result"]}
    assert set(counts) == set(steps.world.cluster.catalogue.services)
    params["query"] = 'sum(rate({namespace="shop"}[20s]))'
    total = (await admin.get("/loki/api/v1/query", params=params)).json()["data"]["result"][0]
    assert float(total["value"][1]) == pytest.approx(sum(counts.values()) / 20)
    params = {
        "query": 'count_over_time({app="cart"}[10s])',
        "start": str(steps.now - 20),
        "end": str(steps.now),
        "step": "10",
    }
    matrix = (await admin.get(RANGE, params=params)).json()["data"]
    assert matrix["resultType"] == "matrix"
    assert all(len(row["values"]) <= 3 for row in matrix["result"])


async def test_labels_values_and_series(admin: httpx.AsyncClient) -> None:
    assert (await admin.get("/loki/api/v1/labels")).json()["data"] == ["app", "container", "namespace", "pod"]
    apps = (await admin.get("/loki/api/v1/label/app/values")).json()["data"]
    assert "checkout" in apps
    rows = (await admin.get("/loki/api/v1/series", params={"match[]": '{app="cart"}'})).json()["data"]
    assert len(rows) == 2
    assert (await admin.get("/ready")).text == "ready\n"


@pytest.mark.parametrize("query", [
    "", "cart", "{}", '{app="x"', "{app=x}", '{app=~"("}', '{app="x"} | json', '{app="x"} |= x', 'sum({app="x"})',
    'rate({app="x"}[soon])',
])  # fmt: skip
async def test_what_cannot_be_read_is_refused_in_plain_text(admin: httpx.AsyncClient, query: str) -> None:
    answer = await admin.get(RANGE, params={"query": query})
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/plain")
    with pytest.raises(QueryError):
        parse(query)


async def test_too_many_lines_and_a_turned_window_are_refused(admin: httpx.AsyncClient) -> None:
    over = await admin.get(RANGE, params={"query": '{app="x"}', "limit": "5001"})
    assert (over.status_code, "max entries limit" in over.text) == (400, True)
    turned = await admin.get(RANGE, params={"query": '{app="x"}', "start": "200", "end": "100"})
    assert turned.status_code == 400
    words = await admin.get(RANGE, params={"query": '{app="x"}', "limit": "many"})
    assert words.status_code == 400
