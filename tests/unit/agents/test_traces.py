"""Findings from traces in ranking and rules: a slow callee is the culprit, the caller that waits is the symptom."""

from agents import monitor, rank, rules
from agents.ports import Limits
from tests.unit.agents import samples
from tools.records import Evidence, Finding


def slow(service: str, score: float = 0.9) -> Finding:
    data = {
        "operation": "wait for a worker",
        "before": 0.0002,
        "after": 1.1,
        "ratio": 5000.0,
        "share": 0.97,
        "took": "1.10 s instead of 0.2 ms",
    }
    return samples.finding("span_slow", service, f"{service} is slow", score, **data)


def calls(caller: str, callee: str, *, waits: bool) -> Finding:
    peer = {"peer": callee} if waits else {}
    said = f"{caller} calls {callee}"
    return samples.finding("calls", caller, said, 0.8 if waits else 0.0, caller=caller, callee=callee, **peer)


LATENCY = samples.finding(
    "metric_shift", "checkout", "latency of checkout rose", 0.95, 0.0, signal="latency", before=0.1, after=1.9
)
ROLLED = samples.finding(
    "rollout", "payment", "payment rolled out revision 3", 0.9, 0.2,
    revision=3, previous_revision=2, what="image", before="payment:v5", after="payment:v6",
)  # fmt: skip
SEEN = (calls("checkout", "payment", waits=True), calls("checkout", "cart", waits=False))


def weighed(*findings: Finding) -> tuple[rank.Facts, list[Evidence]]:
    evidence = [samples.seen("any", "checkout", *findings).model_copy(update={"id": "E1"})]
    scope = monitor.scope_for(samples.alert("checkout"), samples.NOW, samples.SERVICES, Limits())
    return rank.weigh(evidence, scope, samples.SERVICES), evidence


def test_the_slow_callee_is_above_the_caller_that_alerts() -> None:
    facts, _ = weighed(LATENCY, slow("payment"), *SEEN)
    suspects = rank.rank(facts)
    assert (suspects[0].service, suspects[0].kind) == ("payment", "span_slow")
    (symptom,) = [each for each in suspects if each.kind == "metric_shift"]
    assert "explained by payment" in symptom.statement
    assert symptom.score < suspects[0].score / 2


def test_plain_topology_accuses_nobody() -> None:
    facts, _ = weighed(LATENCY, calls("checkout", "cart", waits=False))
    assert {fact.finding.kind for fact in facts.all} == {"metric_shift"}
    assert "cart" not in {suspect.service for suspect in rank.rank(facts)}


def test_a_rollout_of_the_slow_callee_is_undone() -> None:
    facts, evidence = weighed(LATENCY, slow("payment"), ROLLED, *SEEN)
    told = rules.diagnose(facts, evidence, samples.SERVICES)
    assert (told.hypotheses[0].cause, told.hypotheses[0].service) == ("slow_after_rollout", "payment")
    assert "wait for a worker takes 1.10 s instead of 0.2 ms" in told.headline
    assert "checkout fails because it calls payment" in told.headline
    assert [(each.action, each.params["deployment"]) for each in told.suggestions[:1]] == [("rollout_undo", "payment")]


def test_without_a_change_fresh_pods_are_proposed_and_said_to_buy_time() -> None:
    facts, evidence = weighed(LATENCY, slow("payment"), *SEEN)
    told = rules.diagnose(facts, evidence, samples.SERVICES)
    assert told.hypotheses[0].cause == "slow_step"
    assert told.suggestions[0].action == "rollout_restart"
    assert told.suggestions[0].params["deployment"] == "payment"


def test_where_errors_begin_is_told() -> None:
    found = samples.finding(
        "span_error", "cart", "cart fails", 0.9, operation="GET /cart", message="disk quota exceeded"
    )
    facts, evidence = weighed(calls("checkout", "cart", waits=True), found)
    told = rules.diagnose(facts, evidence, samples.SERVICES)
    assert told.hypotheses[0].service == "cart"
    assert "disk quota exceeded" in told.headline
