"""The practice Slack refuses the blocks that Slack refuses, in Slack's words, and takes the rest."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drill.slack.blocks import check_blocks, check_view, too_long
from drill.slack.content import blocks_of, read
from drill.slack.errors import SlackError


def plain(text="x"):
    return {"type": "plain_text", "text": text}


def mrkdwn(text="x"):
    return {"type": "mrkdwn", "text": text}


def section(**more):
    return {"type": "section", "text": mrkdwn(), **more}


def button(**more):
    return {"type": "button", "text": plain(), "action_id": "a", **more}


def actions(*elements):
    return {"type": "actions", "elements": list(elements)}


def option(value="v", **more):
    return {"text": plain(), "value": value, **more}


def select(**more):
    return {"type": "static_select", "action_id": "s", "options": [option()], **more}


def rich(*elements):
    return {"type": "rich_text", "elements": list(elements)}


def words(text="x", **more):
    return {"type": "text", "text": text, **more}


def rich_section(*parts):
    return {"type": "rich_text_section", "elements": list(parts)}


def cell(text="x"):
    return {"type": "raw_text", "text": text}


def table(rows, **more):
    return {"type": "table", "rows": rows, **more}


def task(**more):
    return {"type": "task_card", "task_id": "t", "title": "Look", "status": "complete", **more}


def chart(kind="line", **more):
    series = [{"name": "errors", "data": [{"label": "a", "value": 1}, {"label": "b", "value": 2.5}]}]
    body = {"type": kind, "series": series, "axis_config": {"categories": ["a", "b"]}, **more}
    return {"type": "data_visualization", "title": "Errors", "chart": body}


def pie(*segments):
    return {"type": "data_visualization", "title": "Errors", "chart": {"type": "pie", "segments": list(segments)}}


def field(element, **more):
    return {"type": "input", "label": plain(), "element": element, **more}


CONFIRM = {"title": plain(), "text": mrkdwn(), "confirm": plain(), "deny": plain()}
FEEDBACK = {
    "type": "feedback_buttons",
    "action_id": "f",
    "positive_button": {"text": plain(), "value": "y"},
    "negative_button": {"text": plain(), "value": "n"},
}

GOOD = {
    "section at its limit": section(text=mrkdwn("x" * 3000)),
    "section of fields": {"type": "section", "fields": [mrkdwn("x" * 2000)] * 10},
    "section with button": section(accessory=button()),
    "section with image": section(accessory={"type": "image", "image_url": "https://x.example/a.png", "alt_text": ""}),
    "header at its limit": {"type": "header", "text": plain("x" * 150)},
    "divider": {"type": "divider"},
    "image": {"type": "image", "image_url": "http://127.0.0.1:1/a.png", "alt_text": "a", "title": plain()},
    "slack file": {"type": "image", "slack_file": {"id": "F1"}, "alt_text": "a"},
    "context": {"type": "context", "elements": [mrkdwn()] * 10},
    "actions at their limit": actions(*(button(action_id=f"a{i}") for i in range(25))),
    "button at its limits": actions(
        button(text=plain("x" * 75), value="v" * 2000, action_id="a" * 255, style="danger", confirm=CONFIRM)
    ),
    "select": actions(select(initial_option=option(), placeholder=plain("Which?"))),
    "grouped select": actions(
        {"type": "static_select", "action_id": "s", "option_groups": [{"label": plain(), "options": [option()]}]}
    ),
    "overflow": actions({"type": "overflow", "action_id": "o", "options": [option(str(i)) for i in range(5)]}),
    "datepicker": actions({"type": "datepicker", "action_id": "d", "initial_date": "2026-11-23"}),
    "checkboxes": actions({"type": "checkboxes", "action_id": "c", "options": [{"text": mrkdwn(), "value": "1"}]}),
    "radio": actions({"type": "radio_buttons", "action_id": "r", "options": [option()], "initial_option": option()}),
    "feedback": {"type": "context_actions", "elements": [FEEDBACK]},
    "input in a message": field({"type": "plain_text_input", "action_id": "t", "multiline": True}),
    "markdown at its limit": {"type": "markdown", "text": "x" * 12_000},
    "rich text": rich(
        rich_section(words(style={"bold": True}), {"type": "link", "url": "https://x.example", "text": "x"}),
        {"type": "rich_text_list", "style": "bullet", "elements": [rich_section(words())], "indent": 1},
        {"type": "rich_text_quote", "elements": [words()]},
        {"type": "rich_text_preformatted", "elements": [words("- a\n+ b")], "border": 0},
    ),
    "table at its limits": table([[cell()] * 20] * 100, column_settings=[{"align": "right", "is_wrapped": True}]),
    "table of numbers": table([[{"type": "raw_number", "value": 0.5, "text": "0.5"}, rich(rich_section(words()))]]),
    "task": task(
        details=rich(rich_section(words())), sources=[{"type": "url", "url": "https://x.example", "text": "x"}]
    ),
    "plan": {"type": "plan", "title": "Steps", "tasks": [task(), task(task_id="u", status="in_progress")]},
    "line": chart(),
    "bar": chart("bar"),
    "area": chart("area"),
    "pie": pie({"label": "a", "value": 1}, {"label": "b", "value": 2}),
}

BAD = {
    "not a block": ("x", "must be an object"),
    "no type": ({}, "missing required field: type"),
    "unknown type": ({"type": "video_wall"}, "unsupported type: video_wall"),
    "type of a wrong kind": ({"type": []}, "unsupported type"),
    "unknown field": (section(colour="red"), "invalid additional property: colour"),
    "missing field": ({"type": "header"}, "missing required field: text"),
    "section of nothing": ({"type": "section"}, "must define either `text` or `fields`"),
    "section too long": (section(text=mrkdwn("x" * 3001)), "must be less than 3001 characters"),
    "section of empty text": (section(text=mrkdwn("")), "must be more than 0 characters"),
    "text of a wrong kind": (section(text="x"), "must be an object"),
    "emoji in mrkdwn": (section(text={**mrkdwn(), "emoji": True}), "invalid additional property: emoji"),
    "eleven fields": ({"type": "section", "fields": [mrkdwn()] * 11}, "no more than 10 items allowed"),
    "field too long": ({"type": "section", "fields": [mrkdwn("x" * 2001)]}, "must be less than 2001 characters"),
    "header of mrkdwn": ({"type": "header", "text": mrkdwn()}, "must be a valid enum value"),
    "header too long": ({"type": "header", "text": plain("x" * 151)}, "must be less than 151 characters"),
    "divider with text": ({"type": "divider", "text": plain()}, "invalid additional property: text"),
    "image without words": (
        {"type": "image", "image_url": "https://x.example/a.png"},
        "missing required field: alt_text",
    ),
    "image of nothing": ({"type": "image", "alt_text": "a"}, "must provide exactly one of"),
    "image of a script": ({"type": "image", "image_url": "javascript:1", "alt_text": "a"}, "must be a valid URL"),
    "eleven in context": ({"type": "context", "elements": [mrkdwn()] * 11}, "no more than 10 items allowed"),
    "empty context": ({"type": "context", "elements": []}, "no less than 1 items allowed"),
    "button in context": ({"type": "context", "elements": [button()]}, "unsupported type: button"),
    "26 actions": (actions(*(button(action_id=f"a{i}") for i in range(26))), "no more than 25 items allowed"),
    "no actions": (actions(), "no less than 1 items allowed"),
    "same action twice": (actions(button(), button()), "already exists"),
    "button text too long": (actions(button(text=plain("x" * 76))), "must be less than 76 characters"),
    "button text of mrkdwn": (actions(button(text=mrkdwn())), "must be a valid enum value"),
    "button value too long": (actions(button(value="v" * 2001)), "must be less than 2001 characters"),
    "action id too long": (actions(button(action_id="a" * 256)), "must be less than 256 characters"),
    "button style": (actions(button(style="warning")), "must be a valid enum value"),
    "button url": (actions(button(url="not a url")), "must be a valid URL"),
    "confirm without deny": (
        actions(button(confirm={name: CONFIRM[name] for name in ("title", "text", "confirm")})),
        "missing required field: deny",
    ),
    "confirm text too long": (actions(button(confirm={**CONFIRM, "text": mrkdwn("x" * 301)})), "less than 301"),
    "select of nothing": (actions({"type": "static_select", "action_id": "s"}), "must provide exactly one of"),
    "select of 101": (actions(select(options=[option(str(i)) for i in range(101)])), "no more than 100 items allowed"),
    "initial not offered": (actions(select(initial_option=option("w"))), "must be one of the provided options"),
    "option value too long": (actions(select(options=[option("v" * 151)])), "must be less than 151 characters"),
    "overflow of six": (
        actions({"type": "overflow", "action_id": "o", "options": [option(str(i)) for i in range(6)]}),
        "no more than 5 items allowed",
    ),
    "date": (actions({"type": "datepicker", "action_id": "d", "initial_date": "23.11.2026"}), "YYYY-MM-DD"),
    "text input among actions": (actions({"type": "plain_text_input", "action_id": "t"}), "unsupported type"),
    "button as input": (field(button()), "unsupported type: button"),
    "input too long": (
        field({"type": "plain_text_input", "action_id": "t", "max_length": 3001}),
        "must be between 1 and 3000",
    ),
    "input lengths": (
        field({"type": "plain_text_input", "action_id": "t", "min_length": 9, "max_length": 3}),
        "min_length must not be greater",
    ),
    "six context actions": (
        {"type": "context_actions", "elements": [{**FEEDBACK, "action_id": f"f{i}"} for i in range(6)]},
        "no more than 5 items allowed",
    ),
    "button in context actions": ({"type": "context_actions", "elements": [button()]}, "unsupported type: button"),
    "markdown too long": ({"type": "markdown", "text": "x" * 12_001}, "must be less than 12001 characters"),
    "list without style": (
        rich({"type": "rich_text_list", "elements": [rich_section(words())]}),
        "missing required field: style",
    ),
    "empty rich text": (rich(rich_section(words(""))), "must be more than 0 characters"),
    "image in rich text": (rich(rich_section({"type": "image"})), "unsupported type: image"),
    "101 rows": (table([[cell()]] * 101), "no more than 100 items allowed"),
    "21 cells": (table([[cell()] * 21]), "no more than 20 items allowed"),
    "table too long": (table([[cell("x" * 2001)]] * 5), "must be less than 10001 characters"),
    "ragged table": (table([[cell()], [cell(), cell()]]), "all rows must have the same number of cells"),
    "task state": (task(status="done"), "must be a valid enum value"),
    "plan of text": ({"type": "plan", "title": "Steps", "tasks": ["x"]}, "must be an object"),
    "21 points": (
        chart(
            series=[{"name": "e", "data": [{"label": str(i), "value": i} for i in range(21)]}],
            axis_config={"categories": [str(i) for i in range(20)]},
        ),
        "no more than 20 items allowed",
    ),
    "seven series": (chart(series=[chart()["chart"]["series"][0]] * 7), "no more than 6 items allowed"),
    "same series twice": (chart(series=[chart()["chart"]["series"][0]] * 2), "series names must be unique"),
    "label too long": (pie({"label": "x" * 21, "value": 1}), "must be less than 21 characters"),
    "labels that do not match": (chart(axis_config={"categories": ["a", "c"]}), "must match the axis categories"),
    "empty slice": (pie({"label": "a", "value": 0}), "must be greater than 0"),
    "chart title too long": ({**chart(), "title": "x" * 51}, "must be less than 51 characters"),
    "alert in a message": ({"type": "alert", "text": plain()}, "unsupported type: alert"),
}


@pytest.mark.parametrize("block", GOOD.values(), ids=GOOD.keys())
def test_a_right_block_is_taken(block):
    assert check_blocks([block]) == []


@pytest.mark.parametrize(("block", "words_"), BAD.values(), ids=BAD.keys())
def test_a_wrong_block_is_refused_with_slacks_words_and_a_path(block, words_):
    problems = check_blocks([block])
    assert any(words_ in problem for problem in problems), problems
    assert all("[json-pointer:/blocks" in problem for problem in problems)


def test_a_message_holds_fifty_blocks_and_a_view_a_hundred():
    assert check_blocks([{"type": "divider"}] * 50) == []
    assert check_blocks([{"type": "divider"}] * 51) == ["no more than 50 items allowed [json-pointer:/blocks]"]
    view = {"type": "home", "blocks": [{"type": "divider"}] * 100}
    assert check_view(view, "home") == []
    assert check_view({**view, "blocks": [{"type": "divider"}] * 101}, "home")


def test_block_ids_are_unique_in_a_message_and_action_ids_in_a_block():
    twice = [{"type": "divider", "block_id": "b"}] * 2
    assert "`block_id`: b already exists" in check_blocks(twice)[0]
    assert check_blocks([actions(button()), actions(button())]) == []


def test_three_charts_two_tables_and_too_much_markdown_are_refused():
    assert check_blocks([chart()] * 2) == []
    assert check_blocks([chart()] * 3)
    assert check_blocks([table([[cell()]])] * 2)
    assert check_blocks([{"type": "markdown", "text": "x" * 6001}] * 2)


def test_all_blocks_of_a_message_hold_13200_characters():
    assert not too_long([section(text=mrkdwn("x" * 3000))] * 4)
    assert too_long([section(text=mrkdwn("x" * 3000))] * 5)
    with pytest.raises(SlackError, match="msg_blocks_too_long"):
        blocks_of([section(text=mrkdwn("x" * 3000))] * 5)


MODAL = {"type": "modal", "title": plain("Diagnose"), "submit": plain("Go"), "blocks": [section()]}


@pytest.mark.parametrize(
    ("change", "words_"),
    [
        ({"title": plain("x" * 25)}, "must be less than 25 characters"),
        ({"type": "home"}, "unsupported type: home"),
        ({"private_metadata": "x" * 3001}, "must be less than 3001 characters"),
        ({"colour": "red"}, "invalid additional property: colour"),
        ({"blocks": [table([[cell()]])]}, "unsupported type: table"),
        ({"blocks": "x"}, "must be an array"),
    ],
)
def test_a_wrong_view_is_refused(change, words_):
    assert check_view(MODAL, "modal") == []
    assert any(words_ in problem for problem in check_view({**MODAL, **change}, "modal"))


def test_a_modal_with_an_input_needs_a_submit_button():
    view = {**MODAL, "blocks": [field({"type": "plain_text_input", "action_id": "t"})]}
    assert check_view(view, "modal") == []
    del view["submit"]
    assert any("`submit` is required" in problem for problem in check_view(view, "modal"))


def test_blocks_may_come_as_json_text_and_get_ids():
    (made,) = blocks_of(json.dumps([actions({"type": "button", "text": plain()})]))
    assert made["block_id"]
    assert made["elements"][0]["action_id"]


@pytest.mark.parametrize("value", ["{", "[" * 100_000, "7", {"type": "divider"}])
def test_what_is_no_list_of_blocks_is_an_invalid_format(value):
    with pytest.raises(SlackError, match="invalid_blocks_format"):
        blocks_of(value)


def test_a_hundred_and_one_attachments_are_too_many():
    assert len(read({"attachments": [{"text": "x"}] * 100})["attachments"]) == 100
    with pytest.raises(SlackError, match="too_many_attachments"):
        read({"attachments": [{"text": "x"}] * 101})


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(list(GOOD.values())),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["type", "text", "elements", "blocks", "rows", "chart", "series", "data", "options", "tasks"]
            )
            | st.text(max_size=5),
            inner
            | st.sampled_from(["section", "actions", "button", "table", "rich_text", "mrkdwn", "input", "plan", "pie"]),
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(_JSON)
def test_no_json_makes_the_check_raise(value):
    check_blocks(value)
    check_view(value, "modal")


@given(st.sampled_from(list(GOOD)), st.data())
def test_a_right_block_with_one_value_replaced_is_judged_without_raising(name, data):
    block = copy.deepcopy(GOOD[name])
    node = block
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = data.draw(st.sampled_from(keys))
        if isinstance(node[key], dict | list) and node[key] and data.draw(st.booleans()):
            node = node[key]
            continue
        node[key] = data.draw(_JSON)
        break
    check_blocks([block])
