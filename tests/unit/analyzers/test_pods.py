"""Pods: each condition, and a healthy pod that looks alike."""

import re

import pytest

from tests.unit.analyzers.samples import ago, cond, ended, event, look, obj, pod, problems, waiting


def pending(reason: str, message: str = "", **rest):
    told = [cond("PodScheduled", "False", reason, message, at=rest.get("age", 7200))]
    return pod(phase="Pending", conditions=told, containerStatuses=[], **rest)


def creating(**rest):
    return pod(phase="Pending", ready=False, state=waiting("ContainerCreating"), **rest)


JOB = ("Job", "load")
COMPLETE = obj("Job", "load", status={"conditions": [cond("Complete", "True")], "succeeded": 1, "failed": 1})
RUNNING = obj("Job", "load", status={"active": 1, "failed": 1})

SICK = [
    ("unschedulable", [pending("Unschedulable", "0/3 nodes are available: 3 Insufficient cpu.")], "resources"),
    ("unschedulable", [pending("Unschedulable", "0/1 nodes are available: 1 node(s) had untolerated taint {a: b}.")], "taint"),
    ("unschedulable", [pending("Unschedulable", "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.")], "selector"),
    ("unschedulable", [pending("Unschedulable", 'persistentvolumeclaim "data" not found')], "volume claim"),
    ("scheduling_gated", [pending("SchedulingGated", spec={"schedulingGates": [{"name": "queue"}]})], "queue"),
    ("evicted", [pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory.")], "low on"),
    ("oom_killed", [pod(ready=False, state=waiting("CrashLoopBackOff"), last=ended("OOMKilled", 137), restarts=6)], "CrashLoopBackOff.*OOMKilled.*64Mi"),
    ("oom_killed", [pod(last=ended("OOMKilled", 137, at=120), restarts=3)], "OOMKilled"),
    ("oom_killed", [pod(last=ended("OOMKilled", 137, at=120), ready=False, restarts=1)], "OOMKilled"),
    ("unschedulable", [pod(phase="Pending", conditions=[], containerStatuses=[]), event("Pod", "cart-1", "FailedScheduling", "0/3 nodes are available: 3 Insufficient memory.")], "resources"),
    ("crash_loop", [pod(ready=False, state=waiting("CrashLoopBackOff"), last=ended("Error", 139), restarts=6)], "SIGSEGV"),
    ("crash_loop", [pod(ready=False, state=waiting("CrashLoopBackOff"), last=ended("Completed", 0), restarts=6)], "exit code 0"),
    ("crash_loop", [pod(phase="Pending", ready=False, state=waiting("PodInitializing"),
                        init={"state": waiting("CrashLoopBackOff"), "lastState": ended("Error", 2), "restartCount": 4})], "container init.*exit code 2"),
    *[("image_pull", [pod(phase="Pending", ready=False, state=waiting(reason, "no such tag"))], reason) for reason in
      ("ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull", "InvalidImageName", "ImageInspectError")],
    *[("config_error", [pod(phase="Pending", ready=False, state=waiting(reason, 'secret "db" not found'))], reason) for reason in
      ("CreateContainerConfigError", "CreateContainerError", "PreCreateHookError", "PreStartHookError", "RunContainerError")],
    ("sandbox_failed", [creating(), event("Pod", "cart-1", "FailedCreatePodSandBox", "cni: no address left")], "no address left"),
    ("mount_failed", [creating(), event("Pod", "cart-1", "FailedMount", 'configmap "app" not found')], '"app" not found'),
    ("nonzero_exit", [pod(phase="Failed", ready=False, state=ended("Error", 3))], "exit code 3"),
    ("nonzero_exit", [pod(ready=False, state=ended("Error", 3), spec={"restartPolicy": "Never"})], "exit code 3"),
    ("probe_failing", [pod(ready=False), event("Pod", "cart-1", "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")],
     "Readiness probe failed.*503"),
    ("not_ready", [pod(ready=False, since=600)], "not ready"),
    ("stuck_terminating", [pod(meta={"deletionTimestamp": ago(3000), "finalizers": ["x/y"]})], "x/y"),
]  # fmt: skip

WELL = {
    "running": [pod()],
    "succeeded": [pod(phase="Succeeded", ready=False, state=ended("Completed", 0))],
    "completed with a failed container status": [pod(phase="Succeeded", ready=False, state=ended("Error", 1))],
    "just created": [pending("Unschedulable", "0/3 nodes are available", age=4)],
    "just gated": [pending("SchedulingGated", age=4)],
    "starting": [creating(age=5)],
    "starting, the first mount failed": [creating(age=5), event("Pod", "cart-1", "FailedMount", "cache not synced", count=1, at=3)],
    "init running": [pod(phase="Pending", ready=False, state=waiting("PodInitializing"), init={"state": {"running": {}}})],
    "not ready yet": [pod(ready=False, age=20, since=18)],
    "not ready yet, probed once": [pod(ready=False, age=20, since=18), event("Pod", "cart-1", "Unhealthy", "Readiness probe failed", count=1, at=5)],
    "ready again": [pod(), event("Pod", "cart-1", "Unhealthy", "Readiness probe failed", count=9)],
    "restarted long ago": [pod(last=ended("OOMKilled", 137, at=90_000), restarts=1)],
    "killed once and ready again": [pod(last=ended("OOMKilled", 137, at=120), restarts=1)],
    "init container succeeded after many tries": [pod(init={"state": ended("Completed", 0, at=90), "lastState": ended("Error", 1, at=120), "restartCount": 6})],
    "one of two containers is done": [pod(ready=False, since=600, spec={"restartPolicy": "OnFailure"}, containerStatuses=[
        {"name": "a", "ready": False, "state": ended("Completed", 0)}, {"name": "b", "ready": True, "state": {"running": {}}}])],
    "restarted once": [pod(last=ended("Error", 1, at=300), restarts=1)],
    "leaving": [pod(ready=False, meta={"deletionTimestamp": ago(10)})],
    "its Job succeeded after retries": [COMPLETE, pod("load-1", phase="Failed", ready=False, state=ended("Error", 1), owner=JOB)],
    "its Job tries again": [RUNNING, pod("load-1", phase="Failed", ready=False, state=ended("Error", 1), owner=JOB)],
    "a sibling succeeded": [pod("load-1", phase="Failed", state=ended("Error", 1), owner=JOB), pod("load-2", phase="Succeeded", owner=JOB)],
    "a manifest": [obj("Pod", "cart-1", spec={"containers": [{"name": "app"}]})],
}  # fmt: skip


@pytest.mark.parametrize(("condition", "items", "says"), SICK, ids=[f"{n}-{each[0]}" for n, each in enumerate(SICK)])
def test_a_sick_pod_is_named(condition, items, says):
    found = [each for each in look(*items) if each.severity != "note"]
    assert [each.condition for each in found] == [condition]
    assert found[0].about == "Pod/shop/cart-1"
    assert found[0].remedy

    assert re.search(says, found[0].why), found[0].why


@pytest.mark.parametrize("items", WELL.values(), ids=WELL)
def test_a_healthy_pod_is_no_finding(items):
    assert problems(*items) == set()
