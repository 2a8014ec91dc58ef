"""What a log store offers to be read as evidence, and how a stream too long to read whole is sampled fairly.

Implemented by tools.loki, tools.elastic and tools.podlogs; read by tools.evidence.logs.
"""

import asyncio
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

MAX_LINE = 8_000
SLICES = 6
ERROR_WORDS = ("error", "exception", "fatal", "panic", "fail", "refused", "timeout", "timed out", "traceback")
TROUBLE = re.compile("|".join(ERROR_WORDS), re.IGNORECASE)


@dataclass(frozen=True)
class LogLine:
    """One line: *at* (UTC, microseconds), the stream's labels, the text up to MAX_LINE characters."""

    at: datetime
    labels: dict[str, str]
    text: str


@dataclass(frozen=True)
class Where:
    """Whose lines, and of which time: [start, end)."""

    service: str
    namespace: str
    start: datetime
    end: datetime


class LogSource(Protocol):
    """A place that keeps a service's lines; errors are Temporary and Permanent."""

    name: str

    async def find(self, where: Where, ask: Callable[[str], str], /) -> list[str]:
        """Return queries that may hold the service's lines, the likeliest first, [] when it is known to have none.

        *ask* is told what is looked for.
        """
        ...

    async def lines(
        self, query: str, start: datetime, end: datetime, limit: int, /, *, errors: bool = False
    ) -> list[LogLine]:
        """Return the newest *limit* lines of *query* in [start, end), oldest first; only those of trouble with *errors*."""
        ...

    def link(self, query: str, start: datetime, end: datetime, /) -> str:
        """Where a person can open *query*."""
        ...


@dataclass(frozen=True)
class Sample:
    """Lines of one window, oldest first; each stands for *weights* lines (1.0 where all of them were read)."""

    lines: list[LogLine] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    whole: bool = True

    @property
    def total(self) -> int:
        """How many lines the window has, estimated from the sample."""
        return round(sum(self.weights))


async def sample(source: LogSource, query: str, start: datetime, end: datetime, limit: int) -> Sample:
    """Read all lines of a window, or a fair part of more than *limit*.

    A part is stratified by time: each of SLICES equal slices gives its newest lines, each weighted by how much of its slice
    they cover. Lines of trouble are rare beside the others, so they are asked for apart and lose no place to them.
    """
    lines = await source.lines(query, start, end, limit)
    if len(lines) < limit:
        return Sample(lines, [1.0] * len(lines))
    step = (end - start) / SLICES
    edges = [*(start + step * number for number in range(SLICES)), end]
    spans = list(itertools.pairwise(edges))
    share = max(1, limit // SLICES)
    asked = [source.lines(query, *span, share, errors=errors) for errors in (False, True) for span in spans]
    read = await asyncio.gather(*asked)
    rows: list[tuple[LogLine, float]] = []
    for number, part in enumerate(read):
        weight = _weight(part, share, *spans[number % SLICES])
        wanted = number >= SLICES
        rows += [(line, weight) for line in part if bool(TROUBLE.search(line.text)) is wanted]
    rows.sort(key=lambda row: row[0].at)
    return Sample([line for line, _ in rows], [weight for _, weight in rows], whole=False)


def _weight(part: Sequence[LogLine], limit: int, start: datetime, end: datetime) -> float:
    """Return how many lines of its slice each read line stands for: the newest ones cover only the slice's end."""
    if len(part) < limit:
        return 1.0
    covered = max((end - part[0].at).total_seconds(), 1e-3)
    return max((end - start).total_seconds() / covered, 1.0)
