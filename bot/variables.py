"""Every environment variable: the field of Settings it fills, and a check that says what is wrong and what to write.

bot/settings.py reads them; docs and deployment tests list them.
"""

import importlib.util
import re
from collections.abc import Callable
from urllib.parse import urlsplit

from bot import connections

OPENAI = "https://api.openai.com/v1"


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


def _brokers(value: str) -> str:
    if importlib.util.find_spec("aiokafka") is None:
        return "needs a library that is not installed: pip install 'tocsin[kafka]'"
    wrong = next((_host_port(part.strip()) for part in value.split(",") if _host_port(part.strip())), "")
    return "is not a list of host:port; write for example kafka-1:9092,kafka-2:9092" if wrong else ""


def _topic(value: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9._-]{1,249}", value):
        return ""
    return "is not a topic; write letters, digits, dots, dashes and underscores"


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
    "KAFKA_SERVERS": ("kafka_servers", _brokers),
    "KAFKA_ALERTS_TOPIC": ("kafka_alerts_topic", _topic),
    "KAFKA_EVENTS_TOPIC": ("kafka_events_topic", _topic),
    "KAFKA_GROUP": ("kafka_group", _anything),
    "KAFKA_PROTOCOL": ("kafka_protocol", _one_of("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")),
    "KAFKA_MECHANISM": ("kafka_mechanism", _one_of("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")),
    "KAFKA_USER": ("kafka_user", _anything),
    "KAFKA_PASSWORD": ("kafka_password", _anything),
    "KAFKA_CA_FILE": ("kafka_ca_file", _anything),
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
