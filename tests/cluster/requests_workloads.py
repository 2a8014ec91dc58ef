"""Requests about workloads: Deployments, their scale and server-side apply, pods."""

from typing import Any

from tests.cluster.api import APPLY, JSON_PATCH, MERGE, STRATEGIC, Answer, Obj
from tests.cluster.sides import IMAGE, Side, container, deployment

TEMPLATE = "/spec/template/spec/containers/0"


def deployments(side: Side) -> None:
    """Defaults, what is refused, and the patches that changes are made of."""
    path = "deployments/web"
    side.ask("create", "POST", "deployments", deployment("web"))
    side.ask("create again", "POST", "deployments", deployment("web"))
    side.ask("create in a dry-run", "POST", "deployments", deployment("dry"), dryRun="All")
    side.ask("read", "GET", path)
    bad = deployment("bad")
    for label, spec in (
        ("without a selector", {"selector": None}), ("with another selector", {"selector": {"matchLabels": {"app": "x"}}}),
        ("with negative replicas", {"replicas": -1}), ("with text for replicas", {"replicas": "two"}),
        ("without a template", {"template": None}), ("with a wrong strategy", {"strategy": {"type": "Sometimes"}}),
        ("with a negative deadline", {"progressDeadlineSeconds": -1}),
    ):  # fmt: skip
        side.ask(f"create {label}", "POST", "deployments", bad | {"spec": bad["spec"] | spec})
    for label, one in (
        ("without an image", {"name": "app"}), ("without a container's name", {"image": "a:1"}),
        ("with a wrong quantity", container(resources={"limits": {"memory": "much"}})),
        ("with a request above its limit", container(resources={"limits": {"cpu": "1"}, "requests": {"cpu": "2"}})),
        ("with a wrong container name", container() | {"name": "A_b"}),
        ("with a wrong pull policy", container(imagePullPolicy="Rarely")),
        ("with a wrong port", container(ports=[{"containerPort": 99999}])),
    ):  # fmt: skip
        template = {"metadata": {"labels": {"app": "bad"}}, "spec": {"containers": [one]}}
        side.ask(f"create {label}", "POST", "deployments", bad | {"spec": bad["spec"] | {"template": template}})
    twice = {"metadata": {"labels": {"app": "bad"}}, "spec": {"containers": [container(), container()]}}
    side.ask("create with two of a name", "POST", "deployments", bad | {"spec": bad["spec"] | {"template": twice}})
    none = {"metadata": {"labels": {"app": "bad"}}, "spec": {"containers": []}}
    side.ask("create without containers", "POST", "deployments", bad | {"spec": bad["spec"] | {"template": none}})

    two = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": f"{IMAGE}:3.8"}]}}}}
    side.ask("strategic image", "PATCH", path, two, kind=STRATEGIC)
    aside = {"spec": {"template": {"spec": {"containers": [{"name": "aside", "image": f"{IMAGE}:3.7"}]}}}}
    side.ask("strategic sidecar", "PATCH", path, aside, kind=STRATEGIC)
    side.ask(
        "strategic delete",
        "PATCH",
        path,
        {"spec": {"template": {"spec": {"containers": [{"name": "aside", "$patch": "delete"}]}}}},
        kind=STRATEGIC,
    )
    env = {"spec": {"template": {"spec": {"containers": [{"name": "app", "env": [{"name": "A", "value": "1"}]}]}}}}
    side.ask("strategic env", "PATCH", path, env, kind=STRATEGIC)
    side.ask(
        "merge containers",
        "PATCH",
        path,
        {"spec": {"template": {"spec": {"containers": [container("3.7")]}}}},
        kind=MERGE,
    )
    side.ask(
        "json image",
        "PATCH",
        path,
        [{"op": "replace", "path": f"{TEMPLATE}/image", "value": f"{IMAGE}:3.6"}],
        kind=JSON_PATCH,
    )
    side.ask("json resources", "PATCH", path, [{"op": "add", "path": f"{TEMPLATE}/resources", "value": {"limits": {"memory": "64Mi", "cpu": "500m"}}}], kind=JSON_PATCH)  # fmt: skip
    side.ask("json wrong container", "PATCH", path, [{"op": "replace", "path": "/spec/template/spec/containers/7/image", "value": "x"}], kind=JSON_PATCH)  # fmt: skip
    restarted = {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}
    side.ask("restart", "PATCH", path, {"spec": {"template": {"metadata": {"annotations": restarted}}}}, kind=STRATEGIC)
    side.ask(
        "change the selector", "PATCH", path, {"spec": {"selector": {"matchLabels": {"app": "other"}}}}, kind=MERGE
    )
    side.ask(
        "change what the selector selects",
        "PATCH",
        path,
        {"spec": {"template": {"metadata": {"labels": {"app": "other"}}}}},
        kind=MERGE,
    )
    side.ask("request above the limit", "PATCH", path, [{"op": "add", "path": f"{TEMPLATE}/resources/requests", "value": {"memory": "1Gi"}}], kind=JSON_PATCH)  # fmt: skip
    generation = side.quiet("GET", path).body["metadata"]["generation"]
    labelled = side.ask("label it", "PATCH", path, {"metadata": {"labels": {"x": "y"}}}, kind=MERGE)
    paused = side.ask("pause it no more", "PATCH", path, {"spec": {"replicas": 0}}, kind=MERGE, dryRun="All")
    moved = [answer.body["metadata"]["generation"] - generation for answer in (labelled, paused)]
    side.note("how generation grows", Answer(200, {"moved": moved}))
    side.ask(
        "status alone", "PATCH", f"{path}/status", {"spec": {"replicas": 9}, "status": {"replicas": 0}}, kind=MERGE
    )
    side.ask("read status", "GET", f"{path}/status")
    side.ask("list by label", "GET", "deployments", labelSelector="app=web")
    side.ask("delete in a dry-run", "DELETE", path, dryRun="All")
    side.ask("delete", "DELETE", path, {"propagationPolicy": "Background"})


def scale(side: Side) -> None:
    """The scale subresource."""
    path = "deployments/sized/scale"
    side.quiet("POST", "deployments", deployment("sized"))
    side.until(lambda: (side.quiet("GET", "deployments/sized").body.get("status") or {}).get("observedGeneration") == 1)
    side.ask("read", "GET", path)
    old = side.quiet("GET", path).body
    for label, dry in (("patch in a dry-run", {"dryRun": "All"}), ("patch", {})):
        side.ask(label, "PATCH", path, {"spec": {"replicas": 3}}, kind=MERGE, **dry)
    side.ask("json patch", "PATCH", path, [{"op": "replace", "path": "/spec/replicas", "value": 4}], kind=JSON_PATCH)
    side.ask(
        "replace", "PUT", path, {"metadata": {"name": "sized", "namespace": side.namespace}, "spec": {"replicas": 1}}
    )
    side.ask("replace stale", "PUT", path, old)
    side.ask("negative", "PATCH", path, {"spec": {"replicas": -1}}, kind=MERGE)
    side.ask(
        "another uid",
        "PUT",
        path,
        {"metadata": {"name": "sized", "namespace": side.namespace, "uid": "0000"}, "spec": {"replicas": 1}},
    )
    side.ask("of what is not there", "GET", "deployments/none/scale")
    side.ask("patch what is not there", "PATCH", "deployments/none/scale", {"spec": {"replicas": 1}}, kind=MERGE)
    side.ask("delete it", "DELETE", path)
    side.ask("the Deployment", "GET", "deployments/sized")


def owned(side: Side) -> None:
    """Server-side apply to lists that are merged by a key."""
    path = "deployments/owned"

    def body(*containers: Obj, **spec: Any) -> Obj:
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "owned"}, "spec": {
            "selector": {"matchLabels": {"app": "owned"}}, "paused": True,
            "template": {"metadata": {"labels": {"app": "owned"}}, "spec": {"containers": list(containers)}}} | spec}  # fmt: skip

    def ask(label: str, by: str, data: Obj, **more: Any) -> None:
        side.ask(label, "PATCH", path, data, kind=APPLY, fieldManager=by, **more)

    ask("apply creates", "one", body(container(), replicas=2))
    ask("another applies the image", "two", body(container("3.8"), replicas=2))
    ask("another applies replicas", "two", body(container(), replicas=5))
    ask("another adds a container", "two", body(container(), {"name": "aside", "image": f"{IMAGE}:3.7"}))
    ask(
        "another forces the image",
        "two",
        body(container("3.8"), {"name": "aside", "image": f"{IMAGE}:3.7"}),
        force="true",
    )
    ask("another lets its container go", "two", body(container("3.8")))
    ask("apply what is wrong", "two", body(container("3.8"), replicas=-1))
    side.ask("read", "GET", path)
    side.quiet("PATCH", f"{path}/scale", {"spec": {"replicas": 7}}, kind=MERGE, fieldManager="scaler")
    # Kubernetes before 1.22 does not note who scaled
    ask("apply after a scale", "one", body(container("3.8"), replicas=2), since=22)
    ask("apply without replicas", "one", body(container("3.8")), since=22)


def pods(side: Side) -> None:
    """Pods: defaults, what may change, logs, deletion with and without grace."""
    alone = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "alone", "labels": {"app": "alone"}}, "spec": {
        "containers": [container(), container() | {"name": "aside"}], "automountServiceAccountToken": False,
        "nodeName": side.home}}  # fmt: skip
    side.ask("create", "POST", "pods", alone)
    side.until(lambda: side.quiet("GET", "pods/alone").body["status"].get("phase") == "Running")
    side.ask("read", "GET", "pods/alone")
    side.ask("log of what is not there", "GET", "pods/none/log")
    side.ask("log of an unknown container", "GET", "pods/alone/log", container="none")
    side.ask("log of two containers", "GET", "pods/alone/log")
    side.ask("change its node", "PATCH", "pods/alone", {"spec": {"nodeName": side.nodes[1]}}, kind=MERGE)
    side.ask(
        "change its image",
        "PATCH",
        "pods/alone",
        {"spec": {"containers": [{"name": "app", "image": f"{IMAGE}:3.8"}]}},
        kind=STRATEGIC,
    )
    side.ask("change its restart policy", "PATCH", "pods/alone", {"spec": {"restartPolicy": "Never"}}, kind=MERGE)
    side.ask("label it", "PATCH", "pods/alone", {"metadata": {"labels": {"x": "y"}}}, kind=MERGE)
    side.ask("list by node", "GET", "pods", fieldSelector=f"spec.nodeName={side.home}", labelSelector="app=alone")
    side.ask("list by phase", "GET", "pods", fieldSelector="status.phase=Running", labelSelector="app=alone")
    side.ask("list by not phase", "GET", "pods", fieldSelector="status.phase!=Running", labelSelector="app=alone")
    side.ask("list by an unknown field", "GET", "pods", fieldSelector="spec.priority=0")
    side.ask("delete in a dry-run", "DELETE", "pods/alone", {"dryRun": ["All"]})
    side.ask("delete another uid", "DELETE", "pods/alone", {"preconditions": {"uid": "0000"}})
    side.ask("delete", "DELETE", "pods/alone", {"gracePeriodSeconds": 1})
    side.until(lambda: side.quiet("GET", "pods/alone").code == 404)
    side.ask("it is gone", "GET", "pods/alone")
    side.quiet("POST", "pods", alone)
    side.ask("delete at once", "DELETE", "pods/alone", {"gracePeriodSeconds": 0})
    side.ask("it is gone at once", "GET", "pods/alone")


GROUPS = (deployments, scale, owned, pods)
