"""Elasticsearch's _search as documented: the query, the shapes that shippers write, other services' lines left out."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.unit.tools.fakes import serve
from tools.elastic import Elastic, field_of
from tools.errors import Permanent, Temporary
from tools.evidence import logs
from tools.logsource import Where
from tools.sources import Sources

PAYLOAD = Path(__file__).parents[2] / "payloads" / "elastic" / "search.json"
END = datetime(2023, 11, 14, 22, 14, tzinfo=UTC)
START = END - timedelta(minutes=5)


async def test_lines_of_every_shipper_and_of_this_service_alone():
    asked = []

    def api(method, path, query, body, headers):
        asked.append((method, path, json.loads(body), headers))
        return 200, json.loads(PAYLOAD.read_text())

    with serve(api) as url:
        elastic = Elastic(url, {"Authorization": "ApiKey k"}, "logs-*,filebeat-*")
        query, by_pod = await elastic.find(Where("checkout", "shop", START, END), str)
        lines = await elastic.lines(query, START, END, 500)
        await elastic.aclose()
    assert [line.text for line in lines] == [
        "started",
        "served GET /orders",
        "could not store order: disk quota exceeded",
    ]
    assert lines[-1].labels == {"pod": "checkout-7c9-abcde", "namespace": "shop", "level": "error"}
    assert lines[0].at == datetime.fromtimestamp(1_700_000_001, UTC)
    method, path, body, headers = asked[0]
    assert (method, path) == ("POST", "/logs-*,filebeat-*/_search")
    assert headers["Authorization"] == "ApiKey k"
    assert body["size"] == 500
    clauses = body["query"]["bool"]["filter"]
    assert clauses[0] == {"range": {"@timestamp": {"gte": START.isoformat(), "lt": END.isoformat()}}}
    assert {"terms": {"kubernetes.labels.app": ["checkout"]}} in clauses[1]["bool"]["should"]
    assert json.loads(by_pod)["by"] == "pod"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((404, {"error": {"type": "index_not_found_exception"}}), Permanent),
        ((429, {"error": "es_rejected_execution_exception"}), Temporary),
        ((200, {"timed_out": True, "hits": {"hits": []}}), Temporary),
        ((200, {"_shards": {"failed": 5}, "hits": {"hits": []}}), Temporary),
        ((200, {"hits": {"hits": [7]}}), Permanent),
        ((200, {"tagline": "You Know, for Search"}), Permanent),
    ],
)
async def test_what_goes_wrong_is_told_with_the_query(answer, error):
    with serve(lambda *_: answer) as url:
        elastic = Elastic(url)
        with pytest.raises(error, match="checkout"):
            await elastic.lines('{"service": "checkout"}', START, END, 10)
        await elastic.aclose()


def test_a_field_is_found_nested_dotted_or_both():
    assert field_of({"kubernetes": {"labels": {"app": "x"}}}, "kubernetes.labels.app") == "x"
    assert field_of({"kubernetes.labels": {"app": "x"}}, "kubernetes.labels.app") == "x"
    assert field_of({"kubernetes": {"labels.app": "x"}}, "kubernetes.labels.app") == "x"
    assert field_of({"kubernetes": "odd"}, "kubernetes.labels.app") is None


async def test_the_logs_plugin_reads_it_like_loki(scope):
    end = scope.end.timestamp()

    def api(method, path, query, body, headers):
        window = json.loads(body)["query"]["bool"]["filter"][0]["range"]["@timestamp"]
        low, high = (datetime.fromisoformat(window[each]).timestamp() for each in ("gte", "lt"))
        rows = [(end - 600 + n, f"INFO served order {n}", "info") for n in range(600)]
        rows += [
            (end - 20 + n / 2, f"ERROR dial tcp payment:8080: connect: connection refused {n}", "error")
            for n in range(30)
        ]
        hits = [
            {
                "_source": {
                    "@timestamp": datetime.fromtimestamp(at, UTC).isoformat(),
                    "message": text,
                    "app": "checkout",
                    "level": level,
                }
            }
            for at, text, level in rows
            if low <= at < high
        ]
        return 200, {"hits": {"hits": hits}}

    with serve(api) as url:
        elastic = Elastic(url)
        seen = await logs.collect(scope, Sources(elastic=elastic))
        await elastic.aclose()
    assert not seen.error
    assert seen.findings[0].data["peer"] == "payment"
    assert seen.findings[0].data["new"] is True
