"""Reads PetShop: 5-minute metrics of AWS services as wide CSV tables, a call graph, and issues with target.json.

Called by read.py. A set is a folder with graph.csv (rows call columns) and `*/issue_*/` (metrics.csv, target.json);
`noissue/metrics.csv` is a healthy period recorded on other days and is missing for one traffic pattern.
"""

import csv
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from agents.rca.signals import Floats, Incident, Series
from bot.eval.cases import Case, DatasetError

HEADER = 4  # microservice, metric, statistic, unix_timestamp
UNTIL = 1800.0  # an issue lasts less than half an hour


def is_set(folder: Path) -> bool:
    """Tell whether *folder* is one traffic pattern."""
    return (folder / "graph.csv").exists() and next(folder.glob("*/issue_*/target.json"), None) is not None


def read_set(folder: Path) -> list[Case]:
    """Read every issue of one traffic pattern; raises DatasetError when a file is not as the format says."""
    healthy = folder / "noissue" / "metrics.csv"
    normal = {key: values for key, (_times, values) in read_table(healthy).items()} if healthy.exists() else {}
    calls = read_graph(folder / "graph.csv")
    return [_case(path.parent, normal, calls) for path in sorted(folder.glob("*/issue_*/target.json"))]


def _case(folder: Path, normal: Mapping[tuple[str, str], Floats], calls: frozenset[tuple[str, str]]) -> Case:
    try:
        said = json.loads((folder / "target.json").read_text())
        target, culprit = said["target"], str(said["root_cause"]["node"])
        at = float(target["timestamp"])
    except (ValueError, KeyError, TypeError) as wrong:
        raise DatasetError(f"{folder}/target.json: {wrong!r}") from wrong
    table = read_table(folder / "metrics.csv")
    series = tuple(Series(service, metric, times, values) for (service, metric), (times, values) in table.items())
    incident = Incident(
        at=at,
        until=at + UNTIL,
        series=series,
        normal=normal,
        calls=calls,
        hurts=str(target["node"]),
        hurts_metric=str(target["metric"]),
    )
    return Case(
        f"{folder.parent.name}/{folder.name}",
        f"petshop-{folder.parents[1].name}",
        culprit,
        str(target["metric"]),
        incident,
    )


def read_table(path: Path) -> dict[tuple[str, str], tuple[Floats, Floats]]:
    """Read a wide table: (service, "metric statistic") to times and values, NaN where a cell is empty."""
    with path.open(newline="", encoding="utf-8") as file:
        table = list(csv.reader(file))
    if len(table) <= HEADER or table[0][0] != "microservice":
        raise DatasetError(f"{path}: not a table with the header rows microservice, metric, statistic, unix_timestamp")
    times = np.array([float(row[0]) for row in table[HEADER:]])
    cells = np.array([[float(cell) if cell else np.nan for cell in row[1:]] for row in table[HEADER:]])
    keys = [(s, f"{m} {a}") for s, m, a in zip(table[0][1:], table[1][1:], table[2][1:], strict=True)]
    return {key: (times, cells[:, column]) for column, key in enumerate(keys)}


def read_graph(path: Path) -> frozenset[tuple[str, str]]:
    """Read the adjacency table: a row's service calls each column's service whose cell is not 0."""
    with path.open(newline="", encoding="utf-8") as file:
        header, *table = list(csv.reader(file))
    return frozenset(
        (row[0], callee)
        for row in table
        for callee, cell in zip(header[1:], row[1:], strict=True)
        if cell and float(cell) != 0
    )
