"""Every client lets itself in the same way: tenant, basic and bearer credentials, files that rotate, TLS both ways."""

import ssl
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.unit.tools.fakes import serve
from tools.access import Access, Tls
from tools.alertmanager import Alertmanager
from tools.elastic import Elastic
from tools.errors import Permanent
from tools.jaeger import Jaeger
from tools.loki import Loki
from tools.prometheus import Prometheus
from tools.tempo import Tempo

NOW = datetime(2026, 11, 23, 20, tzinfo=UTC)
NAME = "prometheus.monitoring.svc"


async def _prometheus(url: str, access: Access) -> None:
    client = Prometheus(url, access=access)
    try:
        await client.query("up")
        await client.rules()
    finally:
        await client.aclose()


async def _loki(url: str, access: Access) -> None:
    client = Loki(url, access=access)
    try:
        await client.query_range('{a="b"}', NOW - timedelta(hours=1), NOW, 1)
    finally:
        await client.aclose()


async def _elastic(url: str, access: Access) -> None:
    client = Elastic(url, access=access)
    try:
        await client.lines('{"service": "checkout"}', NOW - timedelta(hours=1), NOW, 1)
    finally:
        await client.aclose()


async def _jaeger(url: str, access: Access) -> None:
    client = Jaeger(url, access=access)
    try:
        await client.services()
    finally:
        await client.aclose()


async def _tempo(url: str, access: Access) -> None:
    client = Tempo(url, access=access)
    try:
        await client.services()
    finally:
        await client.aclose()


async def _alertmanager(url: str, access: Access) -> None:
    client = Alertmanager(url, access=access)
    try:
        await client.silences()
    finally:
        await client.aclose()


ASKS: dict[str, Callable[[str, Access], object]] = {
    "prometheus": _prometheus, "loki": _loki, "elastic": _elastic, "jaeger": _jaeger, "tempo": _tempo,
    "alertmanager": _alertmanager,
}  # fmt: skip
EACH = pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS.keys())


class Server:
    """Answers every one of the APIs with nothing found, and keeps the headers and parameters it was asked with."""

    def __init__(self) -> None:
        self.headers: list[dict[str, str]] = []
        self.params: list[dict[str, list[str]]] = []

    def __call__(self, _method, path, query, _body, headers):
        self.headers.append({name.lower(): value for name, value in headers.items()})
        self.params.append(query)
        if path.startswith("/api/v2/"):
            return 200, []
        data = [] if path == "/api/services" else {"resultType": "streams", "result": [], "groups": []}
        return 200, {"status": "success", "data": data, "hits": {"hits": []}, "tagValues": []}


@EACH
async def test_tenant_token_and_parameters_reach_every_server(ask, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))  # requests would say that instead
    server = Server()
    access = Access(headers={"X-Scope-OrgID": "shop|web"}, token="t0ken", params=(("extra_label", "cluster=eu1"),))
    with serve(server) as url:
        await ask(url, access)
    assert server.headers
    for headers, params in zip(server.headers, server.params, strict=True):
        assert headers["x-scope-orgid"] == "shop|web"
        assert headers["authorization"] == "Bearer t0ken"
        assert params["extra_label"] == ["cluster=eu1"]


@EACH
async def test_basic_credentials_and_an_api_key(ask):
    server = Server()
    with serve(server) as url:
        await ask(url, Access(user="tocsin", password="p:w"))
        asked = len(server.headers)
        await ask(url, Access(token="a2V5", scheme="ApiKey"))
    assert {headers["authorization"] for headers in server.headers[:asked]} == {"Basic dG9jc2luOnA6dw=="}
    assert {headers["authorization"] for headers in server.headers[asked:]} == {"ApiKey a2V5"}


async def test_a_token_file_is_read_again_when_it_rotates(tmp_path: Path):
    file, server = tmp_path / "token", Server()
    file.write_text("first\n")
    with serve(server) as url:
        for client in (Prometheus(url, access=Access(token_file=str(file))),):
            await client.query("up")
            file.write_text("second\n")
            await client.query("up")
            await client.aclose()
        loki = Loki(url, access=Access(user="u", password_file=str(file)))
        await loki.query_range('{a="b"}', NOW, NOW, 1)
        await loki.aclose()
    assert [headers["authorization"] for headers in server.headers] == [
        "Bearer first",
        "Bearer second",
        "Basic dTpzZWNvbmQ=",
    ]


@EACH
async def test_a_secret_that_is_not_mounted_is_named(ask, tmp_path):
    with (
        serve(Server()) as url,
        pytest.raises(Permanent, match=r"token_file .*gone: cannot be read .*is the secret mounted"),
    ):
        await ask(url, Access(token_file=str(tmp_path / "gone")))


def test_no_secret_is_in_a_repr():
    shown = repr(Access(headers={"X-Api-Key": "s3cret"}, token="s3cret", user="u", password="s3cret"))
    assert "s3cret" not in shown


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, a server's certificate for NAME only, and a client's."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*args: str) -> None:
        subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=folder)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for authority in ("ca", "stranger"):
        extra = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
        openssl(
            "req",
            "-x509",
            *key,
            "-keyout",
            f"{authority}.key",
            "-out",
            f"{authority}.pem",
            "-subj",
            f"/CN={authority}",
            "-days",
            "2",
            *extra,
        )
    for name, extension in (("server", f"subjectAltName=DNS:{NAME}"), ("client", "extendedKeyUsage=clientAuth")):
        (folder / f"{name}.ext").write_text(f"{extension}\nauthorityKeyIdentifier=keyid\n")
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext"]
        openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signed)
    return folder


@pytest.fixture
def mutual(certificates: Path) -> Iterator[tuple[str, Path]]:
    """A server that asks for a client's certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    context.load_verify_locations(certificates / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = (
        ssl.TLSVersion.TLSv1_2
    )  # 1.3 refuses a client after its handshake; that may reach it as a reset
    with serve(Server(), context) as url:
        yield url, certificates


def _tls(folder: Path, **changed: object) -> Access:
    given = {
        "ca_file": str(folder / "ca.pem"), "cert_file": str(folder / "client.pem"), "key_file": str(folder / "client.key"),
        "server_name": NAME,
    }  # fmt: skip
    return Access(tls=Tls(**{**given, **changed}))


@EACH
async def test_an_own_authority_a_client_certificate_and_a_server_name(ask, mutual):
    url, folder = mutual
    await ask(url, _tls(folder))


@EACH
@pytest.mark.filterwarnings("error")
async def test_insecure_takes_any_certificate_and_only_when_it_is_said(ask, mutual):
    url, folder = mutual
    await ask(url, _tls(folder, ca_file="", server_name="", insecure=True))


WRONG: dict[str, dict[str, object]] = {
    "another authority": {"ca_file": "stranger.pem"},
    "the system's authorities": {"ca_file": ""},
    "another name": {"server_name": "elsewhere.svc"},
    "no name": {"server_name": ""},  # 127.0.0.1 is not in the certificate
    "no client certificate": {"cert_file": "", "key_file": ""},
}


@EACH
@pytest.mark.parametrize("changed", WRONG.values(), ids=WRONG.keys())
async def test_what_is_not_trusted_is_refused_with_the_remedy(ask, changed, mutual):
    url, folder = mutual
    changed = {name: str(folder / value) if value and name == "ca_file" else value for name, value in changed.items()}
    with pytest.raises(Permanent, match="check ca_file, server_name"):
        await ask(url, _tls(folder, **changed))


@EACH
@pytest.mark.parametrize("key", ["ca_file", "cert_file"])
async def test_a_file_that_cannot_be_used_is_named(ask, key, mutual):
    url, folder = mutual
    with pytest.raises(Permanent, match=f"{key} .*nowhere.pem"):
        await ask(url, _tls(folder, **{key: str(folder / "nowhere.pem")}))
