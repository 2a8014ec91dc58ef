"""Reads PetShop: 5-minute metrics of AWS services as wide CSV tables, a call graph, and issues with target.json.

Called by read.py. A set is a folder with graph.csv (rows call columns) and `*/issue_*/` (metrics.csv, target.json);
`noissue/metrics.csv` is a healthy period recorded on other days; where it is missing, what the issues hold from before
they began takes its place.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agents.rca.signals import Floats, Incident, Series
from bot.eval.cases import UNREADABLE, Case, DatasetError, left_out, opened

HEADER = 4  # microservice, metric, statistic, unix_timestamp
Table = dict[tuple[str, str], tuple[Floats, Floats]]
UNTIL = 1800.0  # an issue lasts less than half an hour


def is_set(folder: Path) -> bool:
    """Tell whether *folder* is one traffic pattern; without a call graph it is ranked by its series alone."""
    return next(folder.glob("*/issue_*/target.json"), None) is not None


def read_set(folder: Path) -> list[Case]:
    """Read every issue of one traffic pattern; raises DatasetError when a file is not as the format says."""
    found = []
    for path in _issues(folder):
        try:
            found.append((path.parent, *_target(path), read_table(_named(path.parent, "metrics.csv"))))
        except UNREADABLE as wrong:
            left_out(path.parent, wrong)
    if not found:
        raise DatasetError(f"{folder} holds no issue with a metrics.csv and a target.json that names the root cause")
    normal = _healthy(folder) or leads([(at, table) for _path, _said, at, table in found])
    calls = _graph(folder)
    return [_case(path, said, at, table, normal, calls) for path, said, at, table in found]


def _named(folder: Path, name: str) -> Path:
    """Return the file of that name, packed or not."""
    return next(iter(sorted(folder.glob(f"{name}*"))), folder / name)


def _healthy(folder: Path) -> dict[tuple[str, str], Floats]:
    """Read the healthy period; empty where there is none that can be read."""
    path = _named(folder / "noissue", "metrics.csv")
    if not path.exists():
        return {}
    try:
        return {key: values for key, (_times, values) in read_table(path).items()}
    except UNREADABLE as wrong:
        left_out(path, wrong)
        return {}


def _graph(folder: Path) -> frozenset[tuple[str, str]]:
    path = _named(folder, "graph.csv")
    try:
        return read_graph(path)
    except UNREADABLE as wrong:
        left_out(path, wrong)
        return frozenset()


def _issues(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/issue_*/target.json"), key=lambda path: (path.parts[-3], len(path.parts[-2]), path))


def leads(found: Sequence[tuple[float, Table]]) -> dict[tuple[str, str], Floats]:
    """Pool what every issue's recording holds from before its issue: the healthy period of a set that has none.

    An issue's own table holds two such moments, too few to call a level. The answers of the issues are not used.
    """
    pooled: dict[tuple[str, str], list[Floats]] = {}
    for at, table in found:
        for key, (times, values) in table.items():
            pooled.setdefault(key, []).append(values[times <= at - (times[1] - times[0] if times.size > 1 else 0.0)])
    return {key: np.concatenate(parts) for key, parts in pooled.items()}


def _target(path: Path) -> tuple[dict[str, Any], float]:
    try:
        said = json.loads(path.read_text(encoding="utf-8-sig"))
        _ = said["target"]["node"], said["target"]["metric"], said["root_cause"]["node"]
        return said, float(said["target"]["timestamp"])
    except (ValueError, KeyError, TypeError) as wrong:
        raise DatasetError(f"{path}: {wrong!r}") from wrong


def _case(
    folder: Path, said: dict[str, Any], at: float, table: Table, normal: Mapping[tuple[str, str], Floats],
    calls: frozenset[tuple[str, str]],
) -> Case:  # fmt: skip
    target = said["target"]
    incident = Incident(
        at=at,
        until=at + UNTIL,
        series=tuple(Series(service, metric, times, values) for (service, metric), (times, values) in table.items()),
        normal=normal,
        calls=calls,
        hurts=str(target["node"]),
        hurts_metric=str(target["metric"]),
    )
    name, set_ = f"{folder.parent.name}/{folder.name}", f"petshop-{folder.parents[1].name}"
    return Case(name, set_, str(said["root_cause"]["node"]), str(target["metric"]), incident)


def read_table(path: Path) -> Table:
    """Read a wide table: (service, "metric statistic") to times and values, NaN where a cell is empty."""
    with opened(path) as file:
        table = list(csv.reader(line.replace("\0", "") for line in file))
    if len(table) <= HEADER or table[0][0] != "microservice":
        raise DatasetError(f"{path}: not a table with the header rows microservice, metric, statistic, unix_timestamp")
    width = len(table[0])
    whole = sorted(
        (row for row in table[HEADER:] if np.isfinite(_number(row[0] if row else ""))), key=lambda row: float(row[0])
    )
    times = np.array([float(row[0]) for row in whole])
    cells = np.full((len(whole), width - 1), np.nan)
    for number, row in enumerate(whole):  # a row cut short leaves the rest unmeasured
        cells[number, : len(row) - 1] = [_number(cell) for cell in row[1:width]]
    keys = [(s, f"{m} {a}") for s, m, a in zip(table[0][1:], table[1][1:], table[2][1:], strict=False)]
    return {key: (times, cells[:, column]) for column, key in enumerate(keys)}


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def read_graph(path: Path) -> frozenset[tuple[str, str]]:
    """Read the adjacency table: a row's service calls each column's service whose cell is not 0."""
    with opened(path) as file:
        header, *table = list(csv.reader(file)) or [[]]
    return frozenset(
        (row[0], callee)
        for row in table
        if row
        for callee, cell in zip(header[1:], row[1:], strict=False)
        if abs(_number(cell)) > 0
    )
