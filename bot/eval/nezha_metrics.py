"""Reads a Nezha day's metric files: one a pod, calls between services, their latency as callers see it. Called by nezha.py."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import numpy as np

from agents.rca.signals import Floats, Series
from bot.eval.cases import UNREADABLE, DatasetError, header, left_out, rows
from bot.eval.nezha_names import service_of

FROM = "latency seen by "
_LABELS = frozenset({"Time", "TimeStamp", "Timestamp", "time", "timestamp", "PodName", "ServiceName", "Node", ""})
_TIME = "Time|time|TimeStamp|Timestamp|timestamp"
_WRITTEN = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,]\d+)?\s*(Z|[+-]\d\d:?\d\d)?")
_STAMP = re.compile(r"\d{9,19}(?:\.\d+)?$")


@lru_cache(maxsize=65536)
def written(time: str) -> float:
    """Return seconds since the epoch of a written time (UTC where it names no zone) or of a stamp in s, ms, us or ns.

    Raises ValueError for what is neither.
    """
    text = time.strip()
    if _STAMP.match(text):
        stamp = float(text)
        while stamp > 1e11:  # the year 5138 in seconds
            stamp /= 1000.0
        return stamp
    found = _WRITTEN.match(text)
    if found is None:
        raise ValueError(f"{time!r} is not a time")
    zone = (found[3] or "+0000").replace("Z", "+0000")
    return datetime.strptime(f"{found[1]} {found[2]} {zone}", "%Y-%m-%d %H:%M:%S %z").astimezone(UTC).timestamp()


def number(text: str) -> float:
    """Return what is written, NaN for what is no number."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def read_metrics(folder: Path, healthy: Path | None = None) -> tuple[Series, ...]:
    """Read every `*_metric.csv` of a day and of its healthy recording; constant series are kept: one that moves is news.

    Pods of one service that ran one after the other (a restart, a rollout) are one series; side by side they stay apart.
    """
    found: dict[tuple[str, str], list[tuple[Floats, Floats]]] = {}
    for path in (*_files(healthy), *_files(folder)):
        service = service_of(path.name.partition("_metric.csv")[0])
        try:
            for metric, times, values in _table(path):
                found.setdefault((service, metric), []).append((times, values))
        except UNREADABLE as wrong:
            left_out(path, wrong)
    return tuple(
        Series(service, metric, times, values)
        for (service, metric), parts in found.items()
        for times, values in _joined(parts)
    )


def _files(folder: Path | None) -> list[Path]:
    return sorted(folder.glob("*_metric.csv*")) if folder is not None and folder.is_dir() else []


def _table(path: Path) -> list[tuple[str, Floats, Floats]]:
    """Read one file: each metric's times and values in order of time."""
    metrics = [name for name in header(path) if name not in _LABELS]
    kept: list[tuple[float, tuple[str, ...]]] = []
    for row in rows(path, [_TIME], metrics):
        try:
            kept.append((written(row[0]), row))
        except ValueError:
            continue
    if not kept:
        raise DatasetError("no row with a time")
    kept.sort(key=lambda pair: pair[0])
    times = np.array([when for when, _row in kept], dtype=np.float64)
    return [
        (metric, times, np.array([number(row[column]) for _when, row in kept], dtype=np.float64))
        for column, metric in enumerate(metrics, 1)
    ]


def _joined(parts: list[tuple[Floats, Floats]]) -> list[tuple[Floats, Floats]]:
    """Put recordings that follow each other end to end."""
    done: list[tuple[Floats, Floats]] = []
    for times, values in sorted(parts, key=lambda part: float(part[0][0])):
        before = next((place for place, (known, _) in enumerate(done) if known[-1] < times[0]), None)
        if before is None:
            done.append((times, values))
        else:
            done[before] = (np.concatenate([done[before][0], times]), np.concatenate([done[before][1], values]))
    return done


def read_calls(path: Path) -> frozenset[tuple[str, str]]:
    """Read who calls whom, where a day says so."""
    if not path.exists():
        return frozenset()
    try:
        return frozenset((service_of(a), service_of(b)) for a, b in rows(path, ["Source", "Target"]) if a and b)
    except UNREADABLE as wrong:
        left_out(path, wrong)
        return frozenset()


def read_edges(folder: Path) -> Iterable[Series]:
    """Read the median latency of calls as their callers see it, one column a caller_callee; none where a day has none."""
    path = next(iter(sorted(folder.glob("source_50.csv*"))), None) if folder.is_dir() else None
    if path is None:
        return
    try:
        table = _table(path)
    except UNREADABLE as wrong:
        left_out(path, wrong)
        return
    for edge, times, values in table:
        caller, _, callee = edge.partition("_")
        if callee:
            yield Series(callee, FROM + caller, times, values)
