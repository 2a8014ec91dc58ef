"""The Kubernetes API as raw JSON, over the official client; used by tools.evidence (reader) and tools.actions (actor).

Two instances exist, with two identities. The official client is synchronous and heavy (163 MB, 190 ms to import), so it is
imported at the first call, runs in threads, a few at a time, always with a timeout, and its typed models are left aside
(500 pods: 38 ms typed, 11 ms raw).
"""

import asyncio
import json
import re
import time
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from tools.errors import Permanent, Temporary
from tools.imports import load

AT_ONCE = 8
MAX_BYTES = 64 * 1024 * 1024
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
Query = dict[str, str]
# Names come from alerts; none may add a query, a parent folder or a second path.
_PATH = re.compile(r"(?:/[A-Za-z0-9][A-Za-z0-9._:-]*)+")


class NotFound(Permanent):
    """There is no such object."""


class Conflict(Permanent):
    """The object was changed by somebody else in the meantime."""


class Invalid(Permanent):
    """The API server does not accept the change."""


class Forbidden(Permanent):
    """The identity may not do this."""


class LostAnswer(Temporary):
    """A write was sent and its answer was lost: it may or may not have happened."""


class Kube:
    """One identity at one cluster; *kubeconfig* None means the pod's own service account. *timeout_s*: seconds."""

    def __init__(
        self, kubeconfig: str | None, context: str | None = None, timeout_s: float = 5.0, cluster: str = ""
    ) -> None:
        """*context*: of the kubeconfig, its current one when None; *cluster*: what tocsin.yaml calls it, "" where there is one."""
        self.cluster = cluster
        self._kubeconfig = kubeconfig
        self._context = context
        self._timeout = timeout_s
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def get(self, path: str, query: Query | None = None) -> dict[str, Any]:
        """Return the object or list at *path*; read again once when the connection broke."""
        try:
            return await self._json("GET", path, query)
        except _Slow:
            raise
        except _Broken:
            return await self._json("GET", path, query)

    async def text(self, path: str, query: Query | None = None) -> str:
        """Plain text at *path*, such as a pod's log; bound it with ``limitBytes`` and ``tailLines`` in *query*."""
        return (await self._call("GET", path, query)).decode("utf-8", "replace")

    async def patch(
        self, path: str, body: Any, content_type: str, dry_run: bool, field_manager: str = "tocsin"
    ) -> dict[str, Any]:
        """Change the object at *path*; with *dry_run* the server checks everything and stores nothing."""
        return await self._write("PATCH", path, body, dry_run=dry_run, manager=field_manager, content_type=content_type)

    async def post(self, path: str, body: Any, dry_run: bool, field_manager: str = "tocsin") -> dict[str, Any]:
        """Create an object under *path*."""
        return await self._write("POST", path, body, dry_run=dry_run, manager=field_manager)

    async def delete(self, path: str, body: Any, dry_run: bool) -> dict[str, Any]:
        """Delete the object at *path*; *body* is DeleteOptions (carry ``preconditions.uid`` in it).

        The API server reads the options of a DELETE from its body or, only where there is none, from its query: a
        ``dryRun`` in the query beside a body is ignored, and the object is gone. So it stands in the body.
        """
        body = {key: value for key, value in body.items() if key != "dryRun"} | ({"dryRun": ["All"]} if dry_run else {})
        return await self._write("DELETE", path, body, dry_run=dry_run, manager="")

    async def can_i(self, verb: str, group: str, resource: str, namespace: str = "", subresource: str = "") -> bool:
        """Whether this identity may do that, as the API server itself decides (SelfSubjectAccessReview)."""
        attributes = {"verb": verb, "group": group, "resource": resource}
        attributes |= {"namespace": namespace} if namespace else {}
        attributes |= {"subresource": subresource} if subresource else {}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        answer = await self._json("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", None, review)
        return bool((answer.get("status") or {}).get("allowed"))

    async def address(self) -> str:
        """Return the API server's address and the name expected of it; Permanent when the kubeconfig cannot be read."""
        to = (await asyncio.to_thread(lambda: self._client)).configuration
        return f"{str(to.host).rstrip('/')} {to.tls_server_name or ''}".strip()

    def client(self) -> Any:
        """Return the official client's ApiClient with this identity, for its own API classes; it blocks: call it in a thread."""
        return self._client

    async def aclose(self) -> None:
        """Close the connections."""
        if "_client" in self.__dict__:
            await asyncio.to_thread(self._client.close)

    @cached_property
    def _client(self) -> Any:
        from kubernetes import config as untyped
        from kubernetes.client import ApiClient, Configuration
        from kubernetes.config.config_exception import ConfigException

        config: Any = untyped
        settings = Configuration()
        try:
            if self._kubeconfig is None:
                config.load_incluster_config(client_configuration=settings)
            else:
                config.load_kube_config(self._kubeconfig, self._context, settings, persist_config=False)
        except (ConfigException, OSError, ValueError, TypeError, KeyError) as exc:
            where = self._kubeconfig or "the pod's service account"
            raise Permanent(f"Kubernetes: {where} cannot be used: {exc}; check KUBECONFIG and its context") from exc
        settings.retries = False  # a retry that nobody asked for could write twice
        settings.connection_pool_maxsize = AT_ONCE
        return ApiClient(settings)

    async def _write(
        self, method: str, path: str, body: Any, *, dry_run: bool, manager: str, content_type: str = "application/json"
    ) -> dict[str, Any]:
        query = ({"dryRun": "All"} if dry_run else {}) | ({"fieldManager": manager} if manager else {})
        try:
            return await self._json(method, path, query, body, content_type)
        except _Broken as exc:
            if dry_run:
                raise
            raise LostAnswer(f"{exc}; the change may have been made") from exc

    async def _json(
        self, method: str, path: str, query: Query | None, body: Any = None, content_type: str = "application/json"
    ) -> dict[str, Any]:
        raw = await self._call(method, path, query, body, content_type)
        try:
            answer = json.loads(raw)
        except ValueError as exc:
            raise _Broken(f"Kubernetes {method} {path}: the answer is not JSON but starts {raw[:80]!r}") from exc
        if not isinstance(answer, dict):
            raise _Broken(f"Kubernetes {method} {path}: the answer is a {type(answer).__name__}, not an object")
        return answer

    async def _call(
        self, method: str, path: str, query: Query | None, body: Any = None, content_type: str = "application/json"
    ) -> bytes:
        if not _PATH.fullmatch(path) or ".." in path:
            raise Permanent(
                f"Kubernetes {method} {path[:200]!r}: not a path of the API; a name in it is no Kubernetes name"
            )
        where = path + (f"?{urlencode(query)}" if query else "")
        async with self._slots:
            return await asyncio.to_thread(self._request, method, where, body, content_type)

    def _request(self, method: str, where: str, body: Any, content_type: str) -> bytes:
        load("kubernetes.client", "kubernetes.config")
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError
        from urllib3.exceptions import TimeoutError as Slow

        client = self._client
        tried = f"Kubernetes {method} {where}"
        headers = {"Accept": "application/json", "Content-Type": content_type, "User-Agent": "tocsin"}
        client.update_params_for_auth(headers, [], ["BearerToken"], where, method, body)
        try:
            answer = client.call_api(
                method, client.configuration.host + where, headers, body=body, _request_timeout=self._timeout
            ).response
            raw = self._body(answer, tried)
        except (NewConnectionError, ConnectTimeoutError) as exc:  # nothing was sent
            raise Temporary(f"{tried}: cannot connect: {exc}; check the cluster's address") from exc
        except Slow as exc:
            raise _Slow(f"{tried}: timed out after {self._timeout:g} s") from exc
        except (HTTPError, OSError) as exc:
            raise _Broken(f"{tried}: {type(exc).__name__}: {exc}") from exc
        except ApiException as exc:
            # TLS refusals arrive as this, with status 0
            raise Permanent(f"{tried}: {exc.reason}; check the certificate authority in the kubeconfig") from exc
        if answer.status >= 400:
            raise refused(answer.status, raw, tried, answer.headers.get("Retry-After", ""))
        return raw

    def _body(self, answer: Any, tried: str) -> bytes:
        """Return the body, no larger and no slower than allowed (urllib3's timeout is per read, not for the whole)."""
        until = time.monotonic() + self._timeout
        chunks: list[bytes] = []
        size = 0
        try:
            for chunk in answer.stream(2**18):
                size += len(chunk)
                if size > MAX_BYTES:
                    raise Permanent(f"{tried}: the answer is larger than {MAX_BYTES // 2**20} MiB")
                if time.monotonic() > until:
                    raise _Slow(f"{tried}: timed out: not all of the answer came within {self._timeout:g} s")
                chunks.append(chunk)
        finally:
            answer.release_conn()
        return b"".join(chunks)


class _Broken(Temporary):
    """The request may have arrived; no answer that can be read came back."""


class _Slow(_Broken):
    """No answer in time; reading again would only take as long again."""


def refused(status: int, raw: bytes, tried: str, retry_after: str) -> Temporary | Permanent:
    """Return the error for an answer of *status* (HTTP, 400 and more); *raw* is its body, *tried* what was asked."""
    try:
        said = str(json.loads(raw)["message"])
    except (ValueError, KeyError, TypeError):
        said = raw[:300].decode("utf-8", "replace") or "nothing"
    text = f"{tried}: HTTP {status}: {said}"
    if status == 429:
        return Temporary(text, delay=float(retry_after) if retry_after.isdigit() else 1.0)
    if status >= 500:  # a gateway's or etcd's time-out: a write may have happened
        return _Broken(text)
    remedies: dict[int, tuple[type[Permanent], str]] = {
        401: (Forbidden, "; the kubeconfig's credentials are not accepted"),
        403: (Forbidden, "; grant it in deploy/ (RBAC) or ask somebody who may"),
        404: (NotFound, ""),
        409: (Conflict, ""),
        422: (Invalid, ""),
    }
    kind, remedy = remedies.get(status, (Permanent, ""))
    return kind(text + remedy)
