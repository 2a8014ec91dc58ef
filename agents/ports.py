"""What the agents need from outside, in their own words; tools and bot satisfy it by shape."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pydantic import SecretStr

from tools.records import Diagnosis, Evidence, Lesson, Recalled, Record, Scalar, Scope, Suspect

Clock = Callable[[], datetime]
Progress = Callable[[Evidence], Awaitable[None]]


class EvidenceTool(Protocol):
    """One read-only look at the world, bound to its sources; *description* is what a model reads."""

    @property
    def name(self) -> str:
        """The plug-in's module name."""
        ...

    @property
    def description(self) -> str:
        """One paragraph: what it shows and when to use it."""
        ...

    async def collect(self, scope: Scope) -> Evidence:
        """Look; a failure is Evidence with an error, not an exception."""
        ...


class Knowledge(Protocol):
    """Runbooks and lessons."""

    async def recall(self, text: str, service: str, severity: str, limit: int) -> Sequence[Recalled]:
        """Return the best passages for *text*, best first."""
        ...

    async def keep(self, lesson: Lesson) -> None:
        """Store or replace *lesson* by its id."""
        ...


class ModelSettings(Record):
    """Which OpenAI-compatible endpoint, and what it may cost per investigation."""

    base_url: str
    api_key: SecretStr
    name: str
    timeout_s: float = 30.0
    max_calls: int = 8
    max_tokens: int = 60_000
    max_usd: float = 0.50
    max_tools: int = 20
    budget_s: float = 60.0
    usd_per_1m_prompt: float = 0.0
    usd_per_1m_completion: float = 0.0
    context_tokens: int = 128_000


class Service(Record):
    """What the team's policy says about one service; *depends_on* names the services it calls."""

    namespace: str = ""
    deployment: str = ""
    depends_on: tuple[str, ...] = ()


class Limits(Record):
    """What one investigation may take: seconds per tool and for all looking, windows in minutes, sizes in characters."""

    tool_s: float = 8.0
    gather_s: float = 12.0
    recall_s: float = 3.0
    rank_s: float = 5.0
    metrics_minutes: int = 30
    logs_minutes: int = 5
    body_chars: int = 6000
    neighbours: int = 2
    recall: int = 3


@dataclass(frozen=True)
class ActionSpec:
    """One change that may be suggested; *validate* returns the completed params or raises ValueError."""

    description: str
    schema: Mapping[str, object]
    validate: Callable[[Mapping[str, Scalar]], Mapping[str, Scalar]]


class Investigation(Record):
    """What an investigation came to; evidence ids are E1, E2 ... in this order."""

    evidence: tuple[Evidence, ...]
    suspects: tuple[Suspect, ...]
    recalled: tuple[Recalled, ...]
    diagnosis: Diagnosis
