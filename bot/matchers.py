"""Label matchers as Alertmanager writes them: `service=checkout severity=~"warning|info"`; read, shown and tried on alerts.

bot/policy_intake.py, bot/silencing.py and the silence stage call it; everything is pure. Regular expressions are anchored,
as Alertmanager's are. They run on text from outside, so what could take exponential time is refused.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from tools.errors import Permanent
from tools.records import Alert

MAX_TEXT, MAX_VALUE, MAX_MATCHERS = 1000, 500, 20
_CURLED = str.maketrans({"\u201c": '"', "\u201d": '"'})  # what phones make of quotes
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_OPERATOR = re.compile(r"\s*(=~|!~|!=|=)\s*")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_BARE = re.compile(r"[^\s,\"{}]+")
_AND = re.compile(r"[\s,]+")
# What RE2, Alertmanager's engine, does not have: references back and looks around.
_LOOKS = re.compile(r"\\[1-9]|\(\?(?!:)")
_TOKEN = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.", re.DOTALL)
Op = Literal["=", "!=", "=~", "!~"]


class Misread(Permanent):
    """These matchers cannot be read."""


class Matcher(NamedTuple):
    """One condition on one label; a label that an alert does not have is "", as in Alertmanager."""

    name: str
    op: Op
    value: str

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Say whether *labels* fulfil it."""
        given = labels.get(self.name, "")[:MAX_VALUE]
        if self.op in ("=", "!="):
            return (given == self.value) == (self.op == "=")
        return bool(re.fullmatch(self.value, given)) == (self.op == "=~")

    def __str__(self) -> str:
        """Write it as Alertmanager does."""
        quoted = self.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'{self.name}{self.op}"{quoted}"'


def parse(text: str) -> tuple[Matcher, ...]:
    """Read matchers separated by spaces or commas, braces optional; raise Misread with what is wrong and how it is written."""
    matchers, rest = take(text)
    if rest:
        raise Misread(f"I cannot read `{rest[:60]}`. Write label=value, for example {EXAMPLE}.")
    return check(matchers)


EXAMPLE = 'service=checkout severity=~"warning|info"'


def take(text: str) -> tuple[tuple[Matcher, ...], str]:
    """Read the matchers at the start of *text*; return them and what follows. Raise Misread for a broken one."""
    if len(text) > MAX_TEXT:
        raise Misread(f"Matchers may have {MAX_TEXT} characters; these have {len(text)}.")
    rest = text.translate(_CURLED).strip()
    braced = rest.startswith("{")
    rest = rest[1:].lstrip() if braced else rest
    found: list[Matcher] = []
    while match := _one(rest):
        matcher, rest = match
        found.append(matcher)
        rest = _AND.sub("", rest, count=1) if _AND.match(rest) else rest
    if braced:
        if not rest.startswith("}"):
            raise Misread('The braces are not closed: write {service="checkout"}.')
        rest = rest[1:].lstrip()
    return tuple(found), rest


def check(matchers: tuple[Matcher, ...]) -> tuple[Matcher, ...]:
    """Return *matchers* when they may be used; raise Misread when they would silence everything, or could not be tried."""
    if not matchers:
        raise Misread(f"There is no matcher. For example {EXAMPLE}.")
    if len(matchers) > MAX_MATCHERS:
        raise Misread(f"{len(matchers)} matchers are too many; {MAX_MATCHERS} may be used.")
    for matcher in matchers:
        _usable(matcher)
    if all(matcher.holds({}) for matcher in matchers):
        raise Misread("These matchers match an alert without labels, and so every alert. Name at least one value.")
    return matchers


def all_hold(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """Say whether every matcher holds."""
    return all(matcher.holds(labels) for matcher in matchers)


def labels_of(alert: Alert) -> dict[str, str]:
    """Return what matchers see of *alert*: its own labels, and what was read elsewhere under the usual names."""
    read = {
        "alertname": alert.name,
        "service": alert.service,
        "severity": alert.severity,
        "namespace": alert.namespace,
        "cluster": alert.cluster,
        "sender": alert.sender,
    }
    return {**{name: value for name, value in read.items() if value}, **alert.labels}


def written(matchers: Iterable[Matcher]) -> str:
    """Write matchers in one line, as `parse` reads them."""
    return " ".join(map(str, matchers))


def _one(text: str) -> tuple[Matcher, str] | None:
    label = _LABEL.match(text)
    operator = _OPERATOR.match(text, label.end()) if label else None
    if not label or not operator:
        return None
    name, op = label[0], operator[1]
    rest = text[operator.end() :]
    value = _QUOTED.match(rest)
    if value:
        plain = re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], value[1])
        # Inside quotes a regular expression keeps its own backslashes, unless they are doubled as Alertmanager wants it.
        plain = value[1].replace('\\"', '"').replace("\\\\", "\\") if "~" in op else plain
    else:
        value = _BARE.match(rest)
        if not value:
            raise Misread(f'{name}{op} has no value. Write {name}{op}"..."; for none, {name}="".')
        plain = value[0]
    return _matcher(name, op, plain), rest[value.end() :]


def _matcher(name: str, op: str, value: str) -> Matcher:
    for known in ("=", "!=", "=~", "!~"):
        if op == known:
            return Matcher(name, known, value)
    raise Misread(f"{op} is no operator; write =, !=, =~ or !~.")


def _usable(matcher: Matcher) -> None:
    if len(matcher.value) > MAX_VALUE:
        raise Misread(f"The value of {matcher.name} has {len(matcher.value)} characters; {MAX_VALUE} may be used.")
    if "~" not in matcher.op:
        return
    if _LOOKS.search(matcher.value) or _repeats_a_choice(matcher.value):
        raise Misread(f"The expression of {matcher.name} repeats a group, or looks back; write it without.")
    try:
        re.compile(matcher.value)
    except re.error as error:
        raise Misread(f"The expression of {matcher.name} is not a regular expression: {error}.") from error


def _repeats_a_choice(pattern: str) -> bool:
    """Say whether a group with a repetition or a choice in it is itself repeated, which can take exponential time."""
    open_groups: list[bool] = []  # for each: whether there is a repetition or a choice in it
    closed = False
    for part in _TOKEN.findall(pattern):
        if part in ("*", "+", "{") and closed:
            return True
        closed = False
        if part == "(":
            open_groups.append(False)
        elif part == ")" and open_groups:
            closed = open_groups.pop()
        if (part in ("*", "+", "{", "|") or closed) and open_groups:
            open_groups[-1] = True
    return False
