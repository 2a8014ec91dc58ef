"""One identity at one Kubernetes API, asked plainly: every answer is data, none raises; used by the whole suite.

The suite has no other client, so that the practice API and a real one meet byte-equal requests.
"""

import json
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

Obj = dict[str, Any]
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True)
class Answer:
    """Status *code*; *body* is JSON where it is any, else text."""

    code: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether it was done."""
        return self.code < 400


@dataclass(frozen=True)
class Access:
    """Where an API is and how it is trusted; *cert* is (certificate, key) of a client or None."""

    url: str
    ca: str | None = None
    cert: tuple[str, str | None] | None = None
    verify: bool = True

    def context(self) -> ssl.SSLContext:
        """Return what TLS needs; unused over plain HTTP."""
        made = ssl.create_default_context(cafile=self.ca)
        if not self.verify:
            made.check_hostname = False
            made.verify_mode = ssl.CERT_NONE
        if self.cert:
            made.load_cert_chain(*self.cert)
        return made


class Api:
    """The requests of one identity; *prefix* is put before each path (the practice API lives under one)."""

    def __init__(self, access: Access, token: str = "", prefix: str = "") -> None:
        self.access, self.token, self.prefix = access, token, prefix
        headers = {"User-Agent": "suite/1.0"} | ({"Authorization": f"Bearer {token}"} if token else {})
        self._http = httpx.Client(
            base_url=access.url + prefix, headers=headers, verify=access.context(), timeout=30, trust_env=False
        )

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        kind: str = "application/json",
        accept: str = "application/json",
        **query: Any,
    ) -> Answer:
        """Send one request; a dict or list is sent as JSON (which is YAML as well), a str as it is."""
        raw = body if isinstance(body, str) or body is None else json.dumps(body)
        headers = {"Accept": accept} | ({"Content-Type": kind} if body is not None else {})
        got = self._http.request(method, path, content=raw, params=query, headers=headers)
        try:
            answer: Any = got.json()
        except ValueError:
            answer = got.text
        return Answer(got.status_code, answer, dict(got.headers))

    def get(self, path: str, **query: Any) -> Answer:
        """Read."""
        return self.ask("GET", path, **query)

    def post(self, path: str, body: Any, **query: Any) -> Answer:
        """Create."""
        return self.ask("POST", path, body, **query)

    def delete(self, path: str, body: Any = None, **query: Any) -> Answer:
        """Delete."""
        return self.ask("DELETE", path, body, **query)

    def patch(self, path: str, body: Any, kind: str = MERGE, **query: Any) -> Answer:
        """Change."""
        return self.ask("PATCH", path, body, kind=kind, **query)

    def must(self, answer: Answer) -> Any:
        """Return the body; the suite cannot go on when a preparation failed."""
        if not answer.ok:
            raise RuntimeError(f"{self.access.url} answered {answer.code}: {json.dumps(answer.body)[:2000]}")
        return answer.body

    def watch(self, path: str, seconds: int, **query: Any) -> list[Obj]:
        """Return what a watch says within *seconds*."""
        asked = query | {"watch": "true", "timeoutSeconds": seconds}
        lines: list[Obj] = []
        with self._http.stream("GET", path, params=asked, timeout=seconds + 10) as answer:
            lines.extend(json.loads(line) for line in answer.iter_lines() if line.strip())
        return lines

    def as_token(self, token: str) -> "Api":
        """Return another identity at the same API; a client certificate would speak for the first."""
        return Api(Access(self.access.url, self.access.ca, None, self.access.verify), token, self.prefix)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def kubeconfig(self, path: Path, namespace: str) -> str:
        """Write a kubeconfig of this identity (mode 0600) and return its path."""
        cluster: Obj = {"server": self.access.url + self.prefix}
        cluster |= {"certificate-authority": self.access.ca} if self.access.ca else {}
        cluster |= {} if self.access.verify else {"insecure-skip-tls-verify": True}
        user: Obj = {"token": self.token} if self.token else {}
        if self.access.cert and not self.token:
            user = {"client-certificate": self.access.cert[0], "client-key": self.access.cert[1]}
        path.touch(mode=0o600)
        context = {"cluster": "c", "user": "u", "namespace": namespace}
        path.write_text(yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "c", "contexts": [{"name": "c", "context": context}],
            "clusters": [{"name": "c", "cluster": cluster}], "users": [{"name": "u", "user": user}],
        }))  # fmt: skip
        return str(path)


def of_kubeconfig(path: str) -> Api:
    """Read a kubeconfig as the official client does (certificates, tokens, exec plug-ins; its current context)."""
    from kubernetes import config
    from kubernetes.client import Configuration

    settings: Any = Configuration()
    config.load_kube_config(path, None, settings, persist_config=False)
    keys = settings.api_key or {}
    token = str(keys.get("BearerToken") or keys.get("authorization") or "").removeprefix("Bearer ")
    cert = (settings.cert_file, settings.key_file) if settings.cert_file else None
    return Api(Access(settings.host.rstrip("/"), settings.ssl_ca_cert, cert, settings.verify_ssl), token)
