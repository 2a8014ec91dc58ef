"""What a span's attributes mean, by OpenTelemetry's and OpenTracing's conventions, old and new; for tools.jaeger and tools.tempo."""

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

KINDS = frozenset({"client", "server", "producer", "consumer", "internal"})
MAX_MESSAGE = 300
_PEERS = (
    "peer.service",
    "db.system",
    "db.system.name",
    "messaging.system",
    "server.address",
    "net.peer.name",
    "peer.hostname",
)
_URLS = ("url.full", "http.url")
_CODES = ("http.response.status_code", "http.status_code")


def failed(tags: Mapping[str, str], kind: str) -> bool:
    """Tell whether a span failed: by its status, by OpenTracing's ``error`` tag, or by an HTTP 5xx."""
    if tags.get("error", "").lower() in {"true", "1"} or tags.get("otel.status_code", "").upper() == "ERROR":
        return True
    code = next((tags[name] for name in _CODES if name in tags), "")
    # A client's 4xx is often the right answer; a 5xx is a failure on either side.
    return kind in {"client", "server"} and len(code) == 3 and code.startswith("5")


def message_of(tags: Mapping[str, str], events: Iterable[Mapping[str, str]]) -> str:
    """Return what a failing span says went wrong, "" when it says nothing."""
    for found in ("otel.status_description", "error.message", "exception.message"):
        if tags.get(found):
            return tags[found][:MAX_MESSAGE]
    for event in events:
        said = event.get("exception.message") or event.get("error.object") or ""
        if not said and event.get("event") in {"error", "exception"}:
            said = event.get("message", "")
        if said:
            return said[:MAX_MESSAGE]
    return tags.get("error.type", "")[:MAX_MESSAGE]


def peer_of(tags: Mapping[str, str]) -> str:
    """Return whom a client span says it calls: a service, else a database's or queue's kind, else a host."""
    for name in _PEERS:
        if tags.get(name):
            return tags[name]
    url = next((tags[name] for name in _URLS if tags.get(name)), "")
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
