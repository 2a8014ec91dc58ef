"""Finds the workload behind a service's name in a cluster, what it owns and what it depends on.

Used by tools.evidence.kubernetes and tools.evidence.changes (independent plug-ins, so what they share is here). Objects
are the API's own JSON.
"""

import asyncio
import contextlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tools.errors import Permanent
from tools.kube import Forbidden, Kube, NotFound
from tools.prometheus import moment
from tools.records import Scope

Obj = dict[str, Any]
PAGE = "1000"
MAX_OTHER_NAMESPACES = 2
REVISION = "deployment.kubernetes.io/revision"
NAME_LABELS = ("app.kubernetes.io/name", "app", "k8s-app", "service", "app.kubernetes.io/instance", "name")
_KINDS = {
    "deployments": "/apis/apps/v1",
    "statefulsets": "/apis/apps/v1",
    "daemonsets": "/apis/apps/v1",
    "replicasets": "/apis/apps/v1",
    "controllerrevisions": "/apis/apps/v1",
    "pods": "/api/v1",
    "services": "/api/v1",
    "events": "/api/v1",
    "cronjobs": "/apis/batch/v1",
    "jobs": "/apis/batch/v1",
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
_DNS = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
# host:port, scheme://host, user@host; a bare word counts only when it is the whole value
_HOST = re.compile(
    rf"(?:(?<=://)|(?<=@)|(?<![\w./:@-]))(?P<host>{_DNS}(?:\.{_DNS})*)(?=:\d{{2,5}}\b|[/?\s,;\"']|$)", re.MULTILINE
)


@dataclass(frozen=True)
class Namespace:
    """What one namespace held when it was read; lists are cut at PAGE objects (*partial* names the cut ones)."""

    name: str
    objects: dict[str, list[Obj]] = field(default_factory=dict)
    partial: tuple[str, ...] = ()

    def of(self, kind: str) -> list[Obj]:
        """Return the objects of a plural *kind*, [] when it was not read or the API server does not offer it."""
        return self.objects.get(kind, [])


@dataclass(frozen=True)
class Workload:
    """A service's workload: *service* is the name others call it by, *obj* its Deployment (or other kind)."""

    service: str
    namespace: Namespace
    kind: str
    obj: Obj
    neighbour: bool = False

    @property
    def name(self) -> str:
        """The object's own name."""
        return name_of(self.obj)

    @property
    def replica_sets(self) -> list[Obj]:
        """The ReplicaSets it owns, newest revision first."""
        return sorted(owned(self.namespace.of("replicasets"), self.obj), key=revision_of, reverse=True)

    @property
    def jobs(self) -> list[Obj]:
        """The Jobs that it is or started, where it is a Job or a CronJob."""
        return owned(self.namespace.of("jobs"), self.obj)

    @property
    def pods(self) -> list[Obj]:
        """The pods it owns, through its ReplicaSets where it has any."""
        owners = [self.obj, *self.replica_sets, *self.jobs]
        return [pod for owner in owners for pod in owned(self.namespace.of("pods"), owner)]

    @property
    def services(self) -> list[Obj]:
        """The Services whose selector matches its pod template."""
        labels = template_labels(self.obj)
        return [svc for svc in self.namespace.of("services") if selects(svc, labels)]

    @property
    def events(self) -> list[Obj]:
        """Events about it, its ReplicaSets and its pods (also those already gone), oldest first."""
        sets = {name_of(rs) for rs in self.replica_sets}
        stems = tuple(f"{name}-" for name in sets or {self.name})
        mine = [e for e in self.namespace.of("events") if _about(e, self.kind, self.name, sets, stems)]
        return sorted(mine, key=lambda event: (when(event) is not None, when(event) or 0))


def _about(event: Obj, kind: str, name: str, sets: set[str], stems: tuple[str, ...]) -> bool:
    target = event.get("involvedObject") or event.get("regarding") or {}
    about = str(target.get("name", ""))
    if target.get("kind") == kind:
        return about == name
    if target.get("kind") == "ReplicaSet":
        return about in sets
    return target.get("kind") == "Pod" and about.startswith(stems)


def name_of(obj: Obj) -> str:
    """Return metadata.name."""
    return str((obj.get("metadata") or {}).get("name", ""))


def labels_of(obj: Obj) -> dict[str, str]:
    """Return metadata.labels."""
    return (obj.get("metadata") or {}).get("labels") or {}


def annotations_of(obj: Obj) -> dict[str, str]:
    """Return metadata.annotations."""
    return (obj.get("metadata") or {}).get("annotations") or {}


def template_labels(obj: Obj) -> dict[str, str]:
    """Return the labels that a workload's pods get."""
    return labels_of((obj.get("spec") or {}).get("template") or {})


def revision_of(replica_set: Obj) -> int:
    """Return a ReplicaSet's revision number, 0 when it has none."""
    text = annotations_of(replica_set).get(REVISION, "")
    return int(text) if text.isdigit() else 0


def owned(objects: Iterable[Obj], owner: Obj) -> list[Obj]:
    """Return those of *objects* whose controller is *owner*."""
    uid = (owner.get("metadata") or {}).get("uid")
    return [
        obj
        for obj in objects
        if any(ref.get("uid") == uid for ref in (obj.get("metadata") or {}).get("ownerReferences") or [])
    ]


def selects(service: Obj, labels: dict[str, str]) -> bool:
    """Whether a Service's selector (a non-empty one) matches *labels*."""
    wanted = (service.get("spec") or {}).get("selector") or {}
    return bool(wanted) and all(labels.get(key) == value for key, value in wanted.items())


def when(event: Obj) -> datetime | None:
    """Return when an event was last seen."""
    series = event.get("series") or {}
    meta = event.get("metadata") or {}
    for text in (
        series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"), event.get("firstTimestamp"),
        meta.get("creationTimestamp"),
    ):  # fmt: skip
        at = moment(text)
        if at:
            return at
    return None


async def read_namespace(kube: Kube, namespace: str, kinds: Iterable[str], ask: Callable[[str], str]) -> Namespace:
    """Read all objects of *kinds* in *namespace* at once; *ask* is told each path."""

    async def one(kind: str) -> tuple[str, list[Obj], bool]:
        path = ask(f"{_KINDS[kind]}/namespaces/{namespace}/{kind}")
        try:
            found = await kube.get(path, {"limit": PAGE})
        except NotFound:
            return kind, [], False
        return kind, items(found, path), bool((found.get("metadata") or {}).get("continue"))

    read = await asyncio.gather(*(one(kind) for kind in kinds))
    return Namespace(namespace, {kind: objs for kind, objs, _ in read}, tuple(kind for kind, _, cut in read if cut))


def items(found: Obj, path: str) -> list[Obj]:
    """Return the objects of a list answer; Permanent when it is none."""
    listed = found.get("items")
    if listed is None and str(found.get("kind", "")).endswith("List"):
        return []
    if not isinstance(listed, list) or not all(isinstance(obj, dict) for obj in listed):
        raise Permanent(f"Kubernetes {path}: the answer is not a list of objects but {str(found)[:120]!r}")
    return listed


async def find(kube: Kube, scope: Scope, kinds: Iterable[str], ask: Callable[[str], str]) -> Workload:
    """Find the workload that *scope* is about, in its namespace or, when that is not known, in all of them.

    Raises NotFound with what was looked for.
    """
    wanted = [name for name in _names(scope) if _NAME.fullmatch(name)]
    if not wanted:
        raise NotFound("the alert names no service, deployment or pod as Kubernetes names them: nothing to look up")
    namespace = scope.namespace or await _namespace_of(kube, wanted, ask)
    read = await read_namespace(kube, namespace, {"deployments", "services", *kinds}, ask)
    found = _match(read, "deployments", wanted)
    if found is None:
        more = await read_namespace(kube, namespace, ("statefulsets", "daemonsets"), ask)
        read = Namespace(namespace, read.objects | more.objects, read.partial + more.partial)
        found = _match(read, "statefulsets", wanted) or _match(read, "daemonsets", wanted)
    if found is None:
        with contextlib.suppress(Forbidden):  # an older role may not read them: then it is told as not found
            more = await read_namespace(kube, namespace, ("cronjobs", "jobs"), ask)
            read = Namespace(namespace, read.objects | more.objects, read.partial + more.partial)
        found = _match(read, "cronjobs", wanted) or _match(read, "jobs", wanted)
    if found is None:
        raise NotFound(
            f"namespace {namespace} has no Deployment, StatefulSet or DaemonSet (and no CronJob or Job) named, labelled or selected as "
            f"{' or '.join(wanted)}; name it in tocsin.yaml under services"
        )
    kind, obj = found
    return Workload(scope.service or name_of(obj), read, kind, obj)


def _names(scope: Scope) -> list[str]:
    labels = scope.alert.labels if scope.service in {"", scope.alert.service} else {}
    pod = labels.get("pod", "")
    stem = re.sub(r"(?:-[a-z0-9]{4,10})?-[a-z0-9]{5}$|-\d+$", "", pod)
    named = [scope.service, labels.get("deployment", ""), labels.get("statefulset", ""), labels.get("app", ""), stem]
    return list(dict.fromkeys(name for name in named if name))


async def _namespace_of(kube: Kube, wanted: list[str], ask: Callable[[str], str]) -> str:
    """Return the namespace of the first Deployment of that name or label in the whole cluster."""
    path = "/apis/apps/v1/deployments"
    for name in wanted:
        for query in (
            {"fieldSelector": f"metadata.name={name}"},
            *({"labelSelector": f"{k}={name}"} for k in NAME_LABELS[:2]),
        ):
            ask(f"{path}?{'&'.join(f'{k}={v}' for k, v in query.items())}")
            found = items(await kube.get(path, {**query, "limit": "10"}), path)
            places = sorted({str(obj["metadata"].get("namespace", "")) for obj in found})
            if len(places) > 1:
                raise Permanent(
                    f"{name} exists in several namespaces ({', '.join(places)}) and the alert names none; "
                    "give it a namespace label or name it in tocsin.yaml under services"
                )
            if places:
                return places[0]
    raise NotFound(f"no namespace has a Deployment named or labelled {' or '.join(wanted)}")


_SINGULAR = {
    "deployments": "Deployment", "statefulsets": "StatefulSet", "daemonsets": "DaemonSet", "cronjobs": "CronJob", "jobs": "Job",
}  # fmt: skip


def _match(read: Namespace, kind: str, wanted: list[str]) -> tuple[str, Obj] | None:
    """Return the best match among *kind*: by name, by label, by the Service of that name; in the order of *wanted*."""
    singular = _SINGULAR[kind]
    for name in wanted:
        by_name = [obj for obj in read.of(kind) if name_of(obj) == name]
        by_label = [
            obj
            for obj in read.of(kind)
            if any({**template_labels(obj), **labels_of(obj)}.get(label) == name for label in NAME_LABELS)
        ]
        by_service = [
            obj
            for svc in read.of("services")
            if name_of(svc) == name
            for obj in read.of(kind)
            if selects(svc, template_labels(obj))
        ]
        for found in (by_name, by_service, by_label):
            if found:
                return singular, found[0]
    return None


def hosts(workload: Workload) -> list[str]:
    """Return the host names in the workload's environment values, arguments and commands, in order, each once."""
    spec = ((workload.obj.get("spec") or {}).get("template") or {}).get("spec") or {}
    texts: list[str] = []
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        texts += [str(env.get("value") or "") for env in container.get("env") or []]
        texts += [str(arg) for arg in [*(container.get("command") or []), *(container.get("args") or [])]]
    return list(dict.fromkeys(match["host"] for text in texts for match in _HOST.finditer(text.lower())))


async def dependencies(
    kube: Kube, workload: Workload, kinds: Iterable[str], ask: Callable[[str], str]
) -> list[Workload]:
    """Return the workloads behind the Services that *workload*'s configuration names (``payment``, ``payment.shop.svc``).

    Services of other namespaces are followed for the first MAX_OTHER_NAMESPACES of them.
    """
    here = workload.namespace
    known = {here.name: here}
    found: dict[tuple[str, str], Workload] = {}
    for host in hosts(workload):
        name, _, rest = host.partition(".")
        place = rest.split(".")[0] if rest else here.name
        if place not in known:
            if ".svc" not in host or len(known) > MAX_OTHER_NAMESPACES:
                continue
            known[place] = await read_namespace(kube, place, {"deployments", "services", *kinds}, ask)
        neighbour = _behind(known[place], name)
        if neighbour and name_of(neighbour.obj) != workload.name:
            found.setdefault((place, neighbour.name), neighbour)
    return list(found.values())


def _behind(place: Namespace, service: str) -> Workload | None:
    for svc in place.of("services"):
        if name_of(svc) == service:
            for kind, singular in (("deployments", "Deployment"), ("statefulsets", "StatefulSet")):
                for obj in place.of(kind):
                    if selects(svc, template_labels(obj)):
                        return Workload(service, place, singular, obj, neighbour=True)
    return None


def writer_of(obj: Obj, *path: str) -> tuple[str, datetime | None]:
    """Return who last wrote the field at *path* (``"spec", "replicas"``) and when, from managedFields; ("", None)."""
    newest: tuple[str, datetime | None] = ("", None)
    for entry in (obj.get("metadata") or {}).get("managedFields") or []:
        node: Any = entry.get("fieldsV1") or {}
        for part in path:
            node = node.get(f"f:{part}") if isinstance(node, dict) else None
        at = moment(entry.get("time"))
        if node is not None and (newest[1] is None or (at and at > newest[1])):
            newest = (str(entry.get("manager", "")), at)
    return newest
