"""One frozen Settings object from the environment and tocsin.yaml; the only module that reads the environment.

The commands call `from_environment` once at start; everything else is handed the result. All problems are reported at
once, each naming the variable, its value (secrets cut short) and the remedy.
"""

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, SecretStr

from bot import connections
from bot import policy as policies
from bot.connections import Cluster
from bot.policy import Policy
from bot.variables import OPENAI, VARIABLES
from tools.errors import Permanent

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
    kafka_servers: str = ""
    kafka_alerts_topic: str = ""
    kafka_events_topic: str = ""
    kafka_group: str = "tocsin"
    kafka_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    kafka_user: str = ""
    kafka_password: SecretStr = _HIDDEN
    kafka_ca_file: str = ""
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
    problems += [*_model(env, values), *_topics(env)]
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


def _topics(env: Mapping[str, str]) -> list[str]:
    if "KAFKA_SERVERS" not in env or {"KAFKA_ALERTS_TOPIC", "KAFKA_EVENTS_TOPIC"} & env.keys():
        return []
    return ["KAFKA_SERVERS is set and no topic is; set KAFKA_ALERTS_TOPIC, KAFKA_EVENTS_TOPIC or both"]


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
