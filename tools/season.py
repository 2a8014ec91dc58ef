"""Is a change of level usual at this hour? Compares it with the same hour yesterday and a week ago; for the metric evidence plug-ins."""

from collections.abc import Sequence

import numpy as np

from tools.levels import LEAD_S, Floats, Shift

DAY_S = 86_400.0
AGO: tuple[tuple[str, float], ...] = (("yesterday", DAY_S), ("a week ago", 7 * DAY_S))
WAY = 0.6  # the same hour made at least this part of the way to the new level,
OFF = 0.4  # from a level that was no further than this part of the way from the usual one
MIN_POINTS = 4


def same_then(grid: Floats, values: Floats, moved: Shift) -> bool | None:
    """Whether an earlier period's *values*, on the grid of now, made the same change of level; None where it has too few."""
    way = moved.after - moved.before
    before = values[(grid < moved.onset - LEAD_S) & np.isfinite(values)]
    after = values[(grid >= moved.onset) & np.isfinite(values)]
    if (
        before.size < MIN_POINTS
        or after.size < min(MIN_POINTS, int((grid >= moved.onset).sum()))
        or not after.size
        or not way
    ):
        return None
    began, came = float(np.median(before)), float(np.median(after[after.size // 2 :]))
    return abs(began - moved.before) <= OFF * abs(way) and (came - moved.before) / way >= WAY


def told(found: Sequence[tuple[str, bool | None]]) -> str:
    """Return the earlier times that made the same change, in words; "" for none."""
    return " and ".join(when for when, same in found if same)
