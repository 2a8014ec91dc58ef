"""The Kubernetes HTTP API over the practice cluster: authentication, RBAC, discovery, reading, watching, writing.

Mounted by the app under /kubernetes; kubectl and the official client libraries speak to it.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import yaml
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from drill.cluster import discovery, kinds, options, protobuf, tables
from drill.cluster.objects import ApiError, Obj, clone, not_found
from drill.cluster.rbac import Identities, Identity, forbidden
from drill.cluster.requests import Target, field_selector, fields_match, label_selector, selects, target
from drill.cluster.store import Change, Store
from drill.cluster.writes import APPLY, Writes, scale_of

PodLog = Callable[[Obj, Request], str]
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


class KubernetesApi:
    """Answers every path under /kubernetes; *nudge* is called after each write so that controllers act at once."""

    def __init__(self, store: Store, identities: Identities, pod_log: PodLog, nudge: Callable[[], None]) -> None:
        self._store, self._identities, self._pod_log, self._nudge = store, identities, pod_log, nudge
        self._writes = Writes(store)
        self._closing = asyncio.Event()

    def routes(self) -> list[BaseRoute]:
        """Return the catch-all routes."""
        paths = ("/kubernetes/token/{token}/{path:path}", "/kubernetes/{path:path}")
        return [Route(path, self.serve, methods=_METHODS) for path in paths]

    def close(self) -> None:
        """End every open watch."""
        self._closing.set()

    async def serve(self, request: Request) -> Response:
        """One request; a refusal is a Status object."""
        try:
            # kubectl sends no credentials without TLS, so its kubeconfig carries the token in the server's path
            given = request.path_params.get("token")
            who = self._identities.of(f"Bearer {given}" if given else request.headers.get("authorization", ""))
            return await self._answer(request, who, "/" + request.path_params["path"])
        except ApiError as error:
            return JSONResponse(error.status(), status_code=error.code)

    async def _answer(self, request: Request, who: Identity, path: str) -> Response:
        plain = discovery.answer(path.rstrip("/"), request.headers.get("accept", ""))
        if plain is not None:
            return plain
        parts = path.strip("/").split("/")
        if parts[-1] in kinds.REVIEWS.values() and request.method == "POST":
            return JSONResponse(_review(who, parts[-1], await _body(request)), status_code=201)
        asked = target(request.method, path, request.query_params)
        if asked is None:
            if parts[0] != "api" and (parts[0] != "apis" or len(parts) < 3 or parts[1] not in kinds.groups()):
                return PlainTextResponse("404 page not found\n", status_code=404)
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
        if not who.may(asked.verb, asked.kind.group, asked.kind.plural, asked.subresource):
            raise forbidden(who, asked.verb, asked.kind.group, asked.resource, asked.namespace, asked.name)
        if request.method in ("GET", "HEAD"):
            return self._read(request, asked)
        answer = await self._write(request, asked)
        self._nudge()
        return answer

    def _read(self, request: Request, asked: Target) -> Response:
        if asked.verb == "watch":
            return StreamingResponse(self._watch(request, asked), media_type="application/json")
        if asked.verb == "list":
            return self._list(request, asked)
        obj = self._store.find(asked.kind, asked.namespace, asked.name)
        if obj is None:
            raise not_found(asked.kind, asked.name, "scale" if asked.subresource == "scale" else "")
        if asked.subresource == "log":
            options.check_log(obj, request.query_params.get("container", ""))
            return PlainTextResponse(self._pod_log(obj, request))
        if asked.subresource == "scale":
            return JSONResponse(scale_of(obj))
        if tables.wanted(request):
            return JSONResponse(self._table(request, asked, [obj]))
        return JSONResponse(obj)

    def _list(self, request: Request, asked: Target) -> Response:
        query = request.query_params
        keep = _filter(request, asked)
        rows = [obj for obj in self._store.list(asked.kind, asked.namespace) if keep(obj)]
        start = _number(query.get("continue", "0").partition(":")[0], "continue")
        limit = _number(query.get("limit", "0"), "limit")
        end = start + limit if limit else len(rows)
        meta: Obj = {"resourceVersion": str(self._store.version)}
        if end < len(rows):
            meta |= {"continue": f"{end}:{self._store.version}", "remainingItemCount": len(rows) - end}
        page = rows[start:end]
        if tables.wanted(request):
            return JSONResponse(self._table(request, asked, page) | {"metadata": meta})
        return JSONResponse(_listed(asked, page) | {"metadata": meta})

    async def _watch(self, request: Request, asked: Target) -> AsyncIterator[bytes]:
        query, keep = request.query_params, _filter(request, asked)
        queue = self._store.subscribe(asked.kind)
        deadline = asyncio.get_running_loop().time() + float(query.get("timeoutSeconds") or 1800)
        try:
            for change in self._first(asked, query.get("resourceVersion", "")):
                seen = _seen(asked, keep, change)
                if seen:
                    yield self._line(request, asked, *seen)
            if query.get("sendInitialEvents") == "true":
                yield json.dumps({"type": "BOOKMARK", "object": self._bookmark(asked)}).encode() + b"\n"
            while not self._closing.is_set():
                left = deadline - asyncio.get_running_loop().time()
                if left <= 0:
                    return
                try:
                    change = await asyncio.wait_for(queue.get(), min(left, 1.0))
                except TimeoutError:
                    continue
                seen = _seen(asked, keep, change)
                if seen:
                    yield self._line(request, asked, *seen)
        except ApiError as error:
            yield json.dumps({"type": "ERROR", "object": error.status()}).encode() + b"\n"
        finally:
            self._store.unsubscribe(queue)

    def _first(self, asked: Target, version: str) -> list[Change]:
        if version in ("", "0"):
            return [(0, asked.kind, "ADDED", obj, None) for obj in self._store.list(asked.kind, asked.namespace)]
        return list(self._store.since(asked.kind, _number(version, "resourceVersion")))

    def _bookmark(self, asked: Target) -> Obj:
        """Return the event that ends the initial ones of a watch-list, for which newer clients wait."""
        meta = {"resourceVersion": str(self._store.version), "annotations": {"k8s.io/initial-events-end": "true"}}
        return {"kind": asked.kind.kind, "apiVersion": asked.kind.api_version, "metadata": meta}

    def _line(self, request: Request, asked: Target, what: str, obj: Obj) -> bytes:
        shown = self._table(request, asked, [obj]) if tables.wanted(request) else obj
        return json.dumps({"type": what, "object": shown}).encode() + b"\n"

    def _table(self, request: Request, asked: Target, rows: list[Obj]) -> Obj:
        include = request.query_params.get("includeObject", "Metadata")
        return tables.table(asked.kind, rows, self._store.clock(), str(self._store.version), include)

    async def _write(self, request: Request, asked: Target) -> Response:
        if asked.verb in ("delete", "deletecollection"):
            return await self._delete(request, asked)
        dry_run = options.dry_run(request.query_params.getlist("dryRun"), asked.verb)
        manager = request.query_params.get("fieldManager") or _default_manager(request)
        body = await _body(request)
        if asked.verb == "create" and not asked.name:
            made = self._writes.create(asked, body, manager=manager, dry_run=dry_run)
            return JSONResponse(made, status_code=201)
        if asked.verb == "update" and asked.name:
            return JSONResponse(self._writes.update(asked, body, manager=manager, dry_run=dry_run))
        if asked.verb == "patch" and asked.name:
            kind = request.headers.get("content-type", "").partition(";")[0].strip()
            if kind == APPLY:
                manager = request.query_params.get("fieldManager", "")
            force = request.query_params.get("force", "") in ("true", "1")
            known = self._store.find(asked.kind, asked.namespace, asked.name)
            done = self._writes.patch(asked, body, kind, manager=manager, force=force, dry_run=dry_run)
            return JSONResponse(done, status_code=200 if known else 201)
        if asked.subresource == "eviction":
            self._writes.evict(asked, body, dry_run=dry_run)
            return JSONResponse(
                {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201},
                status_code=201,
            )
        raise options.not_allowed()

    async def _delete(self, request: Request, asked: Target) -> Response:
        # A body is the options; only without one are they read from the query: a dryRun there does not count beside a body.
        query = request.query_params
        given: Obj = await _body(request) if await request.body() else dict(query) | {"dryRun": query.getlist("dryRun")}
        wanted = options.Deletion.of(given)
        if asked.subresource:
            raise options.not_allowed()
        if asked.verb == "deletecollection":
            keep = _filter(request, asked)
            rows = [obj for obj in self._store.list(asked.kind, asked.namespace) if keep(obj)]
            for obj in rows:
                meta = obj["metadata"]
                self._writes.delete(replace(asked, namespace=meta.get("namespace", ""), name=meta["name"]), wanted)
            return JSONResponse(_listed(asked, rows) | {"metadata": {"resourceVersion": str(self._store.version)}})
        gone = self._writes.delete(asked, wanted)
        whole = options.returned(asked.kind) or "deletionTimestamp" in gone["metadata"]
        return JSONResponse(gone if whole else options.success(asked.kind, gone))


def _review(who: Identity, plural: str, body: Obj) -> Obj:
    answer = clone(body)
    if plural == "selfsubjectreviews":
        return answer | {"status": {"userInfo": {"username": who.user, "groups": ["system:authenticated"]}}}
    asked = (body.get("spec") or {}).get("resourceAttributes") or {}
    allowed = who.may(
        asked.get("verb", ""), asked.get("group", ""), asked.get("resource", ""), asked.get("subresource", "")
    )
    return answer | {"status": {"allowed": allowed} | ({} if allowed else {"reason": "no rule allows it"})}


async def _body(request: Request) -> Any:
    raw = await request.body()
    kind = request.headers.get("content-type", "")
    if "protobuf" in kind:
        return protobuf.read(raw)
    try:
        return yaml.safe_load(raw) if "yaml" in kind else json.loads(raw)
    except (ValueError, yaml.YAMLError) as error:
        raise ApiError(400, "BadRequest", f"the body of the request could not be read: {error}") from error


def _default_manager(request: Request) -> str:
    return request.headers.get("user-agent", "unknown").partition("/")[0] or "unknown"


def _filter(request: Request, asked: Target) -> Callable[[Obj], bool]:
    labels = label_selector(request.query_params.get("labelSelector", ""))
    fields = field_selector(request.query_params.get("fieldSelector", ""), asked.kind)

    def keep(obj: Obj) -> bool:
        return selects(labels, obj["metadata"].get("labels") or {}) and fields_match(fields, obj)

    return keep


def _listed(asked: Target, rows: list[Obj]) -> Obj:
    """Return a list; its items do not repeat kind and apiVersion."""
    items = [{key: value for key, value in row.items() if key not in ("kind", "apiVersion")} for row in rows]
    return {"kind": f"{asked.kind.kind}List", "apiVersion": asked.kind.api_version, "metadata": {}, "items": items}


def _seen(asked: Target, keep: Callable[[Obj], bool], change: Change) -> tuple[str, Obj] | None:
    """Return what a watch with that selector says of a change: what enters it is ADDED, what leaves it DELETED as it was."""
    _, _, what, obj, before = change
    if not _concerns(asked, obj):
        return None
    if what != "MODIFIED" or before is None:
        return (what, obj) if keep(obj) else None
    was, is_ = keep(before), keep(obj)
    if was and not is_:
        version = {"resourceVersion": obj["metadata"]["resourceVersion"]}
        return "DELETED", before | {"metadata": before["metadata"] | version}
    return ("MODIFIED" if was else "ADDED", obj) if is_ else None


def _concerns(asked: Target, obj: Obj) -> bool:
    meta = obj["metadata"]
    return asked.namespace in ("", meta.get("namespace", "")) and asked.name in ("", meta["name"])


def _number(text: str, what: str) -> int:
    try:
        return int(text or 0)
    except ValueError as error:
        raise ApiError(400, "BadRequest", f"invalid {what}: {text!r}") from error
