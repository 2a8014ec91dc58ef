"""Embeddings from an OpenAI-compatible endpoint; wired by bot/compose.py into the knowledge store when configured."""

from collections.abc import Awaitable, Callable
from functools import cache
from typing import TYPE_CHECKING

from pydantic import SecretStr

if TYPE_CHECKING:
    from openai import AsyncOpenAI

TIMEOUT_S = 10.0
BATCH = 64


def embedder(base_url: str, api_key: SecretStr, model: str) -> Callable[[list[str]], Awaitable[list[list[float]]]]:
    """Return a function from texts to vectors, in the same order; the library is imported at its first call.

    It raises ConnectionError, saying what was tried, when the endpoint fails or answers with the wrong number of vectors.
    """

    @cache
    def client() -> "AsyncOpenAI":
        from openai import AsyncOpenAI

        key = api_key.get_secret_value() or "none"
        return AsyncOpenAI(base_url=base_url or None, api_key=key, timeout=TIMEOUT_S, max_retries=1)

    async def embed(texts: list[str]) -> list[list[float]]:
        from openai import OpenAIError

        vectors: list[list[float]] = []
        for start in range(0, len(texts), BATCH):
            batch = texts[start : start + BATCH]
            try:
                answer = await client().embeddings.create(model=model, input=batch, encoding_format="float")
            except OpenAIError as error:
                raise ConnectionError(
                    f"{base_url}: embedding {len(batch)} texts with {model} failed: {error}"
                ) from error
            vectors += [item.embedding for item in sorted(answer.data, key=lambda item: item.index)]
        if len(vectors) != len(texts):
            raise ConnectionError(f"{base_url}: {model} gave {len(vectors)} vectors for {len(texts)} texts")
        return vectors

    return embed
