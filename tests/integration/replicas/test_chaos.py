"""The short form of `make chaos`: two replicas, killed a few times under load."""

import pytest

from bench.chaos import chaos


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_nothing_is_lost_or_doubled_when_parts_are_killed(tmp_path_factory):
    line = await chaos(5, 1, tmp_path_factory.mktemp("c"), (0.5, 1.5), groups=6)
    assert line.startswith("kills=5 ")
    assert line.endswith("lost=0 doubled=0 stuck=0"), line
