"""What surrounds the target of a planned change: labels, replicas, budgets, data, its share of the fleet; for bot/approvals.

Read once when a change is planned, all at once, until a deadline. What could not be read is named in `unknown`: the risk
counts it as a doubt, and a rule that hangs on it does not let the change through.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field, replace

from tools import nodes, pods, targets
from tools.deployments import Obj
from tools.errors import TocsinError
from tools.kube import Kube, NotFound
from tools.objects import matches
from tools.records import Scalar
from tools.targets import Target, spec_of, status_of
from tools.workloads import items, labels_of, name_of, owned, template_labels

DEADLINE_S = 4.0
# kube-controller-manager's default for RollingUpdate: a quarter may be away, rounded down.
MAX_UNAVAILABLE = "25%"
NO_PODS = frozenset({"rollout_pause", "cordon", "uncordon"})  # of those that name a Deployment or a node
_KINDS = {
    "deployment": ("Deployment", "/apis/apps/v1", "deployments"),
    "statefulset": ("StatefulSet", "/apis/apps/v1", "statefulsets"),
    "daemonset": ("DaemonSet", "/apis/apps/v1", "daemonsets"),
    "pod": ("Pod", "/api/v1", "pods"),
    "job": ("Job", "/apis/batch/v1", "jobs"),
    "cronjob": ("CronJob", "/apis/batch/v1", "cronjobs"),
    "autoscaler": ("HorizontalPodAutoscaler", "/apis/autoscaling/v1", "horizontalpodautoscalers"),
    "claim": ("PersistentVolumeClaim", "/api/v1", "persistentvolumeclaims"),
    "configmap": ("ConfigMap", "/api/v1", "configmaps"),
    "node": ("Node", "/api/v1", "nodes"),
}


@dataclass
class Circumstances:
    """What is known; None is not known, and *unknown* says which facts those are, as phrases.

    *labels*: the target's own over its namespace's. *replicas*: pods that it wants now. *takes_pods*: pods are replaced or
    removed; *leaves*: pods of the workload sure to run meanwhile. *share*: how much of a fleet is taken away (0..1), *share_of*
    in words. *stateful* and *budget*: why it keeps data, what a PodDisruptionBudget says; "" when neither.
    """

    labels: dict[str, str] | None = None
    replicas: int | None = None
    takes_pods: bool = False
    leaves: int | None = None
    share: float | None = None
    share_of: str = ""
    stateful: str = ""
    budget: str = ""
    unknown: list[str] = field(default_factory=list)


def target_of(params: Mapping[str, Scalar]) -> Target | None:
    """Return the object that these parameters name, None when they name none of a kind known here."""
    for key, (kind, base, plural) in _KINDS.items():
        if isinstance(params.get(key), str):
            namespace = "" if key == "node" else str(params.get("namespace") or "")
            return Target(kind, base, plural, namespace, str(params[key]))
    return None


async def read(
    actor: Kube, reader: Kube, action: str, params: Mapping[str, Scalar], deadline_s: float = DEADLINE_S
) -> Circumstances:
    """Look at the target as *actor*, which may read it, and at what surrounds it as *reader*.

    Never raises for what the API server refuses or does not answer within *deadline_s* seconds.
    """
    look = _Reader(actor, reader, action, params, deadline_s)
    await look.look()
    return look.seen


class _Reader:
    """One look: what it has seen so far, and until when it may ask."""

    def __init__(self, actor: Kube, reader: Kube, action: str, params: Mapping[str, Scalar], deadline_s: float) -> None:
        self.seen = Circumstances()
        self._actor = actor
        self._kube = reader
        self._action = action
        self._params = params
        self._until = asyncio.get_running_loop().time() + deadline_s

    async def look(self) -> None:
        target = target_of(self._params)
        if target is None:
            self.seen.unknown.append("what surrounds the target")
            self.seen.takes_pods = True
            return
        obj, around = await asyncio.gather(
            self._known(f"the {target.kind}'s labels", self._target(target)),
            self._namespace_labels(target.namespace),
        )
        if obj is not None and around is not None:
            self.seen.labels = {**around, **labels_of(obj)}
        if target.kind == "Node":
            await self._node(target)
        elif target.kind in ("Deployment", "StatefulSet", "DaemonSet"):
            await self._workload(obj, target.kind, target.namespace)
        elif target.kind == "Pod":
            await self._pod(obj, target.namespace)
        elif target.kind == "HorizontalPodAutoscaler":
            self._autoscaler(obj)
        elif target.kind == "PersistentVolumeClaim":
            self.seen.stateful = "it is a volume that holds data"

    async def _known(self, what: str, reading: Awaitable[Obj]) -> Obj | None:
        try:
            async with asyncio.timeout_at(self._until):
                return await reading
        except (TocsinError, TimeoutError):
            self.seen.unknown.append(what)
            return None

    async def _target(self, target: Target) -> Obj:
        try:
            return await targets.read(self._actor, target)
        except NotFound:
            if target.kind != "CronJob":
                raise
            return await targets.read(
                self._actor, replace(target, base="/apis/batch/v1beta1")
            )  # before Kubernetes 1.21

    async def _namespace_labels(self, namespace: str) -> dict[str, str] | None:
        if not namespace:
            return {}
        where = Target("Namespace", "/api/v1", "namespaces", "", namespace)
        found = await self._known("the namespace's labels", targets.read(self._kube, where))
        return None if found is None else labels_of(found)

    async def _list(self, what: str, *paths: str) -> list[Obj] | None:
        """Return the list at the first of *paths* that the API server offers; none offered is an empty list."""
        for where in paths:
            try:
                async with asyncio.timeout_at(self._until):
                    found = await self._kube.get(where, {"limit": "5000"})
                if (found.get("metadata") or {}).get("continue"):
                    break  # counts of a part would be taken for counts of the whole
                return items(found, where)
            except NotFound:
                continue
            except (TocsinError, TimeoutError):
                break
        else:
            return []
        self.seen.unknown.append(what)
        return None

    async def _workload(self, obj: Obj | None, kind: str, namespace: str) -> None:
        self.seen.takes_pods = self._action not in NO_PODS
        if obj is None:
            self.seen.unknown.append("how many pods it has")
            return
        self.seen.stateful = _keeps_data(kind, (spec_of(obj).get("template") or {}).get("spec") or {})
        wanted = spec_of(obj).get("replicas")
        now = int(status_of(obj).get("desiredNumberScheduled") or 0) if kind == "DaemonSet" else 1
        self.seen.replicas = now if wanted is None else int(wanted)
        to = self._params.get("replicas")
        self.seen.leaves = (
            min(self.seen.replicas, to) if isinstance(to, int) else self.seen.replicas - away(obj, self.seen.replicas)
        )
        if isinstance(to, int) and to < self.seen.replicas:
            self.seen.share = (self.seen.replicas - to) / self.seen.replicas
            self.seen.share_of = f"{self.seen.replicas - to} of {self.seen.replicas} pods"
        if self.seen.takes_pods:
            await self._budget(namespace, template_labels(obj))

    async def _budget(self, namespace: str, labels: dict[str, str]) -> None:
        base = f"namespaces/{namespace}/poddisruptionbudgets"
        found = await self._list("PodDisruptionBudgets", f"/apis/policy/v1/{base}", f"/apis/policy/v1beta1/{base}")
        for budget in found or []:
            left = status_of(budget).get("disruptionsAllowed")
            if matches(spec_of(budget).get("selector") or {}, labels) and isinstance(left, int) and left < 1:
                self.seen.budget = f"PodDisruptionBudget {name_of(budget)} allows no pod to be away now"

    async def _pod(self, pod: Obj | None, namespace: str) -> None:
        self.seen.takes_pods = True
        if pod is None:
            self.seen.unknown.append("how many pods it has beside it")
            return
        by = pods.controller(pod)
        self.seen.stateful = _keeps_data(str(by.get("kind", "")), spec_of(pod))
        listed, _ = await asyncio.gather(
            self._list("how many pods it has beside it", f"/api/v1/namespaces/{namespace}/pods"),
            self._budget(namespace, labels_of(pod)),
        )
        if listed is None:
            return
        together = owned(listed, {"metadata": {"uid": by.get("uid")}}) if by else [pod]
        self.seen.replicas = len(together)
        self.seen.leaves = sum(pod_ready(each) for each in together if name_of(each) != name_of(pod))

    def _autoscaler(self, obj: Obj | None) -> None:
        self.seen.takes_pods = True
        if obj is None:
            self.seen.unknown.append("how many pods it has")
            return
        spec = spec_of(obj)
        least = self._params.get("min_replicas") or spec.get("minReplicas") or 1
        most = self._params.get("max_replicas") or spec.get("maxReplicas") or 0
        self.seen.leaves = min(int(least), int(most))
        self.seen.replicas = int(status_of(obj).get("currentReplicas") or 0) or None
        now = self.seen.replicas
        if now and int(most) < now:
            self.seen.share, self.seen.share_of = (now - int(most)) / now, f"{now - int(most)} of {now} pods"

    async def _node(self, target: Target) -> None:
        if self._action == "uncordon":
            return
        fleet = await self._list("how many nodes there are", nodes.NODES)
        if fleet:
            open_ = [node for node in fleet if not nodes.cordoned(node) or name_of(node) == target.name]
            self.seen.share, self.seen.share_of = 1 / len(open_), f"1 of {len(open_)} nodes that take pods"
        if self._action == "cordon":
            return
        self.seen.takes_pods = True
        listed = await self._list("the node's pods", "/api/v1/pods")
        if listed is None:
            return
        moved = [pod for pod in listed if _moves(pod, target.name)]
        self._moved(moved, listed)

    def _moved(self, moved: list[Obj], listed: list[Obj]) -> None:
        kept = next((why for pod in moved if (why := _keeps_data(_owner_kind(pod), spec_of(pod)))), "")
        self.seen.stateful = kept and f"{kept} (a pod on it)"
        left = []
        for pod in moved:
            by = pods.controller(pod).get("uid")
            beside = [each for each in owned(listed, {"metadata": {"uid": by}}) if each not in moved] if by else []
            left.append(sum(pod_ready(each) for each in beside))
        self.seen.leaves = min(left, default=None)
        self.seen.takes_pods = bool(moved)


def _moves(pod: Obj, node: str) -> bool:
    here = spec_of(pod).get("nodeName") == node
    return here and not pods.is_mirror(pod) and not pods.finished(pod) and _owner_kind(pod) != "DaemonSet"


def _owner_kind(pod: Obj) -> str:
    return str(pods.controller(pod).get("kind", ""))


def pod_ready(pod: Obj) -> bool:
    """Whether the pod says that it is ready."""
    conditions = status_of(pod).get("conditions") or []
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)


def _keeps_data(kind: str, pod_spec: Obj) -> str:
    if kind == "StatefulSet":
        return "it is a StatefulSet"
    claims = [(volume.get("persistentVolumeClaim") or {}).get("claimName") for volume in pod_spec.get("volumes") or []]
    named = next(filter(None, claims), "")
    return f"it keeps data in volume claim {named}" if named else ""


def away(obj: Obj, replicas: int) -> int:
    """Return how many of *replicas* a rollout of this workload may take away at once."""
    strategy = spec_of(obj).get("strategy") or spec_of(obj).get("updateStrategy") or {}
    if strategy.get("type") in ("Recreate", "OnDelete"):
        return replicas
    most = (strategy.get("rollingUpdate") or {}).get("maxUnavailable")
    if most is None:
        most = MAX_UNAVAILABLE if obj.get("kind", "Deployment") == "Deployment" else 1
    text = str(most)
    number = int(text[:-1]) * replicas // 100 if text.endswith("%") and text[:-1].isdigit() else text
    return min(replicas, int(number)) if str(number).isdigit() else replicas
