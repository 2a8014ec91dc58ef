"""Finds recorded incidents under a path, in whichever known format they are. Called by bot/commands/eval.py."""

from collections.abc import Iterator
from pathlib import Path

from bot.eval import nezha, petshop
from bot.eval.cases import Case, DatasetError, left_out

FORMATS = ("nezha", "petshop")
DEPTH = 4  # how far below PATH a day or a set may lie


def read(path: Path, format_: str = "") -> list[Case]:
    """Read every case at or below *path* at once; raises DatasetError as `cases` does."""
    return list(cases(path, format_))


def cases(path: Path, format_: str = "") -> Iterator[Case]:
    """Read the cases at or below *path* one by one, so that only one is held in memory.

    A day or a set that cannot be read is named on standard error and left out. Raises DatasetError when there is no case of
    *format_* ("": any).
    """
    if not path.is_dir():
        raise DatasetError(f"{path} is not a folder; unpack the recorded incidents first (tar xf)")
    if format_ and format_ not in FORMATS:
        raise DatasetError(f"format {format_!r} is not known; known are {', '.join(FORMATS)}")
    found = 0
    for folder in _folders(path, DEPTH):
        try:
            for case in _of(folder, format_):
                found += 1
                yield case
        except (DatasetError, OSError) as wrong:
            left_out(folder, wrong)
    if not found:
        wanted = "a nezha day (*fault_list.json) or a petshop set (graph.csv, */issue_*/target.json)"
        raise DatasetError(f"{path} holds no {format_ or 'known'} incidents: looked {DEPTH} folders deep for {wanted}")


def _of(folder: Path, format_: str) -> Iterator[Case]:
    if format_ in ("", "nezha") and nezha.is_day(folder):
        yield from nezha.read_day(folder)
    elif format_ in ("", "petshop") and petshop.is_set(folder):
        yield from petshop.read_set(folder)


def _folders(path: Path, depth: int) -> list[Path]:
    """List *path* and the folders below it; one that is a dataset is not looked into."""
    if depth == 0 or nezha.is_day(path) or petshop.is_set(path):
        return [path]
    children = sorted(child for child in path.iterdir() if child.is_dir() and not child.name.startswith("."))
    return [path, *(deeper for child in children for deeper in _folders(child, depth - 1))]
