"""Each drill fires its own alert, goes on under a wrong remedy, and ends after the right one."""

import pytest

from drill.cluster import kinds
from drill.cluster.objects import clone
from drill.scenarios.model import Remedy, ScenarioError, load
from tests.unit.drill_world.conftest import Steps

SCENARIOS = load()
WRONG = [(name, wrong) for name, scenario in SCENARIOS.items() for wrong in scenario.wrong]


def heal(steps: Steps, remedy: Remedy) -> None:
    """What Tocsin's actions write: another scale, a restart annotation, the previous ReplicaSet's template."""
    store = steps.world.cluster.store
    fresh = clone(store.get(kinds.DEPLOYMENTS, remedy.namespace, remedy.deployment))
    if remedy.action == "scale":
        fresh["spec"]["replicas"] = remedy.replicas
    elif remedy.action == "rollout_restart":
        template = fresh["spec"]["template"]
        template.setdefault("metadata", {}).setdefault("annotations", {})["kubectl.kubernetes.io/restartedAt"] = "now"
    else:
        sets = [rs for rs in store.list(kinds.REPLICASETS, remedy.namespace)
                if rs["metadata"]["labels"].get("app") == remedy.deployment]  # fmt: skip
        sets.sort(key=lambda rs: int(rs["metadata"]["annotations"]["deployment.kubernetes.io/revision"]))
        template = clone(sets[-2]["spec"]["template"])
        template["metadata"]["labels"].pop("pod-template-hash")
        fresh["spec"]["template"] = template
    store.update(kinds.DEPLOYMENTS, fresh)


def fire(steps: Steps, name: str) -> float:
    """Fire a drill and return how long its alert took."""
    scenario = SCENARIOS[name]
    steps.world.fire(name)
    return steps.run(30, until=lambda: (scenario.alert, scenario.service) in steps.firing())


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_alert_fires_soon_alone_and_ends_after_the_right_remedy(steps: Steps, name: str) -> None:
    scenario = SCENARIOS[name]
    assert fire(steps, name) <= 9
    steps.run(10)
    assert steps.firing() == {(scenario.alert, scenario.service)}
    heal(steps, scenario.right)
    assert steps.run(60, until=lambda: not steps.world.rules.active()) <= 25
    steps.run(20)
    assert not steps.firing()
    assert not steps.world.drills.running


@pytest.mark.parametrize(("name", "wrong"), WRONG, ids=[f"{n}-{w.action}" for n, w in WRONG])
def test_the_alert_goes_on_after_a_wrong_remedy(steps: Steps, name: str, wrong: Remedy) -> None:
    scenario = SCENARIOS[name]
    fire(steps, name)
    heal(steps, wrong)
    for _ in range(60):
        steps.run(1)
        assert (scenario.alert, scenario.service) in steps.firing()
    assert name in steps.world.drills.running


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_same_drill_fires_again_after_it_was_healed(steps: Steps, name: str) -> None:
    for _ in range(2):
        assert fire(steps, name) <= 9
        heal(steps, SCENARIOS[name].right)
        assert steps.run(60, until=lambda: name not in steps.world.drills.running) <= 25


@pytest.mark.parametrize("name", SCENARIOS)
def test_reset_heals(steps: Steps, name: str) -> None:
    fire(steps, name)
    steps.world.reset()
    assert not steps.world.drills.running
    assert steps.run(60, until=lambda: not steps.firing()) <= 25
    for service in steps.world.cluster.catalogue.services.values():
        container = steps.deployment(service.name)["spec"]["template"]["spec"]["containers"][0]
        assert container["image"] == f"{service.repository}:{service.tag}"


def test_a_running_or_unknown_drill_is_refused(steps: Steps) -> None:
    steps.world.fire("bad_rollout")
    with pytest.raises(ScenarioError, match="still running"):
        steps.world.fire("bad_rollout")
    with pytest.raises(ScenarioError, match="there is no drill 'nope'; there are: bad_rollout"):
        steps.world.fire("nope")


def test_a_quiet_quarter_of_an_hour_is_quiet() -> None:
    steps = Steps()
    for _ in range(900):
        steps.run(1)
        assert not steps.firing()


@pytest.mark.parametrize(("name", "app", "words"), [
    ("bad_rollout", "checkout", 'relation \\"orders_v2\\" does not exist'),
    ("dependency_down", "checkout", "dial tcp payment:8080: connect: connection refused"),
])  # fmt: skip
def test_the_logs_tell(steps: Steps, name: str, app: str, words: str) -> None:
    fire(steps, name)
    lines = [line.text for s in steps.world.logs.streams() if s.labels["app"] == app for line in s.lines]
    assert sum(words in line for line in lines) > 5
