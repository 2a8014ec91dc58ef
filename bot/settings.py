"""One frozen Settings object from the environment and tocsin.yaml; the only module that reads the environment.

The commands call `from_environment` once at start; everything else is handed the result. All problems are reported at
once, each naming the variable, its value (secrets cut short) and the remedy.
"""

import difflib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr

from bot import connections
from bot import policy as policies
from bot.connections import Cluster
from bot.policy import Policy
from tools.errors import Permanent

OPENAI = "https://api.openai.com/v1"
DEFAULT_MODEL = "gpt-4.1-mini"
_HIDDEN = SecretStr("")


class SettingsError(Permanent):
    """The settings are wrong."""

    def __init__(self, problems: Iterable[str]) -> None:
        """*problems*: one sentence each."""
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class Settings(BaseModel):
    """How this process is connected ("" = not configured) and what its team decided (*policy*)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    slack_bot_token: SecretStr = _HIDDEN
    slack_app_token: SecretStr = _HIDDEN
    slack_signing_secret: SecretStr = _HIDDEN
    slack_api_url: str = "https://slack.com/api/"
    slack_mode: Literal["socket", "http"] = "socket"
    openai_api_key: SecretStr = _HIDDEN
    openai_base_url: str = ""
    openai_model: str = ""
    embedding_model: str = ""
    embedding_base_url: str = ""
    embedding_api_key: SecretStr = _HIDDEN
    database_url: SecretStr = _HIDDEN
    redis_url: SecretStr = _HIDDEN
    clusters: dict[str, Cluster] = {"": Cluster()}
    pagerduty_token: SecretStr = _HIDDEN
    pagerduty_url: str = "https://api.pagerduty.com"
    opsgenie_api_key: SecretStr = _HIDDEN
    opsgenie_url: str = "https://api.opsgenie.com"
    kubeconfig: str = ""
    actor_kubeconfig: str = ""
    data_dir: Path
    listen_host: str = "127.0.0.1"
    listen_port: int = 3000
    webhook_token: SecretStr = _HIDDEN
    webhook_tokens: SecretStr = _HIDDEN
    log_level: str = "info"
    log_format: Literal["auto", "console", "json"] = "auto"
    policy_path: Path | None = None
    policy: Policy = Policy()
    notes: tuple[str, ...] = ()

    @property
    def model_configured(self) -> bool:
        """Whether an OpenAI-compatible endpoint is to be asked at all."""
        return bool(self.openai_model)

    @property
    def embeddings_configured(self) -> bool:
        """Whether texts are embedded; without it, search is full text."""
        return bool(self.embedding_model)


def from_environment(policy_path: Path | None = None, *, need_slack: bool = False) -> Settings:
    """`load` over this process's environment."""
    return load(os.environ, policy_path, need_slack=need_slack)


def load(environ: Mapping[str, str], policy_path: Path | None = None, *, need_slack: bool = False) -> Settings:
    """Read *environ* and the policy file (argument, else TOCSIN_CONFIG, else ./tocsin.yaml when it exists).

    Raises SettingsError with every problem found. *need_slack* also demands the tokens that serving Slack takes.
    """
    env = {name: value.strip() for name, value in environ.items() if value.strip()}
    values: dict[str, object] = {}
    problems: list[str] = []
    for name, (field, check) in VARIABLES.items():
        if name not in env:
            continue
        problem = check(env[name])
        if problem:
            problems.append(f'{name}="{_shown(name, env[name])}" {problem}')
        elif field != "clusters":
            values[field] = env[name]
    _listen(env, values)
    values["data_dir"] = Path(str(values.get("data_dir") or _data_dir(env))).expanduser()
    values["slack_mode"] = env.get("TOCSIN_SLACK_MODE", "socket" if "SLACK_APP_TOKEN" in env else "http")
    if need_slack:
        problems += _slack_gaps(env)
    problems += _model(env, values)
    file, policy, found = _policy(env, policy_path)
    problems += found
    if not problems:
        folder = file.parent if file else Path()
        values["clusters"], found = connections.resolve(env, policy.sources, policy.clusters, folder)
        problems += [f"{file}: {problem}" if file else problem for problem in found]
    if problems:
        raise SettingsError(problems)
    for field in ("slack_api_url", "openai_base_url", "embedding_base_url"):
        if field in values:
            values[field] = str(values[field]).rstrip("/") + ("/" if field == "slack_api_url" else "")
    return Settings.model_validate({**values, "policy_path": file, "policy": policy, "notes": tuple(_typos(env))})


def _anything(_: str) -> str:
    return ""


def _token(prefix: str, name: str, page: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if value.startswith(prefix):
            return ""
        return f"is not {name}: it begins with {prefix}; copy it from {page} of your app at api.slack.com/apps"

    return check


def _url(schemes: tuple[str, ...], example: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        try:
            parts = urlsplit(value)
            good = parts.scheme in schemes and bool(parts.hostname or parts.scheme == "unix")
            _ = parts.port
        except ValueError:
            good = False
        return "" if good else f"is not an address; write for example {example}"

    return check


def _database(value: str) -> str:
    if re.match(r"postgres(ql)?://", value):
        return ""
    return "is not a Postgres address; write for example postgresql://tocsin:secret@db:5432/tocsin"


def _one_of(*words: str) -> Callable[[str], str]:
    return lambda value: "" if value in words else f"is unknown; write one of {', '.join(words)}"


def _host_port(value: str) -> str:
    host, _, port = value.rpartition(":")
    if host and port.isascii() and port.isdigit() and int(port) <= 65535:
        return ""
    return "is not host:port; write for example 127.0.0.1:3000"


def _webhook_tokens(value: str) -> str:
    entries = [part.partition("=") for part in value.split(",") if part.strip()]
    if not entries or not all(sender.strip() and secret.strip() for sender, _, secret in entries):
        return "is not a list of sender=secret; write for example grafana=secret1,pagerduty=secret2"
    from bot.sources import senders

    strange = sorted({sender.strip().lower() for sender, _, _ in entries} - set(senders()))
    return f"names no sender: {', '.join(strange)}; there are {', '.join(senders())}" if strange else ""


VARIABLES: dict[str, tuple[str, Callable[[str], str]]] = {
    "SLACK_BOT_TOKEN": ("slack_bot_token", _token("xoxb-", "a bot token", '"OAuth & Permissions"')),
    "SLACK_APP_TOKEN": ("slack_app_token", _token("xapp-", "an app-level token", '"Basic Information"')),
    "SLACK_SIGNING_SECRET": ("slack_signing_secret", _anything),
    "SLACK_API_URL": ("slack_api_url", _url(("http", "https"), "https://slack.com/api/")),
    "TOCSIN_SLACK_MODE": ("slack_mode", _one_of("socket", "http")),
    "OPENAI_API_KEY": ("openai_api_key", _anything),
    "OPENAI_BASE_URL": ("openai_base_url", _url(("http", "https"), OPENAI)),
    "OPENAI_MODEL": ("openai_model", _anything),
    "OPENAI_EMBEDDING_MODEL": ("embedding_model", _anything),
    "OPENAI_EMBEDDING_BASE_URL": ("embedding_base_url", _url(("http", "https"), OPENAI)),
    "OPENAI_EMBEDDING_API_KEY": ("embedding_api_key", _anything),
    "DATABASE_URL": ("database_url", _database),
    "REDIS_URL": ("redis_url", _url(("redis", "rediss", "unix"), "redis://redis:6379/0")),
    **{name: ("clusters", check) for name, check in connections.variables().items()},
    "PAGERDUTY_TOKEN": ("pagerduty_token", _anything),
    "PAGERDUTY_URL": ("pagerduty_url", _url(("http", "https"), "https://api.eu.pagerduty.com")),
    "OPSGENIE_API_KEY": ("opsgenie_api_key", _anything),
    "OPSGENIE_URL": ("opsgenie_url", _url(("http", "https"), "https://api.eu.opsgenie.com")),
    "KUBECONFIG": ("kubeconfig", _anything),
    "TOCSIN_ACTOR_KUBECONFIG": ("actor_kubeconfig", _anything),
    "TOCSIN_DATA_DIR": ("data_dir", _anything),
    "TOCSIN_CONFIG": ("policy_path", _anything),
    "TOCSIN_LISTEN": ("listen", _host_port),
    "TOCSIN_WEBHOOK_TOKEN": ("webhook_token", _anything),
    "TOCSIN_WEBHOOK_TOKENS": ("webhook_tokens", _webhook_tokens),
    "TOCSIN_LOG_LEVEL": ("log_level", _one_of("debug", "info", "warning", "error")),
    "TOCSIN_LOG_FORMAT": ("log_format", _one_of("auto", "console", "json")),
}
"""Every variable: its field, and a check that answers "" or what is wrong and what to write."""


def _listen(env: Mapping[str, str], values: dict[str, object]) -> None:
    if values.pop("listen", None):
        host, _, port = env["TOCSIN_LISTEN"].rpartition(":")
        values |= {"listen_host": host.strip("[]"), "listen_port": int(port)}


def _data_dir(env: Mapping[str, str]) -> Path:
    home = Path(env.get("HOME") or Path.home())
    return Path(env.get("XDG_DATA_HOME") or home / ".local" / "share") / "tocsin"


def _slack_gaps(env: Mapping[str, str]) -> list[str]:
    problems = []
    if "SLACK_BOT_TOKEN" not in env:
        problems.append("SLACK_BOT_TOKEN is not set; it is the xoxb- token of your installed app, or try: tocsin demo")
    mode = env.get("TOCSIN_SLACK_MODE")
    if mode == "http" and "SLACK_SIGNING_SECRET" not in env:
        problems.append('SLACK_SIGNING_SECRET is not set; HTTP mode takes it from "Basic Information" of your app')
    if mode == "socket" and "SLACK_APP_TOKEN" not in env:
        problems.append("SLACK_APP_TOKEN is not set; Socket Mode takes an xapp- token with connections:write")
    if not mode and not {"SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET"} & env.keys():
        problems.append(
            "SLACK_APP_TOKEN is not set; set it (xapp-, Socket Mode) or set SLACK_SIGNING_SECRET (events over HTTP)"
        )
    return problems


def _model(env: Mapping[str, str], values: dict[str, object]) -> list[str]:
    """Fill in the endpoint and the model; name a model that cannot be guessed."""
    wanted = env.keys() & {"OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL"}
    base = values.setdefault("openai_base_url", OPENAI)
    own = base != OPENAI
    if "embedding_model" in values:
        values.setdefault("embedding_base_url", base)
        values.setdefault("embedding_api_key", values.get("openai_api_key", ""))
    if not wanted:
        return []
    if not own and "OPENAI_API_KEY" not in env:
        return [f"OPENAI_API_KEY is not set; {OPENAI} takes one, or point OPENAI_BASE_URL at your own endpoint"]
    if own and "OPENAI_MODEL" not in env:
        if "OPENAI_EMBEDDING_MODEL" in env:  # an endpoint for embeddings alone is a choice
            return []
        return ["OPENAI_MODEL is not set; name a model that the endpoint in OPENAI_BASE_URL serves"]
    values.setdefault("openai_model", DEFAULT_MODEL)
    return []


def policy_file(path: Path | None = None) -> tuple[Path | None, Policy, list[str]]:
    """Return the policy's file (argument, TOCSIN_CONFIG, ./tocsin.yaml, or None), what it says, and what is wrong with it."""
    return _policy({name: value.strip() for name, value in os.environ.items() if value.strip()}, path)


def _policy(env: Mapping[str, str], path: Path | None) -> tuple[Path | None, Policy, list[str]]:
    named = path or (Path(env["TOCSIN_CONFIG"]) if "TOCSIN_CONFIG" in env else None)
    file = (named or Path("tocsin.yaml")).expanduser()
    if named is None and not file.exists():
        return None, Policy(), []
    policy, problems = policies.load(file)
    return file, policy, problems


def _shown(name: str, value: str) -> str:
    field = VARIABLES[name][0]
    if connections.secret(name):
        return "..."
    if Settings.model_fields.get(field) is None or Settings.model_fields[field].annotation is not SecretStr:
        return value
    return f"{value[:5]}..." if len(value) > 20 else "..."


def _typos(env: Mapping[str, str]) -> list[str]:
    """Unknown TOCSIN_ names that look like a known one; Kubernetes adds TOCSIN_PORT and the like by itself."""
    known = [name for name in VARIABLES if name.startswith("TOCSIN_")]
    stray = (name for name in env if name.startswith("TOCSIN_") and name not in VARIABLES)
    near = ((name, difflib.get_close_matches(name, known, n=1, cutoff=0.85)) for name in sorted(stray))
    return [
        f"{name} is not a variable of Tocsin and is ignored; did you mean {found[0]}?" for name, found in near if found
    ]


def demonstration(given: Mapping[str, str]) -> Settings:
    """Return settings for `tocsin demo`: *given*, and of this process's environment only the model and the logging."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(("OPENAI_", "TOCSIN_LOG_"))}
    return load({**kept, **given}, need_slack=True)
