"""What the model may call: read-only looks, and submit_diagnosis. Only agents/model.py imports this (it loads LlamaIndex).

Schemas are written by hand and small: they are sent with every model call.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from llama_index.core.tools import AsyncBaseTool, ToolMetadata, ToolOutput

Answer = tuple[str, bool]  # what the model is told, and whether its call was wrong

LOOK = {
    "type": "object",
    "properties": {
        "service": {"type": "string"},
        "minutes": {"type": "integer"},
    },
    "required": ["service"],
}
QUERY = {"type": "string", "description": "PromQL instead of the alert's own"}
CLAIM = {
    "type": "object",
    "properties": {
        "statement": {"type": "string"},
        "cause": {"type": "string", "description": "snake_case"},
        "service": {"type": "string"},
        "confidence": {"type": "number"},
        "evidence": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["statement", "service", "confidence", "evidence"],
}


def look_schema(name: str) -> dict[str, Any]:
    """Return the parameters of one evidence tool; only the alert's query tool takes a query."""
    properties: dict[str, Any] = {**LOOK["properties"]}  # type: ignore[dict-item]
    if name == "alert_query":
        properties["query"] = QUERY
    return {**LOOK, "properties": properties}


def submit_schema(actions: Mapping[str, str]) -> dict[str, Any]:
    """Return the parameters of submit_diagnosis; *actions* maps each action's name to its parameters in words."""
    properties: dict[str, Any] = {
        "headline": {"type": "string"},
        "confidence": {"type": "number"},
        "conclusive": {"type": "boolean"},
        "hypotheses": {"type": "array", "items": CLAIM},
    }
    if actions:
        properties["suggestions"] = {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "action": {"enum": sorted(actions)},
                    "params": {
                        "type": "object",
                        "description": "; ".join(f"{name}: {params}" for name, params in sorted(actions.items())),
                    },
                    "why": {"type": "string"},
                    "evidence": {"type": "array", "items": {"type": "string"}},
                },
                "required": ["action", "params", "why", "evidence"],
            },
        }
    return {
        "type": "object",
        "properties": properties,
        "required": ["headline", "confidence", "conclusive", "hypotheses"],
    }


class _Metadata(ToolMetadata):
    """Metadata whose schema is given, not derived from a pydantic class."""

    def __init__(self, name: str, description: str, schema: Mapping[str, Any], *, ends: bool) -> None:
        super().__init__(description=description, name=name, fn_schema=None, return_direct=ends)
        self._schema = schema

    def get_parameters_dict(self) -> dict[str, Any]:
        """Return a copy: LlamaIndex writes into it."""
        return dict(self._schema)


class Tool(AsyncBaseTool):
    """One callable of the model's; *ends*: the conversation is over once a call was right."""

    def __init__(
        self,
        name: str,
        description: str,
        schema: Mapping[str, Any],
        answer: Callable[[Mapping[str, Any]], Awaitable[Answer]],
        *,
        ends: bool = False,
    ) -> None:
        self._metadata = _Metadata(name, description, schema, ends=ends)
        self._answer = answer

    @property
    def metadata(self) -> ToolMetadata:
        """What LlamaIndex asks of a tool."""
        return self._metadata

    def call(self, *_args: Any, **_kwargs: Any) -> ToolOutput:
        """Refuse: everything here is asynchronous."""
        raise NotImplementedError("call acall")

    async def acall(self, **given: Any) -> ToolOutput:  # type: ignore[override]  # LlamaIndex calls with the arguments' names
        """Answer one call."""
        text, wrong = await self._answer(given)
        name = self._metadata.get_name()
        return ToolOutput(tool_name=name, content=text, raw_input=given, raw_output=text, is_error=wrong)
