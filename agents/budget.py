"""What one model diagnosis has used and may still use; agents/model.py asks before every call."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from agents.ports import ModelSettings
from tools.records import Usage

LAST_CALL_TOKENS = 0.7  # beyond this share of the tokens or money the next call must submit


class Stopped(Exception):  # not an error: the conversation ends here, and the message says why
    """The conversation with the model was ended by code."""


@dataclass
class Budget:
    """Counts calls, tokens, money, tools and seconds against *settings*."""

    settings: ModelSettings
    calls: int = 0
    tools: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    started: float = field(default_factory=monotonic)

    @property
    def usd(self) -> float:
        """What was spent so far, by the configured prices."""
        prompt = self.prompt_tokens * self.settings.usd_per_1m_prompt
        return (prompt + self.completion_tokens * self.settings.usd_per_1m_completion) / 1e6

    def usage(self) -> Usage:
        """Return what was used so far."""
        return Usage(
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            calls=self.calls,
            tools=self.tools,
            seconds=round(monotonic() - self.started, 3),
            usd=round(self.usd, 6),
        )

    def before_call(self, chars: int) -> bool:
        """Count one more model call of about *chars* characters; tell whether it must be the last.

        It raises Stopped when a budget does not allow the call; the message names the budget.
        """
        limits = self.settings
        expected = chars // 4
        tokens = self.prompt_tokens + self.completion_tokens
        if self.calls >= limits.max_calls:
            raise Stopped(f"its budget of {limits.max_calls} model calls was used up")
        if tokens + expected > limits.max_tokens:
            raise Stopped(f"its budget of {limits.max_tokens} tokens was used up ({tokens} used)")
        if self.usd + expected * limits.usd_per_1m_prompt / 1e6 > limits.max_usd:
            raise Stopped(f"its budget of {limits.max_usd:g} USD was used up ({self.usd:.4f} used)")
        self.calls += 1
        scarce = tokens + 2 * expected > LAST_CALL_TOKENS * limits.max_tokens
        poor = self.usd > LAST_CALL_TOKENS * limits.max_usd > 0
        return self.calls >= limits.max_calls or self.tools >= limits.max_tools or scarce or poor

    def after_call(self, raw: Any, chars: int) -> None:
        """Count the tokens that the endpoint billed, or an estimate when it does not say."""
        billed = raw.get("usage") if isinstance(raw, Mapping) else None
        if isinstance(billed, Mapping) and isinstance(billed.get("prompt_tokens"), int):
            self.prompt_tokens += billed["prompt_tokens"]
            self.completion_tokens += int(billed.get("completion_tokens") or 0)
        else:
            self.prompt_tokens += chars // 4

    def take_tool(self) -> bool:
        """Count one more tool call; False when there is none left."""
        if self.tools >= self.settings.max_tools:
            return False
        self.tools += 1
        return True
