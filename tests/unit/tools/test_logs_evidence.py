"""The logs plug-in over Loki's HTTP API: which stream, what is new, what surges, whom a connection error names."""

import json
from collections.abc import Callable
from datetime import datetime

import pytest

from tests.unit.tools.fakes import serve
from tools.evidence import logs
from tools.loki import Loki
from tools.sources import Sources

Line = tuple[float, str]


def loki_api(streams: list[tuple[dict[str, str], list[Line]]], *, series: bool = True) -> Callable:
    """Answer as Loki does for selectors of equality matchers; times are seconds from now."""

    def chosen(query: str) -> list:
        pairs = [pair.split("=", 1) for pair in query.strip("{}").split(",")]
        if any("=~" in pair[0] + "=" + pair[1][:1] for pair in pairs if len(pair) == 2 and pair[1].startswith("~")):
            return []
        return [s for s in streams if all(s[0].get(k) == json.loads(v) for k, v in pairs)]

    def api(method, path, query, body, headers):
        if path.endswith("/series"):
            if not series:
                return 404, {}
            found = [labels for match in query["match[]"] for labels, _ in chosen(match)]
            return 200, {"status": "success", "data": found}
        start, end = int(query["start"][0]), int(query["end"][0])
        out = []
        for labels, lines in chosen(query["query"][0]):
            values = [
                [str(at), text] for at, text in ((int(at * 1e9), text) for at, text in lines) if start <= at < end
            ]
            out += [{"stream": labels, "values": values[-int(query["limit"][0]) :]}] if values else []
        return 200, {"status": "success", "data": {"resultType": "streams", "result": out}}

    return api


async def look(url: str, scope, **options):
    loki = Loki(url, **options)
    seen = await logs.collect(scope, Sources(loki=loki))
    await loki.aclose()
    return seen


def lines(scope, minutes: float, every_s: float, text: str, count: int) -> list[Line]:
    end: datetime = scope.end
    return [(end.timestamp() - minutes * 60 + n * every_s, text.format(n=n)) for n in range(count)]


REFUSED = 'level=error msg="charge failed" order={n} err="Post \\"http://payment:8080/charge\\": dial tcp 10.0.3.{n}:8080: connect: connection refused"'


@pytest.mark.parametrize("series", [True, False])
async def test_a_new_connection_error_names_its_peer(scope, series):
    usual = lines(scope, 14, 1.0, "level=info msg=served order={n} took={n}ms", 830)
    new = lines(scope, 0.4, 0.5, REFUSED, 40)
    with serve(loki_api([({"namespace": "shop", "service": "checkout"}, sorted(usual + new))], series=series)) as url:
        seen = await look(url, scope)
    assert not seen.error
    first = seen.findings[0]
    assert first.data["new"] is True
    assert first.data["level"] == "error"
    assert first.data["count"] == 40
    assert first.data["peer"] == "payment"
    assert first.score == pytest.approx(0.9)
    assert "<*>" in str(first.data["template"])
    assert first.at is not None
    assert abs(first.at.timestamp() - scope.end.timestamp() + 24) < 2
    assert seen.query == '{namespace="shop",service="checkout"}'
    assert "1 new error templates" in seen.summary
    assert "NEW" in seen.body


async def test_usual_errors_score_low_and_surging_ones_high(scope):
    rare = lines(scope, 15, 20.0, "ERROR cache miss for key {n}", 40)
    surge = lines(scope, 15, 30.0, "ERROR queue full, dropped {n}", 20) + lines(
        scope, 1, 0.5, "ERROR queue full, dropped {n}", 100
    )
    with serve(loki_api([({"namespace": "shop", "app": "checkout"}, sorted(rare + surge))])) as url:
        seen = await look(url, scope)
    by_text = {finding.data["template"]: finding for finding in seen.findings}
    assert by_text["ERROR queue full, dropped <*>"].score == pytest.approx(0.8)
    assert by_text["ERROR queue full, dropped <*>"].data["ratio"] > 3
    assert by_text["ERROR cache miss for key <*>"].score < 0.3


async def test_no_lines_at_all_says_where_it_looked(scope):
    with serve(loki_api([])) as url:
        seen = await look(url, scope)
    assert not seen.error
    assert "no log lines of checkout" in seen.summary
    assert 'app="checkout"' in seen.query


async def test_loki_away_is_evidence(scope):
    with serve(lambda *_: (500, {"message": "too many outstanding requests"})) as url:
        seen = await look(url, scope)
    assert "too many outstanding requests" in seen.error
    assert "{" in seen.error


async def test_a_hostile_service_name_stays_one_string(scope):
    asked = []

    def api(method, path, query, body, headers):
        asked.extend(query.get("match[]", []) + query.get("query", []))
        return 404, {}

    evil = scope.model_copy(update={"service": 'x"} or {app=~".+'})
    with serve(api) as url:
        seen = await look(url, evil)
    assert 'app="x\\"} or {app=~\\".+"' in asked[0]
    assert seen.query


async def test_secrets_and_length_are_kept_in_bounds(scope):
    text = "ERROR login failed password=tr0ub4dor&3 " + "x" * 9000 + " {n}"
    with serve(loki_api([({"namespace": "shop", "app": "checkout"}, lines(scope, 0.5, 1, text, 20))])) as url:
        seen = await look(url, scope)
    assert "tr0ub4dor" not in seen.model_dump_json()
    assert len(seen.body) <= 6000


@pytest.mark.parametrize(
    ("text", "peer"),
    [
        ("dial tcp 10.0.0.3:8080: connect: connection refused", ""),
        ("upstream payment.shop.svc.cluster.local:8080 timed out", "payment"),
        ('Get "https://api.bank.example/v1": net/http: TLS handshake timeout', "api"),
        ("lookup orders-db on 10.96.0.10:53: no such host", "orders-db"),
        ("main.go:41 connection refused by cart:6379", "cart"),
        ("could not connect to postgres://u:p@orders-db.shop:5432/orders: timeout", "orders-db"),
        ("Error: connect ECONNREFUSED payment:8080", "payment"),
        ("listening on checkout:8080", ""),
        ("connection to checkout:8080 refused", ""),
        ("index.js:10 unavailable", ""),
    ],
)
def test_the_peer_of_a_connection_error(text, peer):
    assert logs.peer_of(text, "checkout") == peer
