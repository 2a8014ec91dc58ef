"""The service's log lines from the 5 minutes before the alert until now, grouped by template and compared with before.

Shows new and surging templates first, errors above all, each with a count and an example; a host named in a connection error is
told as the peer. Lines come from Loki, Elasticsearch or the pods themselves. Use it to learn what the service itself says is wrong.
"""

import asyncio
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tools.errors import TocsinError
from tools.logsource import LogLine, LogSource, Sample, Where, sample
from tools.observe import Seen, missing, observe
from tools.podlogs import PodLogs
from tools.records import Evidence, Finding, Scalar, Scope
from tools.signals import RawLine, Signals
from tools.sources import Sources
from tools.templates import Group, level_of, mine

NEEDS = "logs"
LINES = 3_000
BEFORE_LINES = 2_000
BEFORE = timedelta(minutes=10)
SURGE = 3.0  # times the usual rate
MANY = 5  # fewer lines than this are no surge
MAX_FINDINGS = 12
MAX_SHOWN = 25
FLOW_LABELS = ("trace_id", "traceID", "trace.id", "request_id")
LEVEL_LABELS = ("level", "detected_level", "severity")
_FLOW = re.compile(r"""(?i)\b(?:trace|request|req)[._-]?id["']?\s*[:=]\s*["']?([0-9A-Za-z-]{8,64})""")
_CONNECTION = re.compile(
    r"(?i)refused|timed? ?out|timeout|no such host|unreachable|reset by peer|no route|unavailable|broken pipe|econn|lookup "
    r"|connect(?:ion)? (?:error|failed|closed)|failed to connect|cannot connect|deadline exceeded|bad gateway|upstream|dial tcp|\b50[234]\b"
)
_HOST = re.compile(
    r"(?<![\w.@-])(?:[a-z][a-z0-9+.]*://)?(?:[^\s/@]*@)?([A-Za-z][A-Za-z0-9-]*(?:\.[A-Za-z0-9-]+)*):(\d{2,5})(?!\d|\.\d|:\d)"
)
_URL = re.compile(r"\bhttps?://([A-Za-z][A-Za-z0-9-]*(?:\.[A-Za-z0-9-]+)*)")
_LOOKUP = re.compile(r"\blookup ([A-Za-z][A-Za-z0-9-]*(?:\.[A-Za-z0-9-]+)*)")
_SOURCE_FILE = re.compile(r"\.(?:go|py|js|ts|java|kt|rb|rs|c|cc|cpp|h|php|ex|exs|scala|cs|erl)$", re.IGNORECASE)


@dataclass(frozen=True)
class _Told:
    """One template with its rate compared with before; *ratio* None when it did not exist before."""

    group: Group
    before: int
    ratio: float | None
    first_at: datetime

    @property
    def new(self) -> bool:
        return self.ratio is None

    @property
    def score(self) -> float:
        """How telling it is: errors over warnings over the rest, new over surging over usual."""
        surging = self.ratio is not None and self.ratio >= SURGE and self.group.count >= MANY
        table = {"error": (0.9, 0.8, 0.25), "warning": (0.6, 0.5, 0.12)}
        new, more, usual = table.get(self.group.level, (0.2, 0.15, 0.02))
        weight = new if self.new else more if surging else usual
        return weight * (1.0 if self.group.count >= MANY else 0.8)


@dataclass(frozen=True)
class _Found:
    """What a source has: the query that found it, the lines since and those of the time before."""

    source: LogSource
    query: str
    now: Sample
    before: Sample


async def collect(scope: Scope, sources: Sources) -> Evidence:
    """Read and group the service's lines."""
    if not sources.logs:
        return missing("logs", "log store", sources, "LOKI_URL, ELASTICSEARCH_URL or KUBECONFIG")
    title = f"Logs of {scope.service or scope.alert.name}"
    return await observe("logs", title, sources, lambda seen: _look(seen, scope, sources))


async def _look(seen: Seen, scope: Scope, sources: Sources) -> None:
    if not scope.service:
        raise ValueError("the alert names no service, so its log stream cannot be looked up")
    stores: list[LogSource] = [store for store in (sources.loki, sources.elastic) if store is not None]
    if sources.kube is not None:
        stores.append(PodLogs(sources.kube, scope))
    passed: list[str] = []
    errors: list[TocsinError] = []
    found: _Found | None = None
    for store in stores:
        try:
            found = await _read(seen, scope, store)
        except TocsinError as error:
            errors.append(error)
            passed.append(f"{store.name} failed")
            continue
        if found is not None:
            break
        passed.append(f"{store.name} has no lines of it")
    if found is None:
        if errors and len(errors) == len(stores):
            raise errors[0]
        seen.summary = f"no log lines of {scope.service} in the window ({'; '.join(passed)})"
        seen.body = [str(error) for error in errors]
        return
    _tell(seen, scope, found)
    seen.signals = _signals(scope, found)
    if passed:
        seen.summary += f" (from {found.source.name}: {'; '.join(passed)})"


def _signals(scope: Scope, found: _Found) -> Signals:
    """Return the lines as raw signals, each under the request it names."""
    lines = [*found.before.lines, *found.now.lines]
    raw = [RawLine(scope.service, line.at.timestamp(), line.text, _flow(line)) for line in lines]
    return Signals(lines=raw, cut="" if found.now.whole else f"{len(lines)} log lines of {scope.service} are a sample.")


def _flow(line: LogLine) -> str:
    """Return the request that a line names by its trace or request id, "" when it names none."""
    label = next((line.labels[name] for name in FLOW_LABELS if line.labels.get(name)), "")
    named = None if label else _FLOW.search(line.text)
    return label or (named[1] if named else "")


async def _read(seen: Seen, scope: Scope, store: LogSource) -> _Found | None:
    """Return the first query's lines that has any."""
    begin = scope.logs_start - BEFORE
    for query in await store.find(Where(scope.service, scope.namespace, begin, scope.end), seen.ask):
        seen.queries[:] = [query]
        now, before = await asyncio.gather(
            sample(store, query, scope.logs_start, scope.end, LINES),
            sample(store, query, begin, scope.logs_start, BEFORE_LINES),
        )
        if now.lines or before.lines:
            return _Found(store, query, now, before)
    return None


def _tell(seen: Seen, scope: Scope, found: _Found) -> None:
    now = found.now
    seen.link = found.source.link(found.query, scope.logs_start, scope.end)
    seen.truncated = not now.whole
    told = _compare(now, found.before, scope)
    seen.findings = [_finding(scope, each) for each in told if each.score >= 0.1][:MAX_FINDINGS]
    errors = sum(each.group.count for each in told if each.group.level == "error")
    new = sum(each.new and each.group.level == "error" for each in told)
    part = f"about {now.total} lines (a sample of {len(now.lines)}, spread over the window)"
    seen.summary = f"{f'{len(now.lines)} lines' if now.whole else part}, {errors} errors, {new} new error templates"
    if seen.findings and seen.findings[0].score >= 0.5:
        seen.summary += f"; most telling ({told[0].group.count}x): {told[0].group.template[:160]}"
    seen.body = [_line(each) for each in told[:MAX_SHOWN]]
    if len(told) > MAX_SHOWN:
        seen.body.append(f"and {len(told) - MAX_SHOWN} more templates")


def _compare(now: Sample, before: Sample, scope: Scope) -> list[_Told]:
    """Group the lines of both times together and compare each template's rate, the most telling first."""
    both = [*now.lines, *before.lines]
    mined = mine([line.text for line in both], [_level(line) for line in both])
    after, prior = _weighed(mined.assigned, now), _weighed(mined.assigned[len(now.lines) :], before)
    first: dict[int, datetime] = {}
    for index, line in zip(mined.assigned, now.lines, strict=False):
        first.setdefault(index, line.at)
    seconds = max((scope.end - scope.logs_start).total_seconds(), 1.0)
    told = []
    for index, amount in after.items():
        group = mined.groups[index]
        count = max(round(amount), 1)
        shown = Group(group.words, count, group.level, group.example, group.first)
        ratio = (amount / seconds) / (prior[index] / BEFORE.total_seconds()) if prior[index] else None
        told.append(_Told(shown, round(prior[index]), ratio, first[index]))
    return sorted(told, key=lambda each: (-each.score, -each.group.count, each.group.template))


def _weighed(assigned: Sequence[int], part: Sample) -> dict[int, float]:
    """Count lines by group, each for as many as it stands for; 0 for a group without any."""
    found: dict[int, float] = defaultdict(float)
    for index, weight in zip(assigned, part.weights, strict=False):
        found[index] += weight
    return found


def _level(line: LogLine) -> str:
    found: Callable[[str], str] = level_of
    return next((found(line.labels[label]) for label in LEVEL_LABELS if line.labels.get(label)), "")


def peer_of(text: str, service: str) -> str:
    """Return the host a connection error names, as its first DNS label; "" when it names none but files or itself."""
    if not _CONNECTION.search(text):
        return ""
    hosts = [match[1] for pattern in (_HOST, _URL, _LOOKUP) for match in pattern.finditer(text)]
    for host in hosts:
        name = host.lower().split(".")[0]
        if not _SOURCE_FILE.search(host) and name not in {service.lower(), "localhost"} and not name.isdigit():
            return name
    return ""


def _finding(scope: Scope, told: _Told) -> Finding:
    group = told.group
    change = "new" if told.new else f"{told.ratio:.1f} times its usual rate" if told.ratio is not None else ""
    data: dict[str, Scalar] = {
        "template": group.template, "count": group.count, "new": told.new, "level": group.level, "example": group.example,
        "before": told.before, "ratio": round(told.ratio, 2) if told.ratio is not None else None,
    }  # fmt: skip
    peer = peer_of(group.example, scope.service) if group.level in {"error", "warning"} else ""
    data |= {"peer": peer} if peer else {}
    label = group.level or "log"
    said = f"{scope.service} logged {group.count}x ({label}, {change}): {group.example[:240]}"
    return Finding(
        kind="log_template", service=scope.service, statement=said, score=told.score, at=told.first_at, data=data
    )


def _line(told: _Told) -> str:
    mark = "NEW" if told.new else f"x{told.ratio:.1f}" if told.ratio is not None else ""
    return f"{told.group.count:>5} {told.group.level or '-':<7} {mark:<5} {told.group.template[:200]}" + (
        f"\n      e.g. {told.group.example[:240]}" if told.score >= 0.5 else ""
    )
