"""Modals and home tabs: open, push, update, publish, and what an answered submission does to the stack.

Called by the views.* methods and by interact.py.
"""

import json
import secrets
from typing import Any

from drill.slack import people
from drill.slack.blocks import check_view
from drill.slack.content import decoded, with_ids
from drill.slack.errors import JsonDict, SlackError, refused
from drill.slack.state import State, View

MAX_STACK = 3  # https://docs.slack.dev/surfaces/modals: up to three views at once
MAX_BYTES = 250_000


def _read(value: Any, kind: str) -> JsonDict:
    view = decoded(value, "invalid_arguments")
    problems = check_view(view, kind)
    if problems:
        raise refused("invalid_arguments", problems)
    if len(json.dumps(view)) > MAX_BYTES:
        raise SlackError("view_too_large")
    checked: JsonDict = {**view, "blocks": with_ids(view["blocks"])}
    return checked


def _complete(state: State, given: JsonDict, root: str = "", previous: str | None = None) -> JsonDict:
    view_id = state.new_id("V")
    defaults: JsonDict = {
        "private_metadata": "",
        "callback_id": "",
        "external_id": "",
        "title": None,
        "submit": None,
        "close": None,
        "clear_on_close": False,
        "notify_on_close": False,
    }
    return {
        **defaults,
        **given,
        "id": view_id,
        "team_id": people.TEAM_ID,
        "state": {"values": {}},
        "hash": f"{int(state.clock())}.{secrets.token_hex(4)}",
        "root_view_id": root or view_id,
        "previous_view_id": previous,
        "app_id": people.APP_ID,
        "app_installed_team_id": people.TEAM_ID,
        "bot_id": people.BOT_ID,
    }


def show(state: State, view: View) -> None:
    """Bring the page's copy of *view* up to date."""
    state.live({"kind": "view", "for": view.user, "view": view.data})


def _store(state: State, given: JsonDict, user: str, parent: View | None = None) -> JsonDict:
    external = given.get("external_id")
    if external and any(view.data["external_id"] == external for view in state.views.values()):
        raise SlackError("duplicate_external_id")
    root, previous = (parent.data["root_view_id"], parent.data["id"]) if parent else ("", None)
    data = _complete(state, given, root, previous)
    view = View(data, user, parent.data["id"] if parent else "")
    state.views[data["id"]] = view
    show(state, view)
    return data


def open_modal(state: State, args: JsonDict) -> JsonDict:
    """Open a modal for whoever caused the trigger (views.open)."""
    given = _read(args.get("view"), "modal")
    return _store(state, given, state.use_trigger(args.get("trigger_id")))


def push(state: State, args: JsonDict) -> JsonDict:
    """Put a modal on top of the one the trigger came from (views.push)."""
    given = _read(args.get("view"), "modal")
    user = state.use_trigger(args.get("trigger_id"))
    stack = modals(state, user)
    if not stack:
        raise SlackError("not_found")
    return _push_on(state, given, stack)


def _push_on(state: State, given: JsonDict, stack: list[View]) -> JsonDict:
    if len(stack) >= MAX_STACK:
        raise SlackError("push_limit_reached")
    return _store(state, given, stack[-1].user, stack[-1])


def modals(state: State, user: str) -> list[View]:
    """Return *user*'s open modals, the lowest first."""
    return [view for view in state.views.values() if view.user == user and view.data["type"] == "modal"]


def update(state: State, args: JsonDict) -> JsonDict:
    """Replace an open view, found by view_id or external_id (views.update)."""
    found = state.views.get(str(args.get("view_id") or ""))
    external = str(args.get("external_id") or "")
    if found is None and external:
        found = next((view for view in state.views.values() if view.data["external_id"] == external), None)
    if found is None:
        raise SlackError("not_found")
    if args.get("hash") and args["hash"] != found.data["hash"]:
        raise SlackError("hash_conflict")
    return _replace(state, found, _read(args.get("view"), found.data["type"]))


def _replace(state: State, view: View, given: JsonDict) -> JsonDict:
    fresh = _complete(state, given, view.data["root_view_id"], view.data["previous_view_id"])
    view.data = {**fresh, "id": view.data["id"], "root_view_id": view.data["root_view_id"]}
    show(state, view)
    return view.data


def publish(state: State, args: JsonDict) -> JsonDict:
    """Set a person's home tab (views.publish)."""
    user = str(args.get("user_id") or "")
    if user not in state.users:
        raise SlackError("user_not_found")
    given = _read(args.get("view"), "home")
    before = state.views.get(state.homes.get(user, ""))
    if before is None:
        data = _store(state, given, user)
        state.homes[user] = data["id"]
        return data
    if args.get("hash") and args["hash"] != before.data["hash"]:
        raise SlackError("hash_conflict")
    return _replace(state, before, given)


def close(state: State, view: View, *, everything: bool = False) -> None:
    """Take *view*, and whatever lies on top of it, away; *everything* empties the whole stack."""
    gone = modals(state, view.user)
    if not everything:
        gone = gone[gone.index(view) :]
    for item in gone:
        del state.views[item.data["id"]]
    state.live({"kind": "view_closed", "for": view.user, "ids": [item.data["id"] for item in gone]})


def respond(state: State, view: View, answer: JsonDict | None) -> dict[str, str]:
    """Carry out the app's answer to a submission; return the errors to show beside the inputs, by block_id.

    Raises SlackError when the answer itself is wrong, which Slack shows as "trouble connecting".
    """
    action = (answer or {}).get("response_action")
    if answer is None or (not answer and action is None):
        close(state, view)
        return {}
    if action == "errors":
        return _errors(view, answer.get("errors"))
    if action == "clear":
        close(state, view, everything=True)
    elif action == "update":
        _replace(state, view, _read(answer.get("view"), "modal"))
    elif action == "push":
        _push_on(state, _read(answer.get("view"), "modal"), modals(state, view.user))
    else:
        raise SlackError("invalid_response_action")
    return {}


def _errors(view: View, errors: Any) -> dict[str, str]:
    inputs = {block["block_id"] for block in view.data["blocks"] if block["type"] == "input"}
    if not isinstance(errors, dict) or not errors or not set(errors) <= inputs:
        raise SlackError("invalid_response_action_errors")
    return {str(name): str(text) for name, text in errors.items()}
