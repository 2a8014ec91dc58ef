"""`tocsin parse FILE...`: what the readers make of Slack messages and webhook bodies, as one JSON array.

Works without settings; useful to anybody who writes a rule or a template and wants to see what will be understood.
"""

import json
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from bot.sources import Kind, Unreadable, read, senders
from tools.errors import Permanent
from tools.records import Alert

KEYS = (
    *("name", "status", "severity", "service", "labels", "annotations", "starts_at", "value", "query", "links"),
    *("fingerprint", "sender", "missing"),
)
MAX_BYTES = 50 * 1024 * 1024
_ENVELOPE = frozenset(("payload", "parameters", "renders", "service", "name", "description"))


@dataclass(frozen=True)
class Found:
    """One payload taken out of a file: how it came, whose it is ("" when nobody says) and its body."""

    kind: Kind
    body: Any
    sender: str = ""


def main(config: Path | None, files: list[str], sender: str, services: list[str]) -> None:
    """Print the alerts of all readable *files*, then raise Permanent with a sentence for each that cannot be read."""
    if sender and sender not in senders():
        msg = f'No reader is called "{sender}"; there are: {", ".join(senders())}.'
        raise Permanent(msg)
    known = {*services, *_declared(config)}
    alerts: list[Alert] = []
    problems: list[str] = []
    for name in files:
        try:
            alerts += alerts_in(_text(name), known, sender)
        except Permanent as error:
            problems.append(f"{'standard input' if name == '-' else name}: {error}")
    if alerts:
        shown = [alert.model_dump(mode="json", include=set(KEYS)) for alert in alerts]
        text = json.dumps([{key: one[key] for key in KEYS} for one in shown], indent=2, ensure_ascii=False)
        sys.stdout.buffer.write(text.encode() + b"\n")
        sys.stdout.flush()
    if problems:
        raise Permanent("\n".join(problems))


def alerts_in(text: str, known: Collection[str] = (), sender: str = "") -> list[Alert]:
    """Return the alerts in *text*: JSON of one payload, an array of them, JSON lines, or a form; raise Unreadable."""
    alerts: list[Alert] = []
    for found in payloads(documents(text), sender):
        alerts += read(found.kind, found.body, known, sender=found.sender)
    if not alerts:
        msg = "There is nothing in it."
        raise Unreadable(msg)
    return alerts


def documents(text: str) -> list[Any]:
    """Return the JSON values in *text*: one, or one a line; raise Unreadable saying where it breaks."""
    text = text.lstrip("\ufeff")
    if not text.strip():
        msg = "There is nothing in it."
        raise Unreadable(msg)
    try:
        return [json.loads(text)]
    except RecursionError:
        msg = "It is JSON nested too deep."
        raise Unreadable(msg) from None
    except ValueError as error:
        problem = f"It is not JSON: {error}."
    lines = [line for line in text.splitlines() if line.strip()]
    try:
        return [json.loads(line) for line in lines] if len(lines) > 1 else [_form(lines[0])]
    except (ValueError, RecursionError):
        raise Unreadable(problem) from None


def _form(line: str) -> dict[str, str]:
    """Read a URL-encoded form, as some senders post it."""
    pairs = parse_qs(line, strict_parsing=True)
    if "payload" in pairs and pairs["payload"][0].startswith("{"):
        return dict(json.loads(pairs["payload"][0]))
    return {key: values[0] for key, values in pairs.items()}


def payloads(values: list[Any], sender: str = "") -> Iterator[Found]:
    """Take each payload out of what it is wrapped in: a list, a captured request, a Slack event, a template."""
    for value in values:
        if isinstance(value, list):
            yield from payloads(value, sender)
        else:
            yield _unwrapped(value, sender)


def _unwrapped(value: Any, sender: str, depth: int = 4) -> Found:
    if not isinstance(value, dict) or depth == 0:
        return Found("webhook", value, sender)
    if "body" in value and ("headers" in value or "path" in value):
        return _request(value, sender, depth)
    if isinstance(value.get("payload"), dict) and value.keys() <= _ENVELOPE:
        return _unwrapped(value["payload"], sender, depth - 1)
    event = value.get("event")
    if isinstance(event, dict) and (
        value.get("type") == "event_callback" or event.get("type") in ("message", "app_mention")
    ):
        return Found("slack", event, sender)
    return Found("slack" if _is_message(value) else "webhook", value, sender)


def _request(value: dict[str, Any], sender: str, depth: int) -> Found:
    body, path = value["body"], str(value.get("path") or value.get("url") or "")
    if isinstance(body, str):
        found = documents(body)
        body = found[0] if len(found) == 1 else found
    inner = _unwrapped(body, sender, depth - 1)
    if "/services/" in path or "chat." in path:
        return Found("slack", inner.body, sender)
    named = path.split("?", maxsplit=1)[0].rstrip("/").rpartition("/")[2].lower()
    return Found(inner.kind, inner.body, sender or (named if named in senders() else ""))


def _is_message(value: dict[str, Any]) -> bool:
    """Tell a bare Slack message, as Slack delivers it or as it was posted."""
    shaped = any(
        isinstance(value.get(key), list) and value[key] and isinstance(value[key][0], dict)
        for key in ("attachments", "blocks")
    )
    if value.get("type") in ("message", "app_mention") and ("text" in value or shaped or "channel" in value):
        return True
    posted = isinstance(value.get("text"), str) and any(
        key in value for key in ("ts", "user", "bot_id", "username", "channel", "icon_emoji")
    )
    return (shaped or posted) and "alerts" not in value and "title" not in value


def _text(name: str) -> str:
    try:
        if name == "-":
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with Path(name).open("rb") as file:
                data = file.read(MAX_BYTES + 1)
    except OSError as error:
        msg = f"It cannot be read: {error.strerror}."
        raise Permanent(msg) from error
    if len(data) > MAX_BYTES:
        msg = f"It is over {MAX_BYTES} bytes."
        raise Permanent(msg)
    try:
        return data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8")
    except UnicodeDecodeError as error:
        msg = f"It is not UTF-8 text: {error.reason} at byte {error.start}."
        raise Permanent(msg) from error


def _declared(config: Path | None) -> Collection[str]:
    """Return the services of the team's policy: the file that is named, else ./tocsin.yaml where there is one."""
    path = config or Path("tocsin.yaml")
    if config is None and not path.exists():
        return ()
    from bot import policy

    found, problems = policy.load(path)
    if problems:
        raise Permanent("\n".join(problems))
    return found.services
