"""How often a method may be called: https://docs.slack.dev/apis/web-api/rate-limits; asked by api.py and webhooks.py."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from drill.slack.errors import RateLimitedError

TIERS = {
    1: 10,
    2: 20,
    3: 50,
    4: 100,
    5: 600,
}  # calls a minute; tier 1 with the burst Slack in practice grants, 5 special
POST_BURST = 5.0  # chat.postMessage: about one a second per channel, "short bursts of more" allowed
POST_PER_S = 1.0


@dataclass
class _Bucket:
    level: float
    at: float


@dataclass
class Limits:
    """Token buckets by name; *scale* multiplies every allowance (tests of the limits use less than 1)."""

    clock: Callable[[], float]
    scale: float = 1.0
    _buckets: dict[str, _Bucket] = field(default_factory=dict)

    def take(self, name: str, burst: float, per_s: float) -> None:
        """Use one call of *name*; raises RateLimitedError with the seconds until the next one is free."""
        burst, per_s = max(1.0, burst * self.scale), per_s * self.scale
        now = self.clock()
        bucket = self._buckets.setdefault(name, _Bucket(burst, now))
        bucket.level = min(burst, bucket.level + (now - bucket.at) * per_s)
        bucket.at = now
        if bucket.level < 1:
            raise RateLimitedError(max(1, math.ceil((1 - bucket.level) / per_s)))
        bucket.level -= 1

    def tier(self, method: str, tier: int) -> None:
        """Use one call of *method*, which is of *tier*."""
        per_minute = TIERS[tier]
        self.take(method, per_minute, per_minute / 60)

    def post(self, channel: str) -> None:
        """Use one post to *channel*."""
        self.take(f"post {channel}", POST_BURST, POST_PER_S)

    def clear(self) -> None:
        """Forget what was used."""
        self._buckets.clear()
