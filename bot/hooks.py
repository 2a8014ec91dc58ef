"""Who may post to /webhook/<sender>: a shared secret or the sender's own signature. Called by bot/web.py.

The secret of a sender is its own in TOCSIN_WEBHOOK_TOKENS, else TOCSIN_WEBHOOK_TOKEN. Every comparison takes constant time.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

MAX_AGE_S = 300  # of a signature that carries its time, as for Slack's
# These can send neither a header nor a signature of ours; everybody else's query string is not looked at: it is logged on the way.
BY_QUERY = frozenset(("uptimerobot", "azure"))
SIGNED = {
    "pagerduty": "x-pagerduty-signature",
    "sentry": "sentry-hook-signature",
    "grafana": "x-grafana-alerting-signature",
    "generic": "x-hub-signature-256",  # GitHub's, and of many that took it over
}
STANDARD = ("webhook", "svix")  # https://www.standardwebhooks.com: incident.io and others; whoever posts to generic may

Body = Callable[[], Awaitable[bytes]]


def tokens_of(text: str) -> dict[str, str]:
    """Read "grafana=secret,datadog=other" (TOCSIN_WEBHOOK_TOKENS); ValueError for an entry without a name or a secret."""
    found: dict[str, str] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        sender, mark, secret = entry.partition("=")
        if not (sender.strip() and mark and secret.strip()):
            msg = "an entry is not sender=secret"
            raise ValueError(msg)
        found[sender.strip().lower()] = secret.strip()
    return found


async def problem(
    sender: str, secret: str, headers: Mapping[str, str], query: Mapping[str, str], body: Body, now: float
) -> str:
    """Return "" for a request that proves to know *secret*, else what is wrong: missing_webhook_token or bad_webhook_token."""
    given = _given(sender, headers, query)
    if any(_same(token, secret) for token in given):
        return ""
    if sender == "generic" and any(f"{prefix}-signature" in headers for prefix in STANDARD):
        return "" if _standard(secret, headers, await body(), now) else "bad_webhook_signature"
    header = SIGNED.get(sender, "")
    signature = headers.get(header, "") if header else ""
    if signature:
        return "" if _signed(sender, secret, signature, headers, await body(), now) else "bad_webhook_signature"
    return "bad_webhook_token"


def _given(sender: str, headers: Mapping[str, str], query: Mapping[str, str]) -> list[str]:
    """Return the secrets a request shows: bearer, basic's password, X-Tocsin-Token and, where nothing else can be, ?token=."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    found = [headers.get("x-tocsin-token", "")]
    if scheme.lower() == "bearer":
        found.append(value.strip())
    elif scheme.lower() == "basic":
        try:
            found.append(base64.b64decode(value, validate=True).decode().partition(":")[2])
        except (binascii.Error, ValueError):
            found.append("")
    if sender in BY_QUERY:
        found.append(query.get("token", ""))
    return [token for token in found if token]


def _signed(sender: str, secret: str, signature: str, headers: Mapping[str, str], body: bytes, now: float) -> bool:
    stamp = headers.get("x-grafana-alerting-signature-timestamp", "") if sender == "grafana" else ""
    if stamp:
        if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 16 and abs(now - int(stamp)) <= MAX_AGE_S):
            return False
        body = stamp.encode() + b":" + body
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    if sender == "pagerduty":
        return any(_same(part.strip(), f"v1={expected}") for part in signature.split(",")[:8])
    return _same(signature.removeprefix("sha256="), expected)


def _standard(secret: str, headers: Mapping[str, str], body: bytes, now: float) -> bool:
    """Check a signature of Standard Webhooks: base64 of the HMAC over id, time and body; the time is at most 5 min off."""
    prefix = next(one for one in STANDARD if f"{one}-signature" in headers)
    name, stamp = headers.get(f"{prefix}-id", ""), headers.get(f"{prefix}-timestamp", "")
    if not (name and stamp.isascii() and stamp.isdigit() and len(stamp) < 16 and abs(now - int(stamp)) <= MAX_AGE_S):
        return False
    try:
        key = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
    except (binascii.Error, ValueError):
        return False
    signed = f"{name}.{stamp}.".encode() + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return any(_same(one, f"v1,{expected}") for one in headers[f"{prefix}-signature"].split(" ")[:8])


def _same(given: str, expected: str) -> bool:
    return bool(expected) and hmac.compare_digest(given.encode(), expected.encode())


def form(text: str) -> dict[str, Any]:
    """Read a URL-encoded body, which some senders post instead of JSON; ValueError when it is none."""
    return dict(parse_qsl(text, strict_parsing=True, max_num_fields=200))
