"""Who calls whom, from each source that can say so, merged under one edge with all that said it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from tests.unit.tools.fakes import APPS, FakeCluster, add_service, serve, template
from tools.errors import Permanent
from tools.evidence import topology as plugin
from tools.jaeger import Jaeger
from tools.kube import Kube
from tools.prometheus import Prometheus
from tools.records import Scope
from tools.sources import Sources
from tools.topology import topology


def vector(*rows: tuple[dict[str, str], float]) -> dict[str, object]:
    found = [{"metric": labels, "value": [1.0, str(value)]} for labels, value in rows]
    return {"status": "success", "data": {"resultType": "vector", "result": found}}


@contextmanager
def world(metrics: dict[str, dict[str, object]], dependencies: list[dict[str, object]]) -> Iterator[Sources]:
    """Prometheus answers a query by the first of *metrics*' keys in it, Jaeger its *dependencies*."""

    def answer(_method, path, query, _body, _headers):
        if path == "/api/dependencies":
            return 200, {"data": dependencies}
        if path.startswith("/api/v1/query"):
            asked = query["query"][0]
            return 200, next((found for name, found in metrics.items() if name in asked), vector())
        return 200, {"data": []}

    with serve(answer) as url:
        yield Sources(prometheus=Prometheus(url), traces=Jaeger(url))


def pairs(found) -> dict[tuple[str, str], tuple[str, ...]]:
    return {(edge.caller, edge.callee): edge.provenance for edge in found.edges}


async def test_istio_names_both_sides_and_the_share_that_fails(scope: Scope):
    calls = {"source_canonical_service": "checkout", "destination_canonical_service": "payment"}
    old = {"source_workload": "web", "destination_service_name": "checkout.shop.svc.cluster.local"}
    outside = {"source_workload": "unknown", "destination_service_name": "web"}
    gone = {"source_workload": "web", "destination_service_name": "BlackHoleCluster"}
    metrics = {
        'response_code=~"5..|0"': vector((calls, 1.0)),
        "istio_requests_total": vector((calls, 4.0), (old, 9.0), (outside, 2.0), (gone, 2.0)),
    }
    with world(metrics, []) as sources:
        found = await topology(scope, sources)
    assert pairs(found) == {("checkout", "payment"): ("istio",), ("web", "checkout"): ("istio",)}
    assert [edge.failing for edge in found.edges] == [0.25, 0.0]


async def test_linkerd_and_a_service_graph_are_read_by_their_own_labels(scope: Scope):
    linkerd = {"deployment": "checkout", "dst_service": "payment"}
    graph = {"client": "checkout", "server": "payment"}
    metrics = {
        "traces_service_graph_request_failed_total": vector((graph, 1.0)),
        "traces_service_graph_request_total": vector((graph, 2.0), ({"client": "user", "server": "web"}, 5.0)),
        "response_total": vector((linkerd, 1.5)),
    }
    with world(metrics, []) as sources:
        found = await topology(scope, sources)
    assert {key: set(said) for key, said in pairs(found).items()} == {
        ("checkout", "payment"): {"linkerd", "service graph"}
    }
    (edge,) = found.edges
    assert (edge.per_s, edge.failing) == (2.0, 0.5)  # the measurement that saw more


async def test_kubernetes_jaeger_and_declarations_meet_in_one_edge(cluster: FakeCluster, kube: Kube, scope: Scope):
    add_service(cluster, "checkout", [template("checkout", "c:1", env={"PAYMENT_URL": "http://payment:8080"})])
    add_service(cluster, "payment", [template("payment", "p:1", args=["--db=postgres.shop.svc:5432"])])
    add_service(cluster, "web", [template("web", "w:1", env={"CHECKOUT": "http://checkout.other.svc"})])
    cluster.put(
        f"{APPS}/statefulsets",
        {
            "kind": "StatefulSet", "metadata": {"name": "pg", "namespace": "shop"},
            "spec": {"template": {"metadata": {"labels": {"app": "postgres"}}, "spec": {"containers": []}}},
        },
    )  # fmt: skip
    cluster.put(
        "/api/v1/namespaces/shop/services",
        {
            "kind": "Service",
            "metadata": {"name": "postgres", "namespace": "shop"},
            "spec": {"selector": {"app": "postgres"}},
        },
    )
    counted = [{"parent": "checkout", "child": "payment", "callCount": 86400}]
    with world({}, counted) as sources:
        found = await topology(scope, replace(sources, kube=kube, declared=(("checkout", "payment"), ("web", "cart"))))
    known = pairs(found)
    assert set(known[("checkout", "payment")]) == {"tocsin.yaml", "Jaeger", "Kubernetes"}
    assert known[("payment", "pg")] == ("Kubernetes",)  # by the Service's selector, not by its name
    assert known[("web", "cart")] == ("tocsin.yaml",)
    assert ("web", "checkout") not in known  # the checkout of another namespace


async def test_a_source_that_fails_costs_its_own_edges_only(scope: Scope):
    with serve(lambda *_: (500, {"error": "the disk is full"})) as url:
        broken = Sources(prometheus=Prometheus(url), declared=(("checkout", "payment"),))
        found = await topology(scope, broken)
        assert pairs(found) == {("checkout", "payment"): ("tocsin.yaml",)}
        assert any("the disk is full" in note for note in found.notes)
        with pytest.raises(Permanent, match="the disk is full"):
            await topology(scope, replace(broken, declared=()))


async def test_the_evidence_lists_what_is_near_first_and_accuses_nobody(scope: Scope):
    declared = (
        ("web", "checkout"),
        ("checkout", "payment"),
        ("payment", "bank"),
        ("bank", "vault"),
        ("vault", "hsm"),
        ("a", "b"),
    )
    seen = await plugin.collect(scope, Sources(declared=declared))
    assert not seen.error
    assert [found.data["callee"] for found in seen.findings] == ["payment", "checkout", "bank", "vault"]
    assert {found.score for found in seen.findings} == {0.0}
    assert {found.data["provenance"] for found in seen.findings} == {"tocsin.yaml"}
    assert seen.summary == "checkout calls payment and is called by web"


async def test_a_topology_of_thousands_stays_bounded(scope: Scope):
    declared = tuple((f"s{n}", "checkout") for n in range(5000))
    seen = await plugin.collect(scope, Sources(declared=declared))
    assert len(seen.findings) == plugin.MAX_FINDINGS
    assert seen.truncated
    assert len(seen.body) <= Sources().max_body_chars
    assert "and 4992 more" in seen.summary
