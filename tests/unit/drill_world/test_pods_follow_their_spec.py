"""What becomes of a pod follows from its spec and its image."""

from typing import Any

import pytest

from drill.cluster import kinds
from drill.cluster.objects import clone, condition
from tests.unit.drill_world.conftest import Steps


def change(steps: Steps, name: str, **container: Any) -> None:
    """Merge fields into the first container of a Deployment."""
    fresh = clone(steps.deployment(name))
    fresh["spec"]["template"]["spec"]["containers"][0].update(container)
    steps.world.cluster.store.update(kinds.DEPLOYMENTS, fresh)


def waiting(steps: Steps, app: str) -> set[str]:
    states = [s["state"] for pod in steps.pods(app) for s in pod["status"].get("containerStatuses", ())]
    return {state["waiting"]["reason"] for state in states if "waiting" in state}


def test_a_fresh_world_is_healthy_and_has_a_past(steps: Steps) -> None:
    for service in steps.world.cluster.catalogue.services.values():
        deployment = steps.deployment(service.name)
        assert deployment["status"]["readyReplicas"] == service.replicas
        assert condition(deployment, "Progressing")["reason"] == "NewReplicaSetAvailable"
    checkout = steps.deployment("checkout")
    assert checkout["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
    assert checkout["metadata"]["creationTimestamp"] < "2023-11-12"
    assert not steps.world.rules.active()
    assert not steps.events("ScalingReplicaSet")


def test_a_good_rollout_replaces_pods_one_after_another(steps: Steps) -> None:
    change(steps, "checkout", image="registry.drill.local/shop/checkout:v0")
    lowest = 3
    for _ in range(60):
        steps.run(0.2)
        lowest = min(lowest, len(steps.world.cluster.ready_pods("checkout", "shop")))
    assert lowest == 3
    assert {pod["spec"]["containers"][0]["image"].split(":")[1] for pod in steps.pods("checkout")} == {"v0"}
    lines = steps.events("ScalingReplicaSet")
    assert any(line.startswith("Scaled up replica set checkout-") and line.endswith(" to 2 from 0") for line in lines)
    assert any(line.startswith("Scaled down replica set") and line.endswith("to 0 from 1") for line in lines)


def test_going_back_reuses_the_replica_set_and_gives_it_the_newest_revision(steps: Steps) -> None:
    sets = {rs["metadata"]["name"] for rs in steps.world.cluster.store.list(kinds.REPLICASETS)}
    change(steps, "checkout", image="registry.drill.local/shop/checkout:v0")
    steps.run(10)
    assert {rs["metadata"]["name"] for rs in steps.world.cluster.store.list(kinds.REPLICASETS)} == sets
    active = [rs for rs in steps.world.cluster.store.list(kinds.REPLICASETS, "shop")
              if rs["spec"]["replicas"] and rs["metadata"]["labels"]["app"] == "checkout"]  # fmt: skip
    assert len(active) == 1
    notes = active[0]["metadata"]["annotations"]
    assert notes["deployment.kubernetes.io/revision"] == "3"
    assert notes["deployment.kubernetes.io/revision-history"] == "1"


def test_an_image_no_registry_has_is_not_pulled_and_the_old_pods_stay(steps: Steps) -> None:
    change(steps, "cart", image="registry.drill.local/shop/cart:typo")
    seen = set()
    for _ in range(60):
        steps.run(0.2)
        seen |= waiting(steps, "cart")
    assert {"ErrImagePull", "ImagePullBackOff"} <= seen
    assert len(steps.world.cluster.ready_pods("cart", "shop")) == 2
    assert any("not found" in line for line in steps.events("Failed"))
    assert ("ImagePullFailing", "cart") in steps.firing()


def test_a_memory_limit_below_use_ends_in_a_crash_loop(steps: Steps) -> None:
    change(steps, "catalogue", resources={"limits": {"memory": "160Mi"}, "requests": {"cpu": "100m", "memory": "64Mi"}})
    steps.run(20)
    cut = [pod for pod in steps.pods("catalogue")
           if pod["spec"]["containers"][0]["resources"]["limits"]["memory"] == "160Mi"]  # fmt: skip
    states = [s for pod in cut for s in pod["status"]["containerStatuses"]]
    assert max(state["restartCount"] for state in states) >= 2
    assert all(state["lastState"]["terminated"]["reason"] == "OOMKilled" for state in states)
    assert {state["lastState"]["terminated"]["exitCode"] for state in states} == {137}
    assert any("Killed process" in line for line in steps.events("OOMKilling"))
    assert any("Back-off restarting failed container catalogue" in line for line in steps.events("BackOff"))


def test_backoff_grows(steps: Steps) -> None:
    change(steps, "catalogue", resources={"limits": {"memory": "160Mi"}, "requests": {"cpu": "100m", "memory": "64Mi"}})
    steps.run(30)
    early = max(s["restartCount"] for pod in steps.pods("catalogue") for s in pod["status"]["containerStatuses"])
    steps.run(30)
    late = max(s["restartCount"] for pod in steps.pods("catalogue") for s in pod["status"]["containerStatuses"])
    assert late - early < early


def test_a_program_that_exits_says_why_in_its_log(steps: Steps) -> None:
    change(steps, "checkout", image="registry.drill.local/shop/checkout:v4")
    steps.run(8)
    assert "CrashLoopBackOff" in waiting(steps, "checkout")
    lines = [line.text for stream in steps.world.logs.streams() for line in stream.lines]
    assert any("PAYMENT_TIMEOUT is required" in line for line in lines)
    assert len(steps.world.cluster.ready_pods("checkout", "shop")) == 3


def test_a_missing_config_map_stops_the_container(steps: Steps) -> None:
    change(steps, "cart", envFrom=[{"configMapRef": {"name": "nowhere"}}])
    steps.run(5)
    assert waiting(steps, "cart") == {"CreateContainerConfigError"}
    assert 'Error: configmap "nowhere" not found' in steps.events("Failed")


def test_requests_no_node_can_hold_stay_pending(steps: Steps) -> None:
    change(steps, "cart", resources={"requests": {"cpu": "64"}})
    steps.run(5)
    pending = [pod for pod in steps.pods("cart") if pod["status"]["phase"] == "Pending"]
    assert pending
    assert condition(pending[0], "PodScheduled")["message"] == "0/3 nodes are available: 3 Insufficient cpu."


def test_a_rollout_that_stands_still_exceeds_its_deadline(steps: Steps) -> None:
    fresh = clone(steps.deployment("cart"))
    fresh["spec"]["progressDeadlineSeconds"] = 60
    fresh["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.drill.local/shop/cart:typo"
    steps.world.cluster.store.update(kinds.DEPLOYMENTS, fresh)
    steps.run(50)
    assert condition(steps.deployment("cart"), "Progressing")["reason"] == "ReplicaSetUpdated"
    steps.run(90)
    progressing = condition(steps.deployment("cart"), "Progressing")
    assert (progressing["status"], progressing["reason"]) == ("False", "ProgressDeadlineExceeded")
    assert condition(steps.deployment("cart"), "Available")["status"] == "True"


@pytest.mark.parametrize("replicas", [0, 1, 5])
def test_scaling_gives_as_many_pods(steps: Steps, replicas: int) -> None:
    fresh = clone(steps.deployment("payment"))
    fresh["spec"]["replicas"] = replicas
    steps.world.cluster.store.update(kinds.DEPLOYMENTS, fresh)
    steps.run(5)
    assert len(steps.pods("payment")) == replicas
    assert len(steps.world.cluster.ready_pods("payment", "shop")) == replicas
    endpoints = steps.world.cluster.store.get(kinds.ENDPOINTS, "shop", "payment")
    assert sum(len(s["addresses"]) for s in endpoints["subsets"]) == replicas


def test_a_wrong_address_in_the_environment_breaks_the_call(steps: Steps) -> None:
    env = [{"name": "PAYMENT_URL", "value": "http://paymant:8080"}]
    change(steps, "checkout", env=env)
    steps.run(25, until=steps.firing)
    assert ("HighErrorRate", "checkout") in steps.firing()
    lines = [line.text for s in steps.world.logs.streams() if s.labels["app"] == "checkout" for line in s.lines]
    assert any("lookup paymant on 10.96.0.10:53: no such host" in line for line in lines)
