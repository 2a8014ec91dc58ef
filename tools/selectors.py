"""Names and values from alerts become parts of a PromQL or LogQL query here and nowhere else.

Used by everything in tools that writes a query. A value is data: whatever it contains, it stays one string literal.
"""

import re

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_REGEX_SPECIAL = re.compile(r"([\\.+*?()|\[\]{}^$])")
# Go's string literals (both query languages use them) know \xNN for what is left of the control characters.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def literal(value: str) -> str:
    """*value* as a double-quoted string of PromQL and LogQL.

    Lone surrogates, which have no UTF-8 form and so could never match, become U+FFFD.
    """
    clean = value.encode("utf-8", "replace").decode("utf-8")
    escaped = "".join(_ESCAPES.get(char, char) for char in clean)
    return '"' + _CONTROL.sub(lambda m: f"\\x{ord(m.group()):02x}", escaped) + '"'


def exactly(value: str) -> str:
    """*value* as an RE2 pattern that matches only itself; still to be put through `matcher`."""
    return _REGEX_SPECIAL.sub(r"\\\1", value)


def matcher(label: str, op: str, value: str) -> str:
    """One label matcher such as ``service="checkout"``; *op* is one of ``= != =~ !~``.

    Raises ValueError for a label name that Prometheus and Loki do not allow.
    """
    if not _LABEL.fullmatch(label):
        raise ValueError(f"{label!r} is not a label name")
    if op not in {"=", "!=", "=~", "!~"}:
        raise ValueError(f"{op!r} is not a label matching operator")
    return f"{label}{op}{literal(value)}"


def selector(*matchers: str, name: str = "") -> str:
    """Return a series or stream selector from ready matchers; empty ones are left out."""
    return f"{name}{{{','.join(m for m in matchers if m)}}}"
