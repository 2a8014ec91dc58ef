"""Print the part of requirements.lock that an installed Tocsin needs, without the development tools; the Dockerfile runs it.

usage: python runtime_lock.py requirements.lock  (in an environment where the lock and Tocsin's wheel are installed)
"""

import re
import sys
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def closure(root: str) -> set[str]:
    """Return the canonical names of everything that *root* needs here, itself left out."""
    found: set[str] = set()
    todo: list[tuple[str, frozenset[str]]] = [(root, frozenset())]
    while todo:
        name, extras = todo.pop()
        for line in requires(name) or ():
            wanted = Requirement(line)
            if wanted.marker and not any(wanted.marker.evaluate({"extra": extra}) for extra in (extras or {""})):
                continue
            known = canonicalize_name(wanted.name)
            if known not in found or wanted.extras:
                todo.append((known, frozenset(wanted.extras)))
            found.add(known)
    return found


def subset(lock: str, names: set[str]) -> str:
    """Return the entries of *lock* (a name and its hashes) that are among *names*; KeyError when one has none."""
    entries = re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE)
    by_name = {
        canonicalize_name(re.split(r"[=\s;\[]", entry, maxsplit=1)[0]): entry for entry in entries if entry.strip()
    }
    return "".join(by_name[canonicalize_name(name)] for name in sorted(names))


if __name__ == "__main__":
    sys.stdout.write(subset(Path(sys.argv[1]).read_text(encoding="utf-8"), closure("tocsin")))
