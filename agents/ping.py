"""One tiny question to the model, to learn whether it answers and calls tools; `tocsin doctor` asks."""

import json
import time
from typing import Any

from agents.ports import ModelSettings
from tools.records import Record

_TOOL = {
    "type": "function",
    "function": {
        "name": "report",
        "description": "Report the colour.",
        "parameters": {
            "type": "object",
            "properties": {"colour": {"type": "string"}},
            "required": ["colour"],
            "additionalProperties": False,
        },
    },
}
_QUESTION = "The colour is green. Call the tool report with it, and say nothing else."


class Ping(Record):
    """Whether the endpoint answered, whether it called the tool as asked, in how many seconds, and what went wrong."""

    answered: bool
    called: bool = False
    seconds: float = 0.0
    problem: str = ""


async def ping(model: ModelSettings, timeout_s: float = 20.0) -> Ping:
    """Ask once, with no retry; every failure of the endpoint is a Ping, not an exception."""
    from openai import AsyncOpenAI, OpenAIError

    key = model.api_key.get_secret_value() or "none"
    began = time.monotonic()
    try:
        async with AsyncOpenAI(base_url=model.base_url, api_key=key, timeout=timeout_s, max_retries=0) as client:
            answer: Any = await client.chat.completions.create(
                model=model.name,
                messages=[{"role": "user", "content": _QUESTION}],
                tools=[_TOOL],  # type: ignore[list-item]
                max_completion_tokens=200,
            )
        called = _called(answer)
    except OpenAIError as error:
        return Ping(answered=False, seconds=time.monotonic() - began, problem=" ".join(str(error).split())[:300])
    except (ValueError, TypeError, AttributeError, LookupError) as error:  # an answer that is no completion
        problem = f"the answer is not a chat completion ({type(error).__name__})"
        return Ping(answered=False, seconds=time.monotonic() - began, problem=problem)
    return Ping(answered=True, called=called, seconds=time.monotonic() - began)


def _called(answer: Any) -> bool:
    calls = answer.choices[0].message.tool_calls or []
    return any(call.function.name == "report" and "colour" in json.loads(call.function.arguments) for call in calls)
