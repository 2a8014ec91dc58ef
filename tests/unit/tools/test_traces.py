"""Span analysis: exclusive time, whom it is charged to, where errors begin, who calls whom; the payloads of Jaeger and Tempo."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.tools.fakes import serve
from tools.errors import Permanent, Temporary
from tools.jaeger import Jaeger
from tools.tempo import Tempo
from tools.traces import Span, Traces, leads_to, masked, named, plain, slower

PAYLOADS = Path(__file__).parents[2] / "payloads" / "traces"
NOW = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
AGO = NOW - timedelta(minutes=5)


def span(number: str, parent: str = "", service: str = "a", start: float = 0, seconds: float = 1, **more) -> Span:
    return Span(more.pop("trace", "t"), number, parent, service, more.pop("operation", "op"), start, seconds, **more)


def request(number: int, *, wait: float = 0.001, way: float = 0.001, error: str = "") -> list[Span]:
    """frontend -> checkout -> payment: *wait* is payment's own time, *way* the network's in front of it."""
    trace, inside = f"t{number}", wait + 0.001
    call = inside + way
    return [
        span("1", "", "frontend", 0, call + 0.02, trace=trace, kind="server", operation=f"GET /{number}", error=bool(error)),
        span("2", "1", "frontend", 0.005, call + 0.01, trace=trace, kind="client", operation="POST", error=bool(error)),
        span("3", "2", "checkout", 0.006, call + 0.008, trace=trace, kind="server", error=bool(error)),
        span("4", "3", "checkout", 0.008, call, trace=trace, kind="client", operation="POST", peer="payment", error=bool(error)),
        span("5", "4", "payment", 0.008 + way / 2, inside, trace=trace, kind="server", error=bool(error), message=error),
    ]  # fmt: skip


def requests(count: int, **how) -> Traces:
    return Traces(each for number in range(count) for each in request(number, **how))


def test_exclusive_time_leaves_out_children_that_overlap_and_outlive():
    root = span("1", seconds=10)
    traces = Traces(
        [
            root,
            span("2", "1", start=1, seconds=4),
            span("3", "1", start=3, seconds=4),
            span("4", "1", start=9, seconds=5),
        ]
    )
    assert traces.exclusive(root) == pytest.approx(10 - 6 - 1)


@given(st.lists(st.tuples(st.floats(-5, 15), st.floats(0, 20)), max_size=8))
def test_exclusive_time_is_between_nothing_and_the_whole(children):
    root = span("root", seconds=10)
    traces = Traces([root, *(span(str(n), "root", start=s, seconds=d) for n, (s, d) in enumerate(children))])
    assert 0 <= traces.exclusive(root) <= 10


def test_the_slow_callee_is_named_and_its_waiting_callers_are_not():
    (slow,) = slower(requests(30), requests(20, wait=0.5))
    assert (slow.service, slow.operation) == ("payment", "op")
    assert slow.share > 0.95
    assert slow.after - slow.before == pytest.approx(0.5 - 0.001, abs=0.01)


def test_a_slow_network_in_front_of_a_callee_is_the_callees():
    (slow,) = slower(requests(30), requests(20, way=0.4))
    assert (slow.service, slow.operation) == ("payment", "op (on the way to it)")


def test_nothing_is_slow_when_nothing_changed_or_little_was_seen():
    assert slower(requests(30), requests(20)) == []
    assert slower(requests(3), requests(20, wait=1)) == []
    assert slower(requests(30), requests(3, wait=1)) == []


def test_an_error_begins_at_the_deepest_failing_span():
    (fault,) = requests(4, error="card processor down").faults()
    assert (fault.service, fault.count, fault.peer, fault.message) == ("payment", 4, "", "card processor down")


def test_a_call_that_nobody_answers_names_whom_it_was_for():
    spans = [
        span("1", error=True, kind="server"),
        span("2", "1", error=True, kind="client", peer="payment", message="refused"),
    ]
    (fault,) = Traces(spans).faults()
    assert (fault.service, fault.peer) == ("a", "payment")


def test_who_calls_whom_and_the_way_to_the_culprit():
    edges = requests(5).edges()
    assert set(edges) == {("frontend", "checkout"), ("checkout", "payment")}
    assert edges["checkout", "payment"].count == 5
    assert leads_to(edges, "frontend", "payment") == ["frontend", "checkout", "payment"]
    assert leads_to(edges, "payment", "frontend") == []


def test_names():
    assert masked("GET /orders/1234/items/0a1b2c3d4e5f") == "GET /orders/<*>/items/<*>"
    assert masked("GET /v2/cart") == "GET /v2/cart"
    assert named(["checkout.shop", "cart.shop"], "checkout", "shop") == "checkout.shop"
    assert named(["checkout", "checkout.shop"], "checkout", "shop") == "checkout"
    assert named(["cart"], "checkout", "shop") == ""
    assert plain("payment.shop.svc.cluster.local:8080", "shop") == "payment"
    assert plain("shop/payment", "shop") == "payment"
    assert plain("com.acme.Payments", "shop") == "com.acme.Payments"


async def test_jaegers_answer_as_documented():
    asked = []

    def api(method, path, query, body, headers):
        asked.append((path, query))
        return 200, json.loads((PAYLOADS / "jaeger_traces.json").read_text())

    with serve(api) as url:
        jaeger = Jaeger(url, {"Authorization": "Bearer x"})
        root, call, linked = await jaeger.spans("frontend", AGO, NOW, 20, errors=True)
        await jaeger.aclose()
    assert asked[0][0] == "/api/traces"
    assert asked[0][1]["start"] == ["1699999700000000"]
    assert asked[0][1]["tags"] == ['{"error":"true"}']
    assert (root.service, root.parent, root.kind, root.error, root.seconds) == ("frontend", "", "server", True, 0.812)
    assert (call.service, call.parent, call.peer, call.message) == ("customer", root.id, "mysql", "redis timeout")
    assert linked.parent == call.id


async def test_tempos_answers_as_documented():
    asked = []

    def api(method, path, query, body, headers):
        asked.append((path, query))
        name = "tempo_search.json" if path == "/api/search" else "tempo_trace.json"
        return 200, json.loads((PAYLOADS / name).read_text())

    with serve(api) as url:
        tempo = Tempo(url, {"X-Scope-OrgID": "one"})
        root, call = await tempo.spans('shop"backend', AGO, NOW, 20, errors=True)
        await tempo.aclose()
    assert asked[0][1]["q"] == ['{ resource.service.name = "shop\\"backend" && status = error }']
    assert asked[1][0] == "/api/traces/2f3e0cee77ae5dc9c17ade3689eb2e54"
    assert (root.service, root.parent, root.kind, root.error) == ("shop-backend", "", "server", False)
    assert (call.parent, call.kind, call.error, call.peer, call.message) == (
        root.id, "client", True, "article-service", "deadline exceeded",
    )  # fmt: skip
    assert call.seconds == pytest.approx(0.446979497)


@pytest.mark.parametrize("client", [Jaeger, Tempo])
@pytest.mark.parametrize(
    ("answer", "error"), [((500, {"errors": ["x"]}), Temporary), ((200, {"odd": 1}), Permanent), ((200, []), Permanent)]
)
async def test_what_is_no_trace_store_is_an_error_with_the_query(client, answer, error):
    with serve(lambda *_: answer) as url:
        store = client(url)
        with pytest.raises(error, match="checkout"):
            await store.spans("checkout", AGO, NOW, 5)
        await store.aclose()
