"""The short form of `make crash-matrix`: a sample of its cases, two kinds of write."""

import pytest

from bench.crash_matrix import ACTIONS, matrix
from bench.practice import SAMPLES
from tools import actions
from tools.registry import plugins


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_no_change_is_made_twice_or_unapproved_wherever_the_process_dies(tmp_path_factory):
    tally = await matrix(tmp_path_factory.mktemp("c"), ("rollout_restart", "evict_pod"), most=25, many=6)
    assert tally.cases > 40
    assert tally.ran > 10
    assert tally.wrong == []
    assert (tally.duplicates, tally.unapproved) == (0, 0)


def test_the_matrix_has_every_kind_of_write():
    """What a run can do to the API server: each writing verb, on an object or on one of its subresources."""

    def kinds(names: object) -> set[tuple[str, bool]]:
        known = plugins(actions)
        verbs = [verb for name in names for verb in known[name].VERBS]  # type: ignore[attr-defined]
        return {(verb, "/" in resource) for _, resource, verb in verbs if verb not in ("get", "list")}

    assert kinds(ACTIONS) == kinds(SAMPLES) == kinds(plugins(actions))
