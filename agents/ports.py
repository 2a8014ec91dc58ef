"""What the agents need from outside, in their own words; tools and bot satisfy it by shape."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Protocol

from pydantic import SecretStr

from tools.records import Evidence, Lesson, Recalled, Record, Scope

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
        """The best passages for *text*, best first."""
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
