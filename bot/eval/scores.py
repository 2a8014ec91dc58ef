"""Scores of rankings against known culprits: AC@k, Avg@5, and whether confidences mean what they say.

Called by bot/commands/eval.py. A rank is 1 for the first suspect and 0 for a culprit that is not in the list.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BINS = 5


@dataclass(frozen=True)
class Accuracy:
    """Shares of cases (0..1) whose culprit is among the first 1, 3 and 5; *avg5* is the mean of AC@1 to AC@5."""

    n: int
    ac1: float
    ac3: float
    ac5: float
    avg5: float


def accuracy(ranks: Sequence[int]) -> Accuracy:
    """Score *ranks*; all zero for no case."""
    at = [sum(0 < rank <= k for rank in ranks) / max(len(ranks), 1) for k in range(1, 6)]
    return Accuracy(len(ranks), at[0], at[2], at[4], sum(at) / 5)


def rank_of(culprit: str, names: Sequence[str]) -> int:
    """Return the place of *culprit* in *names* from 1, 0 when it is not there."""
    return names.index(culprit) + 1 if culprit in names else 0


@dataclass(frozen=True)
class Bin:
    """First suspects of like confidence: how many, how sure on average, how often right."""

    n: int
    confidence: float
    right: float


def reliability(said: Sequence[float], right: Sequence[bool]) -> tuple[float, list[Bin]]:
    """Return the expected calibration error (0 = confidences are frequencies) and its five bins of equal width."""
    sure, hit = np.asarray(said, dtype=np.float64), np.asarray(right, dtype=np.float64)
    place = np.minimum((sure * BINS).astype(int), BINS - 1)
    bins = [
        Bin(int(here.sum()), float(sure[here].mean()), float(hit[here].mean()))
        for number in range(BINS)
        if (here := place == number).any()
    ]
    error = sum(one.n * abs(one.confidence - one.right) for one in bins) / max(len(said), 1)
    return error, bins


def brier(said: Sequence[float], right: Sequence[bool]) -> float:
    """Return the mean squared distance of confidences from what came true (0 best; 0.25 says nothing)."""
    sure, hit = np.asarray(said, dtype=np.float64), np.asarray(right, dtype=np.float64)
    return float(np.mean((sure - hit) ** 2)) if sure.size else 0.0
