"""Raw signals of the evidence name the culprit before any model: with any source missing, within bounds, citing their evidence."""

from datetime import timedelta

import numpy as np
import pytest

from agents import raw
from agents.coordinator import investigate
from agents.monitor import scope_for
from agents.rank import rank, weigh
from agents.standing import Standing, confidences
from tests.unit.agents import samples
from tools.records import Evidence
from tools.signals import RawLine, RawSeries, RawSpan, Signals

ALERT = samples.alert("checkout", starts_at=samples.NOW - timedelta(minutes=2))
SCOPE = scope_for(ALERT, samples.NOW, samples.SERVICES, samples.LIMITS)
BEGAN = samples.NOW - timedelta(minutes=6)  # four minutes before the alert


def moving(service: str, before: float, after: float, seed: int) -> RawSeries:
    end = samples.NOW.timestamp()
    times = np.arange(end - 1800, end, 10.0)
    noise = np.random.default_rng(seed).normal(1, 0.03, times.size)
    return RawSeries(service, "p95 latency", times, np.where(times < BEGAN.timestamp(), before, after) * noise)


def metrics() -> Signals:
    """payment is 20 times as slow; checkout, which waits for it, a little; cart is well."""
    series = [moving("payment", 0.05, 1.0, 1), moving("checkout", 0.2, 1.1, 2), moving("frontend", 0.3, 1.2, 3)]
    calls = frozenset({("frontend", "checkout"), ("checkout", "payment"), ("checkout", "cart")})
    return Signals(series=[*series, moving("cart", 0.02, 0.02, 4)], calls=calls)


def traces() -> Signals:
    spans = []
    for number in range(60):
        start = samples.NOW.timestamp() - 1500 + number * 25
        slow = 0.8 if start >= BEGAN.timestamp() else 0.0
        spans += [
            RawSpan(f"t{number}", "a", "", "checkout", "POST /orders", start, 0.1 + slow, failed=False),
            RawSpan(f"t{number}", "b", "a", "payment", "POST /charges", start + 0.01, 0.05 + slow, failed=False),
        ]
    return Signals(spans=spans)


def logs() -> Signals:
    at = samples.NOW.timestamp()
    return Signals(
        lines=[RawLine("checkout", at - 600 + number, f"handled request {number}", "") for number in range(500)]
    )


def having(**signals: Signals) -> tuple[Evidence, ...]:
    return tuple(
        samples.seen(tool, "checkout", id=f"E{number}", signals=each)
        for number, (tool, each) in enumerate(signals.items(), 1)
    )


@pytest.mark.parametrize(
    "parts", [("neighbourhood",), ("traces",), ("neighbourhood", "logs"), ("neighbourhood", "traces", "logs")]
)
def test_the_slow_callee_is_first_whichever_sources_there_are(parts: tuple[str, ...]) -> None:
    known = {"neighbourhood": metrics(), "traces": traces(), "logs": logs()}
    evidence = having(**{part: known[part] for part in parts})
    found = raw.standing(evidence, SCOPE, samples.SERVICES)
    assert found is not None
    assert found.leads()[0] == "payment"
    suspects = rank(weigh(evidence, SCOPE, samples.SERVICES, found))
    assert suspects[0].service == "payment"
    assert suspects[0].evidence
    assert set(suspects[0].evidence) <= {item.id for item in evidence}
    assert 0 < suspects[0].confidence < 1


def test_the_onset_is_the_data_s_and_not_the_alert_s() -> None:
    found = raw.standing(having(neighbourhood=metrics()), SCOPE, samples.SERVICES)
    assert found is not None
    assert abs((found.onset - BEGAN).total_seconds()) <= 30
    facts = weigh((), SCOPE, samples.SERVICES, found)
    assert facts.onset == found.onset


def test_without_signals_nothing_is_ranked() -> None:
    assert raw.standing(having(), SCOPE, samples.SERVICES) is None
    assert raw.standing((samples.seen("kubernetes", "checkout"),), SCOPE, samples.SERVICES) is None
    assert raw.standing(having(logs=Signals()), SCOPE, samples.SERVICES) is None


def test_a_bound_that_bites_is_named() -> None:
    many = Signals(series=[RawSeries(f"s{n}", "p95 latency", (1.0,), (1.0,)) for n in range(raw.MAX_SERIES + 5)])
    found = raw.standing(having(neighbourhood=many), SCOPE, samples.SERVICES)
    assert found is not None
    assert found.cut == (f"{raw.MAX_SERIES} of {raw.MAX_SERIES + 5} series were ranked.",)


async def test_an_investigation_without_a_model_starts_from_the_raw_ranking() -> None:
    async def nobody(_seen: Evidence) -> None:
        return

    tools = [
        samples.Tool("neighbourhood", {"checkout": samples.seen("neighbourhood", "checkout", signals=metrics())}),
        samples.Tool(
            "traces", {"checkout": samples.seen("traces", "checkout", signals=traces(), body="payment POST /charges")}
        ),
        samples.Tool("kubernetes"),
    ]
    done = await investigate(
        ALERT, tools=tools, knowledge=None, model=None, clock=samples.clock, progress=nobody,
        limits=samples.LIMITS.model_copy(update={"rank_s": 5.0}), services=samples.SERVICES, actions=samples.ACTIONS,
    )  # fmt: skip
    assert done.suspects[0].service == "payment"
    assert done.diagnosis.hypotheses[0].service == "payment"
    assert [scope.service for scope in tools[2].asked][:2] == ["checkout", "payment"]
    assert all("signals" not in item.model_dump() for item in done.evidence)


def test_confidences_are_probabilities() -> None:
    said = confidences({"a": 0.9, "b": 0.9, "c": 0.0})
    assert said["a"] == said["b"] < 0.5
    assert said["c"] == 0
    assert sum(said.values()) < 1
    assert confidences({}) == {}
    assert Standing(samples.NOW, {"a": 1.0}, {}).leads() == []
