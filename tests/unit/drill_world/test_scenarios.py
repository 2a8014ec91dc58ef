"""Each drill fires its own alert, goes on under a wrong remedy, ends after the right one, and can be fired again."""

import pytest

from drill.cluster import kinds
from drill.metrics.promql import parse
from drill.scenarios.model import Remedy, ScenarioError, load, read
from tests.unit.drill_world.conftest import Steps
from tests.unit.drill_world.healing import change, heal

SCENARIOS = load()
WRONG = [(name, wrong) for name, scenario in SCENARIOS.items() for wrong in scenario.wrong]
BY_ITSELF = {name for name, one in SCENARIOS.items() if not one.right and not one.person}


def fire(steps: Steps, name: str) -> float:
    """Fire a drill and return how long its alert took."""
    scenario = SCENARIOS[name]
    steps.world.fire(name)
    return steps.run(30, until=lambda: (scenario.alert, scenario.service) in steps.firing())


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_alert_fires_soon_alone_ends_after_the_right_remedy_and_fires_again(steps: Steps, name: str) -> None:
    scenario = SCENARIOS[name]
    for _ in range(2):
        assert fire(steps, name) <= 10
        steps.run(3 if name in BY_ITSELF else 10)
        others = {(alert, service) for alert, _, service in (other.partition("/") for other in scenario.also)}
        assert steps.firing() - others == {(scenario.alert, scenario.service)}
        heal(steps.world, scenario)
        assert steps.run(60, until=lambda: not steps.world.rules.active()) <= 25
        steps.run(20)
        assert not steps.firing()
        assert not steps.world.drills.running


@pytest.mark.parametrize(("name", "wrong"), WRONG, ids=[f"{n}-{w.action}" for n, w in WRONG])
def test_the_alert_goes_on_after_a_wrong_remedy(steps: Steps, name: str, wrong: Remedy) -> None:
    scenario = SCENARIOS[name]
    fire(steps, name)
    change(steps.world, wrong)
    steps.run(20)  # a restart may hush an alert for as long as it takes
    for _ in range(30):
        steps.run(1)
        assert (scenario.alert, scenario.service) in steps.firing()
    assert name in steps.world.drills.running


def test_reset_heals_every_drill(steps: Steps) -> None:
    for name in SCENARIOS:
        fire(steps, name)
        steps.world.reset()
        assert not steps.world.drills.running
        assert steps.run(60, until=lambda: not steps.firing()) <= 45, name
        steps.run(5)
        for service in steps.world.cluster.catalogue.services.values():
            container = steps.deployment(service.name)["spec"]["template"]["spec"]["containers"][0]
            assert container["image"] == f"{service.repository}:{service.tag}"


def test_a_running_or_unknown_drill_is_refused(steps: Steps) -> None:
    steps.world.fire("bad_rollout")
    with pytest.raises(ScenarioError, match="still running"):
        steps.world.fire("bad_rollout")
    with pytest.raises(ScenarioError, match="there is no drill 'nope'; there are: bad_rollout"):
        steps.world.fire("nope")


def test_a_step_does_one_thing(tmp_path) -> None:
    text = "title: t\ngroup: g\ndescription: d\nalert: a\nservice: s\ncause: c\nculprit: s\nsteps: [{}]\n"
    (tmp_path / "odd.yaml").write_text(text)
    with pytest.raises(ScenarioError, match=r"(?s)odd\.yaml.*exactly one thing"):
        read(tmp_path / "odd.yaml")


def test_the_truth_is_not_told_to_those_who_look_at_the_list(steps: Steps) -> None:
    for row in steps.world.scenarios():
        assert set(row) == {"name", "title", "group", "description", "alert", "service", "running"}


def test_a_quiet_quarter_of_an_hour_is_quiet() -> None:
    steps = Steps()
    for _ in range(900):
        steps.run(1)
        assert not steps.firing()


@pytest.mark.parametrize(("name", "app", "words"), [
    ("bad_rollout", "checkout", 'relation \\"orders_v2\\" does not exist'),
    ("dependency_down", "checkout", "dial tcp payment:8080: connect: connection refused"),
    ("dns_failure", "checkout", "dial tcp: lookup payment on 10.96.0.10:53: read udp"),
    ("disk_full", "shipping", "no space left on device"),
    ("config_change", "catalogue", "index_not_found_exception"),
])  # fmt: skip
def test_the_logs_tell(steps: Steps, name: str, app: str, words: str) -> None:
    fire(steps, name)
    lines = [line.text for s in steps.world.logs.streams() if s.labels["app"] == app for line in s.lines]
    assert sum(words in line for line in lines) > 5


@pytest.mark.parametrize(("name", "kind", "reason", "words"), [
    ("failing_probe", "Pod", "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 404"),
    ("quota_exceeded", "ReplicaSet", "FailedCreate", "exceeded quota: shop-quota, requested: requests.cpu=100m, used: requests.cpu="),
    ("hpa_maximum", "HorizontalPodAutoscaler", "SuccessfulRescale", "New size: 3; reason: cpu resource utilization"),
    ("cronjob_failing", "Job", "BackoffLimitExceeded", "Job has reached the specified backoff limit"),
    ("image_pull", "Pod", "Failed", "Failed to pull image"),
])  # fmt: skip
def test_the_events_tell(steps: Steps, name: str, kind: str, reason: str, words: str) -> None:
    fire(steps, name)
    events = steps.world.cluster.store.list(kinds.EVENTS)
    assert any(e["involvedObject"]["kind"] == kind and e["reason"] == reason and words in e["message"] for e in events)


@pytest.mark.parametrize(("name", "query"), [
    ("noisy_neighbour", "min by (node) (sum by (node) (rate(node_cpu_seconds_total{mode='idle'}[5s]))) < 0.5"),
    ("disk_full", "kubelet_volume_stats_available_bytes / kubelet_volume_stats_capacity_bytes < 0.01"),
    ("queue_backlog", "rabbitmq_queue_messages_ready > 25"),
    ("expired_certificate", "certmanager_certificate_expiration_timestamp_seconds < time()"),
    ("cronjob_failing", "kube_job_failed{condition='true'} == 1"),
    ("hpa_maximum", "kube_horizontalpodautoscaler_status_current_replicas == 3"),
    ("quota_exceeded", "kube_resourcequota{type='used'} / ignoring(type) kube_resourcequota{type='hard'} > 0.95"),
])  # fmt: skip
def test_the_metrics_tell(steps: Steps, name: str, query: str) -> None:
    def holds() -> object:
        steps.world.rules.change("Asked", {"expr": query})
        steps.run(2)
        return [alert for alert in steps.world.rules.active() if alert.labels["alertname"] == "Asked"]

    parse(query)
    assert not holds()
    fire(steps, name)
    assert holds()
