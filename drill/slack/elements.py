"""Block Kit's composition objects and interactive elements as rules; blocks.py builds the blocks from them.

Limits: https://docs.slack.dev/reference/block-kit (November 2026).
"""

from typing import Any

from drill.slack.schema import (
    Problems,
    Rule,
    array,
    at_least_one,
    boolean,
    choice,
    exactly_one,
    fault,
    integer,
    link,
    number,
    pattern,
    record,
    string,
    typed,
    url,
)


def constant(name: str) -> Rule:
    """Allow the ``type`` field to be *name*."""
    return choice(name)


def plain(most: int, least: int = 1) -> Rule:
    """Allow a plain_text object of up to *most* characters."""
    return record({"type": constant("plain_text"), "text": string(most, least)}, {"emoji": boolean})


def any_text(most: int, least: int = 1) -> Rule:
    """Allow a plain_text or mrkdwn object of up to *most* characters."""
    return typed(
        {
            "plain_text": plain(most, least),
            "mrkdwn": record({"type": constant("mrkdwn"), "text": string(most, least)}, {"verbatim": boolean}),
        }
    )


CONFIRM = record(
    {"title": plain(100), "text": any_text(300), "confirm": plain(30), "deny": plain(30)},
    {"style": choice("primary", "danger")},
)
ACTION_ID = string(255, 1)
_INTERACTIVE: dict[str, Rule] = {"action_id": ACTION_ID, "confirm": CONFIRM}
_INPUT: dict[str, Rule] = {**_INTERACTIVE, "placeholder": plain(150), "focus_on_load": boolean}
_TYPED_IN: dict[str, Rule] = {
    "action_id": ACTION_ID,
    "placeholder": plain(150),
    "focus_on_load": boolean,
    "initial_value": string(3000),
    "dispatch_action_config": record(
        {},
        {"trigger_actions_on": array(choice("on_enter_pressed", "on_character_entered"), least=1, most=2)},
    ),
}
_DATE = pattern(r"\d{4}-\d{2}-\d{2}", "must be a date in the format YYYY-MM-DD")
_TIME = pattern(r"([01]\d|2[0-3]):[0-5]\d", "must be a time in the format HH:mm")
_ID = string(255, 1)


def option(text: Rule, *, link_allowed: bool = False) -> Rule:
    """Allow one option of a menu."""
    extra: dict[str, Rule] = {"description": any_text(75)}
    if link_allowed:
        extra["url"] = link
    return record({"text": text, "value": string(150)}, extra)


_SELECTABLE = option(plain(75))
_TICKABLE = option(any_text(75))


def _initial(one: bool) -> Rule:
    name = "initial_option" if one else "initial_options"

    def rule(value: Any, path: str, problems: Problems) -> None:
        if name not in value:
            return
        offered = list(value.get("options", []))
        for group in value.get("option_groups", []):
            offered += group["options"]
        chosen = [value[name]] if one else value[name]
        if any(item not in offered for item in chosen):
            fault(problems, "must be one of the provided options", f"{path}/{name}")

    return rule


def _static_select(kind: str, *, one: bool) -> Rule:
    options = array(_SELECTABLE, least=1, most=100)
    initial: dict[str, Rule] = {"initial_option": _SELECTABLE}
    if not one:
        initial = {"initial_options": array(_SELECTABLE, least=1, most=100), "max_selected_items": integer(1, 100)}
    groups = array(record({"label": plain(75), "options": options}, {}), least=1, most=100)
    return record(
        {"type": constant(kind)},
        {**_INPUT, "options": options, "option_groups": groups, **initial},
        exactly_one("options", "option_groups"),
        _initial(one),
    )


def _entity_select(kind: str, noun: str, *, one: bool, more: dict[str, Rule] | None = None) -> Rule:
    initial: dict[str, Rule] = {f"initial_{noun}": _ID}
    if not one:
        initial = {f"initial_{noun}s": array(_ID, least=1), "max_selected_items": integer(1, 100)}
    return record({"type": constant(kind)}, {**_INPUT, **initial, **(more or {})})


def _ticks(kind: str, *, one: bool) -> Rule:
    initial: dict[str, Rule] = {"initial_option": _TICKABLE}
    if not one:
        initial = {"initial_options": array(_TICKABLE, least=1, most=10)}
    return record(
        {"type": constant(kind), "options": array(_TICKABLE, least=1, most=10)},
        {**_INTERACTIVE, "focus_on_load": boolean, **initial},
        _initial(one),
    )


def _length_order(value: Any, path: str, problems: Problems) -> None:
    if value.get("min_length", 0) > value.get("max_length", 3000):
        fault(problems, "min_length must not be greater than max_length", path)


BUTTON = record(
    {"type": constant("button"), "text": plain(75)},
    {
        **_INTERACTIVE,
        "url": link,
        "value": string(2000),
        "style": choice("primary", "danger"),
        "accessibility_label": string(75),
    },
)
SLACK_FILE = record({}, {"id": _ID, "url": url}, exactly_one("id", "url"))
IMAGE = record(
    {"type": constant("image"), "alt_text": string(2000)},
    {"image_url": url, "slack_file": SLACK_FILE},
    exactly_one("image_url", "slack_file"),
)
_FEEDBACK = record({"text": plain(75), "value": string(2000)}, {"accessibility_label": string(75)})
_CONVERSATION: dict[str, Rule] = {
    "default_to_current_conversation": boolean,
    "response_url_enabled": boolean,
    "filter": record(
        {},
        {
            "include": array(choice("im", "mpim", "private", "public"), least=1),
            "exclude_external_shared_channels": boolean,
            "exclude_bot_users": boolean,
        },
        at_least_one("include", "exclude_external_shared_channels", "exclude_bot_users"),
    ),
}

ELEMENTS: dict[str, Rule] = {
    "button": BUTTON,
    "image": IMAGE,
    "overflow": record(
        {
            "type": constant("overflow"),
            "options": array(option(plain(75), link_allowed=True), least=1, most=5),
        },
        _INTERACTIVE,
    ),
    "static_select": _static_select("static_select", one=True),
    "multi_static_select": _static_select("multi_static_select", one=False),
    "users_select": _entity_select("users_select", "user", one=True),
    "multi_users_select": _entity_select("multi_users_select", "user", one=False),
    "channels_select": _entity_select("channels_select", "channel", one=True, more={"response_url_enabled": boolean}),
    "multi_channels_select": _entity_select("multi_channels_select", "channel", one=False),
    "conversations_select": _entity_select("conversations_select", "conversation", one=True, more=_CONVERSATION),
    "multi_conversations_select": _entity_select(
        "multi_conversations_select", "conversation", one=False, more=_CONVERSATION
    ),
    "external_select": record(
        {"type": constant("external_select")},
        {**_INPUT, "initial_option": _SELECTABLE, "min_query_length": integer(0, 100)},
    ),
    "checkboxes": _ticks("checkboxes", one=False),
    "radio_buttons": _ticks("radio_buttons", one=True),
    "datepicker": record({"type": constant("datepicker")}, {**_INPUT, "initial_date": _DATE}),
    "timepicker": record({"type": constant("timepicker")}, {**_INPUT, "initial_time": _TIME, "timezone": _ID}),
    "datetimepicker": record(
        {"type": constant("datetimepicker")},
        {**_INTERACTIVE, "focus_on_load": boolean, "initial_date_time": integer(10**9, 10**10 - 1)},
    ),
    "plain_text_input": record(
        {"type": constant("plain_text_input")},
        {**_TYPED_IN, "multiline": boolean, "min_length": integer(0, 3000), "max_length": integer(1, 3000)},
        _length_order,
    ),
    "email_text_input": record({"type": constant("email_text_input")}, _TYPED_IN),
    "url_text_input": record({"type": constant("url_text_input")}, _TYPED_IN),
    "number_input": record(
        {"type": constant("number_input"), "is_decimal_allowed": boolean},
        {**_TYPED_IN, "min_value": string(), "max_value": string()},
    ),
    "feedback_buttons": record(
        {"type": constant("feedback_buttons"), "positive_button": _FEEDBACK, "negative_button": _FEEDBACK},
        {"action_id": ACTION_ID},
    ),
    "icon_button": record(
        {"type": constant("icon_button"), "icon": choice("trash"), "text": plain(75)},
        {
            **_INTERACTIVE,
            "value": string(2000),
            "accessibility_label": string(75),
            "visible_to_user_ids": array(_ID),
        },
    ),
    "url": record({"type": constant("url"), "url": url, "text": string(least=1)}, {}),
}

_SELECTS = {"static_select", "users_select", "channels_select", "conversations_select", "external_select"}
_MULTI = {"multi_static_select", "multi_users_select", "multi_channels_select", "multi_conversations_select"}
_PICKERS = {"datepicker", "timepicker"}
IN_SECTION = {"button", "image", "overflow", "checkboxes", "radio_buttons", *_SELECTS, *_MULTI, *_PICKERS}
IN_ACTIONS = {"button", "overflow", "checkboxes", "radio_buttons", "datetimepicker", *_SELECTS, *_PICKERS}
IN_INPUT = {
    "plain_text_input",
    "email_text_input",
    "url_text_input",
    "number_input",
    "checkboxes",
    "radio_buttons",
    "datetimepicker",
    *_SELECTS,
    *_MULTI,
    *_PICKERS,
}

VALUE = number()
