"""Requests that are refused for who asks, for a budget, a quota or a webhook; and kubectl against both sides."""

import re
import subprocess
import tempfile
from pathlib import Path

import yaml

from tests.cluster.api import MERGE, Answer, Obj
from tests.cluster.sides import Side, config, container, deployment
from tests.cluster.webhook import refusing

WEBHOOKS = "validatingwebhookconfigurations"
KUBECTL_S = 60


def rights(side: Side) -> None:
    """What the reader and the actor may and may not do, asked and tried."""
    side.quiet("POST", "deployments", deployment("guarded"))
    side.quiet("POST", "configmaps", config("guarded"))
    patch = {"metadata": {"annotations": {"a": "b"}}}
    for who in ("reader", "actor"):
        for method, path, body in (
            ("GET", "pods", None), ("GET", "deployments/guarded", None), ("GET", "secrets", None), ("GET", "secrets/keys", None),
            ("GET", "configmaps/guarded", None), ("GET", "configmaps", None), ("GET", "events", None), ("GET", "/api/v1/nodes", None),
            ("GET", "/api/v1/namespaces", None), ("GET", "replicasets", None), ("GET", "poddisruptionbudgets", None),
            ("PATCH", "deployments/guarded", patch), ("PATCH", "configmaps/guarded", patch), ("PATCH", "deployments/guarded/scale", {"spec": {"replicas": 0}}),
            ("PATCH", "services/guarded", patch), ("DELETE", "deployments/guarded", None), ("DELETE", "pods/none", None),
            ("DELETE", "pods", None), ("DELETE", "configmaps/guarded", None), ("POST", "pods", {"metadata": {"name": "x"}}),
            ("POST", "pods/none/eviction", {"metadata": {"name": "none"}}), ("PUT", "deployments/guarded", deployment("guarded")),
            ("GET", "horizontalpodautoscalers", None), ("GET", "resourcequotas", None), ("GET", "pods/none/log", None),
            ("GET", "statefulsets", None), ("GET", "ingresses", None), ("GET", "persistentvolumeclaims", None),
            ("DELETE", "/api/v1/nodes/no-such-node", None), ("POST", "secrets", {"metadata": {"name": "x"}}),
        ):  # fmt: skip
            # what is allowed is compared by its code alone: its content is other groups' matter
            side.ask(
                f"{who}: {method} {path}",
                method,
                path,
                body,
                by=who,
                kind=MERGE if method == "PATCH" else "application/json",
                fields=(),
            )
    for who in ("reader", "actor", "admin"):
        for verb, group, resource in (
            ("get", "", "pods"), ("delete", "", "pods"), ("create", "", "pods/eviction"), ("patch", "apps", "deployments"),
            ("update", "apps", "deployments"), ("get", "", "secrets"), ("patch", "", "nodes"), ("create", "batch", "jobs"), ("*", "*", "*"),
        ):  # fmt: skip
            wanted = {"verb": verb, "group": group, "resource": resource.partition("/")[0], "namespace": side.namespace}
            wanted |= {"subresource": resource.partition("/")[2]} if "/" in resource else {}
            review = {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": wanted},
            }
            answer = side.apis[who].post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
            side.note(
                f"may {who} {verb} {resource}",
                Answer(answer.code, {"allowed": (answer.body.get("status") or {}).get("allowed")}),
            )
    side.ask("a wrong token", "GET", "pods", by="nobody")
    side.ask("a wrong token elsewhere", "GET", "/api/v1/nosuch", by="nobody")


def evictions(side: Side) -> None:
    """Evictions that a budget allows, forbids, or cannot judge."""
    side.quiet("POST", "deployments", deployment("kept", paused=False, replicas=2))

    def ready() -> bool:
        return (side.quiet("GET", "deployments/kept").body.get("status") or {}).get("readyReplicas") == 2

    side.until(ready)
    name = side.quiet("GET", "pods", labelSelector="app=kept").body["items"][0]["metadata"]["name"]
    version = side.version("policy", "poddisruptionbudgets")

    def evict(label: str, options: Obj | None = None, named: str = name, **query: str) -> None:
        body = {
            "apiVersion": f"policy/{version}",
            "kind": "Eviction",
            "metadata": {"name": named, "namespace": side.namespace},
        }
        more = {"deleteOptions": options} if options else {}
        answer = side.apis["admin"].post(
            side.path(f"pods/{name if named == name else 'none'}/eviction"), body | more, **query
        )
        text = {"code": answer.code} | {key: answer.body.get(key) for key in ("kind", "status", "reason")}
        causes = (answer.body.get("details") or {}).get("causes") or []
        text["causes"] = [
            [each.get("reason"), each.get("message")] for each in causes if each.get("reason") == "DisruptionBudget"
        ]
        side.note(label, Answer(answer.code, text))

    evict("another uid", {"preconditions": {"uid": "0000"}})
    evict("what is not there", named="none")
    budget = {"metadata": {"name": "keep"}, "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "kept"}}}}
    side.ask("create a budget", "POST", "poddisruptionbudgets", budget)
    side.until(
        lambda: (side.quiet("GET", "poddisruptionbudgets/keep").body.get("status") or {}).get("currentHealthy") == 2
    )
    state = side.quiet("GET", "poddisruptionbudgets/keep").body.get("status") or {}
    numbers = {
        key: state.get(key) for key in ("currentHealthy", "desiredHealthy", "disruptionsAllowed", "expectedPods")
    }
    side.note("the budget's numbers", Answer(200, numbers))
    evict("held by its budget")
    evict("held in a dry-run", dryRun="All")
    side.quiet("POST", "poddisruptionbudgets", budget | {"metadata": {"name": "second"}})
    evict("two budgets")
    side.quiet("DELETE", "poddisruptionbudgets/second")
    side.quiet("DELETE", "poddisruptionbudgets/keep")
    evict("allowed in a dry-run", dryRun="All")
    evict("allowed")
    side.until(ready)
    side.ask(
        "a budget without a selector's sense",
        "POST",
        "poddisruptionbudgets",
        {"metadata": {"name": "x"}, "spec": {"minAvailable": 1, "maxUnavailable": 1}},
    )


def quotas(side: Side) -> None:
    """A quota on pods; in the end it is gone, so that the other groups have room."""
    pod = {"metadata": {"name": "extra"}, "spec": {"containers": [container()], "automountServiceAccountToken": False}}

    def counted(quota: str, key: str) -> bool:
        return key in ((side.quiet("GET", f"resourcequotas/{quota}").body.get("status") or {}).get("used") or {})

    side.ask(
        "create a quota", "POST", "resourcequotas", {"metadata": {"name": "room"}, "spec": {"hard": {"pods": "0"}}}
    )
    side.until(lambda: counted("room", "pods"))
    side.ask("a pod beyond it", "POST", "pods", pod)
    side.ask("beyond it in a dry-run", "POST", "pods", pod, dryRun="All", fields=())
    side.quiet("DELETE", "resourcequotas/room")
    side.ask(
        "create a quota on memory",
        "POST",
        "resourcequotas",
        {"metadata": {"name": "memory"}, "spec": {"hard": {"requests.memory": "1Gi"}}},
    )
    side.until(lambda: counted("memory", "requests.memory"))
    side.ask("a pod that says no memory", "POST", "pods", pod)
    side.quiet("DELETE", "resourcequotas/memory")
    side.until(lambda: side.quiet("POST", "pods", pod, dryRun="All").ok)


def limit_ranges(side: Side) -> None:
    """What a LimitRange gives a pod that says nothing, and what it refuses."""
    item = {"type": "Container", "max": {"memory": "1Gi"}, "min": {"cpu": "10m"}, "default": {"cpu": "500m"}}
    side.ask("create", "POST", "limitranges", {"metadata": {"name": "bounds"}, "spec": {"limits": [item]}})

    def pod(**resources: Obj) -> Obj:
        spec = {"containers": [container(resources=resources)], "automountServiceAccountToken": False}
        return {"metadata": {"name": "bound"}, "spec": spec}

    side.until(lambda: not side.quiet("POST", "pods", pod(limits={"memory": "2Gi"}), dryRun="All").ok)
    side.ask("says nothing", "POST", "pods", pod(), dryRun="All")
    side.ask("says its limits", "POST", "pods", pod(limits={"memory": "64Mi", "cpu": "1"}), dryRun="All")
    side.ask("above the maximum", "POST", "pods", pod(limits={"memory": "2Gi"}), dryRun="All")
    side.ask("below the minimum", "POST", "pods", pod(requests={"cpu": "1m"}), dryRun="All")
    side.quiet("DELETE", "limitranges/bounds")
    side.until(lambda: side.quiet("POST", "pods", pod(limits={"memory": "2Gi"}), dryRun="All").ok)


def webhooks(side: Side) -> None:
    """A validating webhook that refuses, one that cannot be reached, and one that need not be."""
    space = f"/api/v1/namespaces/{side.namespace}"
    side.quiet("PATCH", space, {"metadata": {"labels": {"hooked": side.namespace}}}, kind=MERGE)

    def hook(url: str, ca: str, policy: str) -> Obj:
        rule = {
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "operations": ["CREATE", "UPDATE", "DELETE"],
            "resources": ["configmaps"],
        }
        one = {
            "name": "guard.tocsin.test", "clientConfig": {"url": url, "caBundle": ca}, "rules": [rule], "failurePolicy": policy,
            "sideEffects": "None", "admissionReviewVersions": ["v1"], "timeoutSeconds": 3,
            "namespaceSelector": {"matchLabels": {"hooked": side.namespace}},
        }  # fmt: skip
        return {"metadata": {"name": side.namespace, "labels": {"tocsin.dev/test": side.namespace}}, "webhooks": [one]}

    with refusing() as (url, ca):
        side.quiet("POST", "configmaps", config("held"))
        side.quiet("POST", WEBHOOKS, hook(url, ca, "Fail"))
        side.until(lambda: not side.quiet("POST", "configmaps", config("probe-denied"), dryRun="All").ok)
        side.ask("denied", "POST", "configmaps", config("denied"))
        side.ask("denied in a dry-run", "POST", "configmaps", config("denied"), dryRun="All")
        side.ask("denied with its own code", "POST", "configmaps", config("denied-409"))
        side.ask("denied update", "PATCH", "configmaps/held", {"data": {"denied": "1"}}, kind=MERGE)
        side.ask("denied delete", "DELETE", "configmaps/held")
        side.ask("allowed", "POST", "configmaps", config("welcome"))
        side.ask("denied left nothing", "GET", "configmaps/denied")
        side.quiet("DELETE", f"{WEBHOOKS}/{side.namespace}")
        gone = url
    side.until(lambda: side.quiet("POST", "configmaps", config("probe-denied"), dryRun="All").ok)
    side.quiet("POST", WEBHOOKS, hook(gone, ca, "Fail"))
    side.until(lambda: not side.quiet("POST", "configmaps", config("probe"), dryRun="All").ok)
    side.ask("unreachable", "POST", "configmaps", config("late"))
    side.quiet("DELETE", f"{WEBHOOKS}/{side.namespace}")
    side.quiet("POST", WEBHOOKS, hook(gone, ca, "Ignore"))
    side.until(lambda: side.quiet("POST", "configmaps", config("probe"), dryRun="All").ok)
    side.ask("unreachable and ignored", "POST", "configmaps", config("late"))
    side.quiet("DELETE", f"{WEBHOOKS}/{side.namespace}")


def kubectl(side: Side) -> None:
    """What people type: its exit code and what it prints, ages and random names put aside."""
    manifest = yaml.safe_dump(deployment("typed", paused=False) | {"status": None})
    with tempfile.TemporaryDirectory() as folder:
        admin = side.apis["admin"]
        if not side.real:  # kubectl sends no credentials without TLS
            admin = type(admin)(admin.access, "", f"{admin.prefix}/token/{admin.token}")
        config_file = admin.kubeconfig(Path(folder) / "config", side.namespace)
        (Path(folder) / "typed.yaml").write_text(manifest)

        def run(words: str, *, shown: bool = True) -> None:
            command = [
                "kubectl",
                f"--kubeconfig={config_file}",
                f"--cache-dir={folder}/cache",
                *words.replace("FILE", f"{folder}/typed.yaml").split(),
            ]
            done = subprocess.run(command, capture_output=True, text=True, timeout=KUBECTL_S, check=False)
            text = _typed(done.stdout + done.stderr, folder) if shown else ""
            label = words.replace(side.nodes[1], "NODE").replace(side.namespace, "NAMESPACE")
            side.note(f"kubectl {label}", Answer(200, {"exit": done.returncode, "said": text.splitlines()}))

        run("apply -f FILE")
        run("apply -f FILE")
        run("rollout status deployment/typed --timeout=30s", shown=False)
        run("get deployment typed")
        run("get deployment typed -o name")
        run("get deployment typed -o jsonpath={.spec.replicas}")
        run("get pods -l app=typed --no-headers")
        run("describe deployment typed", shown=False)
        run("set image deployment/typed app=registry.k8s.io/pause:3.8")
        run("rollout status deployment/typed --timeout=30s", shown=False)
        run("rollout history deployment/typed")
        run("rollout undo deployment/typed")
        run("scale deployment typed --replicas=1")
        run("rollout pause deployment/typed")
        run("rollout resume deployment/typed")
        run("rollout restart deployment/typed")
        run("label deployment typed team=shop")
        run("annotate deployment typed a=b")
        side.quiet("POST", "configmaps", config("shown", a="1", b="2"))
        side.quiet("POST", "secrets", {"metadata": {"name": "shown"}, "stringData": {"a": "1"}})
        budget = {"minAvailable": 1, "selector": {"matchLabels": {"app": "typed"}}}
        side.quiet("POST", "poddisruptionbudgets", {"metadata": {"name": "typed"}, "spec": budget})
        for kind in ("configmap shown", "secret shown", f"namespace {side.namespace}"):
            run(f"get {kind}")
        run("get replicasets -l app=typed -o name", shown=False)
        run("get poddisruptionbudgets typed -o jsonpath={.spec}")
        side.until(lambda: side.quiet("GET", "deployments/typed").body["status"].get("observedGeneration", 0) >= 5)
        for words in (
            "cordon",
            "drain --ignore-daemonsets --delete-emptydir-data --force --timeout=20s --pod-selector=app=none",
            "uncordon",
        ):
            command, _, options = words.partition(" ")
            run(f"{command} {side.nodes[1]} {options}".strip(), shown=command != "drain")
        run("get configmap none")
        run("get nosuch")
        run("apply --server-side -f FILE --field-manager=typist", shown=False)
        run("auth can-i delete pods")
        run("delete deployment typed")


def _typed(text: str, folder: str) -> str:
    text = re.sub(r"-[a-z0-9]{8,10}-[a-z0-9]{5}\b", "-HASH-ID", text.replace(folder, "FOLDER"))
    text = re.sub(r"\b\d+[smh]\b", "AGE", text)
    text = re.sub(r"^Warning: .*\n", "", text, flags=re.MULTILINE)  # what a server deprecates is its version's matter
    return re.sub(r"[ \t]+", " ", re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE))


GROUPS = (rights, evictions, quotas, limit_ranges, webhooks, kubectl)
