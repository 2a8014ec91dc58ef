"""The Web API over HTTP: reads arguments, judges token, scope and rate, answers in Slack's JSON; routed by workspace.py."""

import json
import secrets
from collections.abc import Callable
from email.parser import BytesParser
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from drill.slack import methods_chat, methods_conversations
from drill.slack.errors import JsonDict, RateLimitedError, SlackError
from drill.slack.limits import Limits
from drill.slack.methods import METHODS, Method
from drill.slack.state import State

REGISTERED = (methods_chat, methods_conversations)  # imported for what they register


async def arguments(request: Request) -> JsonDict:
    """Return the arguments of a call: query, then form or JSON body; raises invalid_json and the like."""
    args: JsonDict = dict(request.query_params)
    body = await request.body()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not body:
        return args
    if kind == "application/json":
        try:
            said = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise SlackError("invalid_json") from error
        if not isinstance(said, dict):
            raise SlackError("json_not_object")
        return {**args, **said}
    if kind in {"application/x-www-form-urlencoded", ""}:
        return {**args, **dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))}
    if kind == "multipart/form-data":
        return {**args, **{name: value.decode("utf-8", "replace") for name, value in multipart(request, body).items()}}
    raise SlackError("invalid_post_type")


def multipart(request: Request, body: bytes) -> dict[str, bytes]:
    """Return the parts of a multipart body by their names."""
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    parts: dict[str, bytes] = {}
    for part in BytesParser().parsebytes(head + body).walk():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(payload, bytes):
            parts[name] = payload
    return parts


def _token(request: Request, args: JsonDict) -> str:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    from_body = str(args.pop("token", "") or "")
    return given.strip() if scheme.lower() == "bearer" else from_body


class Api:
    """The endpoint ``/api/<method>``; *open_socket* makes an address for apps.connections.open."""

    def __init__(self, state: State, limits: Limits, open_socket: Callable[[], str]) -> None:
        self.state = state
        self.limits = limits

        def connect(_state: State, _args: JsonDict) -> JsonDict:
            return {"url": open_socket()}

        self.methods = {**METHODS, "apps.connections.open": Method(connect, tier=1, app_token=True)}

    async def call(self, request: Request) -> Response:
        """Answer one call; every refusal but a rate limit is HTTP 200 with ``ok: false``, as with Slack."""
        headers = {"x-slack-req-id": secrets.token_hex(16), "cache-control": "private, no-store"}
        found = None
        try:
            args = await arguments(request)
            name = request.path_params["method"]
            found = self._method(name)
            self._allow(name, found, _token(request, args), args)
            answer: JsonDict = {"ok": True, **found.call(self.state, args)}
        except RateLimitedError as limit:
            headers["retry-after"] = str(limit.seconds)
            return JSONResponse({"ok": False, "error": "ratelimited"}, 429, headers)
        except SlackError as refusal:
            answer = {"ok": False, "error": refusal.code, **refusal.extra}
        if found is not None and not found.app_token:
            headers |= {
                "x-oauth-scopes": ",".join(self.state.scopes),
                "x-accepted-oauth-scopes": ",".join(found.scopes),
            }
        return JSONResponse(answer, headers=headers)

    def _method(self, name: str) -> Method:
        found = self.methods.get(name)
        if found is None:
            raise SlackError("unknown_method", req_method=name)
        return found

    def _allow(self, name: str, found: Method, token: str, args: JsonDict) -> None:
        if name == "api.test":
            return
        if not token:
            raise SlackError("not_authed")
        if token not in {self.state.bot_token, self.state.app_token}:
            raise SlackError("invalid_auth")
        if found.app_token != (token == self.state.app_token):
            raise SlackError("not_allowed_token_type")
        if found.scopes and not set(found.scopes) & set(self.state.scopes):
            provided = ",".join(self.state.scopes)
            raise SlackError("missing_scope", needed=found.scopes[0], provided=provided)
        if found.posts:
            self.limits.post(str(args.get("channel")))
        self.limits.tier(name, found.tier)

    async def upload(self, request: Request) -> Response:
        """Take the bytes of a file whose address files.getUploadURLExternal gave out."""
        file = self.state.files.get(request.path_params["file"])
        if file is None or file.shared:
            return PlainTextResponse("not found", 404)
        body = await request.body()
        if request.headers.get("content-type", "").startswith("multipart/form-data"):
            body = next(iter(multipart(request, body).values()), b"")
        if len(body) != file.length:
            return PlainTextResponse(f"expected {file.length} bytes, got {len(body)}", 400)
        file.content = body
        return PlainTextResponse(f"OK - {len(body)}")

    async def download(self, request: Request) -> Response:
        """Return a file's bytes; images alone are shown inline."""
        file = self.state.files.get(request.path_params["name"].partition("-")[2])
        if file is None or not file.content:
            return PlainTextResponse("not found", 404)
        inline = file.mimetype in {"image/png", "image/jpeg", "image/gif", "image/webp"}
        headers = {"x-content-type-options": "nosniff"}
        if not inline:
            headers["content-disposition"] = "attachment"
        return Response(file.content, media_type=file.mimetype, headers=headers)

    def routes(self) -> list[Route]:
        """Return the routes of the Web API and of files."""
        return [
            Route("/api/{method:path}", self.call, methods=["GET", "POST"]),
            Route("/upload/v1/{file}", self.upload, methods=["POST"]),
            Route("/files-pri/{name}/{file}", self.download),
        ]
