"""The ranking over small made incidents: each part alone names the culprit, and nothing breaks where a part is missing."""

from dataclasses import replace

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


def test_a_caller_that_an_exception_passes_through_comes_after_who_threw_it() -> None:
    thrown, passed = lines("ERROR no step two"), lines("ERROR no step two")
    both = Lines(
        ("thrower", "caller"), np.concatenate([thrown.service, passed.service + 1]), np.concatenate([thrown.at, passed.at]),
        [*thrown.text, *passed.text], np.concatenate([thrown.flow, passed.flow + 10_000]),
        np.concatenate([thrown.normal, passed.normal]),
    )  # fmt: skip
    found = rank(Incident(at=AT, until=AT + 180, lines=both, calls=frozenset([("caller", "thrower")])))
    assert [one.service for one in found.suspects] == ["thrower", "caller"]
    assert found.suspects[0].score > found.suspects[1].score


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


def late(*services: str, minutes: int) -> Incident:
    """Make series that are up for *minutes* when somebody notices."""
    told = [Series(one.service, one.metric, one.times - 60.0 * minutes, one.values) for name in services
            for one in (series(name, "latency_p99", 0.1, 0.9), series(name, "cpu_usage", 1.0, 5.0))]  # fmt: skip
    return Incident(at=AT, until=AT + 180, series=tuple(told))


def test_a_late_alert_is_dated_by_the_series_that_moved_most() -> None:
    assert rank(late("cart", minutes=2)).onset == pytest.approx(AT - 120, abs=60)
    assert rank(late("cart", minutes=0)).onset == pytest.approx(AT, abs=30)


def test_one_series_alone_does_not_move_the_onset() -> None:
    alone = Incident(at=AT, until=AT + 180, series=late("cart", minutes=2).series[:1])
    assert rank(alone).onset == AT


def test_a_time_given_too_early_is_moved_only_when_several_series_agree() -> None:
    several, one = (replace(late(*names, minutes=-3), until=AT + 390) for names in ("abc", "a"))
    assert rank(several).onset == pytest.approx(AT + 180, abs=61)
    assert rank(one).onset == AT


def test_spans_that_lost_a_child_do_not_pass_its_time_for_their_own() -> None:
    rows: list[tuple[str, str, int, float, float]] = []
    for turn in range(40):
        base, slow = len(rows), 2.0 if turn >= 20 else 0.0
        start = 1000.0 + turn
        rows.append(("front", "/", -1, start, 1.0 + slow))
        if turn % 3:  # every third span of the callee is lost
            rows.append(("back", "/b", base, start, 0.9 + slow))
    found = traces.slowness(Incident(1015.0, 1100.0, spans=spans(rows, sum(row[3] < 1020 for row in rows))), 1015.0)
    assert found is not None
    excess = dict(zip(["front", "back"], found.excess.tolist(), strict=True))
    assert excess["front"] == pytest.approx(0.0, abs=1e-6)
    assert excess["back"] == pytest.approx(26.0)


def test_hardly_anything_since_a_late_alert_lets_the_minute_before_be_looked_at() -> None:
    at = np.arange(0.0, 130.0, 1.0)
    healthy = at < 60
    _normal, broken = traces.sides(healthy, at, 125.0, 200.0)
    assert at[broken].min() == 129.0 - traces.LEAST_S
    _normal, broken = traces.sides(np.zeros(at.size, dtype=bool), at, 125.0, 200.0)
    assert at[broken].min() == 125.0  # nobody knows what was healthy: the minute before must say it


def test_a_callee_that_is_no_longer_called_accuses_its_caller() -> None:
    moved = (
        series("front", "requests", 10, 10), series("mail", "requests", 3, 0.1, 1), series("cart", "requests", 6, 6, 2),
    )  # fmt: skip
    calls = frozenset({("front", "mail"), ("front", "cart")})
    found = rank(Incident(at=AT, until=AT + 180, series=moved, calls=calls))
    assert [one.service for one in found.suspects] == ["front", "mail"]
    half = tuple(series(name, "requests", 10, 2, number) for number, name in enumerate(("front", "mail", "cart")))
    fewer = rank(Incident(at=AT, until=AT + 180, series=half, calls=calls)).suspects
    assert all(one.score < 0.05 for one in fewer)


def test_failing_spans_accuse_where_the_error_begins() -> None:
    rows = [row for n in range(20) for row in (
        ("front", "/", -1, AT + (n - 10) * 5 + 1, 0.1), ("shop", "/sell", 2 * n, AT + (n - 10) * 5 + 1, 0.05),
    )]  # fmt: skip
    made = replace(spans(rows, 20), failed=np.arange(40) >= 20)
    (found,) = rank(Incident(at=AT, until=AT + 180, spans=made)).suspects
    assert (found.service, found.signs[0].what) == ("shop", "failed spans")
    always = replace(made, failed=np.ones(40, dtype=bool))
    assert rank(Incident(at=AT, until=AT + 180, spans=always)).suspects == ()


def test_a_call_that_spans_no_longer_show_accuses_its_caller() -> None:
    rows: list[tuple[str, str, int, float, float]] = []
    for number in range(40):
        start = AT + (number - 20) * 5 + 1
        rows.append(("front", "/buy", -1, start, 0.1 if number < 20 else 0.05))
        if number < 20:
            rows.append(("mail", "send", len(rows) - 1, start, 0.05))
    found = rank(Incident(at=AT, until=AT + 180, spans=spans(rows, 40))).suspects
    assert found[0].service == "front"
    assert "no longer calls send" in found[0].signs[0].said


@pytest.mark.parametrize(("broken", "named"), [("ERROR cannot read row {n}", True), ("INFO Store#11 done", False)])
def test_lines_that_name_no_request_are_counted(broken: str, named: bool) -> None:
    loose = lines(broken)
    told = replace(loose, flow=np.full(loose.flow.size, -1))
    found = flows.deviations(Incident(at=AT, until=AT + 300, lines=told), AT)
    assert bool(found) is named


def test_names_do_not_decide() -> None:
    moved = [series("cart", "latency_p99", 0.1, 0.9), series("cart", "cpu", 1.0, 5.0), series("mail", "cpu", 1.0, 1.1)]
    known = rank(Incident(at=AT, until=AT + 180, series=tuple(moved)))
    names = {"cart": "x1", "mail": "q9"}
    other = rank(
        Incident(at=AT, until=AT + 180, series=tuple(replace(one, service=names[one.service]) for one in moved))
    )
    assert [names[one.service] for one in known.suspects] == [one.service for one in other.suspects]
    told = [
        replace(one, metric=f"m{i}", kind="cpu" if "cpu" in one.metric else "latency") for i, one in enumerate(moved)
    ]
    said = rank(Incident(at=AT, until=AT + 180, series=tuple(told)))
    assert [(one.service, one.score) for one in said.suspects] == [(one.service, one.score) for one in known.suspects]


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
