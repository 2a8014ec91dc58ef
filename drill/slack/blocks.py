"""Block Kit as strictly as Slack reads it: message blocks, views and attachments; called by messages.py and views.py.

`check_blocks` and `check_view` return problems in Slack's words and never raise, whatever JSON they are given.
"""

from collections.abc import Iterator
from typing import Any

from drill.slack.elements import ELEMENTS, IMAGE, IN_ACTIONS, IN_INPUT, IN_SECTION, SLACK_FILE, any_text, plain
from drill.slack.richtext import RICH_TEXT
from drill.slack.schema import (
    Problems,
    Rule,
    array,
    at_least_one,
    boolean,
    choice,
    exactly_one,
    fault,
    number,
    record,
    string,
    typed,
    url,
)

MESSAGE_BLOCKS = 50
VIEW_BLOCKS = 100
MARKDOWN_CHARS = 12_000  # of all markdown blocks of one message
MESSAGE_CHARS = 13_200  # of all blocks of one message; measured, see FACTS
TABLE_CHARS = 10_000
CHARTS = 2

_ID: dict[str, Rule] = {"block_id": string(255, 1)}


def _block(kind: str, required: dict[str, Rule], optional: dict[str, Rule] | None = None, *checks: Rule) -> Rule:
    return record({"type": choice(kind), **required}, {**_ID, **(optional or {})}, *checks)


def _same_labels(value: Any, path: str, problems: Problems) -> None:
    categories = value["axis_config"]["categories"]
    names = [series["name"] for series in value["series"]]
    if len(set(names)) != len(names):
        fault(problems, "series names must be unique", f"{path}/series")
    for index, series in enumerate(value["series"]):
        if [point["label"] for point in series["data"]] != categories:
            fault(problems, "data labels must match the axis categories", f"{path}/series/{index}/data")


_LABEL = string(20, 1)
_SERIES = record(
    {
        "name": _LABEL,
        "data": array(record({"label": _LABEL, "value": number()}, {}), least=1, most=20),
    },
    {},
)
_AXES = record(
    {"categories": array(_LABEL, least=1, most=20)},
    {"x_label": string(50), "y_label": string(50)},
)


def _chart(kind: str) -> Rule:
    return record(
        {"type": choice(kind), "series": array(_SERIES, least=1, most=6), "axis_config": _AXES}, {}, _same_labels
    )


_PIE = record(
    {
        "type": choice("pie"),
        "segments": array(record({"label": _LABEL, "value": number(above=0)}, {}), least=1, most=6),
    },
    {},
)
_CHARTS: dict[str, Rule] = {"pie": _PIE, **{kind: _chart(kind) for kind in ("line", "bar", "area")}}

_CELL = typed(
    {
        "raw_text": record({"type": choice("raw_text"), "text": string(least=1)}, {}),
        "raw_number": record({"type": choice("raw_number"), "value": number(), "text": string(least=1)}, {}),
        "rich_text": RICH_TEXT,
    }
)


def _even_rows(value: Any, path: str, problems: Problems) -> None:
    if len({len(row) for row in value["rows"]}) > 1:
        fault(problems, "all rows must have the same number of cells", f"{path}/rows")
    if sum(text_length(row) for row in value["rows"]) > TABLE_CHARS:
        fault(problems, f"must be less than {TABLE_CHARS + 1} characters", f"{path}/rows")


def _column(value: Any, path: str, problems: Problems) -> None:
    if value is not None:
        record({}, {"align": choice("left", "center", "right"), "is_wrapped": boolean})(value, path, problems)


_TASK = _block(
    "task_card",
    {
        "task_id": string(255, 1),
        "title": string(256, 1),
        "status": choice("pending", "in_progress", "complete", "error"),
    },
    {"details": RICH_TEXT, "output": RICH_TEXT, "sources": array(typed(ELEMENTS, {"url"}))},
)

BLOCKS: dict[str, Rule] = {
    "section": _block(
        "section",
        {},
        {
            "text": any_text(3000),
            "fields": array(any_text(2000), least=1, most=10),
            "accessory": typed(ELEMENTS, IN_SECTION),
            "expand": boolean,
        },
        at_least_one("text", "fields"),
    ),
    "header": _block("header", {"text": plain(150)}),
    "divider": _block("divider", {}),
    "image": _block(
        "image",
        {"alt_text": string(2000)},
        {"image_url": url, "slack_file": SLACK_FILE, "title": plain(2000)},
        exactly_one("image_url", "slack_file"),
    ),
    "context": _block(
        "context",
        {
            "elements": array(
                typed({"image": IMAGE, "mrkdwn": any_text(2000), "plain_text": any_text(2000)}), least=1, most=10
            )
        },
    ),
    "actions": _block("actions", {"elements": array(typed(ELEMENTS, IN_ACTIONS), least=1, most=25)}),
    "context_actions": _block(
        "context_actions",
        {"elements": array(typed(ELEMENTS, {"feedback_buttons", "icon_button"}), least=1, most=5)},
    ),
    "input": _block(
        "input",
        {"label": plain(2000), "element": typed(ELEMENTS, IN_INPUT)},
        {"hint": plain(2000), "optional": boolean, "dispatch_action": boolean},
    ),
    "markdown": _block("markdown", {"text": string(MARKDOWN_CHARS, 1)}),
    "rich_text": RICH_TEXT,
    "table": _block(
        "table",
        {"rows": array(array(_CELL, least=1, most=20), least=1, most=100)},
        {"column_settings": array(_column, most=20)},
        _even_rows,
    ),
    "task_card": _TASK,
    "plan": _block("plan", {"title": string(256, 1)}, {"tasks": array(typed({"task_card": _TASK}), most=50)}),
    "data_visualization": _block("data_visualization", {"title": string(50, 1), "chart": typed(_CHARTS)}),
    "alert": _block(
        "alert", {"text": any_text(3000)}, {"level": choice("default", "info", "warning", "error", "success")}
    ),
}
_VIEW_ONLY = {"alert"}
_SHARED = {"section", "header", "divider", "image", "context", "actions", "input", "rich_text"}
IN_MESSAGE = set(BLOCKS) - _VIEW_ONLY
IN_VIEW = _SHARED | _VIEW_ONLY


def walk(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object inside *value*, outermost first, without recursion (depth is the sender's choice)."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            yield item
            stack.extend(reversed(list(item.values())))
        elif isinstance(item, list):
            stack.extend(reversed(item))


def text_length(value: Any) -> int:
    """Count the characters a reader would see in *value*: every ``text`` that is a string."""
    return sum(len(item["text"]) for item in walk(value) if isinstance(item.get("text"), str))


def _unique(blocks: list[Any], path: str, problems: Problems) -> None:
    seen: set[tuple[str, str]] = set()
    for index, block in enumerate(blocks):
        for item in walk(block):
            for name in ("block_id", "action_id"):
                identity = item.get(name)
                if not isinstance(identity, str):
                    continue
                where = "" if name == "block_id" else f"{index}:"  # action ids are unique within their block
                if (name, where + identity) in seen:
                    fault(problems, f"`{name}`: {identity!s:.255} already exists", f"{path}/{index}")
                seen.add((name, where + identity))


def _totals(blocks: list[Any], path: str, problems: Problems) -> None:
    kinds = [block.get("type") for block in blocks if isinstance(block, dict)]
    if kinds.count("data_visualization") > CHARTS:
        fault(problems, f"no more than {CHARTS} data_visualization blocks allowed", path)
    if kinds.count("table") > 1:
        fault(problems, "only_one_table_allowed", path)
    markdown = [block for block in blocks if isinstance(block, dict) and block.get("type") == "markdown"]
    if text_length(markdown) > MARKDOWN_CHARS:
        fault(problems, f"markdown blocks must be less than {MARKDOWN_CHARS + 1} characters in total", path)


def check_blocks(blocks: Any, *, path: str = "/blocks", view: bool = False) -> list[str]:
    """Return what Slack would say against *blocks*, an already decoded list; an empty list means they are fine."""
    problems: Problems = []
    most, allowed = (VIEW_BLOCKS, IN_VIEW) if view else (MESSAGE_BLOCKS, IN_MESSAGE)
    array(typed(BLOCKS, allowed), most=most)(blocks, path, problems)
    if isinstance(blocks, list) and not problems:
        _unique(blocks, path, problems)
        _totals(blocks, path, problems)
    return problems


def too_long(blocks: list[Any]) -> bool:
    """Tell whether the blocks of one message hold more text than Slack takes (``msg_blocks_too_long``)."""
    return text_length(blocks) > MESSAGE_CHARS


_VIEW: dict[str, Rule] = {
    "blocks": lambda _value, _path, _problems: None,  # judged by check_blocks, with the path of the view
    "private_metadata": string(3000),
    "callback_id": string(255),
    "external_id": string(255),
}
_MODAL: dict[str, Rule] = {
    "close": plain(24),
    "submit": plain(24),
    "clear_on_close": boolean,
    "notify_on_close": boolean,
    "submit_disabled": boolean,
}


def _submit_for_inputs(value: Any, path: str, problems: Problems) -> None:
    if "submit" not in value and any(
        block.get("type") == "input" for block in value["blocks"] if isinstance(block, dict)
    ):
        fault(problems, "`submit` is required when an `input` is within blocks", path)


_VIEWS: dict[str, Rule] = {
    "modal": record(
        {"type": choice("modal"), "title": plain(24), "blocks": _VIEW["blocks"]},
        {**_VIEW, **_MODAL},
    ),
    "home": record({"type": choice("home"), "blocks": _VIEW["blocks"]}, _VIEW),
}


def check_view(view: Any, kind: str, path: str = "/view") -> list[str]:
    """Return what Slack would say against *view*, a decoded view object that must be a *kind* (modal or home)."""
    problems: Problems = []
    typed(_VIEWS, {kind})(view, path, problems)
    if isinstance(view, dict) and "blocks" in view:
        problems += check_blocks(view["blocks"], path=f"{path}/blocks", view=True)
        if not problems and kind == "modal":
            _submit_for_inputs(view, path, problems)
    return problems
