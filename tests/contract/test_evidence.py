"""What every module of tools.evidence keeps, whatever it looks at: dropping a file in brings it under these tests."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import tools.evidence
from tests.unit.tools.fakes import DROP, HANG, kubeconfig, serve
from tools.elastic import Elastic
from tools.jaeger import Jaeger
from tools.kube import Kube
from tools.loki import Loki
from tools.prometheus import Prometheus
from tools.records import Alert, Evidence, Scope
from tools.registry import plugins
from tools.sources import Sources

PLUGINS = plugins(tools.evidence)
EACH = pytest.mark.parametrize("name", PLUGINS)
NEEDS = {"prometheus", "logs", "traces", "kube", "topology"}
NOW = datetime.now(UTC)
ALERT = Alert(
    fingerprint="f",
    sender="s",
    name="Odd",
    status="firing",
    service="checkout",
    labels={"service": "checkout"},
    starts_at=NOW,
)
SCOPE = Scope(
    alert=ALERT, service="checkout", namespace="shop", query="up > 0", start=NOW - timedelta(minutes=30), end=NOW,
    logs_start=NOW - timedelta(minutes=5),
)  # fmt: skip
EMPTY = SCOPE.model_copy(
    update={"service": "", "namespace": "", "query": "", "alert": ALERT.model_copy(update={"labels": {}})}
)
HOSTILE = SCOPE.model_copy(
    update={"service": 'x"} or {a=~".+\n\x00', "namespace": "../../api/v1/secrets?x=", "query": "up{"}
)


@contextmanager
def sources(folder: Path, url: str, timeout_s: float = 1.0) -> Iterator[Sources]:
    yield Sources(
        prometheus=Prometheus(url, timeout_s=timeout_s),
        loki=Loki(url, timeout_s=timeout_s),
        kube=Kube(kubeconfig(folder, url), timeout_s=timeout_s),
        elastic=Elastic(url, timeout_s=timeout_s),
        traces=Jaeger(url, timeout_s=timeout_s),
    )


async def collected(
    name: str, scope: Scope, folder: Path, answer: tuple[int, object], timeout_s: float = 1.0
) -> Evidence:
    with serve(lambda *_: answer) as url, sources(folder, url, timeout_s) as given:
        try:
            return await PLUGINS[name].collect(scope, given)
        finally:
            for client in (given.prometheus, given.loki, given.kube, given.elastic, given.traces):
                if client:
                    await client.aclose()


@EACH
def test_it_describes_itself_and_its_need(name):
    module = PLUGINS[name]
    assert module.__doc__
    assert 80 < len(module.__doc__) < 800
    assert module.NEEDS in NEEDS
    assert list(inspect.signature(module.collect).parameters) == ["scope", "sources"]
    assert inspect.iscoroutinefunction(module.collect)


@EACH
async def test_without_its_source_it_says_which_setting_to_give(name):
    seen = await PLUGINS[name].collect(SCOPE, Sources())
    assert "_URL" in seen.error or "KUBECONFIG" in seen.error
    assert seen.tool == name
    assert seen.id == ""


FAILURES = {
    "error": (500, {"message": "the disk is full"}),
    "forbidden": (403, {"message": "no"}),
    "dropped": (200, DROP),
    "html": (200, b"<html>login</html>"),
    "empty": (200, b""),
    "list": (200, [1, 2]),
    "null": (200, None),
    "odd rows": (
        200,
        {
            "status": "success",
            "data": {"resultType": "streams", "result": [7, {"metric": 3}], "groups": 5},
            "items": [7],
        },
    ),
    "deep garbage": (
        200,
        {"data": {"result": [{"metric": {}, "value": ["x", "y"], "values": [["x"]], "stream": []}]}, "items": "x"},
    ),
}


@EACH
@pytest.mark.parametrize("failure", FAILURES)
async def test_a_failing_source_is_evidence_with_the_query(name, failure, tmp_path):
    seen = await collected(name, SCOPE, tmp_path, FAILURES[failure])
    assert seen.tool == name
    assert seen.error
    assert seen.query
    assert not seen.findings


@EACH
async def test_a_hanging_source_ends_at_the_clients_timeout(name, tmp_path):
    seen = await collected(name, SCOPE, tmp_path, (200, HANG), timeout_s=0.3)
    assert seen.error
    assert seen.query


@EACH
@pytest.mark.parametrize("scope", [EMPTY, HOSTILE], ids=["empty", "hostile"])
@pytest.mark.parametrize(
    "answer",
    [(200, {}), (404, {}), (200, {"data": {"result": [], "resultType": "streams", "groups": []}, "items": []})],
)
async def test_any_scope_gives_evidence(name, scope, answer, tmp_path):
    seen = await collected(name, scope, tmp_path, answer)
    assert seen.query
    assert seen.error or seen.summary
    assert len(seen.body) <= Sources().max_body_chars


@EACH
async def test_what_a_source_says_is_redacted(name, tmp_path):
    secret = "xox" + "b-123456789012-abcdefABCDEF"
    seen = await collected(name, SCOPE, tmp_path, (500, {"message": f"token {secret} rejected, password=hunter22"}))
    assert seen.error
    assert secret not in seen.model_dump_json()
    assert "hunter22" not in seen.model_dump_json()
