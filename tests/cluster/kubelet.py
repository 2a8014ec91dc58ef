"""A stand-in for scheduler and kubelet on an API server that has neither: binds our pods, sets their status, lets them go.

What becomes of a pod is said by its image's tag: ``crash`` loops, ``fail`` and ``done`` end, all else runs and is ready.
It touches our namespace and our nodes alone. A thread, started by conftest.py when no node of the cluster is ready.
"""

import contextlib
import re
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx

from tests.cluster.api import Api, Obj
from tests.cluster.place import Place

_EVERY_S = 0.1
_TAKEN_UP_S = 60.0
_BEAT_EVERY = 40  # rounds; the node controller gives up after 40 s


@contextlib.contextmanager
def running(place: Place) -> Iterator[None]:
    """Run until the context ends; nothing at all where real kubelets are."""
    if not place.stand_in:
        yield
        return
    ended = threading.Event()
    thread = threading.Thread(target=_loop, args=(place, ended), name="kubelet-stand-in", daemon=True)
    thread.start()
    try:
        _taken_up(place)
        yield
    finally:
        ended.set()
        thread.join(20)


def _taken_up(place: Place) -> None:
    """Wait until the node controller has seen our nodes ready and taken its taints away: before, no pod may go there."""
    until = time.monotonic() + _TAKEN_UP_S
    while time.monotonic() < until:
        nodes = [place.admin.get(f"/api/v1/nodes/{name}").body for name in place.nodes]
        if all(map(_open, nodes)):
            return
        time.sleep(0.1)
    raise RuntimeError(f"no pod may go to our nodes after {_TAKEN_UP_S:g} s: does the controller manager run? {nodes}")


def _open(node: Obj) -> bool:
    ready = [each for each in (node.get("status") or {}).get("conditions") or [] if each["type"] == "Ready"]
    return bool(ready) and ready[0]["status"] == "True" and not (node.get("spec") or {}).get("taints")


def _loop(place: Place, ended: threading.Event) -> None:
    api = place.admin.as_token(place.admin.token) if place.admin.token else Api(place.admin.access)
    pods = f"/api/v1/namespaces/{place.namespace}/pods"
    rounds = 0
    while not ended.wait(_EVERY_S):
        with contextlib.suppress(httpx.HTTPError):  # the next round tries again
            if rounds % _BEAT_EVERY == 0:
                for name in place.nodes:
                    _beat(api, name)
            rounds += 1
            for pod in api.get(pods).body.get("items") or []:
                _pod(api, f"{pods}/{pod['metadata']['name']}", pod, place)
    api.close()


def _pod(api: Api, path: str, pod: Obj, place: Place) -> None:
    meta = pod["metadata"]
    node = str(pod["spec"].get("nodeName") or "")
    if node and node not in place.nodes:
        return
    if meta.get("deletionTimestamp"):
        api.ask("DELETE", path, {"gracePeriodSeconds": 0, "preconditions": {"uid": meta["uid"]}})
    elif not node:
        _bind(api, path, pod, place)
    elif pod["status"].get("phase") not in ("Succeeded", "Failed"):
        wanted = _status(pod)
        now = pod["status"]
        if (now.get("phase"), _states(now)) != (wanted["phase"], _states(wanted)):
            api.patch(f"{path}/status", {"metadata": {"uid": meta["uid"]}, "status": wanted})


def _states(status: Obj) -> list[object]:
    return [
        (each.get("ready"), each.get("image"), sorted(each["state"])) for each in status.get("containerStatuses") or []
    ]


def _bind(api: Api, path: str, pod: Obj, place: Place) -> None:
    selected = (pod["spec"].get("nodeSelector") or {}).get("kubernetes.io/hostname", "")
    for name in sorted(place.nodes, key=lambda each: each != selected):
        spec = api.get(f"/api/v1/nodes/{name}").body.get("spec") or {}
        if not spec.get("unschedulable"):
            target = {"apiVersion": "v1", "kind": "Node", "name": name}
            api.post(f"{path}/binding", {"metadata": {"name": pod["metadata"]["name"]}, "target": target})
            return


def _status(pod: Obj) -> Obj:
    fate = str(pod["spec"]["containers"][0]["image"]).rpartition(":")[2]
    if re.search("-rerun-[0-9a-f]{10}", pod["metadata"]["name"]):  # what failed once succeeds when it is run again
        fate = "done"
    now = _now()
    phase, ready, state = "Running", True, {"running": {"startedAt": now}}
    if fate == "crash":
        ready, state = False, {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off restarting"}}
    elif fate in ("fail", "done"):
        code, phase, ready = (1, "Failed", False) if fate == "fail" else (0, "Succeeded", False)
        ended = {"exitCode": code, "reason": "Error" if code else "Completed", "startedAt": now, "finishedAt": now}
        state = {"terminated": ended}
    conditions = [
        {"type": kind, "status": "True" if ready or kind in ("Initialized", "PodScheduled") else "False", "lastTransitionTime": now}
        for kind in ("Initialized", "Ready", "ContainersReady", "PodScheduled")
    ]  # fmt: skip
    containers = [
        {"name": each["name"], "image": each["image"], "imageID": each["image"], "ready": ready, "restartCount": 0, "state": state}
        for each in pod["spec"]["containers"]
    ]  # fmt: skip
    return {
        "phase": phase,
        "conditions": conditions,
        "containerStatuses": containers,
        "startTime": now,
        "podIP": "10.1.0.1",
    }


def _beat(api: Api, name: str) -> None:
    size = {"cpu": "8", "memory": "16Gi", "pods": "110"}
    conditions = [
        {"type": kind, "status": value, "reason": "StandIn", "message": "no machine", "lastHeartbeatTime": _now(), "lastTransitionTime": _now()}
        for kind, value in (("Ready", "True"), ("MemoryPressure", "False"), ("DiskPressure", "False"), ("PIDPressure", "False"))
    ]  # fmt: skip
    api.patch(
        f"/api/v1/nodes/{name}/status", {"status": {"conditions": conditions, "capacity": size, "allocatable": size}}
    )


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
