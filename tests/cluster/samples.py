"""One sample of every change: what it needs in the cluster, and its parameters; used by test_changes.py.

Each makes its own objects, named after the change, so that no change leans on what another left.
"""

import time
from collections.abc import Callable
from typing import Any

from tests.cluster.api import Obj
from tests.cluster.place import Place

PAUSE = "registry.k8s.io/pause"
WAIT_S = 60.0


class Maker:
    """Makes objects of one change and waits for the cluster to do its part."""

    def __init__(self, place: Place, change: str) -> None:
        self.place, self.api, self.name = place, place.admin, change.replace("_", "-")
        self.space = f"/namespaces/{place.namespace}"

    def path(self, base: str, plural: str, name: str = "") -> str:
        """API path in our namespace."""
        return f"{base}{self.space}/{plural}/{name or self.name}"

    def create(self, base: str, plural: str, obj: Obj) -> Any:
        """Create in our namespace."""
        return self.api.must(self.api.post(f"{base}{self.space}/{plural}", obj))

    def until(self, what: str, done: Callable[[], Any]) -> Any:
        """Wait for something true."""
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            found = done()
            if found:
                return found
            time.sleep(0.1)
        raise RuntimeError(f"{self.name}: {what} did not come about within {WAIT_S:g} s")

    def deployment(self, *tags: str, replicas: int = 2, node: str = "", **spec: Any) -> Obj:
        """A Deployment that went through *tags*, one revision each, and has settled."""
        pod: Obj = {
            "containers": [{"name": "app", "image": f"{PAUSE}:{tags[0]}", "resources": {"limits": {"memory": "64Mi"}}}]
        }
        pod |= {"nodeSelector": {"kubernetes.io/hostname": node}} if node else {}
        pod |= {"automountServiceAccountToken": False, "terminationGracePeriodSeconds": 1}
        labels = {"app": self.name}
        template = {"metadata": {"labels": labels}, "spec": pod}
        whole = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template} | spec
        self.create("/apis/apps/v1", "deployments", {"metadata": {"name": self.name}, "spec": whole})
        self.settled()
        for tag in tags[1:]:
            images = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": f"{PAUSE}:{tag}"}]
            self.api.must(
                self.api.patch(self.path("/apis/apps/v1", "deployments"), images, "application/json-patch+json")
            )
            self.settled()
        return {"namespace": self.place.namespace, "deployment": self.name}

    def settled(self) -> None:
        """Wait until the Deployment's controller has seen the spec and as many pods are up as wanted."""
        path = self.path("/apis/apps/v1", "deployments")

        def done() -> bool:
            obj = self.api.must(self.api.get(path))
            status, wanted = obj.get("status") or {}, obj["spec"]["replicas"]
            seen = status.get("observedGeneration") == obj["metadata"]["generation"]
            return seen and status.get("updatedReplicas", 0) == status.get(
                "availableReplicas", 0
            ) == wanted == status.get("replicas", 0)

        self.until("the rollout", done)

    def pods(self) -> list[Obj]:
        """The pods of our Deployment or Job."""
        return list(self.api.must(self.api.get(f"/api/v1{self.space}/pods", labelSelector=f"app={self.name}"))["items"])

    def job(self, tag: str) -> Obj:
        """A Job whose pod ends as *tag* says, once it has failed."""
        pod = {"restartPolicy": "Never", "automountServiceAccountToken": False,
               "containers": [{"name": "app", "image": f"{PAUSE}:{tag}"}]}  # fmt: skip
        template = {"metadata": {"labels": {"app": self.name}}, "spec": pod}
        spec = {"backoffLimit": 0, "template": template}
        if not self.place.stand_in:  # a real kubelet cannot run an image of that tag: a deadline fails the Job instead
            spec["activeDeadlineSeconds"] = 2
        self.create("/apis/batch/v1", "jobs", {"metadata": {"name": self.name}, "spec": spec})
        path = self.path("/apis/batch/v1", "jobs")

        def failed() -> bool:
            found = (self.api.get(path).body.get("status") or {}).get("conditions") or []
            return any(each["type"] == "Failed" and each["status"] == "True" for each in found)

        self.until("the Job's failure", failed)
        return {"namespace": self.place.namespace, "job": self.name}

    def cron(self, *, suspend: bool) -> Obj:
        """A CronJob that is never due."""
        version = self.place.serves("batch", "cronjobs", "v1", "v1beta1")
        pod = {"restartPolicy": "Never", "containers": [{"name": "app", "image": f"{PAUSE}:3.9"}]}
        spec = {"schedule": "0 0 31 2 *", "suspend": suspend, "jobTemplate": {"spec": {"template": {"spec": pod}}}}
        self.create(f"/apis/batch/{version}", "cronjobs", {"metadata": {"name": self.name}, "spec": spec})
        return {"namespace": self.place.namespace, "cronjob": self.name}

    def claim(self) -> Obj:
        """A bound claim of a class that can grow."""
        name, labels = f"{self.place.namespace}-slow", self.place.labels
        storage = {
            "metadata": {"name": name, "labels": labels},
            "provisioner": "kubernetes.io/no-provisioner",
            "allowVolumeExpansion": True,
        }
        self.api.must(self.api.post("/apis/storage.k8s.io/v1/storageclasses", storage))
        volume = {
            "metadata": {"name": name, "labels": labels},
            "spec": {
                "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": name,
                "hostPath": {"path": "/tmp/none"}, "persistentVolumeReclaimPolicy": "Retain",
            },
        }  # fmt: skip
        self.api.must(self.api.post("/api/v1/persistentvolumes", volume))
        wanted = {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": name,
            "resources": {"requests": {"storage": "1Gi"}},
        }
        self.create("/api/v1", "persistentvolumeclaims", {"metadata": {"name": self.name}, "spec": wanted})
        path = self.path("/api/v1", "persistentvolumeclaims")
        self.until("the claim's binding", lambda: self.api.get(path).body["status"].get("phase") == "Bound")
        return {"namespace": self.place.namespace, "claim": self.name, "size": "2Gi"}

    def grow(self) -> None:
        """Say, as the storage's own resizer would, that the volume has its new size."""
        path = self.path("/api/v1", "persistentvolumeclaims") + "/status"
        self.api.must(self.api.patch(path, {"status": {"capacity": {"storage": "2Gi"}}}))

    def autoscaler(self) -> Obj:
        """An autoscaler of a Deployment; there are no metrics, but the bounds hold without."""
        self.deployment("3.9", replicas=3)
        version = self.place.serves("autoscaling", "horizontalpodautoscalers", "v2", "v1")
        of = {"apiVersion": "apps/v1", "kind": "Deployment", "name": self.name}
        spec = {"minReplicas": 1, "maxReplicas": 5, "scaleTargetRef": of}
        self.create(
            f"/apis/autoscaling/{version}", "horizontalpodautoscalers", {"metadata": {"name": self.name}, "spec": spec}
        )
        return {"namespace": self.place.namespace, "autoscaler": self.name, "max_replicas": 2}

    def stuck_pod(self) -> Obj:
        """A pod that loops (stand-in) or that is Terminating and cannot go."""
        self.deployment("3.9", replicas=1)
        pod = self.pods()[0]["metadata"]["name"]
        path = f"/api/v1{self.space}/pods/{pod}"
        waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
        images = {
            "spec": {"containers": [{"name": "app", "image": f"{PAUSE}:crash"}]},
        }
        self.api.must(self.api.patch(path, images, "application/strategic-merge-patch+json"))

        def loops() -> bool:
            states = self.api.get(path).body["status"].get("containerStatuses") or []
            return bool(states) and states[0]["state"].get("waiting", {}).get("reason") in {
                "ImagePullBackOff",
                *waiting["waiting"].values(),
            }

        self.until("a pod that is stuck", loops)
        return {"namespace": self.place.namespace, "pod": pod}

    def a_pod(self) -> Obj:
        """A pod that runs."""
        self.deployment("3.9")
        return {"namespace": self.place.namespace, "pod": self.pods()[0]["metadata"]["name"]}

    def node(self, *, cordoned: bool = False) -> Obj:
        """The first of our nodes, with a pod on it when there is a kubelet of ours."""
        name = self.place.nodes[0]
        self.api.must(self.api.patch(f"/api/v1/nodes/{name}", {"spec": {"unschedulable": cordoned}}))
        return {"node": name}

    def drained(self) -> Obj:
        """A node with pods of a Deployment."""
        params = self.node()
        if self.place.stand_in:
            self.deployment("3.9", replicas=3, node=str(params["node"]))
        return params | {"wait_seconds": 20}

    def settings(self) -> Obj:
        """A ConfigMap with a changed key."""
        self.create("/api/v1", "configmaps", {"metadata": {"name": self.name}, "data": {"mode": "fast", "kept": "x"}})
        return {"namespace": self.place.namespace, "configmap": self.name, "key": "mode", "value": "safe"}


def paused(maker: Maker) -> Obj:
    """A Deployment whose rollouts are paused."""
    params = maker.deployment("3.9")
    maker.api.must(maker.api.patch(maker.path("/apis/apps/v1", "deployments"), {"spec": {"paused": True}}))
    return params


SAMPLES: dict[str, Callable[[Maker], Obj]] = {
    "rollout_restart": lambda it: it.deployment("3.9"),
    "rollout_undo": lambda it: it.deployment("3.8", "3.9"),
    "rollout_pause": lambda it: it.deployment("3.9"),
    "rollout_resume": paused,
    "scale": lambda it: it.deployment("3.9") | {"replicas": 4},
    "set_image": lambda it: it.deployment("3.8", "3.9") | {"image": f"{PAUSE}:3.8"},
    "set_resources": lambda it: it.deployment("3.9") | {"memory_limit": "96Mi", "cpu_request": "10m"},
    "delete_pod": Maker.stuck_pod,
    "evict_pod": Maker.a_pod,
    "cordon": Maker.node,
    "uncordon": lambda it: it.node(cordoned=True),
    "drain_node": Maker.drained,
    "cronjob_suspend": lambda it: it.cron(suspend=False),
    "cronjob_resume": lambda it: it.cron(suspend=True),
    "job_rerun": lambda it: it.job("fail"),
    "job_delete": lambda it: it.job("fail"),
    "hpa_bounds": Maker.autoscaler,
    "pvc_expand": Maker.claim,
    "configmap_key_restore": Maker.settings,
}
