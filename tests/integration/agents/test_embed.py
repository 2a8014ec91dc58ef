"""Embeddings over real HTTP."""

import pytest
from pydantic import SecretStr

from agents.embed import embedder
from drill.model import serving


def alike(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


async def test_texts_become_vectors_in_order() -> None:
    texts = [f"runbook {n}" for n in range(70)]
    with serving([]) as (_model, url):
        vectors = await embedder(url, SecretStr("k"), "hashed")(
            [*texts, "memory limit exceeded", "exceeded the memory limit"]
        )
    assert len(vectors) == 72
    assert alike(vectors[-1], vectors[-2]) > alike(vectors[-1], vectors[0])


async def test_no_texts_need_no_call() -> None:
    assert await embedder("http://127.0.0.1:9/v1", SecretStr("k"), "m")([]) == []


async def test_a_missing_endpoint_says_what_was_tried() -> None:
    with pytest.raises(ConnectionError, match=r"http://127.0.0.1:9/v1: embedding 1 texts with m failed"):
        await embedder("http://127.0.0.1:9/v1", SecretStr(""), "m")(["a"])
