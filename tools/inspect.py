"""Runs every analyzer over a set of objects; reads objects from YAML, JSON or a cluster. Used by `tocsin inspect`.

Also used by tools.evidence.kubernetes for what surrounds a workload.
"""

import asyncio
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import yaml

from tools import analyzers
from tools.errors import Permanent, Temporary, TocsinError
from tools.kube import Forbidden, Kube, NotFound
from tools.objects import Condition, Obj, Objects, dicts, newest
from tools.registry import plugins

MAX_OBJECTS = 100_000
MAX_NODES = 1_000_000
PAGE = "500"
DEADLINE_S = 60.0  # for all pages of one kind
_SEVERITY = {"critical": 0, "warning": 1, "note": 2}
CLUSTER = {
    "/api/v1": ("pods", "services", "endpoints", "events", "configmaps", "secrets", "persistentvolumeclaims", "resourcequotas", "limitranges",
                "serviceaccounts"),
    "/apis/apps/v1": ("deployments", "replicasets", "daemonsets", "statefulsets"),
    "/apis/batch/v1": ("jobs", "cronjobs"),
    "/apis/networking.k8s.io/v1": ("ingresses", "networkpolicies"),
    "/apis/discovery.k8s.io/v1": ("endpointslices",),
    "/apis/autoscaling/v2": ("horizontalpodautoscalers",),
    "/apis/policy/v1": ("poddisruptionbudgets",),
    "/apis/rbac.authorization.k8s.io/v1": ("roles", "rolebindings"),
    "/apis/gateway.networking.k8s.io/v1": ("gateways", "httproutes", "grpcroutes"),
    "/apis/cert-manager.io/v1": ("certificates",),
}  # fmt: skip
WIDE = {
    "/api/v1": ("nodes", "persistentvolumes", "namespaces"),
    "/apis/storage.k8s.io/v1": ("storageclasses",),
    "/apis/networking.k8s.io/v1": ("ingressclasses",),
    "/apis/admissionregistration.k8s.io/v1": ("validatingwebhookconfigurations", "mutatingwebhookconfigurations"),
    "/apis/rbac.authorization.k8s.io/v1": ("clusterroles", "clusterrolebindings"),
    "/apis/gateway.networking.k8s.io/v1": ("gatewayclasses",),
}


class NotObjects(Permanent):
    """What was read holds no Kubernetes objects."""


class _Loader(yaml.CSafeLoader):
    """YAML as kubectl writes it; times stay text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def inspect(objects: Objects) -> list[Condition]:
    """Return every condition that the analyzers find, the worst first, each once."""
    found: list[Condition] = []
    for called, module in plugins(analyzers).items():
        try:
            found += module.analyze(objects)  # what it yields before it raises is kept
        except (AttributeError, TypeError, ValueError, KeyError, OverflowError) as exc:
            found.append(Condition("Input", "", called, "not_judged", f"an object is not shaped as the Kubernetes API's: {exc}",
                                   "give it what kubectl prints; the other objects were judged"))  # fmt: skip
    return sorted(dict.fromkeys(found), key=lambda c: (_SEVERITY[c.severity], c.namespace, c.kind, c.name, c.condition))


def read(texts: Sequence[tuple[str, str]], now: datetime | None = None, today: datetime | None = None) -> Objects:
    """Return the objects of *texts*, (name, content) each; *now* None takes the newest time that they tell.

    *today* is a clock's time for what tells no time but its own end (a certificate in a Secret).

    Raises NotObjects with one sentence when a text is no YAML or JSON, or holds no Kubernetes objects.
    """
    items: list[Obj] = []
    lists: set[tuple[str, str]] = set()
    for source, text in texts:
        before = len(items), len(lists)
        for document in _documents(source, text):
            if document is not None:
                _refuse_endless(source, text, document)
                _flatten(source, document, items, lists)
        if (len(items), len(lists)) == before:
            raise NotObjects(f"{source}: holds no Kubernetes objects; give it what `kubectl get ... -o yaml` prints")
    at = now or newest(items) or datetime.now(UTC)
    return Objects(tuple(items), at, clock=now is not None, lists=frozenset(lists), today=now or today)


def _documents(source: str, text: str) -> Iterator[Any]:
    try:
        yield from list(yaml.load_all(io.StringIO(text.lstrip("\ufeff")), Loader=_Loader))
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise NotObjects(
            f"{source}: is neither YAML nor JSON{where}; give it what `kubectl get ... -o yaml` prints"
        ) from exc


def _refuse_endless(source: str, text: str, document: Any) -> None:
    """Aliases can make a document that holds itself, or one that is small in the file and endless when walked."""
    if "*" not in text or "&" not in text:
        return
    todo, seen = [document], 0
    while todo:
        value = todo.pop()
        todo += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        seen += 1
        if seen > MAX_NODES:
            raise NotObjects(f"{source}: its aliases make it endless; give it what `kubectl get ... -o yaml` prints")


def _flatten(source: str, document: Any, items: list[Obj], lists: set[tuple[str, str]]) -> None:
    if isinstance(document, list):
        for each in document:
            _flatten(source, each, items, lists)
        return
    kind = document.get("kind") if isinstance(document, dict) else None
    if not isinstance(kind, str) or not kind or not ("apiVersion" in document or "metadata" in document):
        raise NotObjects(f"{source}: holds something that is no Kubernetes object ({str(document)[:60]!r} has no kind)")
    if kind.endswith("List") and isinstance(document.get("items", []), list):
        own = kind.removesuffix("List")
        lists.add((own or "List", ""))
        for each in dicts(document.get("items")):
            _flatten(
                source, {"kind": own, "apiVersion": document.get("apiVersion"), **each} if own else each, items, lists
            )
        return
    meta = document.get("metadata")
    if not isinstance(meta, dict) and "metadata" in document and meta is not None:
        raise NotObjects(f"{source}: {kind} has metadata that is no mapping")
    if len(items) >= MAX_OBJECTS:
        raise NotObjects(f"{source}: holds more than {MAX_OBJECTS} objects; inspect one namespace at a time")
    items.append(document)


async def cluster(
    kube: Kube, namespace: str, now: datetime, unread: Callable[[str], None], kinds: Iterable[str] | None = None
) -> Objects:
    """Read a cluster's objects in *namespace* ("" = all); *unread* is told what could not be read and why.

    *kinds*: plurals to read, None for all that analyzers know. Raises what the first read raised when none was answered.
    """
    wanted = None if kinds is None else set(kinds)
    paths = [(f"{base}/namespaces/{namespace}/{plural}" if namespace else f"{base}/{plural}", namespace)
             for base, plurals in CLUSTER.items() for plural in plurals if wanted is None or plural in wanted]  # fmt: skip
    paths += [
        (f"{base}/{plural}", "")
        for base, plurals in WIDE.items()
        for plural in plurals
        if wanted is None or plural in wanted
    ]
    failed: list[TocsinError] = []

    async def one(path: str) -> tuple[str, list[Obj], bool]:
        try:
            async with asyncio.timeout(DEADLINE_S):
                return await read_list(kube, path, unread)
        except TimeoutError:
            failed.append(Temporary(f"{path}: not read within {DEADLINE_S:g} s; inspect one namespace"))
        except TocsinError as exc:  # one kind must not cost the others
            failed.append(exc)
        unread(str(failed[-1]))
        return "", [], False

    read = await asyncio.gather(*(one(path) for path, _ in paths))
    if len(failed) == len(paths):
        raise failed[0]
    items: list[Obj] = []
    lists: set[tuple[str, str]] = set()
    for (_, place), (kind, objs, complete) in zip(paths, read, strict=True):
        items += objs
        if kind and complete:
            lists.add((kind, place))
    return Objects(tuple(items), now, clock=True, lists=frozenset(lists))


async def read_list(kube: Kube, path: str, unread: Callable[[str], None]) -> tuple[str, list[Obj], bool]:
    """Return the kind at *path*, its objects (of one object, itself) and whether these are all."""
    objs: list[Obj] = []
    kind, more = "", ""
    while True:
        try:
            page = await kube.get(path, {"limit": PAGE} | ({"continue": more} if more else {}))
        except NotFound:
            return kind, objs, False
        except Forbidden as exc:
            unread(str(exc))
            return kind, objs, False
        if "items" not in page and "metadata" in page and not str(page.get("kind")).endswith("List"):
            return "", [page], False
        kind = str(page.get("kind") or "").removesuffix("List")
        objs += [{**each, "kind": kind} for each in dicts(page.get("items"))]
        more = str((page.get("metadata") or {}).get("continue") or "")
        if not more or len(objs) >= MAX_OBJECTS:
            return kind, objs, not more
