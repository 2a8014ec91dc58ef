"""Finds recorded incidents under a path, in whichever known format they are. Called by bot/commands/eval.py."""

from pathlib import Path

from bot.eval import nezha, petshop
from bot.eval.cases import Case, DatasetError

FORMATS = ("nezha", "petshop")
DEPTH = 3  # how far below PATH a day or a set may lie


def read(path: Path, format_: str = "") -> list[Case]:
    """Read every case at or below *path*; raises DatasetError when there is none of *format_* ("": any)."""
    if not path.is_dir():
        raise DatasetError(f"{path} is not a folder; unpack the recorded incidents first (tar xf)")
    if format_ and format_ not in FORMATS:
        raise DatasetError(f"format {format_!r} is not known; known are {', '.join(FORMATS)}")
    found: list[Case] = []
    for folder in _folders(path, DEPTH):
        if format_ in ("", "nezha") and nezha.is_day(folder):
            found += nezha.read_day(folder)
        elif format_ in ("", "petshop") and petshop.is_set(folder):
            found += petshop.read_set(folder)
    if not found:
        wanted = "a nezha day (*fault_list.json) or a petshop set (graph.csv, */issue_*/target.json)"
        raise DatasetError(f"{path} holds no {format_ or 'known'} incidents: looked {DEPTH} folders deep for {wanted}")
    return found


def _folders(path: Path, depth: int) -> list[Path]:
    """List *path* and the folders below it; one that is a dataset is not looked into."""
    if depth == 0 or nezha.is_day(path) or petshop.is_set(path):
        return [path]
    return [
        path,
        *(deeper for child in sorted(path.iterdir()) if child.is_dir() for deeper in _folders(child, depth - 1)),
    ]
