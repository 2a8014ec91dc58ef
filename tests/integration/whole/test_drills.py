"""Every drill from its alert to recovery without a model: the culprit and the condition first, the right change or the right advice.

The same as `make drills`: a stepped practice world behind its real HTTP APIs, the tools, rules and typed changes of the product.
"""

from pathlib import Path

import pytest

from bench.drills import Result, drilled
from drill.scenarios.model import load

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
SCENARIOS = load()
ELSEWHERE = {
    "bad_rollout",
    "dependency_down",
    "oom_kill",
}  # tests/integration/tools/test_drill.py; `make drills` has all
NOTHING_BROKEN = [name for name, one in SCENARIOS.items() if one.group == "Nothing is broken"]


@pytest.mark.parametrize("name", sorted(SCENARIOS.keys() - ELSEWHERE))
async def test_a_drill_is_understood_and_healed(name: str, tmp_path: Path) -> None:
    scenario = SCENARIOS[name]
    came = await drilled(scenario, tmp_path)
    assert (came.culprit, came.cause) == (scenario.culprit, scenario.cause), came.headline
    assert came.change_right, (came.change, came.advice)
    assert came.recovered
    assert came.confidence >= 0.5
    assert not [seen.error for seen in came.evidence if seen.error]
    if name in NOTHING_BROKEN:
        assert_nothing_is_changed(came)


def assert_nothing_is_changed(came: Result) -> None:
    assert came.change == "none"
    assert "nothing is broken" in came.headline.lower()
    assert came.confidence < 0.9


def test_every_kind_of_trouble_of_the_issue_has_a_drill() -> None:
    causes = {scenario.cause for scenario in SCENARIOS.values()}
    assert {
        "noisy_neighbour", "volume_full", "probe_failing", "image_not_pulled", "quota_exceeded", "dns_failure",
        "certificate_expired", "queue_backlog", "configuration_changed", "hpa_at_maximum", "cronjob_failing",
        "threshold_too_tight", "recovered_by_itself", "slow_after_rollout",
    } <= causes  # fmt: skip


def test_the_truth_is_read_by_nobody_but_the_test() -> None:
    """No part of the product names a drill or imports the world."""
    root = Path(__file__).parents[3]
    sources = [path.read_text() for part in ("agents", "tools") for path in (root / part).rglob("*.py")]
    names = {"shop-tls", "model-trainer", "catalogue-settings", "price-sync", "shipping-labels", "shop-quota"}
    assert not [name for name in names for text in sources if name in text]
