"""One result of the doctor, and the four ways to make one."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warn", "fail", "off"]


@dataclass(frozen=True)
class Check:
    """*says* is what was found, *remedy* what to do about it; "off" is a part that is not configured."""

    name: str
    state: State
    says: str
    remedy: str = ""


def ok(name: str, says: str) -> Check:
    """Return a part that works."""
    return Check(name, "ok", says)


def warn(name: str, says: str, remedy: str) -> Check:
    """Return a part that works, with a gap."""
    return Check(name, "warn", says, remedy)


def fail(name: str, says: str, remedy: str) -> Check:
    """Return a part that does not work."""
    return Check(name, "fail", says, remedy)


def off(name: str, says: str, remedy: str) -> Check:
    """Return a part that nobody configured: *says* is what Tocsin does without it."""
    return Check(name, "off", says, remedy)
