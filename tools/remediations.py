"""Remediations in a cluster, through the official client's CustomObjectsApi: list, watch, read, create, write the status.

bot/remediations calls it with the actor's identity, which deploy/kustomize/remediations lets do exactly this. The client is
synchronous and heavy, so it is imported at the first call and works in threads; what comes back is plain JSON.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from tools.errors import Permanent, Temporary, TocsinError
from tools.imports import load
from tools.kube import MERGE_PATCH, Kube, NotFound, refused

GROUP, VERSION, PLURAL, KIND = "tocsin.dev", "v1alpha1", "remediations", "Remediation"
API_VERSION = f"{GROUP}/{VERSION}"
# What deploy/kustomize/remediations grants; a test compares, and `tocsin doctor` asks for each.
RIGHTS = (
    *((GROUP, PLURAL, verb) for verb in ("create", "get", "list", "watch")),
    (GROUP, f"{PLURAL}/status", "patch"),
    ("", "events", "create"),
)
MANAGER = "tocsin"
PAGE = 250
MOST = 2000  # resources that are looked at in one cluster
TIMEOUT_S = 5.0
Obj = dict[str, Any]
_T = TypeVar("_T")


class Expired(Temporary):
    """The version that a watch was to go on from is no longer kept: list again."""


@dataclass(frozen=True)
class Listed:
    """Every resource at one moment; *version* is where a watch goes on from, *more* whether MOST cut the rest off."""

    items: tuple[Obj, ...]
    version: str
    more: bool


class RemediationsClient:
    """The Remediations of one cluster."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube

    @property
    def cluster(self) -> str:
        """What tocsin.yaml calls the cluster."""
        return self._kube.cluster

    async def list(self) -> Listed:
        """Return the resources of every namespace, PAGE at a time; NotFound where the cluster has no such kind."""
        items: list[Obj] = []
        asked: dict[str, Any] = {"limit": PAGE}
        while True:
            page = await self._call("list_cluster_custom_object", GROUP, VERSION, PLURAL, **asked)
            items += page.get("items") or []
            meta = page.get("metadata") or {}
            if not meta.get("continue") or len(items) >= MOST:
                more = bool(meta.get("continue")) or len(items) > MOST
                return Listed(tuple(items[:MOST]), str(meta.get("resourceVersion") or ""), more)
            asked = {"limit": PAGE, "_continue": meta["continue"]}

    async def get(self, namespace: str, name: str) -> Obj:
        """Return one resource; raise NotFound."""
        return await self._call("get_namespaced_custom_object", GROUP, VERSION, namespace, PLURAL, name)

    async def create(self, namespace: str, body: Obj) -> Obj:
        """Create a resource; Conflict when the name is taken."""
        return await self._call(
            "create_namespaced_custom_object", GROUP, VERSION, namespace, PLURAL, body, field_manager=MANAGER
        )

    async def set_status(self, namespace: str, name: str, status: Mapping[str, Any]) -> Obj:
        """Write the status, and nothing but the status; NotFound when the resource is gone."""
        return await self._call(
            "patch_namespaced_custom_object_status", GROUP, VERSION, namespace, PLURAL, name, {"status": dict(status)},
            field_manager=MANAGER, _content_type=MERGE_PATCH,
        )  # fmt: skip

    async def event(self, about: Obj, reason: str, message: str, at: str) -> None:
        """Write a Warning about a resource, which `kubectl describe` shows; its name is fixed by the reason and generation."""
        meta = about["metadata"]
        ref = {"apiVersion": API_VERSION, "kind": KIND} | {k: meta[k] for k in ("name", "namespace", "uid")}
        name = f"{meta['name'][:200]}.{meta.get('generation', 1)}.{reason.lower()}"
        body = {
            "metadata": {"name": name, "namespace": meta["namespace"]}, "involvedObject": ref, "reason": reason,
            "message": message[:1000], "type": "Warning", "source": {"component": "tocsin"}, "count": 1,
            "firstTimestamp": at, "lastTimestamp": at,
        }  # fmt: skip
        await self._kube.post(f"/api/v1/namespaces/{meta['namespace']}/events", body, dry_run=False)

    async def watch(self, version: str, seconds: int) -> AsyncIterator[tuple[str, Obj]]:
        """Yield (ADDED, MODIFIED or DELETED; resource) after *version* for at most *seconds*; Expired: list again."""
        loop, found = asyncio.get_running_loop(), asyncio.Queue[tuple[str, Obj] | None](maxsize=MOST)
        stop: list[Callable[[], None]] = []

        def put(item: tuple[str, Obj] | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody reads any more
                asyncio.run_coroutine_threadsafe(found.put(item), loop).result(TIMEOUT_S)

        def read() -> None:
            from kubernetes import watch as untyped

            made: Any = untyped.Watch
            watcher = made()
            stop.append(watcher.stop)
            try:
                for event in watcher.stream(
                    self._api().list_cluster_custom_object, GROUP, VERSION, PLURAL,
                    resource_version=version, timeout_seconds=seconds, _request_timeout=(TIMEOUT_S, seconds + TIMEOUT_S),
                ):  # fmt: skip
                    put((str(event["type"]), event["object"]))
            finally:
                put(None)

        load("kubernetes.client", "kubernetes.watch")
        reading = asyncio.create_task(asyncio.to_thread(_told, f"watch {PLURAL}", read))
        try:
            while (item := await found.get()) is not None:
                yield item
            await reading
        finally:
            for end in stop:
                end()
            reading.cancel()

    async def _call(self, method: str, *given: Any, **named: Any) -> Obj:
        load("kubernetes.client")

        def run() -> Obj:
            found: Obj = getattr(self._api(), method)(*given, _request_timeout=TIMEOUT_S, **named)
            return found

        return await asyncio.to_thread(_told, f"{method} {' '.join(str(one) for one in given[2:5])}", run)

    def _api(self) -> Any:
        from kubernetes.client import CustomObjectsApi

        return CustomObjectsApi(self._kube.client())


def _told(what: str, run: Callable[[], _T]) -> _T:
    """Turn the client's errors into ours."""
    from kubernetes.client.exceptions import ApiException
    from urllib3.exceptions import HTTPError

    tried = f"Kubernetes {what}"
    try:
        return run()
    except ApiException as error:
        status = int(error.status or 0)
        if status == 410:
            raise Expired(f"{tried}: {error.reason}") from error
        body = error.body.encode() if isinstance(error.body, str) else error.body or b""
        raise refused(status, body, tried, "") if status else Permanent(f"{tried}: {error.reason}") from error
    except (HTTPError, OSError) as error:
        raise Temporary(f"{tried}: {type(error).__name__}: {error}") from error


async def problem(kube: Kube) -> tuple[str, str]:
    """Return ("", "") where Remediations can be kept, else what is missing and the remedy; for `tocsin doctor`."""
    try:
        await RemediationsClient(kube).list()
    except NotFound:
        return "the cluster has no kind Remediation", "kubectl apply -k deploy/kustomize/remediations"
    except TocsinError as error:
        return str(error), "kubectl apply -k deploy/kustomize/remediations binds the actor to what it needs"
    lacking = []
    for group, resource, verb in RIGHTS:
        kind, _, part = resource.partition("/")
        if not await kube.can_i(verb, group, kind, subresource=part):
            lacking.append(f"{verb} {resource}")
    if lacking:
        return f"the actor may not {', '.join(lacking)}", "kubectl apply -k deploy/kustomize/remediations"
    return "", ""
