"""A recorded incident and its answer, whatever format it was read from. Filled by nezha.py and petshop.py."""

import bz2
import csv
import gzip
import lzma
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

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


_PACKED: dict[str, Callable[..., IO[str]]] = {
    ".gz": cast("Callable[..., IO[str]]", gzip.open),
    ".bz2": cast("Callable[..., IO[str]]", bz2.open),
    ".xz": cast("Callable[..., IO[str]]", lzma.open),
}
# What reading a file may meet: no file, no right, a packed file cut short or none at all, a name that is no number.
UNREADABLE = (DatasetError, OSError, EOFError, lzma.LZMAError, ValueError)


def opened(path: Path) -> IO[str]:
    """Open a text file, packed or not; a byte order mark is no part of it."""
    how = _PACKED.get(path.suffix)
    if how is not None:
        return how(path, "rt", newline="", encoding="utf-8-sig", errors="replace")
    return path.open(newline="", encoding="utf-8-sig", errors="replace")


def left_out(what: object, why: object) -> None:
    """Say on standard error what is not part of the figures, and why; everything else goes on."""
    print(f"left out: {what}: {why}", file=sys.stderr)  # noqa: T201


def header(path: Path) -> list[str]:
    """Return the names of a CSV file's columns."""
    with opened(path) as file:
        return [name.strip() for name in next(csv.reader(file), [])]


def rows(path: Path, columns: Sequence[str], extra: Sequence[str] = ()) -> Iterator[tuple[str, ...]]:
    """Yield *columns*, then *extra* ("" where the file has none) of every row of a CSV file with a header.

    "A|B" is the first of several names that the file has. Rows cut short and rows that no CSV reader takes (a file cut within
    quotes) are skipped; a packed file that is cut short is read as far as it goes. Raises DatasetError for a column missing.
    """
    csv.field_size_limit(sys.maxsize)
    with opened(path) as file:
        reader = csv.reader(line.replace("\0", "") for line in file)
        names = [name.strip() for name in next(reader, [])]
        wanted = [_place(names, column) for column in columns]
        if missing := [column for column, index in zip(columns, wanted, strict=True) if index < 0]:
            said = ", ".join(missing).replace("|", " or ")
            raise DatasetError(f"{path}: no column {said}; its columns are {', '.join(names) or 'none'}")
        last = max(wanted, default=-1)
        more = [_place(names, column) for column in extra]
        while True:
            try:
                row = next(reader)
            except (StopIteration, EOFError, OSError, lzma.LZMAError):
                return
            except csv.Error:
                continue
            if len(row) > last:
                yield (*(row[index] for index in wanted), *(row[i] if 0 <= i < len(row) else "" for i in more))


def _place(names: Sequence[str], column: str) -> int:
    return next((names.index(name) for name in column.split("|") if name in names), -1)
