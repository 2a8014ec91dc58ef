"""Reads a Nezha day's log and trace files, one a minute, around one fault. Called by nezha.py.

Memory is bounded: of more rows than MOST_ROWS only whole traces are kept, the same ones in every file.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from zlib import crc32

import numpy as np

from agents.rca.signals import Lines, Spans
from bot.eval.cases import UNREADABLE, left_out, rows
from bot.eval.nezha_metrics import number, written
from bot.eval.nezha_names import service_of

RECENT = 600.0  # what is recorded up to ten minutes before counts as before
DAY = 86400.0
ELSEWHERE = 6  # minutes of the same day that stand for health where none was recorded
MOST_HEALTHY = 5  # files of the healthy recording; one minute of it is what Nezha itself uses
MOST_ROWS = 600_000
ROW_BYTES = {"log": 400, "trace": 220}
PACKED = 12  # times smaller than what it holds
MOST_CHARS = 2_000
_MINUTE = re.compile(r"^(\d\d)[_-](\d\d)(?:[_-]|\.)")
Minutes = Sequence[tuple[Path, bool]]


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


def minutes(folder: Path, healthy: Path | None, kind: str, at: float, until: float) -> list[tuple[Path, bool]]:
    """List the minute files from shortly before *at* to *until*, and those of a healthy recording (marked True).

    Where nobody recorded health and nothing is left from before, other minutes of the same day stand for it, earlier ones
    first: they are other faults' minutes, and most services are well in most of them.
    """
    known = [(path, True) for path in _files(healthy, kind)[:MOST_HEALTHY]] if healthy is not None else []
    near, far, before = [], [], False
    for path in _files(folder, kind):
        if stamp := _MINUTE.match(path.name):
            off = (int(stamp[1]) * 3600 + int(stamp[2]) * 60 - at + DAY / 2) % DAY - DAY / 2
            # A file is named for the minute it was written in and holds about the minute before.
            if -RECENT <= off <= until - at + 60:
                near.append((path, False))
                before = before or off < -60
            elif abs(off) > RECENT:
                far.append((off > 0, abs(off), path))
    if near and not known and not before:
        known = [(path, True) for _late, _off, path in sorted(far)[:ELSEWHERE]]
    return known + near


def _files(folder: Path, kind: str) -> list[Path]:
    return sorted(path for path in (folder / kind).glob("*.csv*") if path.is_file())


def _kept(files: Minutes, kind: str) -> int:
    """Return of how many traces one is kept, by the files' sizes."""
    size = sum(path.stat().st_size * (1 if path.suffix == ".csv" else PACKED) for path, _healthy in files)
    every = max(1, -(-size // (ROW_BYTES[kind] * MOST_ROWS)))
    if every > 1:
        left_out(
            f"{files[-1][0].parent}",
            f"about {size // 2**20} MB: one trace in {every} is read, of every minute the same",
        )
    return int(every)


def _when(text: str) -> float:
    try:
        return written(text)
    except ValueError:
        return float("nan")


def read_lines(files: Minutes, until: float, flows: Names) -> Lines | None:
    """Read log lines up to *until*; the container runtime's JSON wrapping is taken off. None when there is no line."""
    services = Names()
    table: list[tuple[int, int, float, bool]] = []
    text: list[str] = []
    every = _kept(files, "log")
    for path, healthy in files:
        try:
            for stamp, pod, line, span, trace in rows(
                path, ["TimeUnixNano|Timestamp", "PodName|ServiceName", "Log"], ["SpanID", "TraceID"]
            ):
                if every > 1 and crc32((trace or line).encode()) % every:
                    continue
                when = _nanoseconds(stamp)
                if np.isfinite(when) and (healthy or when <= until):
                    named = span if span.strip("0") else trace
                    flow = flows.of(named) if named.strip("0") else -1
                    table.append((services.of(service_of(pod)), flow, when, healthy))
                    text.append(_unwrapped(line)[:MOST_CHARS])
        except UNREADABLE as wrong:
            left_out(path, wrong)
    if not text:
        return None
    service, flow_, at, normal = (np.array(column) for column in zip(*table, strict=True))
    return Lines(services.all(), service, at, text, flow_, normal)


def _nanoseconds(stamp: str) -> float:
    return number(stamp) / 1e9 if stamp.isdigit() and len(stamp) > 16 else _when(stamp)


def _unwrapped(line: str) -> str:
    if line.startswith('{"log":'):
        try:
            return str(json.loads(line)["log"]).rstrip("\n")
        except (ValueError, KeyError):
            return line
    return line


_COLUMNS = ["TraceID", "SpanID", "ParentID", "PodName|ServiceName", "OperationName", "StartTimeUnixNano"]


def read_spans(files: Minutes, until: float, flows: Names) -> Spans | None:
    """Read spans that started up to *until*, lengths by their two ends, else by Duration (us). None when there is none."""
    services, operations = Names(), Names()
    ids: dict[tuple[str, str], int] = {}
    parents: list[tuple[str, str]] = []
    table: list[tuple[int, int, float, float, int, bool, bool]] = []
    every = _kept(files, "trace")
    for path, healthy in files:
        try:
            for trace, span, parent, pod, name, start, end, duration, status in rows(
                path, _COLUMNS, ["EndTimeUnixNano", "Duration", "StatusCode|Status"]
            ):
                if every > 1 and crc32(trace.encode()) % every:
                    continue
                began, took = _nanoseconds(start), _took(start, end, duration)
                if not np.isfinite(began + took) or (began > until and not healthy) or (trace, span) in ids:
                    continue
                ids[trace, span] = len(table)
                parents.append((trace, parent))
                who, what = services.of(service_of(pod)), operations.of(name)
                table.append((who, what, began, took, flows.of(span), healthy, _failed(status)))
        except UNREADABLE as wrong:
            left_out(path, wrong)
    if not table:
        return None
    service, operation, start_s, took_s, flow, normal, failed = (
        np.array(column) for column in zip(*table, strict=True)
    )
    parent_row = np.array([ids.get(parent, -1) for parent in parents])
    names = services.all(), operations.all()
    return Spans(*names, service, operation, parent_row, start_s, took_s, failed, flow, normal)


def _took(start: str, end: str, duration: str) -> float:
    """Return a span's seconds; a span without a known end has none."""
    if duration and np.isfinite(us := number(duration)):
        return max(us / 1e6, 0.0)
    return max((number(end) - number(start)) / 1e9, 0.0)


def _failed(status: str) -> bool:
    """Tell whether a span's status says error: OpenTelemetry's name or number, or an HTTP code of the server."""
    return status.lower().removeprefix("status_code_") in ("error", "2", "true") or (
        status.isdigit() and int(status) >= 500
    )
