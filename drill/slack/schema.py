"""A few combinators that say what JSON may look like, with Slack's words for what is wrong; used by blocks.py and views.

A rule takes a value, its JSON pointer and the list of problems, and appends to the list; it never raises.
"""

import math
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

Problems = list[str]
Rule = Callable[[Any, str, Problems], None]


def fault(problems: Problems, message: str, path: str) -> None:
    """Note *message* at *path*, in the form Slack uses."""
    problems.append(f"{message} [json-pointer:{path}]")


def string(most: int | None = None, least: int = 0) -> Rule:
    """Allow text of *least* to *most* characters."""

    def rule(value: Any, path: str, problems: Problems) -> None:
        if not isinstance(value, str):
            fault(problems, "must be a string", path)
        elif len(value) < least:
            fault(problems, f"must be more than {least - 1} characters", path)
        elif most is not None and len(value) > most:
            fault(problems, f"must be less than {most + 1} characters", path)

    return rule


def pattern(expression: str, message: str) -> Rule:
    """Allow text that matches *expression* as a whole."""
    compiled = re.compile(expression)

    def rule(value: Any, path: str, problems: Problems) -> None:
        if not isinstance(value, str) or not compiled.fullmatch(value):
            fault(problems, message, path)

    return rule


def boolean(value: Any, path: str, problems: Problems) -> None:
    """Allow true and false."""
    if not isinstance(value, bool):
        fault(problems, "must be a boolean", path)


def url(value: Any, path: str, problems: Problems) -> None:
    """Allow an http(s) address of up to 3,000 characters."""
    if not isinstance(value, str):
        fault(problems, "must be a string", path)
        return
    if len(value) > 3000:
        fault(problems, "must be less than 3001 characters", path)
        return
    try:
        parts = urlsplit(value)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        fault(problems, "must be a valid URL", path)


def link(value: Any, path: str, problems: Problems) -> None:
    """Allow what may stand behind a link: http(s), mailto, tel and slack addresses."""
    if isinstance(value, str) and value.split(":", 1)[0] in {"mailto", "tel", "slack"} and len(value) <= 3000:
        return
    url(value, path, problems)


def number(*, least: float | None = None, above: float | None = None, most: float | None = None) -> Rule:
    """Allow a finite number within the bounds."""

    def rule(value: Any, path: str, problems: Problems) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            fault(problems, "must be a number", path)
        elif least is not None and value < least:
            fault(problems, f"must be at least {least}", path)
        elif above is not None and value <= above:
            fault(problems, f"must be greater than {above}", path)
        elif most is not None and value > most:
            fault(problems, f"must be at most {most}", path)

    return rule


def integer(least: int, most: int) -> Rule:
    """Allow a whole number from *least* to *most*."""

    def rule(value: Any, path: str, problems: Problems) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            fault(problems, "must be an integer", path)
        elif not least <= value <= most:
            fault(problems, f"must be between {least} and {most}", path)

    return rule


def choice(*values: str) -> Rule:
    """Allow one of *values*."""

    def rule(value: Any, path: str, problems: Problems) -> None:
        if not isinstance(value, str) or value not in values:
            fault(problems, "must be a valid enum value", path)

    return rule


def array(of: Rule, *, least: int = 0, most: int | None = None) -> Rule:
    """Allow a list of *least* to *most* items, each of which *of* allows."""

    def rule(value: Any, path: str, problems: Problems) -> None:
        if not isinstance(value, list):
            fault(problems, "must be an array", path)
            return
        if len(value) < least:
            fault(problems, f"no less than {least} items allowed", path)
        if most is not None and len(value) > most:
            fault(problems, f"no more than {most} items allowed", path)
            return
        for index, item in enumerate(value):
            of(item, f"{path}/{index}", problems)

    return rule


def record(required: Mapping[str, Rule], optional: Mapping[str, Rule], *checks: Rule) -> Rule:
    """Allow an object with these fields and no others; *checks* look at the whole object when its parts are right."""
    fields = {**required, **optional}

    def rule(value: Any, path: str, problems: Problems) -> None:
        if not isinstance(value, dict):
            fault(problems, "must be an object", path)
            return
        before = len(problems)
        for name in required:
            if name not in value:
                fault(problems, f"missing required field: {name}", path)
        for name, item in value.items():
            known = fields.get(name)
            if known is None:
                fault(problems, f"invalid additional property: {name}", path)
            else:
                known(item, f"{path}/{name}", problems)
        if len(problems) == before:
            for check in checks:
                check(value, path, problems)

    return rule


def typed(table: Mapping[str, Rule], allowed: Collection[str] | None = None) -> Rule:
    """Allow an object whose ``type`` is in *table* (and in *allowed*), and which that entry allows."""

    def rule(value: Any, path: str, problems: Problems) -> None:
        if not isinstance(value, dict):
            fault(problems, "must be an object", path)
            return
        kind = value.get("type")
        if kind is None:
            fault(problems, "missing required field: type", path)
        elif not isinstance(kind, str) or kind not in table or (allowed is not None and kind not in allowed):
            fault(problems, f"unsupported type: {kind!s:.80}", f"{path}/type")
        else:
            table[kind](value, path, problems)

    return rule


def exactly_one(*names: str) -> Rule:
    """Require exactly one of the fields *names*."""

    def rule(value: Any, path: str, problems: Problems) -> None:
        given = [name for name in names if name in value]
        if len(given) != 1:
            fault(problems, f"must provide exactly one of: {', '.join(names)}", path)

    return rule


def at_least_one(*names: str) -> Rule:
    """Require one or more of the fields *names*."""

    def rule(value: Any, path: str, problems: Problems) -> None:
        if not any(name in value for name in names):
            fault(problems, f"must define either {' or '.join(f'`{name}`' for name in names)}", path)

    return rule
