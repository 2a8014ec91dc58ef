"""Reads Nezha's recorded days: a metric CSV per pod, a log and a trace CSV per minute, a list of injected faults.

Called by read.py. A day is a folder with `*fault_list.json`; `normal/` holds minutes without a fault. What is known to
be wrong upstream is mended here: `inject_timestamp` is 8 hours off on one day and `TimeStamp` of a metric file two
digits off, so the written UTC times are read instead.
"""

import json
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import numpy as np

from agents.rca.signals import Floats, Incident, Lines, Series, Spans
from bot.eval.cases import Case, DatasetError, rows

FORMAT = "%Y-%m-%d %H:%M:%S"
WINDOW = 180.0  # the task looks at three minutes from the injection on
HISTORY = 7200.0  # what the ranking looks back; the baselines take their own 30 minutes of it
RECENT = 600.0  # logs and traces: what is recorded up to ten minutes before counts as before
_MINUTE = re.compile(r"^(\d\d)_(\d\d)_")
_POD = re.compile(r"-[0-9a-f]{6,10}-[a-z0-9]{5}$")
FROM = "latency seen by "
_LABELS = frozenset({"Time", "TimeStamp", "PodName"})


def is_day(folder: Path) -> bool:
    """Tell whether *folder* is one recorded day."""
    return next(folder.glob("*fault_list.json"), None) is not None


def read_day(folder: Path) -> list[Case]:
    """Read every fault of one day; raises DatasetError when files are not as the format says."""
    listed = next(folder.glob("*fault_list.json"))
    try:
        said = json.loads(listed.read_text())
        faults = [fault for hour in said.values() for fault in hour] if isinstance(said, dict) else list(said)
    except (ValueError, TypeError) as wrong:
        raise DatasetError(f"{listed}: not a list of faults by hour ({wrong})") from wrong
    series = (*read_metrics(folder / "metric"), *read_edges(folder / "metric" / "source_50.csv"))
    calls = read_calls(folder / "metric" / "dependency.csv") | frozenset(
        (one.metric.removeprefix(FROM), one.service) for one in series if one.metric.startswith(FROM)
    )
    known = [fault for fault in faults if _answered(fault)]
    if len(known) < len(faults):
        skipped = len(faults) - len(known)
        print(f"{listed}: {skipped} faults without a time or a pod left out", file=sys.stderr)  # noqa: T201
    return [_case(folder, fault, series, calls) for fault in known]


def _answered(fault: object) -> bool:
    """Tell whether a fault says when and where."""
    if not isinstance(fault, dict) or not fault.get("inject_pod"):
        return False
    try:
        datetime.strptime(str(fault.get("inject_time")), FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return False
    return True


def _case(folder: Path, fault: dict[str, str], series: tuple[Series, ...], calls: frozenset[tuple[str, str]]) -> Case:
    at = datetime.strptime(fault["inject_time"], FORMAT).replace(tzinfo=UTC).timestamp()
    near = tuple(cut for one in series if (cut := _cut(one, at - HISTORY, at + WINDOW)).times.size)
    culprit = service_of(fault["inject_pod"])
    flows = Names()
    incident = Incident(
        at=at,
        until=at + WINDOW,
        series=near,
        lines=read_lines(_minutes(folder, "log", at), at + WINDOW, flows),
        spans=read_spans(_minutes(folder, "trace", at), at + WINDOW, flows),
        calls=calls,
    )
    return Case(fault["inject_time"], _set_of(near), culprit, str(fault.get("inject_type", "")), incident)


def _set_of(series: tuple[Series, ...]) -> str:
    return "nezha-trainticket" if any(one.service.startswith("ts-") for one in series) else "nezha-onlineboutique"


def service_of(pod: str) -> str:
    """Return the pod's name without the ReplicaSet's and its own hash."""
    return _POD.sub("", pod)


def _cut(one: Series, start: float, end: float) -> Series:
    keep = (one.times >= start) & (one.times <= end)
    return Series(one.service, one.metric, one.times[keep], one.values[keep])


@lru_cache(maxsize=65536)
def _written(time: str) -> float:
    return datetime.strptime(time[:19].replace("T", " "), FORMAT).replace(tzinfo=UTC).timestamp()


def read_metrics(folder: Path) -> tuple[Series, ...]:
    """Read every `*_metric.csv`; constant series are kept, for a metric that starts to move is news."""
    found: list[Series] = []
    for path in sorted(folder.glob("*_metric.csv")):
        with path.open(encoding="utf-8") as file:
            header = file.readline().strip().split(",")
        metrics = [name for name in header if name not in _LABELS]
        read = [row for row in rows(path, ["Time", *metrics]) if row[0][:4].isdigit()]
        times = np.array([_written(row[0]) for row in read], dtype=np.float64)
        order = np.argsort(times, kind="stable")
        service = service_of(path.name.removesuffix("_metric.csv"))
        for column, metric in enumerate(metrics, 1):
            values = np.array([_number(row[column]) for row in read], dtype=np.float64)
            found.append(Series(service, metric, times[order], values[order]))
    return tuple(found)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def read_calls(path: Path) -> frozenset[tuple[str, str]]:
    """Read who calls whom, where a day says so."""
    return frozenset((a, b) for a, b in rows(path, ["Source", "Target"])) if path.exists() else frozenset()


def read_edges(path: Path) -> tuple[Series, ...]:
    """Read the median latency of calls as their callers see it, one column a caller_callee; none where a day has none."""
    if not path.exists():
        return ()
    with path.open(encoding="utf-8") as file:
        edges = [name for name in file.readline().strip().split(",") if "_" in name]
    read = [row for row in rows(path, ["time", *edges]) if row[0][:4].isdigit()]
    times = np.array([_written(row[0]) for row in read], dtype=np.float64)
    found = []
    for column, edge in enumerate(edges, 1):
        caller, callee = edge.split("_", 1)
        values = np.array([_number(row[column]) for row in read], dtype=np.float64)
        found.append(Series(callee, FROM + caller, times, values))
    return tuple(found)


def _minutes(folder: Path, kind: str, at: float) -> list[tuple[Path, bool]]:
    """List the minute files from shortly before *at* to the window's end, and those of `normal/` (marked True)."""
    found = [(path, True) for path in sorted((folder / "normal" / kind).glob("*.csv"))]
    day = at - at % 86400
    for path in sorted((folder / kind).glob("*.csv")):
        if stamp := _MINUTE.match(path.name):
            minute = day + int(stamp[1]) * 3600 + int(stamp[2]) * 60
            # A file is named for the minute it was written in and holds about the minute before.
            if at - RECENT <= minute <= at + WINDOW + 60:
                found.append((path, False))
    return found


class Names:
    """Numbers for names, in order of first use."""

    def __init__(self) -> None:
        self.number: dict[str, int] = {}

    def of(self, name: str) -> int:
        """Return the number of *name*, the next free one at its first use."""
        return self.number.setdefault(name, len(self.number))

    def all(self) -> tuple[str, ...]:
        """Return the names, each at the place of its number."""
        return tuple(self.number)


def read_lines(files: Iterable[tuple[Path, bool]], until: float, flows: Names) -> Lines | None:
    """Read log lines up to *until*; the container runtime's JSON wrapping is taken off. None when there is no file."""
    services = Names()
    service, flow, at, text, normal = [], [], [], [], []
    for path, healthy in files:
        for stamp, pod, line, span, trace in rows(path, ["TimeUnixNano", "PodName", "Log"], ["SpanID", "TraceID"]):
            when = _number(stamp) / 1e9
            if healthy or when <= until:
                service.append(services.of(service_of(pod)))
                named = span if span.strip("0") else trace
                flow.append(flows.of(named) if named.strip("0") else -1)
                at.append(when)
                text.append(_unwrapped(line))
                normal.append(healthy)
    if not text:
        return None
    return Lines(services.all(), np.array(service), _floats(at), text, np.array(flow), np.array(normal, dtype=bool))


def _unwrapped(line: str) -> str:
    if line.startswith('{"log":'):
        try:
            return str(json.loads(line)["log"]).rstrip("\n")
        except (ValueError, KeyError):
            return line
    return line


def read_spans(files: Iterable[tuple[Path, bool]], until: float, flows: Names) -> Spans | None:
    """Read spans that started up to *until* (duration in us there, seconds here). None when there is no file."""
    services, operations = Names(), Names()
    ids: dict[tuple[str, str], int] = {}
    parents: list[tuple[str, str]] = []
    failed: list[bool] = []
    table: list[tuple[int, int, float, float, int, bool]] = []
    columns = ["TraceID", "SpanID", "ParentID", "PodName", "OperationName", "StartTimeUnixNano", "Duration"]
    for path, healthy in files:
        for trace, span, parent, pod, name, start, duration, status in rows(path, columns, ["StatusCode"]):
            began, took = _number(start) / 1e9, _number(duration) / 1e6
            if not np.isfinite(began + took) or (began > until and not healthy) or (trace, span) in ids:
                continue
            ids[trace, span] = len(table)
            parents.append((trace, parent))
            table.append((services.of(service_of(pod)), operations.of(name), began, took, flows.of(span), healthy))
            failed.append(_failed(status))
    if not table:
        return None
    service, operation, start_s, duration_s, own_flow, normal = (
        np.array(column) for column in zip(*table, strict=True)
    )
    parent_row = np.array([ids.get(parent, -1) for parent in parents])
    return Spans(
        services.all(),
        operations.all(),
        service,
        operation,
        parent_row,
        start_s,
        duration_s,
        np.array(failed),
        own_flow,
        normal,
    )


def _failed(status: str) -> bool:
    """Tell whether a span's status says error: OpenTelemetry's name or number, or an HTTP code of the server."""
    return status.lower().removeprefix("status_code_") in ("error", "2", "true") or (
        status.isdigit() and int(status) >= 500
    )


def _floats(values: list[float]) -> Floats:
    return np.array(values, dtype=np.float64)
