"""docs/cli.md, made from the help texts: `python -m docs.cli > docs/cli.md`; a test compares the two."""  # noqa: INP001

from collections.abc import Iterator

import typer
from typer.main import get_command

from bot.__main__ import app

WIDTH = 100
HEAD = """# The command line

Made from the help texts by `python -m docs.cli > docs/cli.md`; a test compares them. Settings come from
environment variables and `tocsin.yaml`. A command that cannot do its work says why in a sentence and ends with exit code 2.
"""


def page() -> str:
    """Return the whole page."""
    return HEAD + "".join(f"\n## {path}\n\n```text\n{text}\n```\n" for path, text in _helps())


def _helps() -> Iterator[tuple[str, str]]:
    top = get_command(app)
    todo = [(top, top.make_context("tocsin", ["--help-is-asked-below"], resilient_parsing=True, terminal_width=WIDTH))]
    while todo:
        command, context = todo.pop(0)
        yield context.command_path, command.get_help(context).strip()
        children = [
            (child, child.make_context(name, [], parent=context, resilient_parsing=True, terminal_width=WIDTH))
            for name, child in getattr(command, "commands", {}).items()
        ]
        todo[:0] = children


if __name__ == "__main__":
    typer.echo(page(), nl=False)
