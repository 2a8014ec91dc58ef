"""What the raw signals say about the services (made by agents/raw.py), and how sure a score makes; read by agents/rank.py.

No numpy here: an investigation whose sources give no raw signals never loads it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

LEAD = 0.3  # a raw score from which a neighbour is worth a closer look
# A service's probability is its score to this power, beside a rival that stands for "none of these". Chosen among 2 to 12 and
# 0.05 to 0.4 by the calibration error on the recorded incidents (make bench-culprits); its neighbours do about as well.
SHARPNESS = 8.0
NONE_OF_THESE = 0.15


@dataclass(frozen=True)
class Sighting:
    """One reason of the raw ranking: its *part* (metrics, traces, logs, impact, changes), *what* deviates and how, 0..1."""

    part: str
    what: str
    said: str
    weight: float
    evidence: tuple[str, ...]


@dataclass(frozen=True)
class Standing:
    """What the raw signals say: the *onset* found in them, a score (0..1) and reasons per service.

    *near* are the services that the alerting one depends on, and its direct callers; *cut* says which bounds bit.
    """

    onset: datetime
    scores: Mapping[str, float]
    sightings: Mapping[str, tuple[Sighting, ...]]
    cut: tuple[str, ...] = ()
    near: frozenset[str] = frozenset()

    def leads(self) -> list[str]:
        """Name the neighbours whose signals deviate most, most suspicious first."""
        named = sorted(self.scores, key=lambda name: (-self.scores[name], name))
        return [name for name in named if name in self.near and self.scores[name] >= LEAD]


def confidences(services: Mapping[str, float]) -> dict[str, float]:
    """Return for each service the probability that it is the culprit; they leave room for a culprit that nothing shows."""
    powers = {name: min(max(score, 0.0), 1.0) ** SHARPNESS for name, score in services.items()}
    total = sum(powers.values()) + NONE_OF_THESE**SHARPNESS
    return {name: power / total for name, power in powers.items()}
