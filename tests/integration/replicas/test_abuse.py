"""The short form of `make abuse`: every fifth of its cases, against two running bots."""

import pytest

from bench.abuse import abuse
from bench.abuse_cases import CASES


def test_there_are_enough_cases_and_each_has_a_name_of_its_own():
    assert len(CASES) >= 40
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_what_is_forged_replayed_or_altered_reaches_nothing(tmp_path_factory):
    line, wrong = await abuse(tmp_path_factory.mktemp("a"), most=18)
    assert wrong == []
    assert line.endswith("reached_cluster=0")
