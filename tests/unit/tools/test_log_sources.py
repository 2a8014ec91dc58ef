"""Which store the logs come from, fair samples of long streams, and pod logs where there is no store."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.tools.fakes import CORE, FakeCluster, add_pod, add_service, kubeconfig, serve, template
from tests.unit.tools.test_logs_evidence import lines, loki_api
from tools.evidence import logs
from tools.kube import Kube
from tools.logsource import LogLine, sample
from tools.loki import Loki
from tools.sources import Sources


class LongStream:
    """A store with one line every *every_s* seconds, and a rare error in the middle of the window."""

    name = "long"

    def __init__(self, start: datetime, rows: list[tuple[float, str]]) -> None:
        self.rows = [LogLine(start + timedelta(seconds=at), {}, text) for at, text in sorted(rows)]
        self.asked = 0

    async def find(self, where, ask):
        return [ask("all")]

    async def lines(self, query, start, end, limit, *, errors=False):
        self.asked += 1
        chosen = [row for row in self.rows if start <= row.at < end and (not errors or "ERROR" in row.text)]
        return chosen[-limit:]

    def link(self, query, start, end):
        return ""


async def test_a_stream_of_100_000_lines_is_sampled_over_its_whole_time():
    start = datetime(2026, 11, 23, tzinfo=UTC)
    end = start + timedelta(seconds=300)
    early = [(n * 0.004, "early chatter") for n in range(25_000)]  # the first 100 s, and never after
    late = [(100 + n * 200 / 75_000, "served") for n in range(75_000)]
    rare = [(20.0 + n, "ERROR disk full") for n in range(3)]
    store = LongStream(start, early + late + rare)
    got = await sample(store, "all", start, end, 3_000)
    assert not got.whole
    assert got.total == pytest.approx(100_003, rel=0.01)
    counts: dict[str, float] = {}
    for line, weight in zip(got.lines, got.weights, strict=True):
        counts[line.text] = counts.get(line.text, 0) + weight
    assert counts["early chatter"] == pytest.approx(25_000, rel=0.02)
    assert counts["ERROR disk full"] == 3
    assert len(got.lines) <= 3_003
    assert [line.at for line in got.lines] == sorted(line.at for line in got.lines)


async def test_a_short_stream_is_read_once_and_whole():
    start = datetime(2026, 11, 23, tzinfo=UTC)
    store = LongStream(start, [(1.0, "a"), (2.0, "b")])
    got = await sample(store, "all", start, start + timedelta(seconds=10), 3)
    assert (got.whole, got.weights, store.asked) == (True, [1.0, 1.0], 1)


async def test_the_summary_says_that_it_is_a_sample(scope):
    rows = sorted(
        lines(scope, 15, 0.05, "level=info msg=served order={n}", 17_900) + lines(scope, 2, 30, "ERROR full {n}", 3)
    )

    def answers(method, path, query, body, headers):
        asked = query.get("query", [""])[0]
        wanted = [row for row in rows if "|~" not in asked or "ERROR" in row[1]]
        plain = query | {"query": [asked.split(" |~")[0]]}
        return loki_api([({"namespace": "shop", "app": "checkout"}, wanted)])(method, path, plain, body, headers)

    with serve(answers) as url:
        loki = Loki(url)
        seen = await logs.collect(scope, Sources(loki=loki))
        await loki.aclose()
    assert not seen.error, seen.error
    assert "a sample of" in seen.summary
    assert seen.truncated
    first = seen.findings[0]
    assert (first.data["template"], first.data["count"], first.data["new"]) == ("ERROR full <*>", 3, True)


class Pods(FakeCluster):
    """A cluster whose containers have logs: by (pod, previous)."""

    def __init__(self) -> None:
        super().__init__()
        self.logs: dict[tuple[str, bool], str] = {}
        self.log_queries: list[dict[str, list[str]]] = []

    def __call__(self, method, path, query, body, headers):
        if path.endswith("/log"):
            self.log_queries.append(query)
            text = self.logs.get((path.split("/")[-2], query.get("previous") == ["true"]))
            return (200, text.encode()) if text is not None else (400, {"message": "container is waiting to start"})
        return super().__call__(method, path, query, body, headers)


def stamped(scope, before_s: float, text: str) -> str:
    return f"{(scope.end - timedelta(seconds=before_s)).strftime('%Y-%m-%dT%H:%M:%S.%f')}123Z {text}\n"


@pytest.fixture
def pods(scope) -> Pods:
    cluster = Pods()
    add_service(cluster, "checkout", [template("checkout", "shop/checkout:v1")])
    sets = [obj for path, obj in cluster.objects.items() if "/replicasets/" in path]
    crashed = {
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "restartCount": 3,
        "name": "checkout",
        "ready": False,
    }
    add_pod(cluster, sets[-1], "checkout-hash1-crashed", ready=False, container=crashed)
    healthy = "".join(stamped(scope, 800 - n, f"INFO served {n}") for n in range(790))
    cluster.logs = {
        ("checkout-hash1-pod0x", False): healthy,
        ("checkout-hash1-crashed", False): stamped(scope, 5, "INFO starting"),
        ("checkout-hash1-crashed", True): stamped(scope, 9, "panic: PAYMENT_TIMEOUT is required") * 6 + "2026-11-23T0",
    }
    return cluster


async def look(scope, tmp_path, cluster, loki_answer=None):
    with serve(cluster) as url, serve(lambda *_: loki_answer or (500, {"message": "ring is empty"})) as loki_url:
        kube = Kube(kubeconfig(tmp_path, url))
        loki = Loki(loki_url) if loki_answer else None
        seen = await logs.collect(scope, Sources(kube=kube, loki=loki))
        await kube.aclose()
        if loki:
            await loki.aclose()
    return seen


async def test_without_a_store_the_pods_own_logs_are_read_the_ended_containers_too(scope, tmp_path, pods):
    seen = await look(scope, tmp_path, pods)
    assert not seen.error, seen.error
    first = seen.findings[0]
    assert (first.data["new"], first.data["count"]) == (True, 6)
    assert "PAYMENT_TIMEOUT is required" in first.statement
    assert "pods/log of shop/checkout-hash1-crashed" in seen.query
    assert all(int(query["limitBytes"][0]) > 0 and int(query["tailLines"][0]) > 0 for query in pods.log_queries)
    previous = [query for query in pods.log_queries if "previous" in query]
    assert len(previous) == 1
    assert len(pods.log_queries) == 4, "each container once, for both windows"


async def test_pod_logs_stand_in_for_a_store_that_fails_or_has_none(scope, tmp_path, pods):
    failing = await look(scope, tmp_path, pods, (500, {"message": "ring is empty"}))
    assert "from Kubernetes pod logs: Loki failed" in failing.summary
    assert failing.findings
    empty = await look(scope, tmp_path, pods, (200, {"status": "success", "data": []}))
    assert "Loki has no lines of it" in empty.summary
    assert empty.findings


async def test_logs_that_may_not_be_read_are_an_error(scope, tmp_path):
    cluster = FakeCluster()
    add_service(cluster, "checkout", [template("checkout", "shop/checkout:v1")])
    cluster.refuse = {"/log": (403, "pods/log is forbidden")}
    seen = await look(scope, tmp_path, cluster)
    assert "forbidden" in seen.error
    assert CORE in seen.error
