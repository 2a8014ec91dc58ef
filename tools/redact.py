"""Secrets are taken out of every text that leaves a tool; called by tools.observe, tools.run, and bot's log set-up.

Two rules: formats that are secret by their shape (a JWT, a private key, a provider's token) and values that stand behind
a telling name (``password=``). Image digests, git hashes and ids are kept on purpose: they are what an
on-call engineer compares.
"""

import re
from collections.abc import Callable

Replace = str | Callable[[re.Match[str]], str]

_NAME = (
    r"[\w.-]*(?:passw(?:or)?d|passphrase|passwd|pwd|secret|token|api[_.-]?key|apikey|access[_.-]?key|private[_.-]?key"
    r"|credential|client[_.-]?secret|encryption[_.-]?key|signing[_.-]?key|session[_.-]?id|connection[_.-]?string)s?(?:[_.-]?(?:value|b64|base64))?"
)
# Words behind a telling name that say something about the secret and are none themselves.
_NOT_SECRET = re.compile(
    r"(?i)(?:\[redacted[^\]]*\]?|sha256:[0-9a-f]{8,64}|none|null|nil|true|false|empty|unset|missing|required|expired|invalid|wrong"
    r"|\*+|<[^>]*>|\$\{?\w+\}?|\d{1,4})\Z"
)
_KEPT = "[redacted]"


def _kept(what: str) -> str:
    return f"[redacted {what}]"


def _named(match: re.Match[str]) -> str:
    value = match["value"]
    bare = value.strip("\"'")
    if not bare or _NOT_SECRET.match(bare):
        return match.group()
    quote = value[0] if value[0] in "\"'" and value[-1] == value[0] and len(value) > 1 else ""
    return f"{match['name']}{match['between']}{quote}{_KEPT}{quote}"


_RULES: tuple[tuple[re.Pattern[str], Replace], ...] = (
    (
        re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\Z)", re.DOTALL),
        _kept("private key"),
    ),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"), _kept("JWT")),
    (re.compile(r"\bxox[abeoprs]-[\w-]{8,}|\bxapp-[\w-]{10,}|\bxoxe\.xox[bp]-[\w-]{8,}"), _kept("Slack token")),
    (re.compile(r"https://hooks\.slack\.com/(?:services|workflows|triggers)/[\w/+-]+"), _kept("Slack webhook")),
    (re.compile(r"\b(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA)[0-9A-Z]{16}\b"), _kept("AWS key id")),
    (re.compile(r"\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}"), _kept("git token")),
    (re.compile(r"\bsk-(?:proj-|ant-|svcacct-|or-v1-)?[A-Za-z0-9_-]{20,}"), _kept("API key")),
    (re.compile(r"\b[srp]k_(?:live|test)_[A-Za-z0-9]{10,}"), _kept("API key")),
    (re.compile(r"\bAIza[\w-]{35}"), _kept("Google key")),
    (re.compile(r"\bya29\.[\w-]{20,}"), _kept("Google token")),
    (re.compile(r"\bSG\.[\w-]{16,}\.[\w-]{16,}"), _kept("API key")),
    (re.compile(r"\b(?:npm_|dop_v1_|hvs\.|pypi-|dckr_pat_|lin_api_)[\w-]{20,}"), _kept("token")),
    (
        re.compile(r"(?P<scheme>\b[a-zA-Z][a-zA-Z0-9+.-]{1,20}://)(?P<user>[^\s/@:\"']{0,100}):(?P<secret>[^\s/\"'@]{1,200})@"),
        lambda m: m.group() if m["secret"].startswith("[redacted") else f"{m['scheme']}{m['user']}:{_KEPT}@",
    ),
    (
        re.compile(
            r"(?i)(?P<head>\bauthorization[\"']?\s*[:=]\s*[\"']?)(?P<scheme>(?:bearer|basic|digest|token|apikey|aws4-hmac-sha256)\s+)?"
            r"(?P<secret>(?!\[redacted)[^\s\"',;]{4,})"
        ),
        lambda m: f"{m['head']}{m['scheme'] or ''}{_KEPT}",
    ),
    (re.compile(r"(?i)\b(?P<scheme>bearer|basic)\s+(?P<secret>(?!\[redacted)[A-Za-z0-9._~+/=-]{16,})"), lambda m: f"{m['scheme']} {_KEPT}"),
    (re.compile(r"(?i)(?P<head>\b(?:set-)?cookie[\"']?\s*[:=]\s*[\"']?)(?!\[redacted)[^\r\n\"']{4,}"), lambda m: f"{m['head']}{_KEPT}"),
    (
        re.compile(
            rf"(?i)(?P<name>{_NAME})(?P<between>[\"']?\s{{0,3}}(?:=>|:=|=|:)\s{{0,3}})"
            r"(?P<value>\"(?:[^\"\\\n]|\\.){1,4000}\"|'(?:[^'\\\n]|\\.){1,4000}'|[^\s\"',;&)}\]]{3,}\]?)"
        ),
        _named,
    ),
)  # fmt: skip


# A secret right behind another is seen only once the first is gone; each further pass uncovers one more of such a row.
PASSES = 8


def redact(text: str) -> str:
    """*text* with secrets replaced by ``[redacted ...]``; the same text again when it has none or had them removed."""
    for _ in range(PASSES):
        before = text
        for pattern, replacement in _RULES:
            text = pattern.sub(replacement, text)
        if text == before:
            break
    return text


_SECRET_NAME = re.compile(rf"(?i)(?:{_NAME}|.*(?:_key|_dsn|_auth|_pat|salt))\Z")


def is_secret_name(name: str) -> bool:
    """Whether a setting of this name usually holds a secret."""
    return bool(_SECRET_NAME.match(name))
