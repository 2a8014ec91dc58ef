"""How a monitoring server lets Tocsin in: headers (tenant), credentials and TLS, the same for every client.

Built by bot/connections.py from the environment and tocsin.yaml; used by the clients of Prometheus, Loki, Elasticsearch, Jaeger,
Tempo and Alertmanager. Secrets are shown by no repr; files of tokens and passwords are read again at each request, since
they rotate.
"""

import ssl
from base64 import b64encode
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tools.errors import Permanent

if TYPE_CHECKING:
    from requests import Session

MAX_SECRET = 64 * 1024


@dataclass(frozen=True)
class Tls:
    """*ca_file* is trusted instead of the system's authorities; *server_name* is expected in the certificate.

    *insecure* takes any certificate.
    """

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""
    insecure: bool = False

    def context(self) -> ssl.SSLContext:
        """Return what to connect with; Permanent names a file that cannot be used."""
        try:
            made = ssl.create_default_context(cafile=self.ca_file or None)
        except OSError as exc:
            raise Permanent(f"ca_file {self.ca_file}: no certificates can be read from it ({exc})") from exc
        if self.cert_file:
            try:
                made.load_cert_chain(self.cert_file, self.key_file or None)
            except OSError as exc:
                both = f"cert_file {self.cert_file}" + (f" with key_file {self.key_file}" if self.key_file else "")
                raise Permanent(f"{both}: no certificate with its key can be read ({exc})") from exc
        if self.insecure:
            made.check_hostname = False
            made.verify_mode = ssl.CERT_NONE
        return made


@dataclass(frozen=True)
class Access:
    """Headers such as ``X-Scope-OrgID``, one way to say who asks (*scheme* with a token, or user and password), and TLS.

    *params* are added to each request (VictoriaMetrics' ``extra_label``, Thanos' ``dedup``).
    """

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    token: str = field(default="", repr=False)
    token_file: str = ""
    scheme: str = "Bearer"
    user: str = ""
    password: str = field(default="", repr=False)
    password_file: str = ""
    tls: Tls = Tls()
    params: tuple[tuple[str, str], ...] = ()

    def authorization(self) -> str:
        """Return the Authorization header as of now, "" for none; Permanent names a file that cannot be read."""
        token = self.token or _secret("token_file", self.token_file)
        if token:
            return f"{self.scheme} {token}"
        if self.user:
            password = self.password or _secret("password_file", self.password_file)
            return "Basic " + b64encode(f"{self.user}:{password}".encode()).decode()
        return ""


def _secret(key: str, path: str) -> str:
    if not path:
        return ""
    try:
        with Path(path).open(encoding="utf-8") as file:
            return file.read(MAX_SECRET).strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise Permanent(f"{key} {path}: cannot be read ({exc.__class__.__name__}); is the secret mounted?") from exc


class _Auth(httpx.Auth):
    """Says who asks at each request, and which name the certificate must have."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        said = self._access.authorization()
        if said:
            request.headers["Authorization"] = said
        if self._access.tls.server_name:
            request.extensions["sni_hostname"] = self._access.tls.server_name
        yield request


def client(url: str, headers: Mapping[str, str] | None, access: Access | None, timeout_s: float) -> httpx.AsyncClient:
    """Return a client for the server at *url*; nothing is connected yet."""
    given = dict(headers or {})
    if access is None:
        return httpx.AsyncClient(base_url=url, headers=given, timeout=timeout_s)
    return httpx.AsyncClient(
        base_url=url,
        headers={**given, **access.headers},
        params=access.params or None,
        auth=_Auth(access),
        verify=access.tls.context() if url.startswith("https:") else False,
        timeout=timeout_s,
    )


def fit(session: "Session", url: str, access: Access) -> None:
    """Make a requests session ask as *access* says; the same as `client` for what is built on requests."""
    from requests.adapters import HTTPAdapter
    from requests.auth import AuthBase

    tls = access.tls

    class Says(AuthBase):
        def __call__(self, request: Any) -> Any:
            said = access.authorization()
            if said:
                request.headers["Authorization"] = said
            return request

    class Named(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> Any:
            if tls.server_name:
                kwargs |= {"server_hostname": tls.server_name, "assert_hostname": tls.server_name}
            return super().init_poolmanager(*args, **kwargs)

    if url.startswith("https:"):
        tls.context()  # says which file cannot be used, which requests does not
        session.verify = False if tls.insecure else tls.ca_file or True
        session.cert = (tls.cert_file, tls.key_file) if tls.key_file else tls.cert_file or None
        if tls.insecure:
            _asked_for()
        retries = session.get_adapter(url).max_retries  # type: ignore[attr-defined]
        session.mount(url, Named(max_retries=retries))
    session.auth = Says()


def distrust(said: str, exc: Exception) -> Permanent | None:
    """Return the error for a refused certificate or handshake, None when *exc* is about something else."""
    text = str(exc)
    if not any(word in text for word in ("SSL", "CERTIFICATE", "certificate")):
        return None
    return Permanent(f"{said}: {text}; check ca_file, server_name and, where the server asks for one, cert_file")


def _asked_for() -> None:
    """Silence urllib3's warning at each request about what the settings ask for."""
    import urllib3

    urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
