"""What else the changes plug-in tells: rollbacks, other kinds of workloads, nodes, the autoscaler, delivery tools, commits."""

import base64
import gzip
import json
from datetime import timedelta

import pytest

from tests.unit.tools.fakes import APPS, CORE, FakeCluster, add_event, add_service, ago, serve, template
from tools.access import Access
from tools.commits import Repository, repository_of
from tools.errors import Permanent
from tools.evidence import changes
from tools.gitops import release_of
from tools.kube import Kube
from tools.records import Scope
from tools.sources import Sources


class Everything(FakeCluster):
    """The fake cluster, listing every collection that it holds."""

    def __call__(self, method, path, query, body, headers):
        self.absent = ()
        held = [obj for where, obj in self.objects.items() if where.rsplit("/", 1)[0] == path]
        if held and method == "GET":
            for part, (status, message) in self.refuse.items():
                if part in path:
                    return status, {"message": message}
            return 200, {"kind": "List", "metadata": {}, "items": held}
        return super().__call__(method, path, query, body, headers)


@pytest.fixture
def cluster() -> FakeCluster:
    return Everything()


async def look(kube: Kube, scope: Scope, *repositories: Repository):
    seen = await changes.collect(scope, Sources(kube=kube, repositories=repositories))
    assert not seen.error, seen.error
    return seen


def scaled(cluster: FakeCluster, which: str, way: str, numbers: tuple[int, int], age: float) -> None:
    message = f"Scaled {way} replica set checkout-{which} to {numbers[1]} from {numbers[0]}"
    add_event(cluster, "Deployment", "checkout", "ScalingReplicaSet", message, age=age)


def rolled_back(cluster: FakeCluster) -> None:
    """v1 -> v2 ten minutes ago -> back to v1 (now revision 3) a minute ago, each three replicas wide."""
    add_service(
        cluster, "checkout", [template("checkout", "c:1"), template("checkout", "c:2")], replicas=3, ages=[9e5, 600]
    )
    for which, age, up, down in (("hash2", 600, "hash2", "hash1"), ("hash1", 90, "hash1", "hash2")):
        assert which == up
        for number in range(3):
            scaled(cluster, up, "up", (number, number + 1), age - 4 * number)
            scaled(cluster, down, "down", (3 - number, 2 - number), age - 4 * number - 2)
    first = cluster.objects[f"{APPS}/replicasets/checkout-hash1"]["metadata"]["annotations"]
    first |= {"deployment.kubernetes.io/revision": "3", "deployment.kubernetes.io/revision-history": "1"}


async def test_after_a_rollback_the_steps_of_both_rollouts_are_no_scalings(cluster, kube, scope):
    rolled_back(cluster)
    seen = await look(kube, scope)
    assert [found.kind for found in seen.findings] == ["rollout"]
    (found,) = seen.findings
    assert (found.data["revision"], found.data["before"], found.data["after"]) == (3, "c:2", "c:1")
    assert 50 <= found.data["age_s"] <= 65  # when the rollback began, not when the old revision was made
    assert "a rollback" in found.statement
    assert "scaled" not in seen.body


async def test_a_scaling_after_the_rollback_is_one(cluster, kube, scope):
    rolled_back(cluster)
    scaled(cluster, "hash1", "down", (3, 0), 45)
    seen = await look(kube, scope)
    (found,) = [found for found in seen.findings if found.kind == "scaled"]
    assert (found.data["from"], found.data["to"]) == (3, 0)


@pytest.mark.parametrize(("plural", "kind"), [("statefulsets", "StatefulSet"), ("daemonsets", "DaemonSet")])
async def test_other_workloads_keep_their_revisions_elsewhere(plural, kind, cluster, kube, scope):
    after = template("checkout", "c:2", memory="64Mi")
    owner = {"kind": kind, "metadata": {"name": "checkout", "namespace": "shop"}, "spec": {"template": after}}
    cluster.put(f"{APPS}/{plural}", owner)
    for number, tmpl, age in ((4, template("checkout", "c:1"), 9e5), (5, after, 60)):
        cluster.put(f"{APPS}/controllerrevisions", {
            "kind": "ControllerRevision", "revision": number, "data": {"spec": {"template": {**tmpl, "$patch": "replace"}}},
            "metadata": {"name": f"checkout-{number}", "namespace": "shop", "creationTimestamp": ago(age),
                         "ownerReferences": [{"kind": kind, "name": "checkout", "uid": owner["metadata"]["uid"]}]},
        })  # fmt: skip
    (found,) = (await look(kube, scope)).findings
    assert found.kind == "rollout"
    assert (found.data["revision"], found.data["what"]) == (5, "image")
    assert "256Mi -> 64Mi" in found.data["changes"]
    assert "deployment" not in found.data  # nobody may suggest to undo a Deployment that is none


def node(cluster: FakeCluster, called: str, *, ready: str = "True", since: float = 9e5, taints=()) -> None:
    cluster.put("/api/v1/nodes", {
        "kind": "Node", "metadata": {"name": called, "creationTimestamp": ago(9e5)}, "spec": {"taints": list(taints)},
        "status": {"conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": ago(since)}]},
    })  # fmt: skip


async def test_the_node_it_runs_on_weighs_more_than_another(cluster, kube, scope):
    add_service(cluster, "checkout", [template("checkout", "c:1")])
    for obj in cluster.objects.values():
        if obj.get("kind") == "Pod":
            obj["spec"] = {**obj["spec"], "nodeName": "worker-1"}
    node(cluster, "worker-1", ready="Unknown", since=60)
    node(cluster, "worker-2", taints=[{"key": "node.kubernetes.io/unschedulable", "timeAdded": ago(60)}])
    first, second = (await look(kube, scope)).findings
    assert (first.kind, first.data["node"], first.data["what"]) == ("node_changed", "worker-1", "became not ready")
    assert "where checkout runs" in first.statement
    assert (second.data["node"], second.data["what"]) == ("worker-2", "was cordoned")
    assert first.score > 2 * second.score


async def test_the_autoscalers_moves_are_told_once_and_as_its_own(cluster, kube, scope):
    add_service(cluster, "checkout", [template("checkout", "c:1")])
    cluster.put("/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers", {
        "kind": "HorizontalPodAutoscaler", "metadata": {"name": "checkout", "namespace": "shop"},
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "checkout"}, "maxReplicas": 6}, "status": {},
    })  # fmt: skip
    add_event(
        cluster,
        "HorizontalPodAutoscaler",
        "checkout",
        "SuccessfulRescale",
        "New size: 6; reason: cpu above target",
        age=60,
    )
    scaled(cluster, "hash1", "up", (2, 6), 59)
    (found,) = (await look(kube, scope)).findings
    assert found.kind == "autoscaled"
    assert "New size: 6; reason: cpu above target, its maximum" in found.statement


def helm_secret(version: int, chart: str, status: str, age: float) -> dict[str, object]:
    release = {
        "version": version, "name": "shop", "config": {"password": "hunter2"}, "manifest": "kind: Secret",
        "info": {"status": status, "last_deployed": ago(age), "description": "Upgrade complete"},
        "chart": {"metadata": {"name": "checkout", "version": chart}, "values": {"token": "hunter2"}},
    }  # fmt: skip
    packed = base64.b64encode(base64.b64encode(gzip.compress(json.dumps(release).encode()))).decode()
    labels = {"owner": "helm", "name": "shop", "version": str(version), "status": status}
    meta = {"name": f"sh.helm.release.v1.shop.v{version}", "namespace": "shop", "labels": labels}
    return {"kind": "Secret", "type": "helm.sh/release.v1", "metadata": meta, "data": {"release": packed}}


async def test_a_helm_release_is_told_by_its_chart_and_nothing_of_its_values(cluster, kube, scope):
    obj = add_service(cluster, "checkout", [template("checkout", "c:1")])
    obj["metadata"]["annotations"]["meta.helm.sh/release-name"] = "shop"
    cluster.put(f"{CORE}/secrets", helm_secret(7, "1.4.0", "superseded", 9e4))
    cluster.put(f"{CORE}/secrets", helm_secret(8, "1.5.0", "deployed", 60))
    seen = await look(kube, scope)
    (found,) = seen.findings
    assert (found.kind, found.data["tool"], found.data["revision"]) == ("delivered", "Helm", "8")
    assert "release 8 of checkout-1.5.0, before checkout-1.4.0 (deployed: Upgrade complete)" in found.statement
    assert "hunter2" not in seen.model_dump_json()


async def test_without_the_right_to_read_releases_it_says_so_and_goes_on(cluster, kube, scope):
    obj = add_service(cluster, "checkout", [template("checkout", "c:1"), template("checkout", "c:2")], ages=[9e5, 60])
    obj["metadata"]["annotations"]["meta.helm.sh/release-name"] = "shop"
    cluster.put(f"{CORE}/secrets", helm_secret(8, "1.5.0", "deployed", 60))
    cluster.refuse["/secrets"] = (403, "secrets is forbidden")
    seen = await look(kube, scope)
    assert [found.kind for found in seen.findings] == ["rollout"]
    assert "not read:" in seen.body
    assert "secrets is forbidden" in seen.body


@pytest.mark.parametrize("data", [{}, {"release": "!"}, {"release": base64.b64encode(b"AAAA").decode()}, None])
def test_what_is_no_release_is_refused_by_name(data):
    with pytest.raises(Permanent, match="Secret odd: no Helm release"):
        release_of({"metadata": {"name": "odd"}, "data": data})


async def test_argo_cd_syncs_name_the_revisions(cluster, kube, scope):
    obj = add_service(cluster, "checkout", [template("checkout", "c:1")])
    obj["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"] = "shop-app:apps/Deployment:shop/checkout"
    cluster.put("/apis/argoproj.io/v1alpha1/applications", {
        "kind": "Application", "metadata": {"name": "shop-app", "namespace": "argocd"},
        "status": {
            "history": [{"id": 1, "revision": "a" * 40, "deployedAt": ago(9e4)}, {"id": 2, "revision": "b" * 40, "deployedAt": ago(60)}],
            "operationState": {"phase": "Failed", "message": "one or more {objects} failed", "finishedAt": ago(40)},
        },
    })  # fmt: skip
    found = {
        one.data["after"] if "after" in one.data else one.data["phase"]: one
        for one in (await look(kube, scope)).findings
    }
    assert found["b" * 12].statement.startswith(f"Argo CD shop-app synced {'b' * 12}, before {'a' * 12}")
    assert "failed to sync: one or more (objects) failed" in found["Failed"].statement


async def test_flux_tells_what_it_applied_and_what_it_could_not(cluster, kube, scope):
    obj = add_service(cluster, "checkout", [template("checkout", "c:1")])
    obj["metadata"]["labels"] |= {
        "kustomize.toolkit.fluxcd.io/name": "shop",
        "kustomize.toolkit.fluxcd.io/namespace": "flux",
    }
    obj["metadata"]["labels"] |= {"helm.toolkit.fluxcd.io/name": "checkout", "helm.toolkit.fluxcd.io/namespace": "flux"}
    cluster.put("/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/flux/kustomizations", {
        "kind": "Kustomization", "metadata": {"name": "shop", "namespace": "flux"},
        "status": {"lastAppliedRevision": "main@sha1:abc", "lastAttemptedRevision": "main@sha1:def", "conditions": [
            {"type": "Ready", "status": "False", "reason": "HealthCheckFailed", "message": "timeout", "lastTransitionTime": ago(60)}]},
    })  # fmt: skip
    cluster.put("/apis/helm.toolkit.fluxcd.io/v2beta2/namespaces/flux/helmreleases", {
        "kind": "HelmRelease", "metadata": {"name": "checkout", "namespace": "flux"},
        "status": {"history": [{"chartName": "checkout", "chartVersion": "1.5.0", "version": 8, "status": "deployed", "lastDeployed": ago(50)}]},
    })  # fmt: skip
    said = {one.data["tool"]: one.statement for one in (await look(kube, scope)).findings}
    assert "failed to apply main@sha1:def: HealthCheckFailed: timeout" in said["Flux Kustomization"]
    assert "deployed chart checkout 1.5.0 (release 8, deployed)" in said["Flux HelmRelease"]


GITHUB = {
    "html_url": "https://github.com/acme/shop/compare/v1...v2", "total_commits": 2,
    "commits": [
        {"sha": "1" * 40, "commit": {"message": "First\n\nbody", "author": {"name": "Ann"}}},
        {"sha": "2" * 40, "commit": {"message": "Halve the pool", "author": {"name": "Bob"}}},
    ],
}  # fmt: skip
GITLAB = {
    "web_url": "https://gitlab.com/acme/shop/-/compare/v1...v2",
    "commits": [
        {"id": "1" * 40, "title": "First", "author_name": "Ann"},
        {"id": "2" * 40, "title": "Halve the pool", "author_name": "Bob"},
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("host", "answer", "path", "header"),
    [
        ("github", GITHUB, "/repos/acme/shop/compare/v1...v2", ("Authorization", "Bearer s3cret")),
        ("gitlab", GITLAB, "/api/v4/projects/acme%2Fshop/repository/compare", ("Private-Token", "s3cret")),
    ],
)
async def test_the_commits_between_two_tags_are_listed_newest_first(host, answer, path, header, cluster, kube, scope):
    add_service(
        cluster,
        "checkout",
        [template("checkout", "reg:5000/shop/checkout:1"), template("checkout", "reg:5000/shop/checkout:2")],
        ages=[9e5, 60],
    )
    asked = []

    def api(_method, where, query, _body, headers):
        asked.append((where, query, headers))
        return 200, answer

    access = Access(token="s3cret") if host == "github" else Access(headers={"PRIVATE-TOKEN": "s3cret"})
    with serve(api) as url:
        seen = await look(kube, scope, Repository("reg:5000/shop", host, "acme/shop", url, "v{tag}", access))
    (where, query, headers) = asked[0]
    assert where == path
    assert {name.lower(): value for name, value in headers.items()}[header[0].lower()] == header[1]
    assert host == "github" or (query["from"], query["to"]) == (["v1"], ["v2"])
    assert seen.findings[0].data["commits"] == 2
    assert seen.findings[0].data["newest_commit"] == "22222222 Halve the pool (Bob)"
    assert seen.body.index("Halve the pool") < seen.body.index("11111111 First (Ann)")
    assert "s3cret" not in seen.model_dump_json()


async def test_a_host_that_fails_costs_the_commits_and_not_the_rollout(cluster, kube, scope):
    add_service(cluster, "checkout", [template("checkout", "c:1"), template("checkout", "c:2")], ages=[9e5, 60])
    with serve(lambda *_: (404, {"message": "Not Found"})) as url:
        seen = await look(kube, scope, Repository("c", "github", "acme/shop", url))
    assert [found.kind for found in seen.findings] == ["rollout"]
    assert "github acme/shop compare 1...2: HTTP 404" in seen.body


def test_the_longest_image_decides_and_half_a_word_does_not():
    shop, checkout = (
        Repository("reg/shop", "github", "acme/shop"),
        Repository("reg/shop/checkout", "github", "acme/checkout"),
    )
    assert repository_of("reg/shop/checkout:v2@sha256:" + "a" * 64, [shop, checkout]) is checkout
    assert repository_of("reg/shop/cart:v2", [shop, checkout]) is shop
    assert repository_of("reg/shopping:v2", [shop, checkout]) is None


async def test_what_is_nearer_in_time_and_to_the_suspect_comes_first(cluster, kube, scope):
    two = [
        template("checkout", "c:1", env={"PAYMENT": "http://payment:80"}),
        template("checkout", "c:2", env={"PAYMENT": "http://payment:80"}),
    ]
    add_service(cluster, "checkout", two, ages=[9e5, 60])
    add_service(cluster, "payment", [template("payment", "p:1"), template("payment", "p:2")], ages=[9e5, 60])
    assert [found.service for found in (await look(kube, scope)).findings] == ["checkout", "payment"]
    later = scope.alert.starts_at + timedelta(hours=2)
    alert = scope.alert.model_copy(update={"starts_at": later})
    cluster.objects[f"{APPS}/replicasets/payment-hash2"]["metadata"]["creationTimestamp"] = (
        later - timedelta(minutes=1)
    ).isoformat()
    seen = await look(kube, scope.model_copy(update={"alert": alert, "end": later}))
    assert [found.service for found in seen.findings] == ["payment", "checkout"]
