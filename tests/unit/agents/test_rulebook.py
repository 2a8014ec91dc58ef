"""Conditions of what a service stands on, reads and waits for; and the diagnoses that say nothing is broken."""

from datetime import timedelta

import pytest

from agents import monitor, rank, rulebook
from agents.ports import Limits
from tests.unit.agents import samples
from tests.unit.agents.test_rules import fact, of, rollout
from tools.records import Diagnosis, Evidence, Finding


def diagnose(*evidence: Evidence, service: str = "checkout") -> Diagnosis:
    numbered = tuple(item.model_copy(update={"id": f"E{n}"}) for n, item in enumerate(evidence, 1))
    scope = monitor.scope_for(samples.alert(service), samples.NOW, samples.SERVICES, Limits())
    return rulebook.diagnose(rank.weigh(numbered, scope, samples.SERVICES), numbered, samples.SERVICES)


FULL = fact("volume_full", claim="data", namespace="shop", bytes=10 * 2.0**30, what="space")
NOISY = fact("noisy_neighbour", "batch", deployment="batch", namespace="ml", node="n1", cores=7.6, of=8.0, request=0.5, limit=0.0,
             harms="checkout")  # fmt: skip
EDITED = fact(
    "config_changed", minutes=2, configmap="settings", namespace="shop", key="URL", before="a", after="b", age_s=60
)
SCALED = fact("scaled", **{"from": 4, "to": 1})
LATENCY = samples.errors_shift("checkout")


@pytest.mark.parametrize(
    ("findings", "cause", "action", "params"),
    [
        ([FULL], "volume_full", "pvc_expand", {"claim": "data", "size": "20Gi"}),
        ([NOISY, LATENCY], "noisy_neighbour", "set_resources", {"deployment": "batch", "cpu_limit": "2"}),
        ([EDITED, LATENCY], "configuration_changed", "configmap_key_restore", {"key": "URL", "value": "a"}),
        ([fact("queue_backlog", queue="q", waiting=90, before=2), SCALED], "queue_backlog", "scale", {"replicas": 4}),
        ([fact("hpa_at_maximum", autoscaler="checkout", maximum=5, wanted=12)], "hpa_at_maximum", "hpa_bounds", {"max_replicas": 13}),
        ([fact("probe_failing"), rollout()], "probe_failing", "rollout_undo", {"to_revision": 6}),
        ([fact("dns_down", "coredns", deployment="coredns", namespace="kube-system"), rollout(service="coredns", deployment="coredns"),
          fact("dependency_errors", peer="coredns")], "dns_failure", "rollout_undo", {"deployment": "coredns"}),
    ],
)  # fmt: skip
def test_a_condition_and_the_change_that_heals(findings, cause, action, params) -> None:
    told = diagnose(of(*findings))
    assert told.hypotheses[0].cause == cause
    assert told.suggestions[0].action == action
    assert params.items() <= told.suggestions[0].params.items()
    assert not told.advice


@pytest.mark.parametrize(
    ("findings", "cause", "advice"),
    [
        ([fact("quota_refuses", object="ResourceQuota/shop/q")], "quota_exceeded", "Raise the quota (ResourceQuota/shop/q)"),
        ([samples.finding("rollout_stuck", "checkout", "pods cannot be created: exceeded quota: q", 0.9, 1)], "quota_exceeded", "Raise the quota"),
        ([fact("certificate_expired", object="Certificate/shop/tls")], "certificate_expired", "Renew Certificate/shop/tls"),
        ([samples.finding("log_template", "checkout", "x509: certificate has expired or is not yet valid", 0.9, 1)], "certificate_expired", "Renew"),
        ([fact("last_runs_failed"), fact("template_edited", changes="args a -> b")], "cronjob_failing", "Correct the job template of checkout (args a -> b)"),
        ([fact("volume_full", claim="data", what="inodes", bytes=1000.0)], "volume_full", "Make room on volume data"),
        ([fact("config_changed", configmap="c", key="K", before=None, age_s=60), LATENCY], "configuration_changed", "former value of K"),
        ([fact("noisy_neighbour", "batch", node="n1", cores=3.9, of=4.0, request=0.1, limit=0.0, harms="checkout"), LATENCY], "noisy_neighbour", "Move batch away"),
    ],
)  # fmt: skip
def test_where_no_change_heals_a_person_is_told_what_to_do(findings, cause, advice) -> None:
    told = diagnose(of(*findings))
    assert told.hypotheses[0].cause == cause
    assert not told.suggestions
    assert advice in told.advice


def test_a_later_edit_of_a_setting_is_a_remedy_and_no_cause() -> None:
    late = fact("config_changed", minutes=0, configmap="c", key="K", before="a", after="b", age_s=-300)
    assert diagnose(of(late, LATENCY)).hypotheses[0].cause != "configuration_changed"


def query(**data: object) -> Evidence:
    found = samples.finding(
        "alert_value", "checkout", "the alert's value", 0.8 if data.get("firing") else 0.3, 1, **data
    )
    return samples.seen("alert_query", "checkout", found)


ENDED = {"firing": False, "value": 0.01, "ended": (samples.NOW - timedelta(seconds=20)).isoformat()}
TIGHT = {"firing": True, "value": 5.2, "threshold": 5.0, "op": ">", "low": 4.0, "usual": 5.1, "high": 6.0, "held": 0.6}
WRONG = [fact("oom_killed"), fact("image_pull"), fact("volume_full", claim="d"), rollout(), EDITED,
         fact("dns_down", "coredns", deployment="coredns"), fact("dependency_errors", peer="stripe")]  # fmt: skip


def test_an_alert_that_recovered_needs_no_change() -> None:
    told = diagnose(query(**ENDED))
    assert (told.hypotheses[0].cause, told.suggestions) == ("recovered_by_itself", ())
    assert "nothing is broken now" in told.headline
    assert told.advice.startswith("Nothing: it recovered at ")
    lagging = diagnose(
        query(**ENDED), of(samples.finding("metric_shift", "checkout", "errors", 0.9, 1, signal="errors", ongoing=True))
    )
    assert lagging.hypotheses[0].cause == "recovered_by_itself"
    assert lagging.confidence < told.confidence < 0.9


def test_a_threshold_inside_the_usual_range_is_named() -> None:
    told = diagnose(query(**TIGHT))
    assert (told.hypotheses[0].cause, told.suggestions) == ("threshold_too_tight", ())
    assert told.advice == "Raise the alert's threshold beyond its usual range (up to 6 before the alert)."
    below = diagnose(query(**TIGHT | {"op": "<", "threshold": 5.5}))
    assert below.advice == "Lower the alert's threshold beyond its usual range (down to 4 before the alert)."


@pytest.mark.parametrize("data", [ENDED, TIGHT], ids=["recovered", "tight"])
@pytest.mark.parametrize("wrong", WRONG, ids=[found.kind for found in WRONG])
def test_nothing_is_called_well_while_something_is_wrong(data: dict[str, object], wrong: Finding) -> None:
    told = diagnose(query(**data), of(wrong))
    assert not {one.cause for one in told.hypotheses} & {"recovered_by_itself", "threshold_too_tight"}


@pytest.mark.parametrize("more", [{"value": 9.0}, {"held": 0.0}, {"low": None}, {"firing": False}])
def test_a_value_out_of_its_range_is_no_tight_threshold(more: dict[str, object]) -> None:
    told = diagnose(query(**TIGHT | more))
    assert "threshold_too_tight" not in {one.cause for one in told.hypotheses}


@pytest.mark.parametrize("tool", ["alert_query", "kubernetes"])
def test_what_could_not_be_looked_at_is_not_called_well(tool: str) -> None:
    blind = samples.seen(tool, "checkout").model_copy(update={"error": "no answer within 8 s"})
    assert "recovered_by_itself" not in {one.cause for one in diagnose(query(**ENDED), blind).hypotheses}
