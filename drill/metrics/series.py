"""The time-series store: samples in arrays, kept about two hours, stale markers as Prometheus writes them.

The scraper appends to it, the PromQL evaluator reads it.
"""

import math
import struct
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

from drill.formats import Matcher, test_of

Labels = tuple[tuple[str, str], ...]
"""Sorted (name, value) pairs, the metric name as ``__name__``."""

_STALE_BITS = 0x7FF0000000000002  # Prometheus' value.StaleNaN
STALE: float = struct.unpack(">d", struct.pack(">Q", _STALE_BITS))[0]
KEEP_S = 2 * 3600.0


def is_stale(value: float) -> bool:
    """Whether a value is the stale marker and not just any NaN."""
    return math.isnan(value) and bool(struct.unpack(">Q", struct.pack(">d", value))[0] == _STALE_BITS)


def labels_of(name: str, pairs: dict[str, str]) -> Labels:
    """Canonical labels; empty values are no labels."""
    return tuple(sorted([("__name__", name), *((k, v) for k, v in pairs.items() if v)]))


class Series:
    """Samples of one series: times in ms ascending, values as floats."""

    __slots__ = ("labels", "round", "times", "values")

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        self.times, self.values = array("q"), array("d")
        self.round = 0

    def append(self, at_ms: int, value: float) -> None:
        """Add a sample; one not later than the last is dropped, as a duplicate or out of order."""
        if not self.times or at_ms > self.times[-1]:
            self.times.append(at_ms)
            self.values.append(value)

    def at(self, at_ms: int, lookback_ms: int) -> float | None:
        """Return the newest value within the look-back, None when there is none or it is stale."""
        index = bisect_right(self.times, at_ms) - 1
        if index < 0 or self.times[index] < at_ms - lookback_ms:
            return None
        value = self.values[index]
        return None if value != value and is_stale(value) else value  # noqa: PLR0124 - NaN is the only such value

    def stamp(self, at_ms: int, lookback_ms: int) -> int | None:
        """When the sample that `at` finds was taken."""
        if self.at(at_ms, lookback_ms) is None:
            return None
        return self.times[bisect_right(self.times, at_ms) - 1]

    def between(self, start_ms: int, end_ms: int) -> tuple[Sequence[int], Sequence[float]]:
        """Return times and values of the closed interval, stale markers left out."""
        low, high = bisect_left(self.times, start_ms), bisect_right(self.times, end_ms)
        times, values = self.times[low:high], self.values[low:high]
        if any(value != value for value in values):  # noqa: PLR0124
            kept = [(t, v) for t, v in zip(times, values, strict=True) if not is_stale(v)]
            return [t for t, _ in kept], [v for _, v in kept]
        return times, values

    def trim(self, oldest_ms: int) -> None:
        """Forget samples before *oldest_ms*."""
        cut = bisect_left(self.times, oldest_ms)
        if cut:
            del self.times[:cut]
            del self.values[:cut]


class Storage:
    """All series, found by name and matchers."""

    def __init__(self) -> None:
        self._by_labels: dict[Labels, Series] = {}
        self._by_name: dict[str, list[Series]] = {}

    def series(self, labels: Labels) -> Series:
        """Return the series with exactly these labels, made when new."""
        found = self._by_labels.get(labels)
        if found is None:
            found = self._by_labels[labels] = Series(labels)
            self._by_name.setdefault(dict(labels).get("__name__", ""), []).append(found)
        return found

    def select(self, matchers: Iterable[Matcher]) -> list[Series]:
        """Series that satisfy every matcher, in order of their labels' creation."""
        wanted = list(matchers)
        name = next((value for label, op, value in wanted if (label, op) == ("__name__", "=")), None)
        pool = self._by_labels.values() if name is None else self._by_name.get(name, ())
        tests = [(m[0], test_of(m)) for m in wanted if name is None or m != ("__name__", "=", name)]
        found = []
        for series in pool:
            values = dict(series.labels)
            if all(test(values.get(label, "")) for label, test in tests):
                found.append(series)
        return found

    def names(self) -> list[str]:
        """Every metric name."""
        return sorted(self._by_name)

    def all(self) -> Iterable[Series]:
        """Every series."""
        return self._by_labels.values()

    def trim(self, oldest_ms: int) -> None:
        """Forget what is older, and series with nothing left."""
        for series in self._by_labels.values():
            series.trim(oldest_ms)
        gone = [series for series in self._by_labels.values() if not series.times]
        for series in gone:
            del self._by_labels[series.labels]
            rows = self._by_name[dict(series.labels).get("__name__", "")]
            rows.remove(series)
        self._by_name = {name: rows for name, rows in self._by_name.items() if rows}


class Scrape:
    """One round of appending: series that the round did not see are marked stale at its end."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._live: dict[Labels, Series] = {}
        self._round = 0
        self.at_ms = 0

    def begin(self, at: float) -> None:
        """Start a round at *at* (epoch seconds)."""
        self._round += 1
        self.at_ms = round(at * 1000)

    def put(self, series: Series, value: float) -> None:
        """Append to a series found before."""
        series.append(self.at_ms, value)
        if series.round == 0:
            self._live[series.labels] = series
        series.round = self._round

    def add(self, name: str, pairs: dict[str, str], value: float) -> None:
        """Append to the series of these labels."""
        self.put(self._storage.series(labels_of(name, pairs)), value)

    def end(self) -> None:
        """Mark what has gone."""
        gone = [series for series in self._live.values() if series.round != self._round]
        for series in gone:
            series.append(self.at_ms, STALE)
            series.round = 0
            del self._live[series.labels]
