"""kubectl and the official Python client work against the practice cluster, and the process behaves as a child should."""

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from kubernetes import client as k8s
from kubernetes import config, watch
from kubernetes.client.exceptions import ApiException

from tests.integration.drill_world.conftest import ROOT, Running, wait_for

pytestmark = pytest.mark.slow


def api_client(path: str) -> k8s.ApiClient:
    return config.new_client_from_config(path)


@pytest.fixture
def reader(drill: Running) -> Any:
    with api_client(drill.said["env"]["KUBECONFIG"]) as client:
        yield client


@pytest.fixture
def actor(drill: Running) -> Any:
    with api_client(drill.said["env"]["TOCSIN_ACTOR_KUBECONFIG"]) as client:
        yield client


def test_kubectl_prints_what_people_expect(drill: Running) -> None:
    pods = [line.split() for line in drill.kubectl("get", "pods").splitlines()]
    assert pods[0] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert {name.rsplit("-", 2)[0] for name, *_ in pods[1:]} >= {"cart", "checkout", "payment", "shipping"}
    assert all(ready == "1/1" and phase == "Running" for name, ready, phase, *_ in pods[1:] if name.startswith("cart-"))
    assert len(drill.kubectl("get", "pods", "-l", "app=cart", "-o", "name").splitlines()) == 2
    assert "3/3" in drill.kubectl("get", "deploy", "checkout")
    assert json.loads(drill.kubectl("get", "deploy", "checkout", "-o", "json"))["spec"]["replicas"] == 3
    assert "MinimumReplicasAvailable" in drill.kubectl("describe", "deploy/checkout")
    assert ["shop", "Active"] in [line.split()[:2] for line in drill.kubectl("get", "ns").splitlines()]
    assert ":8080" in drill.kubectl("get", "endpoints", "cart")
    drill.kubectl("get", "pods,svc,endpoints,rs,nodes,cm,hpa,events", "-A")
    drill.kubectl("get", "pods", "-A", "--sort-by=.metadata.name")
    columns = drill.kubectl("get", "cronjobs,jobs,pvc,hpa", "-A")
    assert {"SCHEDULE", "COMPLETIONS", "CAPACITY", "TARGETS"} <= set(columns.split())
    assert drill.kubectl("logs", "deploy/cart", "--tail=2").count("\n") >= 1
    assert "successfully rolled out" in drill.kubectl("rollout", "status", "deploy/checkout", "--timeout=20s")


def test_kubectl_scales_restarts_edits_and_rolls_back(drill: Running) -> None:
    before = json.loads(drill.kubectl("get", "deploy", "shipping", "-o", "json"))["spec"]["template"]
    drill.kubectl("scale", "deploy/shipping", "--replicas=2")
    drill.kubectl("rollout", "status", "deploy/shipping", "--timeout=20s")
    drill.kubectl("set", "env", "deploy/shipping", "A=b")
    drill.kubectl("rollout", "status", "deploy/shipping", "--timeout=20s")
    drill.kubectl("rollout", "undo", "deploy/shipping")
    drill.kubectl("rollout", "status", "deploy/shipping", "--timeout=20s")
    assert json.loads(drill.kubectl("get", "deploy", "shipping", "-o", "json"))["spec"]["template"] == before
    drill.kubectl("rollout", "restart", "deploy/shipping")
    drill.kubectl("rollout", "status", "deploy/shipping", "--timeout=20s")
    drill.kubectl("delete", "pod", "-l", "app=shipping", "--wait=false")
    drill.kubectl("scale", "deploy/shipping", "--replicas=1")
    drill.client.post("/drill/reset")


def test_the_python_client_reads(reader: k8s.ApiClient) -> None:
    core, apps = k8s.CoreV1Api(reader), k8s.AppsV1Api(reader)
    pods = core.list_namespaced_pod("shop", label_selector="app=checkout").items
    assert [pod.status.phase for pod in pods] == ["Running"] * 3
    assert pods[0].status.container_statuses[0].state.running.started_at is not None
    assert apps.read_namespaced_deployment("cart", "shop").status.ready_replicas == 2
    assert {node.metadata.name for node in core.list_node().items} == {"worker-1", "worker-2", "worker-3"}
    assert core.read_namespaced_pod_log(pods[0].metadata.name, "shop", tail_lines=3).count("\n") == 3
    assert core.list_event_for_all_namespaces() is not None
    for autoscaler in k8s.AutoscalingV2Api(reader).list_namespaced_horizontal_pod_autoscaler("shop").items:
        assert autoscaler.spec.max_replicas >= autoscaler.status.current_replicas
    assert k8s.VersionApi(reader).get_code().major == "1"
    for forbidden in (core.list_namespaced_secret, core.list_namespaced_config_map, core.list_namespaced_endpoints):
        with pytest.raises(ApiException) as refused:
            forbidden("shop")
        assert refused.value.status == 403
    body = k8s.V1Scale(spec=k8s.V1ScaleSpec(replicas=0))
    with pytest.raises(ApiException) as refused:
        apps.patch_namespaced_deployment_scale("cart", "shop", body)
    assert (refused.value.status, json.loads(refused.value.body)["reason"]) == (403, "Forbidden")


def test_the_python_client_changes_what_the_actor_may(drill: Running, actor: k8s.ApiClient) -> None:
    apps = k8s.AppsV1Api(actor)
    patch = {"spec": {"template": {"metadata": {"annotations": {"x": "y"}}}}}
    dry = apps.patch_namespaced_deployment("cart", "shop", patch, dry_run="All")
    assert dry.spec.template.metadata.annotations == {"x": "y"}
    assert apps.read_namespaced_deployment("cart", "shop").spec.template.metadata.annotations is None
    applied = apps.patch_namespaced_deployment(
        "cart", "shop", {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"annotations": {"tocsin.dev/p": "1"}}},
        field_manager="tocsin", _content_type="application/apply-patch+yaml",
    )  # fmt: skip
    assert applied.metadata.annotations["tocsin.dev/p"] == "1"
    stale = {"metadata": {"resourceVersion": "1"}, "spec": {"replicas": 3}}
    with pytest.raises(ApiException) as refused:
        apps.patch_namespaced_deployment("cart", "shop", stale)
    assert (refused.value.status, refused.value.reason) == (409, "Conflict")
    review = k8s.V1SelfSubjectAccessReview(
        spec=k8s.V1SelfSubjectAccessReviewSpec(
            resource_attributes=k8s.V1ResourceAttributes(
                verb="delete", group="apps", resource="deployments", namespace="shop"
            )
        )
    )
    assert k8s.AuthorizationV1Api(actor).create_self_subject_access_review(review).status.allowed is False
    drill.client.post("/drill/reset")


def test_a_watch_tells_what_happens(drill: Running, reader: k8s.ApiClient) -> None:
    core = k8s.CoreV1Api(reader)
    version = core.list_namespaced_pod("shop").metadata.resource_version
    seen: list[tuple[str, str]] = []

    def look() -> None:
        stream = watch.Watch().stream(
            core.list_namespaced_pod, "shop", label_selector="app=payment", resource_version=version, timeout_seconds=20
        )
        for event in stream:
            seen.append((event["type"], event["object"].metadata.name))
            if event["type"] == "DELETED":
                return

    thread = threading.Thread(target=look)
    thread.start()
    drill.kubectl("scale", "deploy/payment", "--replicas=3")
    wait_for(lambda: any(kind == "ADDED" for kind, _ in seen), 10)
    drill.kubectl("scale", "deploy/payment", "--replicas=2")
    thread.join(20)
    assert not thread.is_alive()
    assert seen[0][0] == "ADDED"
    assert seen[-1][0] == "DELETED"
    assert all(name.startswith("payment-") for _, name in seen)


def test_a_drill_from_start_to_end_in_real_time(drill: Running) -> None:
    names = [each["name"] for each in drill.client.get("/drill/scenarios").json()["scenarios"]]
    assert {"bad_rollout", "oom_kill", "dependency_down"} <= set(names)
    assert drill.client.post("/drill/fire", json={"scenario": "bad_rollout"}).json() == {"ok": True}
    again = drill.client.post("/drill/fire", json={"scenario": "bad_rollout"})
    assert (again.status_code, "still running" in again.json()["error"]) == (409, True)
    assert drill.client.post("/drill/fire", json={"scenario": "x"}).status_code == 404
    assert drill.client.post("/drill/fire", content=b"?").status_code == 400

    headers = {"Authorization": f"Bearer {drill.said['env']['SLACK_BOT_TOKEN']}"}
    channels = drill.client.get("/api/conversations.list", headers=headers).json()["channels"]
    alerts = next(channel["id"] for channel in channels if channel["name"] == "alerts")

    def titles() -> list[str]:
        history = drill.client.get("/api/conversations.history", params={"channel": alerts}, headers=headers).json()
        return [a["title"] for message in history["messages"] for a in message.get("attachments", ())]

    wait_for(lambda: "[FIRING:1] HighErrorRate checkout (shop critical)" in titles(), 30, every=1.5)
    drill.kubectl("rollout", "undo", "deploy/checkout")
    wait_for(lambda: "[RESOLVED] HighErrorRate checkout (shop critical)" in titles(), 60, every=1.5)
    assert drill.state()["running"] == []


def test_it_ends_when_its_parent_has_ended() -> None:
    code = (
        "import subprocess, sys, os\n"
        "p = subprocess.Popen([sys.executable, '-m', 'drill', '--parent-pid', str(os.getpid())], stdout=subprocess.PIPE)\n"
        "print(p.pid, p.stdout.readline().decode())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=30
    )
    pid, _, said = done.stdout.partition(" ")
    folder = Path(json.loads(said)["env"]["KUBECONFIG"]).parent
    wait_for(lambda: not Path(f"/proc/{pid}").exists(), 20)
    assert not folder.exists()


def test_it_ends_on_sigterm_with_a_watch_open() -> None:
    process = subprocess.Popen([sys.executable, "-m", "drill"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = json.loads(process.stdout.readline())
    token = yaml.safe_load(Path(said["env"]["KUBECONFIG"]).read_text())["users"][0]["user"]["token"]
    url = f"{said['url']}/kubernetes/api/v1/pods?watch=true"
    with httpx.stream("GET", url, headers={"Authorization": f"Bearer {token}"}, trust_env=False) as stream:
        assert next(stream.iter_lines())
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
    process.stdout.close()
    assert not Path(said["env"]["KUBECONFIG"]).parent.exists()


def test_it_cleans_up_when_it_is_ended_before_it_serves() -> None:
    process = subprocess.Popen([sys.executable, "-m", "drill"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = json.loads(process.stdout.readline())
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0
    process.stdout.close()
    assert not Path(said["env"]["KUBECONFIG"]).parent.exists()
