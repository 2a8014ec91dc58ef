"""Slack's refusals as exceptions; raised by every part of the practice Slack, answered by api.py and webhooks.py."""

from typing import Any

JsonDict = dict[str, Any]


class SlackError(Exception):
    """A refusal with Slack's own error *code*; *extra* is merged into the JSON answer."""

    def __init__(self, code: str, **extra: Any) -> None:
        super().__init__(code)
        self.code = code
        self.extra: JsonDict = extra


class RateLimitedError(SlackError):
    """Too many calls: HTTP 429 with Retry-After, in whole *seconds*."""

    def __init__(self, seconds: int) -> None:
        super().__init__("ratelimited")
        self.seconds = seconds


def refused(code: str, problems: list[str]) -> SlackError:
    """Return the error that lists each of *problems* the way Slack does for blocks and views."""
    messages = [f"[ERROR] {problem}" for problem in problems]
    return SlackError(code, errors=problems, response_metadata={"messages": messages})
