"""What the Kubernetes API says of itself to anybody it knows: health, version, groups and resources; called by kubernetes_api.py."""

from starlette.responses import JSONResponse, PlainTextResponse, Response

from drill.cluster import kinds
from drill.cluster.objects import Obj

_VERSION = {"major": "1", "minor": "33", "gitVersion": "v1.33.4", "gitCommit": "drill", "gitTreeState": "clean",
            "buildDate": "2025-08-13T14:21:22Z", "goVersion": "go1.24.5", "compiler": "gc", "platform": "linux/amd64"}  # fmt: skip


def answer(path: str, accept: str) -> Response | None:
    """Return the answer to *path* (without a slash at its end), None when it is about objects."""
    if path in ("/healthz", "/readyz", "/livez"):
        return PlainTextResponse("ok")
    if path == "/version":
        return JSONResponse(_VERSION)
    if path == "/openapi/v2":
        return _schemas(accept)
    if path == "/api":
        return JSONResponse({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
    if path == "/apis":
        return JSONResponse(kinds.group_list())
    parts = path.strip("/").split("/")
    found: Obj | None = None
    if parts[0] == "api" and len(parts) == 2:
        found = kinds.resource_list("", parts[1])
    elif parts[0] == "apis" and len(parts) == 2:
        found = kinds.group(parts[1])
    elif parts[0] == "apis" and len(parts) == 3:
        found = kinds.resource_list(parts[1], parts[2])
    return JSONResponse(found) if found else None


def _schemas(accept: str) -> Response:
    """Return no schemas: kubectl then leaves it to the server to check what it sends."""
    if "proto-openapi" in accept:  # an empty message is an empty document
        return Response(b"", media_type="application/octet-stream")
    info = {"title": "Kubernetes", "version": _VERSION["gitVersion"]}
    return JSONResponse({"swagger": "2.0", "info": info, "paths": {}, "definitions": {}})
