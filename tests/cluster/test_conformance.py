"""The same requests to the practice API and to a real API server, the answers compared field by field; see compare.py."""

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.cluster import requests_guards, requests_kinds, requests_objects, requests_workloads
from tests.cluster.compare import KNOWN, differences, paths
from tests.cluster.place import Place
from tests.cluster.run import Run
from tests.cluster.sides import Side, of_place, practice

GROUPS = (*requests_objects.GROUPS, *requests_workloads.GROUPS, *requests_kinds.GROUPS, *requests_guards.GROUPS)
RECORD = os.environ.get("TOCSIN_RECORD_FIELDS") == "1"  # writes KNOWN anew, on a 1.20 server


@pytest.fixture(scope="module")
def sides(cluster: Place) -> Iterator[tuple[Side, Side]]:
    with practice(cluster.namespace.replace("test", "drill")) as ours:
        yield ours, of_place(cluster)


@pytest.fixture(scope="module")
def known() -> Iterator[set[str]]:
    found: set[str] = set() if RECORD or not KNOWN.exists() else set(KNOWN.read_text().split("\n"))
    yield found
    if RECORD:
        KNOWN.write_text("".join(f"{path}\n" for path in sorted(found) if path))


def cannot(group: str, cluster: Place) -> str:
    """Why this cluster or machine cannot show it, "" when it can."""
    if group == "rights" and not cluster.guarded:
        return "the API server does not ask RBAC: an identity without any right reads secrets"
    if group == "webhooks" and not cluster.local:
        return "the API server is elsewhere and cannot reach a webhook on this machine"
    if group == "kubectl" and shutil.which("kubectl") is None:
        return "kubectl is not installed"
    return ""


@pytest.mark.parametrize("group", GROUPS, ids=lambda each: each.__name__)
def test_the_practice_api_answers_as_a_real_one(
    group: Callable[[Side], None], sides: tuple[Side, Side], cluster: Place, run: Run, known: set[str]
) -> None:
    why = cannot(group.__name__, cluster)
    if why:
        run.skipped[group.__name__] = why
        pytest.skip(why)
    for side in sides:
        side.asked.clear()
    with ThreadPoolExecutor(len(sides)) as pool:  # the two have nothing in common
        list(pool.map(group, sides))
    ours, theirs = (side.asked for side in sides)
    assert [each.label for each in ours] == [each.label for each in theirs]
    minor = int("".join(filter(str.isdigit, cluster.version.split(".")[1])))
    found = []
    for one, two in zip(ours, theirs, strict=True):
        if RECORD:
            known |= paths(two, sides[1])
        if not two.since <= minor < two.until:
            continue
        differing = differences(one, two, sides, minor, known)
        run.compared += 1
        run.same += not differing
        if differing:
            found.append(f"{group.__name__}: {one.label}\n    " + "\n    ".join(differing))
    run.notes += found
    assert not found, "answered otherwise than the real API server (ours for theirs):\n" + "\n".join(found)
