"""What a person chose or typed, in the shapes that Slack puts into ``actions`` and ``state.values``; used by interact.py."""

from typing import Any

from drill.slack.blocks import walk
from drill.slack.errors import JsonDict

_ENTITY = {"users": "user", "channels": "channel", "conversations": "conversation"}
_PLAIN = {
    "plain_text_input": "value",
    "email_text_input": "value",
    "url_text_input": "value",
    "number_input": "value",
    "datepicker": "selected_date",
    "timepicker": "selected_time",
    "datetimepicker": "selected_date_time",
}


def find_element(blocks: list[JsonDict], block_id: str, action_id: str) -> JsonDict | None:
    """Return the interactive element that *block_id* and *action_id* name, wherever in the blocks it stands."""
    for block in walk(blocks):
        if block.get("block_id") == block_id:
            for item in walk(block):
                if item.get("action_id") == action_id:
                    return item
    return None


def options(element: JsonDict) -> list[JsonDict]:
    """Return every option that *element* offers, groups flattened."""
    offered = list(element.get("options", []))
    for group in element.get("option_groups", []):
        offered += group["options"]
    return offered


def value_of(element: JsonDict, raw: Any) -> JsonDict:
    """Return the state of *element* after the person chose *raw* (option values, ids, or text), or nothing (None)."""
    kind = element["type"]
    if kind in _PLAIN:
        return {"type": kind, _PLAIN[kind]: raw if raw not in {"", None} else None}
    if kind in {"static_select", "radio_buttons", "overflow", "external_select"}:
        chosen = next((item for item in options(element) if item["value"] == raw), None)
        return {"type": kind, "selected_option": chosen}
    if kind in {"checkboxes", "multi_static_select"}:
        wanted = raw if isinstance(raw, list) else []
        return {"type": kind, "selected_options": [item for item in options(element) if item["value"] in wanted]}
    many = kind.startswith("multi_")
    noun = _ENTITY.get(kind.removeprefix("multi_").removesuffix("_select"), "option")
    if many:
        return {"type": kind, f"selected_{noun}s": raw if isinstance(raw, list) else []}
    return {"type": kind, f"selected_{noun}": raw or None}


def action_of(element: JsonDict, block_id: str, raw: Any, stamp: str) -> JsonDict:
    """Return one entry of ``actions`` for a press on *element*."""
    action = {"action_id": element["action_id"], "block_id": block_id, "type": element["type"], "action_ts": stamp}
    if element["type"] in {"button", "icon_button"}:
        kept: JsonDict = {name: element[name] for name in ("text", "value", "style", "url") if name in element}
        return {**kept, **action}
    if element["type"] == "feedback_buttons":
        sides: list[JsonDict] = [element["positive_button"], element["negative_button"]]
        side = next((item for item in sides if item["value"] == raw), {})
        return {**action, "text": side.get("text"), "value": side.get("value")}
    placeholder = {"placeholder": element["placeholder"]} if "placeholder" in element else {}
    return {**action, **value_of(element, raw), **placeholder}


def state_of(blocks: list[JsonDict], given: Any) -> JsonDict:
    """Return ``state`` for all inputs in *blocks* from what the page sent: ``{block_id: {action_id: raw}}``."""
    values: JsonDict = {}
    if not isinstance(given, dict):
        return {"values": values}
    for block_id, actions in given.items():
        for action_id, raw in actions.items() if isinstance(actions, dict) else ():
            element = find_element(blocks, block_id, action_id)
            if element is not None and element["type"] not in {"button", "overflow", "feedback_buttons", "icon_button"}:
                values.setdefault(block_id, {})[action_id] = value_of(element, raw)
    return {"values": values}


def missing(blocks: list[JsonDict], state: JsonDict) -> dict[str, str]:
    """Return, by block_id, what Slack itself says about inputs that are left empty or too short."""
    faults: dict[str, str] = {}
    for block in blocks:
        if block["type"] != "input":
            continue
        element = block["element"]
        entered = state["values"].get(block["block_id"], {}).get(element["action_id"], {})
        held = next((value for name, value in entered.items() if name != "type"), None)
        if not held:
            if not block.get("optional"):
                faults[block["block_id"]] = "Please complete this required field."
        elif element["type"] == "plain_text_input":
            faults |= _length_fault(block["block_id"], element, str(held))
    return faults


def _length_fault(block_id: str, element: JsonDict, text: str) -> dict[str, str]:
    if len(text) < element.get("min_length", 0):
        return {block_id: f"Please enter at least {element['min_length']} characters."}
    if len(text) > element.get("max_length", 3000):
        return {block_id: f"Please enter no more than {element['max_length']} characters."}
    return {}
