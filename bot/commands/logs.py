"""`tocsin logs templates FILE`: the templates of a log file with their counts; reads nothing but the file."""

import json
import sys
from pathlib import Path

import typer

from tools.errors import Permanent
from tools.templates import Group, mine

_CONTROLS = {code: "\ufffd" for code in (*range(32), *range(0x7F, 0xA0)) if code != 9}


def templates(file: Path, out: Path | None) -> None:
    """Print the templates of *file* ("-" is standard input), the most frequent first; write *out* as JSON.

    The JSON is ``{"templates": {id: text}, "counts": {id: lines}, "lines": [id, ...]}``, one id for every line in order; a
    stack trace's lines have the id of the line that they belong to.
    """
    lines = _read(file)
    mined = mine(lines)
    order = sorted(range(len(mined.groups)), key=lambda index: (-mined.groups[index].count, mined.groups[index].first))
    ids = {index: f"T{rank}" for rank, index in enumerate(order, 1)}
    groups = {ids[index]: mined.groups[index] for index in order}
    if out is not None:
        _write(out, groups, [ids[index] for index in mined.assigned])
    if out is None or str(out) != "-":
        for name, group in groups.items():
            typer.echo(f"{group.count:>8}  {name:<6} {group.template.translate(_CONTROLS)[:400]}")
        typer.echo(f"{len(groups)} templates of {len(lines)} lines")


def _read(file: Path) -> list[str]:
    try:
        raw = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as exc:
        raise Permanent(f"{file} cannot be read: {exc.strerror}; give a text file or - for standard input") from exc
    lines = raw.decode("utf-8", "replace").split("\n")
    return [line.removesuffix("\r") for line in (lines if lines[-1] else lines[:-1])]


def _write(out: Path, groups: dict[str, Group], lines: list[str]) -> None:
    found = {
        "templates": {name: group.template for name, group in groups.items()},
        "counts": {name: group.count for name, group in groups.items()},
        "lines": lines,
    }
    text = json.dumps(found, ensure_ascii=False)
    if str(out) == "-":
        typer.echo(text)
        return
    try:
        out.write_text(text + "\n", encoding="utf-8")
    except OSError as exc:
        raise Permanent(f"{out} cannot be written: {exc.strerror}; give another file") from exc
