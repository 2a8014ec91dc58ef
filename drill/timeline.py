"""The world's clock: set by hand while the past is made, running in real time afterwards, or stepped by tests."""

import time
from collections.abc import Callable

Clock = Callable[[], float]
"""Seconds since the epoch; injected so that tests can step through time."""


class Timeline:
    """A callable giving epoch seconds; *source* is the clock it follows once it is live."""

    def __init__(self, source: Callable[[], float] = time.time) -> None:
        self._source = source
        self._fixed: float | None = None

    def __call__(self) -> float:
        """Now, in this world."""
        return self._source() if self._fixed is None else self._fixed

    @property
    def present(self) -> float:
        """Now, outside."""
        return self._source()

    def set(self, at: float) -> None:
        """Stand still at *at*."""
        self._fixed = at

    def go(self) -> None:
        """Follow the source."""
        self._fixed = None
