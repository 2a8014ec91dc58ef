"""The service's log lines from the 5 minutes before the alert until now, grouped by template and compared with before.

Shows new and surging templates first, errors above all, each with a count and an example; a host named in a connection error is
told as the peer. Use it to learn what the service itself says is wrong.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tools.fetch import Absent
from tools.loki import LogLine, Loki
from tools.observe import Seen, missing, observe
from tools.records import Evidence, Finding, Scalar, Scope
from tools.selectors import exactly, matcher, selector
from tools.sources import Sources
from tools.templates import Group, level_of, mine

NEEDS = "loki"
LINES = 3_000
BEFORE_LINES = 2_000
BEFORE = timedelta(minutes=10)
SURGE = 3.0  # times the usual rate
MANY = 5  # fewer lines than this are no surge
MAX_FINDINGS = 12
MAX_SHOWN = 25
SERVICE_LABELS = (
    "app",
    "service",
    "service_name",
    "container",
    "app_kubernetes_io_name",
    "deployment",
    "job",
    "component",
)
LEVEL_LABELS = ("level", "detected_level", "severity")
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
        return self.before == 0

    @property
    def score(self) -> float:
        """How telling it is: errors over warnings over the rest, new over surging over usual."""
        surging = self.ratio is not None and self.ratio >= SURGE and self.group.count >= MANY
        table = {"error": (0.9, 0.8, 0.25), "warning": (0.6, 0.5, 0.12)}
        new, more, usual = table.get(self.group.level, (0.2, 0.15, 0.02))
        weight = new if self.new else more if surging else usual
        return weight * (1.0 if self.group.count >= MANY else 0.8)


async def collect(scope: Scope, sources: Sources) -> Evidence:
    """Read and group the service's lines."""
    loki = sources.loki
    if loki is None:
        return missing("logs", "Loki", sources, "LOKI_URL")
    title = f"Logs of {scope.service or scope.alert.name}"
    return await observe("logs", title, sources, lambda seen: _look(seen, scope, loki))


async def _look(seen: Seen, scope: Scope, loki: Loki) -> None:
    if not scope.service:
        raise ValueError("the alert names no service, so its log stream cannot be looked up")
    found = await _streams(seen, scope, loki)
    if found is None:
        seen.summary = (
            f"no log lines of {scope.service} in the window, under any of the labels {', '.join(SERVICE_LABELS)}"
        )
        return
    query, lines, before = found
    seen.link = loki.link(query, scope.logs_start, scope.end)
    seen.truncated = len(lines) >= LINES
    told = _compare(lines, before, scope)
    seen.findings = [_finding(scope, each) for each in told if each.score >= 0.1][:MAX_FINDINGS]
    errors = sum(each.group.count for each in told if each.group.level == "error")
    new = sum(each.new and each.group.level == "error" for each in told)
    seen.summary = (
        f"{len(lines)}{' (newest only)' if seen.truncated else ''} lines, {errors} errors, {new} new error templates"
    )
    if seen.findings and seen.findings[0].score >= 0.5:
        seen.summary += f"; most telling ({told[0].group.count}x): {told[0].group.template[:160]}"
    seen.body = [_line(each) for each in told[:MAX_SHOWN]]
    if len(told) > MAX_SHOWN:
        seen.body.append(f"and {len(told) - MAX_SHOWN} more templates")


async def _streams(seen: Seen, scope: Scope, loki: Loki) -> tuple[str, list[LogLine], list[LogLine]] | None:
    """Return the query that has the service's lines, its lines in the window, and those of the time before."""
    candidates = _candidates(scope)
    try:
        known = await loki.series(candidates, scope.logs_start - BEFORE, scope.end)
        candidates = [c for c in candidates if any(_matches(c, scope, labels) for labels in known)]
    except Absent:
        pass  # not offered: the candidates are tried one after the other
    for candidate in candidates:
        seen.queries[:] = [candidate]
        lines, before = await asyncio.gather(
            loki.query_range(candidate, scope.logs_start, scope.end, LINES),
            loki.query_range(candidate, scope.logs_start - BEFORE, scope.logs_start, BEFORE_LINES),
        )
        if lines or before:
            return candidate, lines, before
    if not seen.queries:
        seen.queries[:] = _candidates(scope)
    return None


def _candidates(scope: Scope) -> list[str]:
    """Return the selectors to try, the usual ones first; a pod's name last, where nothing else is on the streams."""
    where = matcher("namespace", "=", scope.namespace) if scope.namespace else ""
    named = [selector(where, matcher(label, "=", scope.service)) for label in SERVICE_LABELS]
    return [*named, selector(where, matcher("pod", "=~", exactly(scope.service) + "-[a-z0-9-]+"))]


def _matches(candidate: str, scope: Scope, labels: dict[str, str]) -> bool:
    label = next((label for label in SERVICE_LABELS if f"{label}=" in candidate), "pod")
    value = labels.get(label, "")
    return value.startswith(f"{scope.service}-") if label == "pod" else value == scope.service


def _compare(lines: Sequence[LogLine], before: Sequence[LogLine], scope: Scope) -> list[_Told]:
    """Group the lines of both times together and compare each template's rate, the most telling first."""
    both = [*lines, *before]
    mined = mine([line.text for line in both], [_level(line) for line in both])
    after, prior = Counter(mined.assigned[: len(lines)]), Counter(mined.assigned[len(lines) :])
    first: dict[int, datetime] = {}
    for index, line in zip(mined.assigned, lines, strict=False):
        first.setdefault(index, line.at)
    # Where the limit cut the answer, the lines cover less than the window
    seconds = _covered(lines, LINES, scope.end - scope.logs_start)
    prior_seconds = _covered(before, BEFORE_LINES, BEFORE)
    told = []
    for index, count in after.items():
        group = mined.groups[index]
        shown = Group(group.words, count, group.level, group.example, group.first)
        ratio = (count / seconds) / (prior[index] / prior_seconds) if prior[index] else None
        told.append(_Told(shown, prior[index], ratio, first[index]))
    return sorted(told, key=lambda each: (-each.score, -each.group.count, each.group.template))


def _covered(lines: Sequence[LogLine], limit: int, window: timedelta) -> float:
    if len(lines) < limit:
        return max(window.total_seconds(), 1.0)
    return max((lines[-1].at - lines[0].at).total_seconds(), 1.0)


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
