"""Slack's published limits, checked independently of the code that keeps them; raises AssertionError with the place.

https://docs.slack.dev/reference/block-kit and https://docs.slack.dev/reference/methods/chat.postMessage
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from bot.blocks.kit import Post

MESSAGE = {"section", "context", "actions", "divider", "header", "data_visualization", "image"}
VIEW = {*MESSAGE, "input"}
ID = 255


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def texts(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        for key, value in part.items():
            if key in ("text", "initial_value", "value") and isinstance(value, str):
                yield value
            else:
                yield from texts(value)
    elif isinstance(part, list):
        for value in part:
            yield from texts(value)


def _text(part: Any, most: int, kinds: Sequence[str] = ("mrkdwn", "plain_text")) -> None:
    assert part["type"] in kinds, part
    assert 1 <= units(part["text"]) <= most, (units(part["text"]), most, part["text"][:80])
    allowed = {"type", "text", "verbatim"} if part["type"] == "mrkdwn" else {"type", "text", "emoji"}
    assert set(part) <= allowed


def _button(part: Any) -> None:
    assert part["type"] == "button"
    _text(part["text"], 75, ("plain_text",))
    assert 1 <= units(part["value"]) <= 2000
    assert 1 <= units(part["action_id"]) <= ID
    assert part.get("style") in (None, "primary", "danger")
    if "confirm" in part:
        for name, most in (("title", 100), ("confirm", 30), ("deny", 30)):
            _text(part["confirm"][name], most, ("plain_text",))
        _text(part["confirm"]["text"], 300)


def _input(part: Any) -> None:
    _text(part["label"], 2000, ("plain_text",))
    element = part["element"]
    if element["type"] == "plain_text_input":
        assert units(element.get("initial_value", "x")) <= element["max_length"] <= 3000
    else:
        assert 1 <= len(element["options"]) <= 100
        assert element["initial_option"] in element["options"]
        for option in element["options"]:
            _text(option["text"], 75, ("plain_text",))
            assert 1 <= units(option["value"]) <= 150


def check_blocks(blocks: Any, *, most: int = 50, kinds: set[str] = MESSAGE, total: int | None = 13_200) -> None:
    assert isinstance(blocks, list)
    assert 1 <= len(blocks) <= most
    json.dumps(blocks).encode()
    for block in blocks:
        kind = block["type"]
        assert kind in kinds, kind
        if kind == "section":
            _text(block["text"], 3000)
        elif kind == "header":
            _text(block["text"], 150, ("plain_text",))
        elif kind == "context":
            assert 1 <= len(block["elements"]) <= 10
            for element in block["elements"]:
                _text(element, 2000)
        elif kind == "actions":
            assert 1 <= len(block["elements"]) <= 25
            ids = [element["action_id"] for element in block["elements"]]
            assert len(ids) == len(set(ids))
            for element in block["elements"]:
                _button(element)
        elif kind == "input":
            _input(block)
    names = [block["block_id"] for block in blocks if "block_id" in block]
    assert len(names) == len(set(names))
    if total is not None:
        assert sum(map(units, texts(blocks))) <= total


def check_view(view: Any) -> None:
    assert view["type"] in ("modal", "home")
    if view["type"] == "modal":
        for name in ("title", "close", "submit"):
            if name in view:
                _text(view[name], 24, ("plain_text",))
        assert len(view.get("private_metadata", "")) <= 3000
    check_blocks(view["blocks"], most=100, kinds=VIEW, total=None)
    assert len(json.dumps(view)) <= 250_000


def check_post(post: Post) -> None:
    assert 1 <= units(post.key) <= ID
    assert 1 <= units(post.text) <= 4000
    check_blocks(post.blocks)


def buttons(blocks: Any) -> list[dict[str, Any]]:
    return [element for block in blocks if block["type"] == "actions" for element in block["elements"]]


def said(post: Post) -> str:
    return "\n".join(texts(post.blocks))
