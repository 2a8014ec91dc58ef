"""Level shifts: found when real, dated, quiet on noise."""

import numpy as np
import pytest

from tools.levels import human, outline, shift

TIMES = np.arange(0, 1860, 15, dtype=float)
AROUND = 1800.0


def noise(seed: int, level: float = 100.0, spread: float = 5.0):
    return level + spread * np.random.default_rng(seed).standard_normal(TIMES.size)


@pytest.mark.parametrize("seed", range(20))
def test_noise_is_no_shift(seed):
    assert shift(TIMES, noise(seed), AROUND, floor=1.0) is None


@pytest.mark.parametrize("seed", range(20))
def test_a_step_is_found_and_dated(seed):
    values = noise(seed)
    values[TIMES >= 1700] += 80
    found = shift(TIMES, values, AROUND, floor=1.0)
    assert found is not None
    assert found.onset == pytest.approx(1700, abs=30)
    assert found.before == pytest.approx(100, rel=0.05)
    assert found.after == pytest.approx(180, rel=0.05)
    assert found.ongoing


def test_a_rise_from_nothing_and_a_fall_to_nothing():
    up = np.where(TIMES >= 1740, 0.4, 0.0)
    found = shift(TIMES, up, AROUND, floor=0.01)
    assert found is not None
    assert (found.before, found.after, found.onset) == (0, 0.4, 1740)
    assert found.ratio == float("inf")
    down = shift(TIMES, np.where(TIMES >= 1740, 0.0, noise(1)), AROUND, floor=10)
    assert down is not None
    assert down.after == 0


def test_below_the_floor_is_not_told():
    assert shift(TIMES, np.where(TIMES >= 1740, 0.004, 0.0), AROUND, floor=0.01) is None


def test_what_was_over_long_before_is_not_told_and_what_just_ended_is():
    early = noise(3)
    early[(TIMES > 600) & (TIMES < 900)] += 90
    assert shift(TIMES, early, AROUND, floor=1.0) is None
    late = noise(3)
    late[(TIMES > 1600) & (TIMES < 1750)] += 90
    found = shift(TIMES, late, AROUND, floor=1.0)
    assert found is not None
    assert not found.ongoing


def test_gaps_and_few_samples():
    values = noise(4)
    values[::3] = np.nan
    values[TIMES >= 1700] = 300
    found = shift(TIMES, values, AROUND, floor=1.0)
    assert found is not None
    assert found.after == 300
    assert shift(TIMES[:5], values[:5], AROUND, floor=1.0) is None
    assert shift(TIMES, np.full(TIMES.size, np.nan), AROUND, floor=1.0) is None


def test_texts():
    assert human(0.031, "ratio") == "3.1 %"
    assert human(0.84, "s") == "840 ms"
    assert human(412, "/s") == "412/s"
    assert human(2**27, "bytes") == "128 MiB"
    assert outline(np.arange(100.0), 7) == [15.5, 47.5, 79.5, 96.0, 97.0, 98.0, 99.0]
    assert outline(np.arange(3.0)) == [0.0, 1.0, 2.0]
    assert outline(np.array([np.nan])) == []
