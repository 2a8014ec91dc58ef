"""The hand-written file of who calls whom (`topology:` of tocsin.yaml); read by bot/policy.py to check it and by bot/toolbox.py.

checkout: [payment, cart]   # checkout calls payment and cart
payment: ledger
"""

from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 1_000_000
MAX_CALLS = 20_000
Calls = tuple[tuple[str, str], ...]


class _Wrong(ValueError):
    """What is wrong with the file, to be said after its name."""


def read_calls(path: str, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> tuple[Calls, list[str]]:
    """Return (caller, callee) of each call in file *path* ("" is none) and a sentence for everything wrong with it."""
    if not path:
        return (), []
    try:
        content = _content(path, loader)
        problems = [problem for caller, callees in content.items() for problem in _problems(caller, callees)]
        calls = () if problems else _calls(content)
    except _Wrong as exc:
        return (), [f"topology: {path} {exc}"]
    return calls, [f"topology: {path}: {problem}" for problem in problems]


def _content(path: str, loader: type[yaml.SafeLoader]) -> dict[Any, Any]:
    try:
        with Path(path).open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        text = raw.decode()
    except (OSError, UnicodeDecodeError) as exc:
        msg = f"cannot be read ({exc}); name a readable YAML file"
        raise _Wrong(msg) from exc
    if len(raw) > MAX_BYTES:
        msg = f"is larger than {MAX_BYTES:,} bytes; keep only the calls between services"
        raise _Wrong(msg)
    try:
        content = yaml.load(text, Loader=loader)  # noqa: S506  # always a SafeLoader
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as exc:
        msg = f"is not YAML: {' '.join(str(exc).split())}"
        raise _Wrong(msg) from exc
    if content is not None and not isinstance(content, dict):
        msg = f"holds a {type(content).__name__}; write lines such as checkout: [payment, cart]"
        raise _Wrong(msg)
    return content or {}


def _calls(content: dict[Any, Any]) -> Calls:
    calls = tuple(dict.fromkeys((caller, callee) for caller, callees in content.items() for callee in _names(callees)))
    if len(calls) > MAX_CALLS:
        msg = f"holds {len(calls):,} calls, more than {MAX_CALLS:,}; keep those between services"
        raise _Wrong(msg)
    return calls


def _names(callees: Any) -> list[Any]:
    return [] if callees is None else callees if isinstance(callees, list) else [callees]


def _problems(caller: Any, callees: Any) -> list[str]:
    if not isinstance(caller, str) or not caller.strip():
        return [f"{caller!r} is no service's name; put it in quotes"]
    found = [f"{caller}: {each!r} is no service's name; write {caller}: [payment, cart]"
             for each in _names(callees) if not isinstance(each, str) or not each.strip()]  # fmt: skip
    return found + ([f"{caller} calls itself; remove it"] if caller in _names(callees) else [])
