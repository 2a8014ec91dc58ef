"""How much the ranking's figures lean on these recordings and on its constants. Called by bot/commands/eval_robust.py.

Two questions. What is left of AC@1 when a source is missing, thinned, noisy, renamed or late (disturb.py)? And what when each
constant is halved or doubled: a figure that falls off a cliff is tuned. From the same runs: had the best of these
settings been chosen on other sets, on other kinds of fault or on the other half, how good would it have been here?
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType

from agents.rca import calibration, flows, fuse, impact, losses, metrics, onset, traces
from agents.rca.suspects import Ranking
from bot.eval.cases import Case
from bot.eval.scores import accuracy, brier, rank_of, reliability

CONSTANTS: tuple[tuple[ModuleType, str], ...] = (
    (fuse, "HALF_TIME"), (fuse, "HALF_DEVIATION"), (fuse, "HALF_SHIFT"), (fuse, "METRICS"), (fuse, "CALLEE_LATENCY"),
    (fuse, "OWN_LEFT"), (fuse, "LOST_CALLEE"), (metrics, "HISTORY_S"), (metrics, "LAG"), (metrics, "STANDS_OUT"),
    (metrics, "FLOOR_S"), (losses, "MOST_LOST"), (traces, "CALLER_SHARE"), (traces, "NOISE"), (flows, "SPREAD"),
    (flows, "TELLING"), (impact, "CALLEE_SHARE"), (fuse, "CALLEE_LOGS"), (traces, "LEAST_S"), (traces, "MOSTLY"), (onset, "MOVED"), (onset, "EARLIEST_S"),
)  # fmt: skip
AT_MOST_ONE = frozenset(
    {"METRICS", "CALLEE_LATENCY", "OWN_LEFT", "LOST_CALLEE", "CALLER_SHARE", "CALLEE_SHARE", "CALLEE_LOGS"}
)
FACTORS = (0.5, 2.0)
SHARPNESSES = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)


@dataclass(frozen=True)
class Setting:
    """One constant times a factor ("" and 1: as it is), and the culprit's rank in every case under it."""

    constant: str
    factor: float
    ranks: tuple[int, ...]

    def ac1(self, chosen: Sequence[int]) -> float:
        """AC@1 over the cases numbered *chosen*."""
        return accuracy([self.ranks[number] for number in chosen]).ac1

    def avg5(self, chosen: Sequence[int]) -> float:
        """Avg@5 over the cases numbered *chosen*."""
        return accuracy([self.ranks[number] for number in chosen]).avg5


@contextmanager
def changed(module: ModuleType, name: str, factor: float) -> Iterator[None]:
    """Multiply a constant for as long as the block runs; shares stay at most 1."""
    before = getattr(module, name)
    after = before * factor
    setattr(module, name, min(after, 1.0) if name in AT_MOST_ONE else after)
    try:
        yield
    finally:
        setattr(module, name, before)


def ranks(cases: Sequence[Case]) -> tuple[int, ...]:
    """Return the culprit's rank in every case."""
    return tuple(_rank(case, fuse.rank(case.incident)) for case in cases)


def _rank(case: Case, ranking: Ranking) -> int:
    return rank_of(case.culprit, [one.service for one in ranking.suspects])


def sweep(cases: Sequence[Case]) -> list[Setting]:
    """Rank all cases as it is and with each constant halved and doubled."""
    found = [Setting("", 1.0, ranks(cases))]
    for module, name in CONSTANTS:
        for factor in FACTORS:
            with changed(module, name, factor):
                found.append(Setting(f"{module.__name__.rpartition('.')[2]}.{name}", factor, ranks(cases)))
    return found


def left_out(settings: Sequence[Setting], groups: Sequence[str]) -> dict[str, tuple[int, float, float, str]]:
    """Choose the best setting on all groups but one and measure it there: cases, AC@1, Avg@5, which setting.

    Groups other than sets weigh by their cases. Ties go to the setting that comes first, which is the one in use.
    """
    found = {}
    for name in sorted(set(groups)):
        here = [number for number, group in enumerate(groups) if group == name]
        there = [number for number, group in enumerate(groups) if group != name]
        best = max(settings, key=lambda setting: round(setting.ac1(there) + setting.avg5(there), 9))
        said = f"{best.constant} x{best.factor:g}" if best.constant else "as it is"
        found[name] = (len(here), best.ac1(here), best.avg5(here), said)
    return found


def calibrated(cases: Sequence[Case]) -> list[tuple[str, float, float, float, float]]:
    """Choose the sharpness on the other sets, measure here: set, sharpness, ECE, Brier, Brier of the base rate there."""
    scored = [(case.set, case.culprit, fuse.rank(case.incident)) for case in cases]
    found = []
    for name in sorted({case.set for case in cases}):
        there = [one for one in scored if one[0] != name]
        here = [one for one in scored if one[0] == name]
        if not there:
            continue
        best = min(SHARPNESSES, key=lambda sharp: brier(*_said(there, sharp)))
        said, right = _said(here, best)
        base = sum(_said(there, best)[1]) / len(there)
        found.append((name, best, reliability(said, right)[0], brier(said, right), brier([base] * len(right), right)))
    return found


def _said(scored: Sequence[tuple[str, str, Ranking]], sharpness: float) -> tuple[list[float], list[bool]]:
    said, right = [], []
    for _set, culprit, ranking in scored:
        sure = calibration.confidences([one.score for one in ranking.suspects], sharpness)
        said.append(sure[0] if sure else 0.0)
        right.append(bool(ranking.suspects) and ranking.suspects[0].service == culprit)
    return said, right


def disturbed(cases: Sequence[Case], change: Callable[[Case], Case]) -> tuple[int, ...]:
    """Return the ranks after *change*."""
    return ranks([change(case) for case in cases])
