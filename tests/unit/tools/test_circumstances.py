"""What surrounds a target, read from an API server of a few objects; what it does not answer is not known."""

from pathlib import Path

import pytest

from tests.unit.tools.fakes import HANG, kubeconfig, serve
from tools import circumstances
from tools.kube import Kube

SHOP = "/api/v1/namespaces/shop"
APPS = "/apis/apps/v1/namespaces/shop"
READY = {"conditions": [{"type": "Ready", "status": "True"}]}


def meta(name, **more):
    return {"name": name, "namespace": "shop", "uid": f"uid-{name}", **more}


def pod(name, node="n1", owner="web-1", kind="ReplicaSet", ready=True, **spec):
    owners = [{"kind": kind, "name": owner, "uid": f"uid-{owner}", "controller": True}] if owner else []
    status = {"phase": "Running", **(READY if ready else {})}
    return {
        "kind": "Pod", "metadata": meta(name, labels={"app": "web"}, ownerReferences=owners),
        "spec": {"nodeName": node, **spec}, "status": status,
    }  # fmt: skip


def workload(kind="Deployment", replicas=4, **more):
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [], **more.pop("pod", {})}}
    labels = {"tier": "gold"}
    return {
        "kind": kind,
        "metadata": meta("web", labels=labels),
        "spec": {"replicas": replicas, "template": template, **more},
    }


class Api:
    """A dict of paths; lists are those below a path, unless named in *refuse*."""

    def __init__(self):
        self.objects = {SHOP: {"metadata": {"name": "shop", "uid": "u", "labels": {"env": "prod", "tier": "silver"}}}}
        self.refuse = {}

    def __call__(self, method, path, query, body, headers):
        assert method == "GET"
        if path in self.refuse:
            return self.refuse[path]
        if path in self.objects:
            return 200, self.objects[path]
        inside = [obj for where, obj in self.objects.items() if where.rpartition("/")[0] == path]
        if path in {"/api/v1/pods", f"{SHOP}/pods"}:
            inside = [obj for obj in self.objects.values() if obj.get("kind") == "Pod"]
        if inside or path.endswith(("/pods", "/nodes", "/policy/v1/namespaces/shop/poddisruptionbudgets")):
            return 200, {"kind": "List", "metadata": {}, "items": inside}
        return 404, {"message": f"{path} not found"}


@pytest.fixture
def api():
    return Api()


@pytest.fixture
async def look(api: Api, tmp_path: Path):
    with serve(api) as url:
        kube = Kube(kubeconfig(tmp_path, url), timeout_s=5)

        async def read(action, deadline_s=4.0, **params):
            return await circumstances.read(kube, kube, action, params, deadline_s)

        yield read
        await kube.aclose()


SPACE = {"namespace": "shop"}


async def test_a_deployment_its_labels_over_those_of_its_namespace_and_what_a_rollout_leaves(api, look):
    api.objects[f"{APPS}/deployments/web"] = workload()
    seen = await look("rollout_restart", deployment="web", **SPACE)
    assert (seen.labels, seen.replicas) == ({"env": "prod", "tier": "gold"}, 4)
    assert (seen.takes_pods, seen.leaves, seen.share, seen.unknown) == (True, 3, None, [])
    assert (seen.stateful, seen.budget) == ("", "")


@pytest.mark.parametrize(
    ("strategy", "leaves"),
    [
        ({"type": "Recreate"}, 0),
        ({"rollingUpdate": {"maxUnavailable": 0}}, 4),
        ({"rollingUpdate": {"maxUnavailable": "50%"}}, 2),
        ({"rollingUpdate": {"maxUnavailable": 9}}, 0),
        ({"rollingUpdate": {"maxUnavailable": "many"}}, 0),
    ],
)
async def test_a_strategy_says_how_many_may_be_away(api, look, strategy, leaves):
    api.objects[f"{APPS}/deployments/web"] = workload(strategy=strategy)
    assert (await look("set_image", deployment="web", image="x:1", **SPACE)).leaves == leaves


async def test_scaling_down_says_its_share_and_up_takes_nothing(api, look):
    api.objects[f"{APPS}/deployments/web"] = workload(replicas=5)
    down = await look("scale", deployment="web", replicas=2, **SPACE)
    assert (down.leaves, down.share, down.share_of) == (2, 0.6, "3 of 5 pods")
    up = await look("scale", deployment="web", replicas=9, **SPACE)
    assert (up.leaves, up.share) == (5, None)


async def test_a_budget_that_allows_nobody_away_and_a_claim_are_told(api, look):
    claim = {"volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "web-data"}}]}
    api.objects[f"{APPS}/deployments/web"] = workload(pod=claim)
    base = "/apis/policy/v1/namespaces/shop/poddisruptionbudgets"
    selector = {"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]}
    status = {"disruptionsAllowed": 0}
    api.objects[f"{base}/web"] = {"metadata": meta("web"), "spec": {"selector": selector}, "status": status}
    seen = await look("rollout_restart", deployment="web", **SPACE)
    assert "web-data" in seen.stateful
    assert seen.budget == "PodDisruptionBudget web allows no pod to be away now"


async def test_a_pod_leaves_its_ready_siblings(api, look):
    for name, ready in (("web-1-a", False), ("web-1-b", True), ("web-1-c", False)):
        api.objects[f"{SHOP}/pods/{name}"] = pod(name, ready=ready)
    api.objects[f"{SHOP}/pods/db-0"] = pod("db-0", owner="db", kind="StatefulSet")
    seen = await look("delete_pod", pod="web-1-a", **SPACE)
    assert (seen.replicas, seen.leaves, seen.takes_pods) == (3, 1, True)
    state = await look("evict_pod", pod="db-0", **SPACE)
    assert (state.stateful, state.leaves) == ("it is a StatefulSet", 0)


async def test_a_drain_says_the_share_of_the_nodes_and_the_least_that_a_workload_keeps(api, look):
    for name in ("n1", "n2", "n3"):
        api.objects[f"/api/v1/nodes/{name}"] = {"metadata": {"name": name, "uid": name, "labels": {"zone": "a"}}}
    api.objects["/api/v1/nodes/n3"]["spec"] = {"unschedulable": True}
    for name, node in (("web-1-a", "n1"), ("web-1-b", "n1"), ("web-1-c", "n2")):
        api.objects[f"{SHOP}/pods/{name}"] = pod(name, node)
    api.objects[f"{SHOP}/pods/log-x"] = pod("log-x", "n1", owner="log", kind="DaemonSet")
    seen = await look("drain_node", node="n1")
    assert (seen.share, seen.share_of) == (0.5, "1 of 2 nodes that take pods")
    assert (seen.takes_pods, seen.leaves, seen.labels, seen.unknown) == (True, 1, {"zone": "a"}, [])
    closed = await look("cordon", node="n1")
    assert (closed.takes_pods, closed.leaves) == (False, None)


@pytest.mark.parametrize("answer", [(403, {"message": "no"}), (500, {"message": "etcd"}), (200, HANG)])
async def test_what_is_refused_fails_or_never_comes_is_not_known_and_the_rest_is(api, look, answer):
    api.objects[f"{APPS}/deployments/web"] = workload()
    api.refuse[SHOP] = answer
    seen = await look("rollout_restart", deadline_s=1.0, deployment="web", **SPACE)
    assert seen.labels is None
    assert "the namespace's labels" in seen.unknown
    assert seen.replicas == 4


async def test_a_list_that_is_cut_is_not_counted(api, look):
    api.objects[f"{SHOP}/pods/web-1-a"] = pod("web-1-a")
    api.refuse[f"{SHOP}/pods"] = (200, {"kind": "List", "metadata": {"continue": "x"}, "items": []})
    seen = await look("delete_pod", pod="web-1-a", **SPACE)
    assert (seen.leaves, seen.unknown) == (None, ["how many pods it has beside it"])


async def test_a_target_of_an_unheard_kind_is_all_doubt(look):
    seen = await look("something_new", thing="x")
    assert (seen.labels, seen.takes_pods, seen.leaves) == (None, True, None)
    assert seen.unknown
