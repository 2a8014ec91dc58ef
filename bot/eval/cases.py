"""A recorded incident and its answer, whatever format it was read from. Filled by nezha.py and petshop.py."""

import csv
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from agents.rca.signals import Incident
from tools.errors import Permanent


class DatasetError(Permanent):
    """The folder does not hold recorded incidents in a format that is known here."""


@dataclass(frozen=True)
class Case:
    """One incident: *set* names the group it is scored in, *culprit* the service that was broken, *fault* how."""

    name: str
    set: str
    culprit: str
    fault: str
    incident: Incident


def rows(path: Path, columns: Sequence[str], extra: Sequence[str] = ()) -> Iterator[tuple[str, ...]]:
    """Yield *columns*, then *extra* ("" where the file has none) of every row of a CSV file with a header.

    Rows cut short and rows that no CSV reader takes (a file cut within quotes) are skipped. Raises DatasetError for a column missing.
    """
    csv.field_size_limit(sys.maxsize)
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        reader = csv.reader(line.replace("\0", "") for line in file)
        header = next(reader, [])
        try:
            wanted = [header.index(column) for column in columns]
        except ValueError as missing:
            raise DatasetError(f"{path}: no column {missing}; its columns are {', '.join(header)}") from missing
        last = max(wanted)
        more = [header.index(column) if column in header else -1 for column in extra]
        while True:
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error:
                continue
            if len(row) > last:
                yield (*(row[index] for index in wanted), *(row[i] if 0 <= i < len(row) else "" for i in more))
