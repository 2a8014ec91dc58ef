"""What every module of tools.actions keeps, on the practice cluster's API; a new file needs a sample below, and is then held."""

import asyncio
import copy
import inspect
import json
import random
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import uvicorn
from pydantic import ValidationError
from starlette.applications import Starlette

import tools.actions
from drill.cluster import catalogue, kinds
from drill.cluster.cluster import Cluster
from drill.cluster.kubernetes_api import KubernetesApi
from drill.cluster.rbac import Identities, Tokens
from drill.timeline import Timeline
from tests.unit.tools.fakes import kubeconfig, serve
from tools.deployments import PROPOSAL, TargetChanged, Unclear
from tools.errors import Permanent, TocsinError
from tools.kube import Kube
from tools.records import Plan, Record, Risk, Suggestion
from tools.registry import plugins
from tools.run import actor_verbs, plan_change, undo_change

PLUGINS = plugins(tools.actions)
EACH = pytest.mark.parametrize("name", PLUGINS)
SHOP, CHECKOUT = {"namespace": "shop"}, {"namespace": "shop", "deployment": "checkout"}
POD, NODE = {"namespace": "shop", "pod": "POD"}, {"node": "worker-2"}
SAMPLES: dict[str, dict[str, Any]] = {
    "rollout_restart": CHECKOUT, "rollout_undo": CHECKOUT, "rollout_pause": CHECKOUT, "rollout_resume": CHECKOUT,
    "scale": CHECKOUT | {"replicas": 5}, "set_image": CHECKOUT | {"image": "EARLIER"},
    "set_resources": CHECKOUT | {"memory_limit": "777Mi"}, "delete_pod": POD, "evict_pod": POD, "cordon": NODE,
    "uncordon": NODE, "drain_node": NODE | {"wait_seconds": 0}, "cronjob_suspend": SHOP | {"cronjob": "nightly"},
    "cronjob_resume": SHOP | {"cronjob": "nightly"}, "job_rerun": SHOP | {"job": "import"},
    "job_delete": SHOP | {"job": "import"}, "hpa_bounds": SHOP | {"autoscaler": "cart", "max_replicas": 9},
    "pvc_expand": SHOP | {"claim": "orders", "size": "20Gi"},
    "configmap_key_restore": SHOP | {"configmap": "shop-settings", "key": "currency", "value": "CHF"},
}  # fmt: skip
SIGNATURES = {
    "plan": ["params", "kube"],
    "apply": ["params", "plan", "kube", "proposal_id"],
    "applied": ["params", "plan", "kube", "proposal_id"],
    "verify": ["params", "kube"],
    "undo": ["params", "plan"],
}
NOW = 1_700_000_000.0


@dataclass
class Practice:
    """A practice cluster whose time stands still, behind its real HTTP API."""

    cluster: Cluster
    url: str
    actor: Kube
    calls: list[tuple[str, str, bool]]

    def state(self) -> str:
        """Everything that is stored, as text."""
        store = self.cluster.store
        return json.dumps([list(store.list(kind)) for kind in kinds.KINDS], sort_keys=True)

    def writes(self) -> list[tuple[str, str, bool]]:
        """The writes that were asked for and were no dry-run."""
        return [call for call in self.calls if call[0] != "GET" and not call[2]]

    def find(self, plural: str, namespace: str, name: str) -> dict[str, Any]:
        """One object, copied."""
        return copy.deepcopy(self.cluster.store.get(_kind(plural), namespace, name))

    def change(self, plural: str, obj: dict[str, Any], *, status: bool = False) -> None:
        """Write as somebody else."""
        obj["metadata"].pop("resourceVersion", None)
        self.cluster.store.update(_kind(plural), obj, status=status)

    def params(self, name: str) -> dict[str, Any]:
        """The sample of an action, with what only the running cluster knows."""
        pod = next(
            p for p in self.cluster.store.list(kinds.PODS, "shop") if p["metadata"]["labels"]["app"] == "checkout"
        )
        sets = [
            s
            for s in self.cluster.store.list(kinds.REPLICASETS, "shop")
            if s["metadata"]["labels"]["app"] == "checkout"
        ]
        images = [s["spec"]["template"]["spec"]["containers"][0]["image"] for s in sets]
        known = {"POD": pod["metadata"]["name"], "EARLIER": images[0]}
        return {
            key: known.get(value, value) if isinstance(value, str) else value for key, value in SAMPLES[name].items()
        }


def _kind(plural: str) -> kinds.Kind:
    return next(kind for kind in kinds.KINDS if kind.plural == plural)


def _more(cluster: Cluster) -> None:
    """What the samples change, beside the practice services."""
    job_spec = {"template": {"metadata": {"labels": {"job-name": "import"}}, "spec": {
        "restartPolicy": "Never", "containers": [{"name": "import", "image": "shop/import:1"}]}}}  # fmt: skip
    failed = {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]}
    meta = {"namespace": "shop", "labels": {}}
    for plural, obj in (
        ("cronjobs", {"metadata": meta | {"name": "nightly"}, "spec": {"schedule": "0 3 * * *", "suspend": False}}),
        ("jobs", {"metadata": meta | {"name": "import"}, "spec": job_spec, "status": failed}),
        ("horizontalpodautoscalers", {
            "metadata": meta | {"name": "cart"}, "status": {"currentReplicas": 2},
            "spec": {"minReplicas": 1, "maxReplicas": 4, "scaleTargetRef": {"kind": "Deployment", "name": "cart"}},
        }),
        ("storageclasses", {"metadata": {"name": "fast"}, "allowVolumeExpansion": True}),
        ("persistentvolumeclaims", {
            "metadata": meta | {"name": "orders"}, "status": {"phase": "Bound", "capacity": {"storage": "10Gi"}},
            "spec": {"storageClassName": "fast", "volumeName": "v", "resources": {"requests": {"storage": "10Gi"}}},
        }),
    ):  # fmt: skip
        cluster.store.create(_kind(plural), copy.deepcopy(obj))


@pytest.fixture
async def practice(tmp_path) -> AsyncIterator[Practice]:
    now = [NOW]
    cluster = Cluster(catalogue.load(), Timeline(lambda: now[0]), random.Random(7), lambda *_: None)
    cluster.build()

    def run(seconds: float) -> None:
        for _ in range(int(seconds * 5)):
            now[0] += 0.2
            cluster.step()

    run(8)
    image = copy.deepcopy(cluster.store.get(kinds.DEPLOYMENTS, "shop", "checkout"))
    container = image["spec"]["template"]["spec"]["containers"][0]
    container["image"] = next(
        i
        for i in cluster.catalogue._images
        if i.startswith(container["image"].partition(":")[0]) and i != container["image"]
    )
    cluster.store.update(kinds.DEPLOYMENTS, image)
    run(12)
    _more(cluster)
    calls: list[tuple[str, str, bool]] = []
    # Nothing moves by itself: what is stored changes by what the action writes, alone.
    api = KubernetesApi(cluster.store, Identities(Tokens("r", "actor", "a")), lambda *_: "", lambda: None)
    inner = Starlette(routes=api.routes())

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            calls.append((scope["method"], scope["path"], b"dryRun=All" in scope["query_string"]))
        await inner(scope, receive, send)

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        free.listen()
        server = uvicorn.Server(uvicorn.Config(watched, log_level="error", lifespan="off"))

        task = asyncio.create_task(server.serve(sockets=[free]))
        while not server.started:  # noqa: ASYNC110  # uvicorn has no event for it
            await asyncio.sleep(0.01)
        url = f"http://127.0.0.1:{free.getsockname()[1]}/kubernetes"
        actor = Kube(kubeconfig(tmp_path, url, "actor"))
        yield Practice(cluster, url, actor, calls)
        await actor.aclose()
        server.should_exit = True
        await task


def arrange(practice: Practice, name: str) -> None:
    """Bring the sample's target into the state that the action is for."""
    if name == "rollout_resume":
        obj = practice.find("deployments", "shop", "checkout")
        obj["spec"]["paused"] = True
        practice.change("deployments", obj)
    if name == "uncordon":
        node = practice.find("nodes", "", "worker-2")
        node["spec"]["unschedulable"] = True
        practice.change("nodes", node)
    if name == "cronjob_resume":
        cron = practice.find("cronjobs", "shop", "nightly")
        cron["spec"]["suspend"] = True
        practice.change("cronjobs", cron)
    if name == "delete_pod":
        pod = practice.find("pods", "shop", practice.params(name)["pod"])
        pod["status"]["containerStatuses"][0] |= {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "ready": False}
        practice.change("pods", pod, status=True)


def disturb(practice: Practice, name: str) -> None:
    """Change, as somebody else, what the plan of the action relies on."""
    params = practice.params(name)
    if "deployment" in params:
        obj = practice.find("deployments", "shop", "checkout")
        obj["spec"]["template"]["spec"]["containers"][0]["image"] += "-other"
        return practice.change("deployments", obj)
    if "pod" in params or "job" in params:  # another object of the same name
        kind = kinds.PODS if "pod" in params else kinds.JOBS
        obj = copy.deepcopy(practice.cluster.store.delete(kind, "shop", params.get("pod") or params["job"]))
        practice.cluster.store.create(kind, obj)
        return None
    if "node" in params:
        node = practice.find("nodes", "", "worker-2")
        node["spec"]["unschedulable"] = not node["spec"].get("unschedulable")
        return practice.change("nodes", node)
    for plural, key, part, field, value in (
        ("cronjobs", "cronjob", "spec", "schedule", "1 1 * * *"),
        ("horizontalpodautoscalers", "autoscaler", "spec", "maxReplicas", 7),
        ("persistentvolumeclaims", "claim", "spec", "volumeName", "another"),
        ("configmaps", "configmap", "data", "currency", "USD"),
    ):
        if key in params:
            obj = practice.find(plural, "shop", params[key])
            obj[part][field] = value
            return practice.change(plural, obj)
    raise AssertionError(f"say how {name}'s target changes")


async def planned(practice: Practice, name: str) -> tuple[Any, Any, Plan]:
    arrange(practice, name)
    module, given = PLUGINS[name], practice.params(name)
    plan, risk = await plan_change(practice.actor, name, given)
    assert risk == module.RISK
    return module, module.Params.model_validate(given), plan


@EACH
def test_it_has_every_part_and_a_sample(name):
    module = PLUGINS[name]
    assert module.__doc__
    assert len(module.__doc__.partition("\n")[0]) <= 140
    assert isinstance(module.RISK, Risk)
    assert module.RISK > Risk.LOW
    assert module.VERBS
    assert all(len(verb) == 3 for verb in module.VERBS)
    assert set(module.VERBS) <= set(actor_verbs())
    assert name in SAMPLES
    for function, parameters in SIGNATURES.items():
        assert list(inspect.signature(getattr(module, function)).parameters) == parameters
    for function in ("plan", "apply", "applied", "verify"):
        assert inspect.iscoroutinefunction(getattr(module, function))


@EACH
def test_its_parameters_are_strict(name):
    params = PLUGINS[name].Params
    assert issubclass(params, Record)
    good = SAMPLES[name] | ({"pod": "a"} if "pod" in SAMPLES[name] else {})
    params.model_validate(good)
    with pytest.raises(ValidationError):
        params.model_validate(good | {"surprise": 1})
    with pytest.raises(ValidationError):
        params.model_validate({})
    for key in {"namespace", "deployment", "pod", "node", "cronjob", "job", "autoscaler", "claim", "configmap"} & set(
        good
    ):
        for odd in ("../secrets", "a/b", "", "a?b", "A", "x" * 300, "a\n"):
            with pytest.raises(ValidationError):
                params.model_validate(good | {key: odd})


@EACH
async def test_a_plan_writes_nothing(name, practice):
    arrange(practice, name)
    before = practice.state()
    _, _, plan = await planned(practice, name)
    assert practice.state() == before
    assert practice.writes() == []
    assert plan.line
    assert plan.diff
    assert plan.undo
    assert plan.precondition["uid"]


@EACH
async def test_its_whole_life_and_no_second_write(name, practice):
    module, params, plan = await planned(practice, name)
    assert await module.applied(params, plan, practice.actor, "P") is False
    before = practice.state()
    assert await module.apply(params, plan, practice.actor, "P")
    assert practice.state() != before
    writes = len(practice.writes())
    assert writes == 1 if name != "drain_node" else writes > 1
    try:
        found = await module.applied(params, plan, practice.actor, "P")
        assert found is True
        assert PROPOSAL in practice.state()
    except Unclear:
        assert name in {"delete_pod", "evict_pod", "job_delete"}  # what is gone carries no stamp
    assert await module.applied(params, plan, practice.actor, "Q") is False if found_stamp(name) else True
    after = practice.state()
    try:
        await module.apply(params, plan, practice.actor, "P")
    except TargetChanged:
        pass
    else:
        assert name == "drain_node"  # taken up again, with nothing left to do
    assert practice.state() == after
    judged, why = await module.verify(params, practice.actor)
    assert judged in {True, False, None}
    assert why
    undo = undo_change(name, params.model_dump(exclude_none=True), plan)
    assert isinstance(undo, Suggestion | None)
    if undo is not None:
        PLUGINS[undo.action].Params.model_validate(undo.params)
    elif not plan.undo.startswith("There is none"):
        assert name in {"rollout_restart", "drain_node"}


def found_stamp(name: str) -> bool:
    return name not in {"delete_pod", "evict_pod", "job_delete"}


@EACH
async def test_a_target_that_changed_is_not_written(name, practice):
    module, params, plan = await planned(practice, name)
    disturb(practice, name)
    before = practice.state()
    with pytest.raises(TargetChanged):
        await module.apply(params, plan, practice.actor, "P")
    assert practice.state() == before


@EACH
async def test_it_needs_no_right_beyond_its_verbs(name, practice):
    """Every request it makes is one its VERBS name (the deployed role is made of them)."""
    module, params, plan = await planned(practice, name)
    await module.apply(params, plan, practice.actor, "P")
    asked = {_right(method, path) for method, path, _ in practice.calls}
    assert {right for right in asked if right} <= set(module.VERBS)


def _right(method: str, path: str) -> tuple[str, str, str] | None:
    parts = path.removeprefix("/kubernetes").strip("/").split("/")
    group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
    if rest[:1] == ["namespaces"]:
        rest = rest[2:]
    if not rest:
        return None  # discovery
    verb = {"POST": "create", "PATCH": "patch", "DELETE": "delete"}.get(method, "get" if len(rest) > 1 else "list")
    return group, "/".join([rest[0], *rest[2:]]), verb


@EACH
@pytest.mark.parametrize(
    "answer",
    [(500, {}), (403, {"message": "no"}), (404, {}), (200, b"<html>"), (200, {}), (200, {"metadata": 3, "spec": 4})],
)
async def test_a_failing_api_server_is_a_named_error(name, answer, tmp_path):
    with serve(lambda *_: answer) as url:
        kube = Kube(kubeconfig(tmp_path, url), timeout_s=2)
        sample = SAMPLES[name] | ({"pod": "a"} if "pod" in SAMPLES[name] else {})
        with pytest.raises(TocsinError):
            await plan_change(kube, name, sample)
        await kube.aclose()


@EACH
async def test_a_missing_target_is_said(name, practice):
    given = practice.params(name)
    last = next(
        key
        for key in ("deployment", "pod", "node", "cronjob", "job", "autoscaler", "claim", "configmap")
        if key in given
    )
    with pytest.raises(Permanent, match=r"there is no .*gone"):
        await plan_change(practice.actor, name, given | {last: "gone"})
