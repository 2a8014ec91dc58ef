"""How each monitoring server and each cluster is reached, from the environment and tocsin.yaml; read by bot/settings.py.

One shape for all: variables such as PROMETHEUS_URL and PROMETHEUS_CA_FILE, or the same keys in tocsin.yaml under `sources` (for
all clusters) or `clusters.<name>` (for one). Secrets are never in tocsin.yaml: it names a variable or a file.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StrictBool, StrictStr, model_validator

from bot.section import Section
from tools.access import Access, Tls
from tools.commits import Repository
from tools.errors import Permanent

Kind = Literal["prometheus", "loki", "elasticsearch", "jaeger", "tempo", "alertmanager"]
KINDS: tuple[Kind, ...] = get_args(Kind)
PORTS: Mapping[Kind, str] = {
    "prometheus": "http://prometheus:9090",
    "loki": "http://loki:3100",
    "elasticsearch": "https://elasticsearch:9200",
    "jaeger": "http://jaeger-query:16686",
    "tempo": "http://tempo:3200",
    "alertmanager": "http://alertmanager:9093",
}
TENANT = "X-Scope-OrgID"  # Loki, Mimir, Tempo, Cortex; Thanos takes THANOS-TENANT, to be written under headers
FILES = ("token_file", "password_file", "ca_file", "cert_file", "key_file")
TRUE, FALSE = ("true", "1", "yes"), ("false", "0", "no")


def address(example: str) -> Callable[[str], str]:
    """Return a check that answers "" for an http(s) address, else what to write."""

    def check(value: str) -> str:
        try:
            parts = urlsplit(value)
            good = parts.scheme in ("http", "https") and bool(parts.hostname)
            _ = parts.port
        except ValueError:
            good = False
        return "" if good else f"is not an address; write for example {example}"

    return check


def _address(text: str) -> str:
    problem = address("http://prometheus:9090")(text)
    if problem:
        raise ValueError(problem)
    return text


class Server(Section):
    """One server, and how it lets Tocsin in; a token is asked for before user and password."""

    url: Annotated[StrictStr, AfterValidator(_address)] | None = None
    tenant: StrictStr = ""
    headers: dict[StrictStr, StrictStr] = Field(default={})
    params: dict[StrictStr, StrictStr] = Field(default={})
    token_env: StrictStr = ""
    token_file: StrictStr = ""
    api_key_env: StrictStr = ""
    user: StrictStr = ""
    password_env: StrictStr = ""
    password_file: StrictStr = ""
    ca_file: StrictStr = ""
    cert_file: StrictStr = ""
    key_file: StrictStr = ""
    server_name: StrictStr = ""
    insecure: StrictBool = False
    index: StrictStr = ""


class RepositorySection(Section):
    """Where the source of images that begin with *image* is; *tag* makes a Git tag of an image's: "v{tag}"."""

    image: StrictStr
    github: StrictStr = ""
    gitlab: StrictStr = ""
    url: Annotated[StrictStr, AfterValidator(_address)] | None = None
    tag: StrictStr = "{tag}"
    token_env: StrictStr = ""
    token_file: StrictStr = ""
    ca_file: StrictStr = ""
    server_name: StrictStr = ""
    insecure: StrictBool = False

    @model_validator(mode="after")
    def _one_host(self) -> Self:
        if bool(self.github) == bool(self.gitlab):
            msg = "needs exactly one of github and gitlab (owner/project)"
            raise ValueError(msg)
        if self.tag.count("{tag}") != 1 or "{" in self.tag.replace("{tag}", ""):
            msg = "needs {tag} once in tag"
            raise ValueError(msg)
        return self


class Sources(Section):
    """The servers that show a cluster, or all of them, and where the source of its images is."""

    prometheus: Server | None = None
    loki: Server | None = None
    elasticsearch: Server | None = None
    jaeger: Server | None = None
    tempo: Server | None = None
    alertmanager: Server | None = None
    repositories: tuple[RepositorySection, ...] = ()


class KubeContext(Section):
    """A context of a kubeconfig; without *kubeconfig* that of KUBECONFIG or TOCSIN_ACTOR_KUBECONFIG."""

    kubeconfig: StrictStr = ""
    context: StrictStr = ""


class ClusterSection(Sources):
    """One cluster: its own servers (the shared ones where it has none), who reads it and who may change it."""

    also_called: tuple[StrictStr, ...] = ()
    kube: KubeContext | None = None
    actor: KubeContext | None = None


class Reached(BaseModel):
    """A server with its secrets found: *access* is what its client takes."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    url: str
    index: str = "*"
    token: SecretStr = SecretStr("")
    password: SecretStr = SecretStr("")
    scheme: str = "Bearer"
    server: Server = Server()

    @property
    def access(self) -> Access:
        """Return what the server's client is handed."""
        server = self.server
        tenant = {TENANT: server.tenant} if server.tenant else {}
        return Access(
            headers={**tenant, **server.headers},
            token=self.token.get_secret_value(),
            token_file=server.token_file,
            scheme=self.scheme,
            user=server.user,
            password=self.password.get_secret_value(),
            password_file=server.password_file,
            tls=Tls(server.ca_file, server.cert_file, server.key_file, server.server_name, server.insecure),
            params=tuple(server.params.items()),
        )


class Cluster(BaseModel):
    """One cluster as it is reached; None and "" where it is not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    servers: dict[Kind, Reached] = {}
    repositories: tuple[Repository, ...] = ()
    kubeconfig: str = ""
    context: str = ""
    actor_kubeconfig: str = ""
    actor_context: str = ""


_PLAIN = (
    "tenant",
    "user",
    "token_file",
    "password_file",
    "ca_file",
    "cert_file",
    "key_file",
    "server_name",
    "insecure",
)
_SECRET = ("token", "password")


def _switch(value: str) -> str:
    return "" if value.lower() in (*TRUE, *FALSE) else "is neither true nor false"


def _anything(_: str) -> str:
    return ""


def variables() -> dict[str, Callable[[str], str]]:
    """Return every variable that says how a server is reached, with its check."""
    found: dict[str, Callable[[str], str]] = {}
    for kind in KINDS:
        prefix = kind.upper()
        found[f"{prefix}_URL"] = address(PORTS[kind])
        found |= {f"{prefix}_{key.upper()}": _anything for key in (*_SECRET, *_PLAIN)}
        found[f"{prefix}_INSECURE"] = _switch
    found["ELASTICSEARCH_API_KEY"] = found["ELASTICSEARCH_INDEX"] = _anything
    return found


def secret(name: str) -> bool:
    """Tell whether the variable *name* holds a secret."""
    return name in {f"{kind.upper()}_{key.upper()}" for kind in KINDS for key in _SECRET} | {"ELASTICSEARCH_API_KEY"}


def resolve(
    env: Mapping[str, str], shared: Sources, named: Mapping[str, ClusterSection], folder: Path
) -> tuple[dict[str, Cluster], list[str]]:
    """Return every cluster as it is reached ("" when tocsin.yaml names none), and what is wrong.

    A variable comes before `sources`, a cluster's own server before both; *folder* is that of tocsin.yaml.
    """
    problems: list[str] = []
    common: dict[Kind, Reached] = {}
    for kind in KINDS:
        server = _with_variables(env, kind, getattr(shared, kind) or Server())
        given = {key: env.get(f"{kind.upper()}_{key.upper()}", "") for key in (*_SECRET, "api_key")}
        reached = _reached(env, f"sources.{kind}", server, folder, problems, given)
        if reached:
            common[kind] = reached
    shared_repositories = _repositories(env, "sources", shared, folder, problems)
    if not named:
        kubes = {"kubeconfig": env.get("KUBECONFIG", ""), "actor_kubeconfig": env.get("TOCSIN_ACTOR_KUBECONFIG", "")}
        return {"": Cluster(servers=common, repositories=shared_repositories, **kubes)}, problems
    clusters = {}
    for name, section in named.items():
        own: dict[Kind, Reached] = {}
        for kind in KINDS:
            server = getattr(section, kind)
            reached = server and _reached(env, f"clusters.{name}.{kind}", server, folder, problems, {})
            if reached:
                own[kind] = reached
        repositories = _repositories(env, f"clusters.{name}", section, folder, problems)
        clusters[name] = Cluster(
            repositories=(*repositories, *shared_repositories),
            servers=_seen_by(common, own),
            **_kubes(env, name, section, folder, problems),
        )
    return clusters, problems + _mixed_up(clusters)


def _seen_by(common: Mapping[Kind, Reached], own: Mapping[Kind, Reached]) -> dict[Kind, Reached]:
    """Return a cluster's servers: an own store of logs or traces also replaces the shared one of another kind."""
    found = {**common, **own}
    for pair in (("loki", "elasticsearch"), ("tempo", "jaeger")):
        mine = [kind for kind in pair if kind in own]
        if mine:
            found = {kind: reached for kind, reached in found.items() if kind not in pair or kind in own}
    return found


def _with_variables(env: Mapping[str, str], kind: Kind, server: Server) -> Server:
    prefix = kind.upper()
    given: dict[str, object] = {
        key: env[f"{prefix}_{key.upper()}"] for key in _PLAIN if f"{prefix}_{key.upper()}" in env
    }
    if "insecure" in given:
        given["insecure"] = str(given["insecure"]).lower() in TRUE
    for key, name in (("url", f"{prefix}_URL"), ("index", "ELASTICSEARCH_INDEX" if kind == "elasticsearch" else "")):
        if name in env:
            given[key] = env[name]
    return server.model_copy(update=given)


def _reached(
    env: Mapping[str, str], where: str, server: Server, folder: Path, problems: list[str], given: Mapping[str, str]
) -> Reached | None:
    """Return the server with its secrets, None where it has no address or something is wrong with it."""
    if not server.url:
        if server.model_fields_set - {"url"} and where.startswith("clusters."):
            problems.append(f"{where}: has no url; add it")
        return None
    found = dict(given)
    for key, name in (("token", server.token_env), ("password", server.password_env), ("api_key", server.api_key_env)):
        if name and name not in env:
            problems.append(f"{where}.{key}_env: {name} is not set; set it, or name a file in {key}_file")
        found[key] = found.get(key) or env.get(name, "")
    anchored = {key: _anchored(getattr(server, key), folder) for key in FILES if getattr(server, key)}
    fixed = server.model_copy(update=anchored)
    problems += [f"{where}: {problem}" for problem in _contradictions(fixed)]
    key = found.get("api_key", "")
    return Reached(
        url=server.url,
        index=server.index or "*",
        token=SecretStr(key or found.get("token", "")),
        scheme="ApiKey" if key else "Bearer",
        password=SecretStr(found.get("password", "")),
        server=fixed,
    )


def _repositories(
    env: Mapping[str, str], where: str, section: Sources, folder: Path, problems: list[str]
) -> tuple[Repository, ...]:
    found = []
    for number, each in enumerate(section.repositories):
        if each.token_env and each.token_env not in env:
            problems.append(
                f"{where}.repositories.{number}.token_env: {each.token_env} is not set; set it, or name a file in token_file"
            )
        files = {key: _anchored(getattr(each, key), folder) for key in ("token_file", "ca_file") if getattr(each, key)}
        tls = Tls(files.get("ca_file", ""), "", "", each.server_name, each.insecure)
        access = Access(token=env.get(each.token_env, ""), token_file=files.get("token_file", ""), tls=tls)
        host: Literal["github", "gitlab"] = "github" if each.github else "gitlab"
        found.append(Repository(each.image, host, each.github or each.gitlab, each.url or "", each.tag, access))
    return tuple(found)


def _contradictions(server: Server) -> list[str]:
    problems = []
    if server.key_file and not server.cert_file:
        problems.append("key_file without cert_file; name the certificate that it belongs to")
    if server.insecure and (server.ca_file or server.server_name):
        problems.append(
            "insecure takes any certificate, so ca_file and server_name mean nothing; remove one or the other"
        )
    if problems or not str(server.url).startswith("https:"):
        return problems
    try:
        Tls(server.ca_file, server.cert_file, server.key_file, server.server_name, server.insecure).context()
    except Permanent as error:
        problems.append(str(error))
    return problems


def _kubes(
    env: Mapping[str, str], name: str, section: ClusterSection, folder: Path, problems: list[str]
) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, variable, given in (
        ("kube", "KUBECONFIG", section.kube),
        ("actor", "TOCSIN_ACTOR_KUBECONFIG", section.actor),
    ):
        if given is None:
            continue
        path = _anchored(given.kubeconfig, folder) if given.kubeconfig else env.get(variable, "")
        if not path:
            problems.append(f"clusters.{name}.{key}: names no kubeconfig and {variable} is not set; set one of them")
        if not given.kubeconfig and not given.context:
            problems.append(
                f"clusters.{name}.{key}: names no context of {variable}, so it could be any cluster; name it"
            )
        prefix = "actor_" if key == "actor" else ""
        found |= {f"{prefix}kubeconfig": path, f"{prefix}context": given.context}
    return found


def _mixed_up(clusters: Mapping[str, Cluster]) -> list[str]:
    """Say which names would reach the same cluster: a change approved for one of them must never reach another."""
    problems = []
    for what, key in (("kube", ""), ("actor", "actor_")):
        seen: dict[tuple[str, str], str] = {}
        for name, cluster in clusters.items():
            place = getattr(cluster, f"{key}kubeconfig"), getattr(cluster, f"{key}context")
            if not place[0]:
                continue
            if place in seen:
                problems.append(
                    f"clusters.{name}.{what}: is the same kubeconfig and context as clusters.{seen[place]}.{what}; "
                    "each cluster needs its own"
                )
            seen.setdefault(place, name)
    return problems


def _anchored(path: str, folder: Path) -> str:
    return str((folder / Path(path).expanduser()).resolve())
