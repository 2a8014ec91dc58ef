"""What the ranking says: suspects, most suspicious first, with what each part saw. Made by fuse.py."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Sign:
    """One reason to suspect: *part* is metrics, impact, traces, logs or changes; *what* the metric, span or step."""

    part: str
    what: str
    said: str
    weight: float


@dataclass(frozen=True)
class Ranked:
    """One suspected service: *score* orders (0..1), *confidence* is the probability that it is the culprit."""

    service: str
    score: float
    confidence: float = 0.0
    signs: tuple[Sign, ...] = ()


@dataclass(frozen=True)
class Ranking:
    """The suspects and the onset (seconds since the epoch) that was found in the data."""

    onset: float
    suspects: tuple[Ranked, ...] = field(default=())
