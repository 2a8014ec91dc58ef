"""Silences in Slack: the form with its preview, the list, and what the channel is told; for bot/listeners/silences.py."""

from collections.abc import Mapping, Sequence
from typing import Any

from bot.blocks.kit import MAX_VIEW_BLOCKS, VIEW_CHARS, Block, Post, actions, button, context, fit, plain_text, section
from bot.blocks.text import code, moment, person, prose
from bot.previews import Preview
from tools.store.silences import Silence

FORM, PREVIEW, EXPIRE = "silence_form", "preview_silence", "expire_silence"
FIELDS = ("matchers", "duration", "comment")
MAX_LISTED = 20
MAX_NAMES = 8
HINT = 'service=checkout severity=~"warning|info"'


def form(channel: str, preview: str = "", typed: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the form; *preview* is safe mrkdwn that says what it would have hidden, *typed* is what the fields hold."""
    held = typed or {"duration": "2h"}
    shown = preview or "*Preview* shows what it would have hidden in the last 24 h. It changes nothing."
    blocks = [
        _input("matchers", "What to silence, as Alertmanager writes it", held.get("matchers", ""), HINT, 1000),
        _input("duration", "For how long", held.get("duration", ""), "90m, 2h, 1h30m, 1d", 20),
        _input("comment", "Why", held.get("comment", ""), "Deploy of checkout v3", 500, optional=True),
        actions(button("Preview", PREVIEW, "preview")),
        section(shown),
    ]
    return {
        "type": "modal",
        "callback_id": FORM,
        "private_metadata": channel,
        "title": plain_text("Silence alerts", 24),
        "submit": plain_text("Silence", 24),
        "close": plain_text("Cancel", 24),
        "blocks": fit(blocks, MAX_VIEW_BLOCKS, VIEW_CHARS),
    }


def done(sentence: str) -> dict[str, Any]:
    """Return the view that replaces the form; *sentence* is safe mrkdwn."""
    return {
        "type": "modal",
        "title": plain_text("Silence alerts", 24),
        "close": plain_text("Close", 24),
        "blocks": [section(sentence)],
    }


def previewed(preview: Preview) -> str:
    """Say what a silence would have hidden."""
    if not preview.arrived:
        return "No alert arrived in the last 24 h, so I cannot say what it would have hidden."
    if not preview.hidden:
        return f"It would have hidden none of the {preview.arrived} alerts of the last 24 h."
    names = ", ".join(f"{code(name, 60)} ({n})" for name, n in list(preview.hidden.items())[:MAX_NAMES])
    more = f" and {len(preview.hidden) - MAX_NAMES} more names" if len(preview.hidden) > MAX_NAMES else ""
    return f"It would have hidden {preview.total} of the {preview.arrived} alerts of the last 24 h: {names}{more}."


def announced(silence: Silence, preview: Preview) -> str:
    """Say who silenced what until when."""
    why = f" {prose(silence.comment, 300)}" if silence.comment else ""
    until = moment(silence.ends_at, "{date_short_pretty} {time}")
    what = f"{person(silence.created_by)} silenced {code(silence.matchers, 300)} until {until}."
    return f":no_bell: {what}{why} {previewed(preview)} `/tocsin silences` ends it."


def ended(silence: Silence, user: str) -> str:
    """Say that a silence was ended early."""
    return f":bell: {person(user)} ended the silence of {code(silence.matchers, 300)}."


def listing(silences: Sequence[Silence]) -> Post:
    """List the silences in force, each with a button that ends it."""
    if not silences:
        said = "No silence is in force. `/tocsin silence` makes one."
        return Post("silences", said, [section(said)])
    blocks: list[Block] = []
    for one in silences[:MAX_LISTED]:
        until = moment(one.ends_at, "{date_short_pretty} {time}")
        why = f"\n{prose(one.comment, 200)}" if one.comment else ""
        said = f"*{one.id}* {code(one.matchers, 300)} until {until}, by {person(one.created_by)}{why}"
        expire = button("Expire", EXPIRE, one.id)
        blocks.append({**section(said), "accessory": expire})
    if len(silences) > MAX_LISTED:
        blocks.append(context(f"{len(silences) - MAX_LISTED} more are not shown."))
    return Post("silences", f"{len(silences)} silence(s) in force", fit(blocks))


def _input(name: str, label: str, initial: str, hint: str, most: int, *, optional: bool = False) -> Block:
    element: Block = {
        "type": "plain_text_input",
        "action_id": name,
        "max_length": most,
        "placeholder": plain_text(hint, 150),
    }
    if initial:
        element["initial_value"] = initial
    made: Block = {"type": "input", "block_id": name, "label": plain_text(label, 2000), "element": element}
    return {**made, "optional": True} if optional else made
