"""The ranking over small made incidents: each part alone names the culprit, and nothing breaks where a part is missing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.rca import flows, traces
from agents.rca.calibration import confidences
from agents.rca.fuse import rank
from agents.rca.signals import Change, Incident, Lines, Series, Spans

AT = 1_700_000_000.0


def series(service: str, metric: str, before: float, after: float, seed: int = 0) -> Series:
    times = AT + 60.0 * np.arange(-30, 4)
    noise = np.random.default_rng(seed).normal(1, 0.02, times.size)
    return Series(service, metric, times, np.where(times < AT, before, after) * noise)


def spans(rows: list[tuple[str, str, int, float, float]], normal: int) -> Spans:
    services = tuple(dict.fromkeys(row[0] for row in rows))
    operations = tuple(dict.fromkeys(row[1] for row in rows))
    return Spans(
        services,
        operations,
        np.array([services.index(row[0]) for row in rows]),
        np.array([operations.index(row[1]) for row in rows]),
        np.array([row[2] for row in rows]),
        np.array([row[3] for row in rows]),
        np.array([row[4] for row in rows]),
        np.zeros(len(rows), dtype=bool),
        np.arange(len(rows)),
        np.arange(len(rows)) < normal,
    )


def gateway(slow_gap: float) -> Spans:
    """Ten healthy and ten later requests: a gateway waits beside its client span for a callee behind a network."""
    rows: list[tuple[str, str, int, float, float]] = []
    for number in range(20):
        gap = 0.002 if number < 10 else slow_gap
        start = AT + (number - 10) * 5 + 1
        top = len(rows)
        rows += [
            ("gateway", "/*", -1, start, 0.05 + gap),
            ("gateway", "handle", top, start, 0.05 + gap),
            ("gateway", "HTTP GET", top, start, 0.05 + gap),
            ("callee", "/api", top + 2, start + gap / 2, 0.05),
        ]
    return spans(rows, 40)


def test_a_slow_network_is_the_callees() -> None:
    found = rank(Incident(at=AT, until=AT + 180, spans=gateway(0.5)))
    assert [one.service for one in found.suspects] == ["callee", "gateway"]


def test_time_beside_a_client_span_is_not_the_gateways_own() -> None:
    own, callee = traces.own_times(gateway(0.5))
    assert own[1] == pytest.approx(0.0)
    assert own[2] == pytest.approx(0.002)
    assert callee[2] == 1


def test_an_entry_span_that_calls_out_keeps_its_own_time() -> None:
    own, callee = traces.own_times(spans([("front", "/", -1, AT, 1.0), ("back", "/b", 0, AT, 0.2)], 0))
    assert own[0] == pytest.approx(0.8)
    assert callee[0] == -1


def lines(broken: str) -> Lines:
    text, flow, at, normal = [], [], [], []
    for number in range(40):
        healthy = number < 20
        start = AT + (number - 20) * 2 + 0.5
        for step, said in enumerate(["INFO Store#10 reading", "INFO Store#11 done" if healthy else broken]):
            text.append(said)
            flow.append(number)
            at.append(start + step / 10)
            normal.append(healthy)
    count = len(text)
    return Lines(("store",), np.zeros(count, dtype=int), np.array(at), text, np.array(flow), np.array(normal))


def test_a_lost_step_names_its_service() -> None:
    found = rank(Incident(at=AT, until=AT + 180, lines=lines("ERROR Store#12 not found")))
    assert found.suspects[0].service == "store"
    assert found.suspects[0].signs[0].part == "logs"


def test_more_load_is_no_deviation() -> None:
    same = lines("INFO Store#11 done")
    assert flows.deviations(Incident(at=AT, until=AT + 180, lines=same), AT) == {}


def test_an_error_that_stopped_is_no_fault() -> None:
    healed = lines("INFO Store#11 done")
    text = [
        said if at >= AT else said.replace("INFO Store#11 done", "ERROR Store#12 no")
        for said, at in zip(healed.text, healed.at, strict=True)
    ]
    gone = Lines(healed.services, healed.service, healed.at, text, healed.flow, healed.normal)
    assert flows.deviations(Incident(at=AT, until=AT + 180, lines=gone), AT) == {}


def test_the_caller_of_a_slow_callee_is_a_symptom() -> None:
    moved = (
        series("front", "latency_p50", 0.1, 0.9),
        series("back", "latency_p50", 0.02, 0.8, 1),
        series("idle", "latency_p50", 0.02, 0.02, 2),
    )
    found = rank(Incident(at=AT, until=AT + 180, series=moved, calls=frozenset({("front", "back")})))
    assert found.suspects[0].service == "back"
    assert found.suspects[0].score > 2 * next(one.score for one in found.suspects if one.service == "front")


def test_a_single_spike_is_no_shift() -> None:
    calm = series("a", "cpu_usage", 1.0, 1.0)
    values = calm.values.copy()
    values[-1] *= 50
    found = rank(Incident(at=AT, until=AT + 180, series=(Series("a", "cpu_usage", calm.times, values),)))
    assert all(one.score < 0.1 for one in found.suspects)


def test_impact_follows_volume_and_new_callees_are_their_callers_doing() -> None:
    times = AT + 300.0 * np.arange(-2, 3)
    series_, normal = [], {}
    for service, good, count in (("front", 90.0, 100.0), ("worker", 90.0, 90.0), ("odd", 0.0, 9.0), ("tiny", 0.0, 0.1)):
        usual = [np.nan, np.nan] if service == "odd" else [100.0, 100.0]
        series_ += [
            Series(service, "availability Average", times, np.array([*usual, good, good, good])),
            Series(service, "requests Sum", times, np.full(5, count)),
        ]
        if service != "odd":
            normal[service, "availability Average"] = np.full(50, 100.0)
    calls = frozenset({("front", "worker"), ("worker", "odd"), ("front", "tiny")})
    found = rank(
        Incident(AT, AT + 900, tuple(series_), normal, calls=calls, hurts="front", hurts_metric="availability")
    )
    assert found.suspects[0].service == "worker"
    assert "odd" not in [one.service for one in found.suspects]


def test_a_change_just_before_counts_and_one_after_does_not() -> None:
    changes = (Change("old", AT - 3600, "image"), Change("new", AT - 30, "image"), Change("late", AT + 60, "image"))
    found = rank(Incident(at=AT, until=AT + 180, changes=changes))
    assert [one.service for one in found.suspects] == ["new", "old"]


def test_nothing_known_is_nobody_suspected() -> None:
    assert rank(Incident(at=AT, until=AT + 180)).suspects == ()


def test_an_earlier_onset_is_found_where_services_agree() -> None:
    moved = []
    for number in range(4):
        one = series(f"s{number}", "latency_p50", 1.0, 9.0, number)
        moved.append(Series(one.service, one.metric, one.times, np.where(one.times >= AT - 180, 9.0, one.values)))
    assert rank(Incident(at=AT, until=AT + 180, series=tuple(moved))).onset == AT - 180


@given(st.lists(st.floats(0, 1), max_size=20))
def test_confidences_are_probabilities_in_the_order_of_scores(scores: list[float]) -> None:
    sure = confidences(scores)
    assert all(0 <= one <= 1 for one in sure)
    assert sum(sure) < 1
    assert confidences(sorted(scores)) == sorted(confidences(sorted(scores)))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=34, max_size=34), st.text(max_size=200))
def test_any_values_and_any_line_are_ranked(values: list[float], said: str) -> None:
    times = AT + 60.0 * np.arange(-30, 4)
    one = Series("a", "latency_p99", times, np.array(values))
    found = rank(Incident(at=AT, until=AT + 180, series=(one,), lines=lines(said)))
    assert all(0 <= suspect.score <= 1 for suspect in found.suspects)
