"""Pods, evictions and claims through the practice cluster's Kubernetes API, as the real one treats them."""

from typing import Any

import httpx

from drill.cluster import kinds
from tests.unit.drill_world.conftest import Steps
from tests.unit.drill_world.test_kubernetes_api import APPS, CORE, MERGE, refused


async def test_pod_logs(steps: Steps, admin: httpx.AsyncClient) -> None:
    name = steps.pods("checkout")[0]["metadata"]["name"]
    lines = (await admin.get(f"{CORE}/pods/{name}/log", params={"tailLines": "5"})).text.splitlines()
    assert len(lines) == 5
    stamped = (await admin.get(f"{CORE}/pods/{name}/log", params={"tailLines": "1", "timestamps": "true"})).text
    assert stamped.startswith("2023-11-14T")
    message = refused(await admin.get(f"{CORE}/pods/{name}/log", params={"previous": "true"}), 400, "BadRequest")
    assert message == f'previous terminated container "checkout" in pod "{name}" not found'
    refused(await admin.get(f"{CORE}/pods/{name}/log", params={"container": "x"}), 400, "BadRequest")
    steps.world.fire("oom_kill")
    steps.run(15)
    crashed = next(p for p in steps.pods("catalogue") if p["status"]["containerStatuses"][0]["restartCount"])
    path = f"{CORE}/pods/{crashed['metadata']['name']}/log"
    assert "starting catalogue" in (await admin.get(path, params={"previous": "true"})).text


async def test_deleting_a_pod_makes_a_new_one(steps: Steps, admin: httpx.AsyncClient) -> None:
    before = {pod["metadata"]["name"] for pod in steps.pods("shipping")}
    await admin.delete(f"{CORE}/pods/{next(iter(before))}")
    steps.run(5)
    after = {pod["metadata"]["name"] for pod in steps.pods("shipping")}
    assert len(after) == 1
    assert after != before


async def test_deleting_a_deployment_takes_its_pods_along_and_reset_brings_it_back(
    steps: Steps, admin: httpx.AsyncClient
) -> None:
    await admin.delete(f"{APPS}/shipping")
    steps.run(5)
    assert steps.pods("shipping") == []
    steps.world.reset()
    steps.run(5)
    assert len(steps.world.cluster.ready_pods("shipping", "shop")) == 1


def eviction(pod: str, **options: Any) -> dict[str, Any]:
    return {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}, "deleteOptions": options}


async def test_an_eviction_is_held_back_by_its_budget(steps: Steps, admin: httpx.AsyncClient) -> None:
    pods = [pod["metadata"]["name"] for pod in steps.pods("checkout")]
    budget = {
        "metadata": {"name": "checkout"},
        "spec": {"minAvailable": len(pods) - 1, "selector": {"matchLabels": {"app": "checkout"}}},
    }
    path = "/kubernetes/apis/policy/v1/namespaces/shop/poddisruptionbudgets"
    assert (await admin.post(path, json=budget)).status_code == 201
    dry = await admin.post(f"{CORE}/pods/{pods[0]}/eviction?dryRun=All", json=eviction(pods[0]))
    assert dry.status_code == 201
    assert "deletionTimestamp" not in (await admin.get(f"{CORE}/pods/{pods[0]}")).json()["metadata"]
    other = eviction(pods[0], preconditions={"uid": "another"})
    assert "does not match the UID in record" in refused(
        await admin.post(f"{CORE}/pods/{pods[0]}/eviction", json=other), 409, "Conflict"
    )
    assert (await admin.post(f"{CORE}/pods/{pods[0]}/eviction", json=eviction(pods[0]))).status_code == 201
    for query in ("", "?dryRun=All"):
        answer = await admin.post(f"{CORE}/pods/{pods[1]}/eviction{query}", json=eviction(pods[1]))
        assert "violate the pod's disruption budget" in refused(answer, 429, "TooManyRequests")


async def test_a_deletion_keeps_to_its_preconditions(steps: Steps, admin: httpx.AsyncClient) -> None:
    path = f"{CORE}/configmaps/shop-settings"
    meta = (await admin.get(path)).json()["metadata"]
    for wrong in ({"uid": "another"}, {"uid": meta["uid"], "resourceVersion": "1"}):
        refused(await admin.request("DELETE", path, json={"preconditions": wrong}), 409, "Conflict")
    right = {"preconditions": {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}}
    assert (await admin.request("DELETE", path, json=right)).status_code == 200


async def test_a_claim_grows_only_where_its_class_allows_it_and_never_shrinks(
    steps: Steps, admin: httpx.AsyncClient
) -> None:
    classes, claims = "/kubernetes/apis/storage.k8s.io/v1/storageclasses", f"{CORE}/persistentvolumeclaims"
    for name, allows in (("fast", True), ("fixed", False)):
        await admin.post(classes, json={"metadata": {"name": name}, "allowVolumeExpansion": allows})
        spec = {"storageClassName": name, "resources": {"requests": {"storage": "10Gi"}}}
        assert (await admin.post(claims, json={"metadata": {"name": name}, "spec": spec})).status_code == 201
        bound = {"status": {"phase": "Bound", "capacity": {"storage": "10Gi"}}}
        assert (await admin.patch(f"{claims}/{name}/status", json=bound, headers=MERGE)).status_code == 200
    grow, shrink = ({"spec": {"resources": {"requests": {"storage": size}}}} for size in ("20Gi", "5Gi"))
    assert (await admin.patch(f"{claims}/fast", json=grow, headers=MERGE)).status_code == 200
    refused(await admin.patch(f"{claims}/fixed", json=grow, headers=MERGE), 403, "Forbidden")
    refused(await admin.patch(f"{claims}/fixed", json=shrink, headers=MERGE), 422, "Invalid")


async def test_a_budget_says_what_it_allows(steps: Steps, admin: httpx.AsyncClient) -> None:
    path = "/kubernetes/apis/policy/v1/namespaces/shop/poddisruptionbudgets"
    total = len(steps.pods("checkout"))
    for name, spec, wanted in (
        ("most", {"maxUnavailable": 1}, total - 1),
        ("half", {"minAvailable": "50%"}, -(-total // 2)),
        ("all", {"minAvailable": total}, total),
    ):
        selector = {"selector": {"matchLabels": {"app": "checkout"}}}
        await admin.post(path, json={"metadata": {"name": name}, "spec": spec | selector})
        steps.run(0.4)
        status = (await admin.get(f"{path}/{name}")).json()["status"]
        assert (status["currentHealthy"], status["expectedPods"]) == (total, total)
        assert (status["desiredHealthy"], status["disruptionsAllowed"]) == (wanted, total - wanted)
        await admin.delete(f"{path}/{name}")


async def test_a_quota_on_a_request_refuses_pods_that_do_not_name_it(admin: httpx.AsyncClient) -> None:
    pod = {"metadata": {"name": "bare"}, "spec": {"containers": [{"name": "a", "image": "registry.k8s.io/pause:3.9"}]}}
    answer = await admin.post(f"{CORE}/pods", json=pod)
    assert refused(answer, 403, "Forbidden").endswith("failed quota: shop-quota: must specify requests.cpu")
    pod["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "10m"}}  # a request comes from its limit
    assert (await admin.post(f"{CORE}/pods", json=pod)).status_code == 201


async def test_who_scaled_is_noted_with_the_subresource(admin: httpx.AsyncClient) -> None:
    """As Kubernetes does since 1.22."""
    await admin.patch(f"{APPS}/cart/scale?fieldManager=scaler", json={"spec": {"replicas": 4}}, headers=MERGE)
    wanted = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "cart"}, "spec": {"replicas": 3}}
    answer = await admin.patch(
        f"{APPS}/cart?fieldManager=other", json=wanted, headers={"Content-Type": "application/apply-patch+yaml"}
    )
    assert refused(answer, 409, "Conflict") == (
        'Apply failed with 1 conflict: conflict with "scaler" with subresource "scale" using apps/v1: .spec.replicas'
    )


async def test_a_namespace_goes_with_all_that_is_in_it_and_a_reset_brings_it_back(
    steps: Steps, admin: httpx.AsyncClient
) -> None:
    space = "/kubernetes/api/v1/namespaces/shop"
    assert (await admin.delete(space)).json()["status"]["phase"] == "Terminating"
    config = {"metadata": {"name": "late"}}
    assert "being terminated" in refused(await admin.post(f"{CORE}/configmaps", json=config), 403, "Forbidden")
    steps.run(60, lambda: steps.world.cluster.store.find(kinds.NAMESPACES, "", "shop") is None)
    refused(await admin.get(space), 404, "NotFound")
    assert steps.pods("cart") == []
    steps.world.reset()
    steps.run(10)
    assert (await admin.get(space)).json()["status"] == {"phase": "Active"}
    assert len(steps.world.cluster.ready_pods("cart", "shop")) == 2


async def test_what_has_finalizers_stays_until_they_are_taken_away(admin: httpx.AsyncClient) -> None:
    path = f"{CORE}/configmaps/held"
    await admin.post(f"{CORE}/configmaps", json={"metadata": {"name": "held", "finalizers": ["a.b/c"]}})
    assert (await admin.delete(path)).json()["metadata"]["deletionTimestamp"]
    kept = await admin.patch(path, json={"metadata": {"deletionTimestamp": None}}, headers=MERGE)
    assert kept.json()["metadata"]["deletionTimestamp"]
    dry = await admin.patch(f"{path}?dryRun=All", json={"metadata": {"finalizers": None}}, headers=MERGE)
    assert dry.status_code == 200
    assert (await admin.get(path)).status_code == 200
    await admin.patch(path, json={"metadata": {"finalizers": None}}, headers=MERGE)
    refused(await admin.get(path), 404, "NotFound")


async def test_a_job_whose_pod_is_refused_says_so_and_tries_again(steps: Steps, admin: httpx.AsyncClient) -> None:
    pod = {"restartPolicy": "Never", "containers": [{"name": "a", "image": "registry.k8s.io/pause:3.9"}]}
    job = {"metadata": {"name": "bare"}, "spec": {"template": {"spec": pod}}}
    await admin.post("/kubernetes/apis/batch/v1/namespaces/shop/jobs", json=job)
    steps.run(2)
    assert any("must specify requests.cpu" in line for line in steps.events("FailedCreate"))
    bounds = {"limits": [{"type": "Container", "defaultRequest": {"cpu": "10m"}}]}
    await admin.post(f"{CORE}/limitranges", json={"metadata": {"name": "usual"}, "spec": bounds})
    steps.run(10)
    (made,) = [
        each
        for each in (await admin.get(f"{CORE}/pods")).json()["items"]
        if each["metadata"]["name"].startswith("bare-")
    ]
    assert made["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "10m"}
    assert (
        made["metadata"]["annotations"]["kubernetes.io/limit-ranger"]
        == "LimitRanger plugin set: cpu request for container a"
    )
