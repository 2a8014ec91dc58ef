"""One way to get JSON over httpx with a size cap and errors in Tocsin's words; used by the clients of log, trace and alert stores."""

import contextlib
import json
import ssl
from collections.abc import Sequence
from typing import Any

import httpx

from tools.access import distrust
from tools.errors import Permanent, Temporary

MAX_BYTES = 16 * 1024 * 1024
SAID = 300
Params = Sequence[tuple[str, str]]


class Absent(Permanent):
    """The server has no such endpoint."""


async def get_json(client: httpx.AsyncClient, path: str, params: Params, tried: str) -> Any:
    """GET *path* and return the decoded answer; *tried* names the server and the query in error messages.

    Raises Temporary for a time-out, a lost connection, 429 and 5xx; Absent for 404; Permanent for the rest.
    """
    return await _json(client, client.build_request("GET", path, params=list(params)), tried)


async def post_json(client: httpx.AsyncClient, path: str, params: Params, body: Any, tried: str) -> Any:
    """POST *body* as JSON to a *path* that only reads; everything else as in `get_json`."""
    return await _json(client, client.build_request("POST", path, params=list(params), json=body), tried)


async def _json(client: httpx.AsyncClient, request: httpx.Request, tried: str) -> Any:
    try:
        response = await client.send(request, stream=True)
        async with contextlib.aclosing(response):
            body = await _read(response, tried)
            status = response.status_code
            retry_after = response.headers.get("retry-after", "")
    except httpx.TimeoutException as exc:
        raise Temporary(f"{tried}: no answer within {client.timeout.read:g} s") from exc
    except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as exc:  # a late TLS alert comes as it is
        raise distrust(tried, exc) or Temporary(f"{tried}: {type(exc).__name__}: {exc}") from exc
    if status != 200:
        raise refused(status, body, tried, retry_after)
    try:
        return json.loads(body)
    except ValueError as exc:
        raise Permanent(
            f"{tried}: the answer is not JSON but starts {body[:80]!r}; is the address that of the API?"
        ) from exc


async def _read(response: httpx.Response, tried: str) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.aiter_bytes():
        size += len(chunk)
        if size > MAX_BYTES:
            raise Permanent(f"{tried}: the answer is larger than {MAX_BYTES // 2**20} MiB; ask for a shorter window")
        chunks.append(chunk)
    return b"".join(chunks)


def refused(status: int, body: bytes, tried: str, retry_after: str = "") -> Temporary | Permanent:
    """Return the error for an HTTP *status* other than 200, with what the server said."""
    said = body[:SAID].decode("utf-8", "replace").strip() or "nothing"
    text = f"{tried}: HTTP {status}, the server said: {said}"
    if status == 429 or status >= 500:
        return Temporary(text, delay=float(retry_after) if retry_after.isdigit() else 1.0)
    if status in {401, 403}:
        return Permanent(f"{text}; check the credentials and the tenant header")
    return Absent(text) if status == 404 else Permanent(text)
