"""Single refusals of the changes, on the practice API: each says why, and nothing is written."""

import copy
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

import tools.actions
from bench.practice import Practice, actor_kubeconfig, kind_of
from bench.practice import practice as practice_cluster
from tools.deployments import PROPOSAL, TargetChanged, Unclear
from tools.errors import Permanent
from tools.kube import Kube
from tools.records import Plan
from tools.registry import plugins
from tools.run import plan_change

ACTIONS = plugins(tools.actions)
Change = Callable[[Practice], None]


@pytest.fixture
async def cluster() -> AsyncIterator[Practice]:
    async with practice_cluster() as made:
        yield made


@pytest.fixture
async def actor(cluster: Practice, tmp_path: Any) -> AsyncIterator[Kube]:
    kube = Kube(actor_kubeconfig(tmp_path, cluster))
    yield kube
    await kube.aclose()


def altered(plural: str, namespace: str, name: str, **parts: Any) -> Change:
    """Return a change of an object by somebody else: each part is merged."""

    def change(cluster: Practice) -> None:
        obj = cluster.find(plural, namespace, name)
        for part, value in parts.items():
            obj[part] = {**(obj.get(part) or {}), **value}
        cluster.change(plural, obj, status="status" in parts)

    return change


def annotated(plural: str, name: str, namespace: str = "shop") -> Change:
    def change(cluster: Practice) -> None:
        obj = cluster.find(plural, namespace, name)
        obj["metadata"]["annotations"] = {"argocd.argoproj.io/tracking-id": f"shop:{plural}/{name}"}
        cluster.change(plural, obj)

    return change


def first_pod(cluster: Practice) -> dict[str, Any]:
    return cluster.find("pods", "shop", cluster.params("evict_pod")["pod"])


def on_pod(about: Callable[[dict[str, Any]], None], *, status: bool = False) -> Change:
    def change(cluster: Practice) -> None:
        pod = first_pod(cluster)
        about(pod)
        cluster.change("pods", pod, status=status)

    return change


def budget(least: int) -> Change:
    def change(cluster: Practice) -> None:
        spec = {"minAvailable": least, "selector": {"matchLabels": {"app": "checkout"}}}
        cluster.cluster.store.create(
            kind_of("poddisruptionbudgets"), {"metadata": {"name": "keep", "namespace": "shop"}, "spec": spec}
        )

    return change


def moved(**spec: Any) -> Change:
    """Put the first pod on worker-2, with *spec*."""
    return on_pod(lambda pod: pod["spec"].update(spec, nodeName="worker-2"))


def nothing(_: Practice) -> None:
    """Leave the cluster as it is."""


CASES: tuple[tuple[str, Change, dict[str, Any], str], ...] = (
    ("rollout_restart", annotated("deployments", "checkout"), {}, "kept by Argo CD.*roll back its source, or suspend"),
    ("scale", annotated("deployments", "checkout"), {}, "kept by Argo CD"),
    ("cronjob_suspend", annotated("cronjobs", "nightly"), {}, "kept by Argo CD"),
    ("hpa_bounds", annotated("horizontalpodautoscalers", "cart"), {}, "kept by Argo CD"),
    ("pvc_expand", annotated("persistentvolumeclaims", "orders"), {}, "kept by Argo CD"),
    ("configmap_key_restore", annotated("configmaps", "shop-settings"), {}, "kept by Argo CD"),
    ("job_rerun", annotated("jobs", "import"), {}, "kept by Argo CD"),
    ("evict_pod", budget(99), {}, "may not be evicted now.*disruption budget"),
    ("evict_pod", on_pod(lambda pod: pod["metadata"].update(ownerReferences=[])), {}, "no controller"),
    ("delete_pod", nothing, {}, "is not stuck"),
    ("delete_pod", nothing, {"force": True}, "is not stuck"),
    ("drain_node", moved(volumes=[{"name": "v", "emptyDir": {}}]), {}, "its emptyDir data would be lost"),
    ("configmap_key_restore", nothing, {"value": "password=hunter2hunter2hunter2"}, "looks like a secret"),
    ("configmap_key_restore", nothing, {"key": "api-token"}, "there is nothing to put back|looks like a secret"),
    ("scale", nothing, {"deployment": "cart", "replicas": 3}, "scaled by HorizontalPodAutoscaler cart"),
    ("pvc_expand", nothing, {"size": "5Gi"}, "is not larger"),
    ("pvc_expand", nothing, {"size": "500Gi"}, "more than 4 times"),
    ("uncordon", nothing, {}, "is not cordoned"),
    ("cronjob_resume", nothing, {}, "is not suspended"),
    ("rollout_resume", nothing, {}, "are not paused"),
)


@pytest.mark.parametrize(("action", "change", "more", "says"), CASES, ids=[f"{a}: {s[:40]}" for a, _, _, s in CASES])
async def test_it_is_refused_with_the_reason_and_nothing_is_written(
    cluster: Practice, actor: Kube, action: str, change: Change, more: dict[str, Any], says: str
) -> None:
    params = cluster.params(action) | more
    change(cluster)
    before = cluster.state()
    with pytest.raises(Permanent, match=says):
        await plan_change(actor, action, params)
    assert (cluster.state(), cluster.writes()) == (before, [])


async def planned(cluster: Practice, actor: Kube, action: str) -> tuple[Any, Any, Plan]:
    cluster.arrange(action)
    module, given = ACTIONS[action], cluster.params(action)
    plan, _ = await plan_change(actor, action, given)
    return module, module.Params.model_validate(given), plan


async def test_a_budget_that_came_since_the_plan_holds_the_eviction_back(cluster: Practice, actor: Kube) -> None:
    module, params, plan = await planned(cluster, actor, "evict_pod")
    budget(99)(cluster)
    before = cluster.state()
    with pytest.raises(Permanent, match="disruption budget"):
        await module.apply(params, plan, actor, "P")
    assert cluster.state() == before


async def test_a_pod_that_recovered_since_the_plan_is_not_deleted(cluster: Practice, actor: Kube) -> None:
    module, params, plan = await planned(cluster, actor, "delete_pod")
    pod = cluster.find("pods", "shop", params.pod)
    pod["status"]["containerStatuses"][0] |= {"state": {"running": {}}, "ready": True, "restartCount": 0}
    cluster.change("pods", pod, status=True)
    with pytest.raises(TargetChanged, match="stuck was true and is false"):
        await module.apply(params, plan, actor, "P")
    assert cluster.find("pods", "shop", params.pod)


async def test_a_drain_with_a_new_pod_on_the_node_asks_again(cluster: Practice, actor: Kube) -> None:
    module, params, plan = await planned(cluster, actor, "drain_node")
    fresh = first_pod(cluster)
    fresh["metadata"] |= {"name": "newcomer"}
    fresh["spec"]["nodeName"] = "worker-2"
    cluster.cluster.store.create(kind_of("pods"), fresh)
    with pytest.raises(TargetChanged, match="it also runs shop/newcomer now"):
        await module.apply(params, plan, actor, "P")
    assert cluster.writes() == []


async def test_a_drain_leaves_what_a_budget_holds_back_and_says_so(cluster: Practice, actor: Kube) -> None:
    on_node = {
        pod["metadata"]["labels"]["app"]
        for pod in cluster.cluster.store.list(kind_of("pods"), "shop")
        if pod["spec"].get("nodeName") == "worker-2"
    }
    app = min(on_node)
    spec = {"minAvailable": 99, "selector": {"matchLabels": {"app": app}}}
    cluster.cluster.store.create(
        kind_of("poddisruptionbudgets"), {"metadata": {"name": "keep", "namespace": "shop"}, "spec": spec}
    )
    module, params, plan = await planned(cluster, actor, "drain_node")
    assert "held back by its PodDisruptionBudget now" in plan.diff
    said = await module.apply(params, plan, actor, "P")
    assert "are left" in said
    with pytest.raises(Unclear, match="pods are still on it"):
        await module.applied(params, plan, actor, "P")


async def test_a_mark_that_somebody_else_wrote_does_not_count(cluster: Practice, actor: Kube) -> None:
    module, params, plan = await planned(cluster, actor, "cordon")
    node = cluster.find("nodes", "", params.node)
    node["metadata"]["annotations"] = {**(node["metadata"].get("annotations") or {}), PROPOSAL: "P"}
    node["metadata"]["managedFields"] = [
        {"manager": "kubectl-edit", "operation": "Update",
         "fieldsV1": {"f:metadata": {"f:annotations": {f"f:{PROPOSAL}": {}}}}},
    ]  # fmt: skip
    cluster.change("nodes", node)
    with pytest.raises(Unclear, match="kubectl-edit wrote it, not Tocsin"):
        await module.applied(params, plan, actor, "P")


async def test_the_pod_of_the_same_name_is_another_pod(cluster: Practice, actor: Kube) -> None:
    """A StatefulSet's next pod has the name of the one that was deleted."""
    module, params, plan = await planned(cluster, actor, "delete_pod")
    old = copy.deepcopy(cluster.cluster.store.delete(kind_of("pods"), "shop", params.pod))
    del old["metadata"]["uid"]
    cluster.cluster.store.create(kind_of("pods"), old)
    with pytest.raises(Unclear, match="another has its name"):
        await module.applied(params, plan, actor, "P")
