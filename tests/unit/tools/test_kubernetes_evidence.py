"""Conditions of a workload and its dependencies as the kubernetes plug-in names them; each with its healthy counterpart."""

import json

import pytest

from tests.unit.tools.fakes import APPS, FakeCluster, add_event, add_pod, add_service, ago, template
from tools.evidence import kubernetes
from tools.kube import Kube
from tools.records import Scope
from tools.sources import Sources


async def look(kube: Kube, scope: Scope):
    seen = await kubernetes.collect(scope, Sources(kube=kube))
    assert not seen.error, seen.error
    return seen, {finding.kind: finding for finding in seen.findings}


def replica_set(cluster: FakeCluster, name: str = "checkout-hash1"):
    return cluster.objects[f"{APPS}/replicasets/{name}"]


def state(
    waiting: str = "", ended: str = "", code: int = 137, seconds: float = 20, restarts: int = 3, message: str = ""
):
    last = {"terminated": {"reason": ended, "exitCode": code, "finishedAt": ago(seconds)}} if ended else {}
    now = {"waiting": {"reason": waiting, "message": message}} if waiting else {"running": {"startedAt": ago(seconds)}}
    return {"state": now, "lastState": last, "restartCount": restarts}


async def test_a_healthy_service_is_no_finding(cluster, kube, scope):
    add_service(cluster, "checkout", [template("checkout", "shop/checkout:v1")])
    seen, found = await look(kube, scope)
    assert not found
    assert "2 of 2 replicas available" in seen.summary
    assert "/apis/apps/v1/namespaces/shop/deployments" in seen.query


@pytest.mark.parametrize(
    ("container", "kind", "says"),
    [
        (state("CrashLoopBackOff", "OOMKilled"), "oom_killed", "256Mi"),
        (state("", "OOMKilled"), "oom_killed", "256Mi"),
        (state("CrashLoopBackOff", "Error", 1), "crash_loop", "exit code 1"),
        (state("ImagePullBackOff", message="no such tag"), "image_pull", "no such tag"),
        (state("CreateContainerConfigError", message='secret "db" not found'), "config_error", "db"),
        (state("", "Error", 2), "restarted", "exit code 2"),
    ],
)
async def test_a_failing_container_is_named(cluster, kube, scope, container, kind, says):
    add_service(cluster, "checkout", [template("checkout", "shop/checkout:v1")])
    add_pod(cluster, replica_set(cluster), "checkout-hash1-badxx", ready=False, container=container)
    _, found = await look(kube, scope)
    assert says in found[kind].statement
    assert found[kind].service == "checkout"
    assert found[kind].data["deployment"] == "checkout"
    assert found[kind].data["namespace"] == "shop"


async def test_an_oom_kill_of_yesterday_is_no_finding(cluster, kube, scope):
    add_service(cluster, "checkout", [template("checkout", "shop/checkout:v1")])
    add_pod(
        cluster, replica_set(cluster), "checkout-hash1-oldxx", age=2e5, container=state("", "OOMKilled", seconds=9e4)
    )
    assert not (await look(kube, scope))[1]


async def test_pods_of_one_trouble_are_counted_together(cluster, kube, scope):
    add_service(cluster, "checkout", [template("checkout", "shop/checkout:v1")], replicas=1)
    for number in range(3):
        add_pod(
            cluster,
            replica_set(cluster),
            f"checkout-hash1-bad{number}",
            ready=False,
            container=state("CrashLoopBackOff", "OOMKilled"),
        )
    _, found = await look(kube, scope)
    assert found["oom_killed"].statement.startswith("3 of 4 pods of checkout")
    assert found["oom_killed"].data["pods"] == 3


@pytest.mark.parametrize("phase", ["Succeeded"])
async def test_completed_pods_are_left_alone(cluster, kube, scope, phase):
    add_service(cluster, "checkout", [template("checkout", "shop/checkout:v1")])
    ended = {"state": {"terminated": {"exitCode": 0, "reason": "Completed", "finishedAt": ago(5)}}}
    add_pod(cluster, replica_set(cluster), "checkout-hash1-donex", ready=False, phase=phase, container=ended)
    assert not (await look(kube, scope))[1]


async def test_unschedulable_tells_only_after_the_scheduler_had_time(cluster, kube, scope):
    add_service(cluster, "checkout", [template("checkout", "shop/checkout:v1")])
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/3 nodes are available",
    }
    pending = {"phase": "Pending", "conditions": [condition], "containerStatuses": []}
    pod = add_pod(cluster, replica_set(cluster), "checkout-hash1-newxx", age=2, **pending)
    assert not (await look(kube, scope))[1]
    pod["metadata"]["creationTimestamp"] = ago(60)
    assert "0/3 nodes" in (await look(kube, scope))[1]["unschedulable"].statement


async def test_not_ready_tells_after_a_start_had_time_or_when_readiness_was_lost(cluster, kube, scope):
    add_service(cluster, "checkout", [template("checkout", "shop/checkout:v1")], ready=2)
    started = {"state": {"running": {"startedAt": ago(8)}}}
    pod = add_pod(cluster, replica_set(cluster), "checkout-hash1-newxx", ready=False, age=10, container=started)
    pod["status"]["conditions"][0]["lastTransitionTime"] = ago(8)
    assert "not_ready" not in (await look(kube, scope))[1]
    pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"] = ago(300)
    assert "not_ready" in (await look(kube, scope))[1]


async def test_probe_failures_count_where_the_pod_did_not_get_over_them(cluster, kube, scope):
    add_service(cluster, "checkout", [template("checkout", "shop/checkout:v1")])
    add_event(cluster, "Pod", "checkout-hash1-pod0x", "Unhealthy", "Readiness probe failed: HTTP 503", count=5)
    assert "probe_failing" not in (await look(kube, scope))[1]
    add_event(cluster, "Pod", "checkout-hash1-pod1x", "Unhealthy", "Liveness probe failed: timeout", count=2)
    assert "Liveness" in (await look(kube, scope))[1]["probe_failing"].statement


async def test_a_rollout_under_way_is_no_finding_and_a_stuck_one_is(cluster, kube, scope):
    obj = add_service(
        cluster, "checkout", [template("checkout", "a:1"), template("checkout", "a:2")], replicas=3, ready=2
    )
    progressing = obj["status"]["conditions"][1]
    progressing.update(reason="ReplicaSetUpdated", lastUpdateTime=ago(3))
    obj["status"]["updatedReplicas"] = 1
    assert "replicas_short" not in (await look(kube, scope))[1]
    progressing.update(status="False", reason="ProgressDeadlineExceeded", message="has timed out progressing")
    found = (await look(kube, scope))[1]
    assert found["rollout_stuck"].data["reason"] == "ProgressDeadlineExceeded"
    assert found["replicas_short"].data == {"namespace": "shop", "deployment": "checkout", "available": 2, "desired": 3}


async def test_a_dependency_scaled_to_zero_is_a_finding_about_the_dependency(cluster, kube, scope):
    env = {
        "PAYMENT_URL": "http://payment.shop.svc:8080/charge",
        "CART": "cart:6379",
        "MODE": "catalogue",
        "REGION": "europe",
    }
    add_service(cluster, "checkout", [template("checkout", "a:1", env=env)])
    add_service(cluster, "payment", [template("payment", "p:1")], replicas=0)
    for name in ("cart", "catalogue", "unrelated"):
        add_service(cluster, name, [template(name, "c:1")])
    cluster.objects[f"{APPS}/deployments/unrelated"]["spec"]["replicas"] = 0
    seen, found = await look(kube, scope)
    assert found["scaled_to_zero"].service == "payment"
    assert found["scaled_to_zero"].data["deployment"] == "payment"
    assert {finding.service for finding in seen.findings} == {"payment"}
    assert "depends on Deployment shop/cart" in seen.body


async def test_zero_on_purpose_is_told_only_when_somebody_misses_it_or_it_is_new(cluster, kube, scope):
    add_service(cluster, "checkout", [template("checkout", "a:1")], replicas=0)
    quiet = scope.model_copy(update={"alert": scope.alert.model_copy(update={"status": "resolved"})})
    assert not (await look(kube, quiet))[1]
    assert "scaled_to_zero" in (await look(kube, scope))[1]
    add_event(
        cluster, "Deployment", "checkout", "ScalingReplicaSet", "Scaled down replica set checkout-hash1 to 0 from 2"
    )
    assert "scaled_to_zero" in (await look(kube, quiet))[1]


async def test_a_service_without_a_ready_pod_has_no_endpoints(cluster, kube, scope):
    add_service(cluster, "checkout", [template("checkout", "a:1")], replicas=2, ready=0)
    found = (await look(kube, scope))[1]
    assert "none of its 2 pods" in found["no_endpoints"].statement
    assert found["replicas_short"].data["available"] == 0


async def test_an_unknown_namespace_is_looked_up_and_an_ambiguous_one_is_said(cluster, kube, scope):
    add_service(cluster, "checkout", [template("checkout", "a:1")])
    anywhere = scope.model_copy(update={"namespace": ""})
    seen, _ = await look(kube, anywhere)
    assert "shop/checkout" in seen.summary
    twin = json.loads(json.dumps(cluster.objects[f"{APPS}/deployments/checkout"]))
    twin["metadata"]["namespace"] = "staging"
    cluster.put("/apis/apps/v1/namespaces/staging/deployments", twin)
    assert "several namespaces (shop, staging)" in (await kubernetes.collect(anywhere, Sources(kube=kube))).error


async def test_a_deployment_is_found_by_label_and_by_its_services_selector(cluster, kube, scope):
    obj = add_service(cluster, "checkout", [template("checkout", "a:1")])
    obj["metadata"]["name"] = "checkout-blue"
    seen, _ = await look(kube, scope)
    assert "shop/checkout-blue" in seen.summary


async def test_no_such_workload_says_what_was_looked_for(cluster, kube, scope):
    seen = await kubernetes.collect(scope, Sources(kube=kube))
    assert "no Deployment, StatefulSet or DaemonSet" in seen.error
    assert "tocsin.yaml" in seen.error
    assert "statefulsets" in seen.query


async def test_secrets_in_events_are_redacted(cluster, kube, scope):
    add_service(cluster, "checkout", [template("checkout", "a:1")])
    add_event(
        cluster, "Deployment", "checkout", "Odd", "postgres://app:hunter2hunter2@db:5432 failed, password=opensesame1"
    )
    seen, _ = await look(kube, scope)
    assert "hunter2" not in seen.body
    assert "opensesame1" not in seen.body
    assert "db:5432" in seen.body


CORE = "/api/v1/namespaces/shop"


def around(cluster: FakeCluster, path: str, kind: str, name: str, **rest) -> None:
    cluster.objects[path] = {
        "kind": f"{kind}List",
        "metadata": {},
        "items": [{"metadata": {"name": name, "namespace": "shop"}, **rest}],
    }


async def test_what_surrounds_the_workload_is_told_when_it_is_wrong(cluster, kube, scope):
    add_service(cluster, "checkout", [template("checkout", "shop/checkout:v1")])
    used = {"hard": {"pods": "2"}, "used": {"pods": "2"}}
    around(cluster, f"{CORE}/resourcequotas", "ResourceQuota", "small", status=used)
    target = {"scaleTargetRef": {"kind": "Deployment", "name": "checkout"}, "maxReplicas": 2}
    full = {"conditions": [{"type": "ScalingLimited", "status": "True", "reason": "TooManyReplicas"}]}
    path = "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers"
    around(cluster, path, "HorizontalPodAutoscaler", "checkout", spec=target, status=full)
    seen, found = await look(kube, scope)
    assert {"quota_exhausted", "hpa_at_maximum"} <= set(found)
    assert found["hpa_at_maximum"].service == "checkout"
    assert found["quota_exhausted"].data["object"] == "ResourceQuota/shop/small"
    assert "! quota_exhausted" in seen.body


async def test_what_is_wrong_elsewhere_in_the_namespace_is_left_alone(cluster, kube, scope):
    add_service(cluster, "checkout", [template("checkout", "shop/checkout:v1")])
    around(cluster, f"{CORE}/persistentvolumeclaims", "PersistentVolumeClaim", "of-another", status={"phase": "Lost"})
    target = {"scaleTargetRef": {"kind": "Deployment", "name": "cart"}, "maxReplicas": 2}
    full = {"conditions": [{"type": "ScalingLimited", "status": "True", "reason": "TooManyReplicas"}]}
    path = "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers"
    around(cluster, path, "HorizontalPodAutoscaler", "cart", spec=target, status=full)
    assert not (await look(kube, scope))[1]


async def test_surroundings_that_may_not_be_read_cost_nothing_else(cluster, kube, scope):
    add_service(cluster, "checkout", [template("checkout", "shop/checkout:v1")])
    cluster.refuse["resourcequotas"] = (403, "resourcequotas is forbidden")
    cluster.refuse["endpointslices"] = (500, "etcd is away")
    seen, found = await look(kube, scope)
    assert not found
    assert "resourcequotas is forbidden" in seen.body
