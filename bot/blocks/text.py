"""The one door between text from outside and Slack markup; every module of bot/blocks goes through it.

Alerts, logs, labels, models and people all write text that we show. None of it may become a mention, a link, a heading
or the end of a code fence. Slack's own escaping (& < >) stops mentions and links; the rest is defused by look-alikes,
because Slack has no escape for them: https://docs.slack.dev/messaging/formatting-message-text
"""

import re
from datetime import UTC, datetime
from urllib.parse import urlsplit

ELLIPSIS = "…"
ZERO_WIDTH = "\u200b"
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_BROADCAST = re.compile(r"@(?=here|channel|everyone|group)", re.IGNORECASE)
_NOT_OURS = re.compile(
    r"<(?!@[UW][A-Z0-9]+>|#[CG][A-Z0-9]+(?:\|[^<>]*)?>|!subteam\^S[A-Z0-9]+>|!date\^\d+\^[^<>]*>|https?://[^<>\s]+>|https?://[^<>|\s]+\|[^<>]*>)"
)
_EMOJI = re.compile(r"(?<!\w):(?=[a-z0-9_+'-]+:)", re.IGNORECASE)
_EDGE_UNDERSCORE = re.compile(r"(?<!\w)_|_(?!\w)")
_LOOKALIKES = str.maketrans({"`": "'", "*": "\u2217", "~": "\u223c"})
_ANGLES = str.maketrans({"<": "\u2039", ">": "\u203a", "`": "'"})
_PARTIAL = re.compile(r"&[a-z]{0,4}$|<[^<>]*$")
_USER = re.compile(r"[UW][A-Z0-9]{2,20}")
_GROUP = re.compile(r"S[A-Z0-9]{2,20}")
MAX_URL = 2000
SLACK = 8  # how much more than *limit* is read before white space is folded: enough, and bounded


def size(text: str) -> int:
    """Count *text* the way that is never less than Slack's count: UTF-16 units of what is sent."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def clip(sent: str, limit: int) -> str:
    """Cut text that is already escaped to *limit*, never inside an entity, a link or a character."""
    if size(sent) <= limit:
        return sent
    room = max(limit - 1, 0)
    cut = sent.encode("utf-16-le", "replace")[: room * 2].decode("utf-16-le", "ignore")
    return _PARTIAL.sub("", cut).rstrip() + ELLIPSIS


def clean(text: str) -> str:
    """Make control characters, half characters and direction overrides visible: they can hide what a diff does."""
    return _CONTROL.sub("\ufffd", text.replace("\r\n", "\n"))


def escape(text: str) -> str:
    """Escape what Slack would parse as a mention or a link, and keep `@here` and its like from being one."""
    escaped = clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _BROADCAST.sub("@" + ZERO_WIDTH, escaped)


def quiet(mrkdwn: str) -> str:
    """Let a sentence of our own markup keep people, groups, dates and links; every other `<` is shown as it is."""
    return _BROADCAST.sub("@" + ZERO_WIDTH, _NOT_OURS.sub("&lt;", clean(mrkdwn)))


def plain(text: str, limit: int) -> str:
    """One line for a `plain_text` object: nothing in it can be read as a mention, whether Slack unescapes it or not."""
    line = " ".join(clean(text[: limit * SLACK]).split()).translate(_ANGLES)
    return clip(_BROADCAST.sub("@" + ZERO_WIDTH, line), limit)


def prose(text: str, limit: int = 300) -> str:
    """One line of foreign text inside mrkdwn: no mention, link, emoji, bold, strike, quote or code comes of it."""
    line = " ".join(clean(text[: limit * SLACK]).split()).translate(_LOOKALIKES)
    line = _EDGE_UNDERSCORE.sub("\u02cd", _EMOJI.sub("\u2236", line))
    return clip(escape(line), limit)


def code(text: str, limit: int = 150) -> str:
    """Foreign text as inline code; "" stays ""."""
    line = " ".join(clean(text[: limit * SLACK]).split()).replace("`", "'")
    return f"`{clip(escape(line), limit)}`" if line else ""


def fence(text: str, limit: int = 2900) -> str:
    """Foreign text as a preformatted block of at most *limit* characters; a fence inside it cannot end it."""
    body = escape(text[: limit * SLACK]).replace("```", ZERO_WIDTH.join("```")).strip("\n")
    return "```\n" + clip(body or "(empty)", limit - 8) + "\n```"


def link(url: str, label: str) -> str:
    """Link a foreign label; an address that is not plain http(s), or is too long, leaves the label alone."""
    address = url.strip()
    try:
        parts = urlsplit(address)
    except ValueError:
        return prose(label)
    if parts.scheme not in ("http", "https") or not parts.netloc or not address.isprintable() or " " in address:
        return prose(label)
    safe = escape(address.replace("|", "%7C").replace("`", "%60"))
    return f"<{safe}|{prose(label, 150)}>" if size(safe) <= MAX_URL else prose(label)


def person(actor: str) -> str:
    """Who did it: a Slack user or group id becomes a mention, anything else is foreign text."""
    name = actor.removeprefix("slack:")
    if _USER.fullmatch(name):
        return f"<@{name}>"
    if _GROUP.fullmatch(name):
        return f"<!subteam^{name}>"
    return "Tocsin" if name in ("", "tocsin", "system") else prose(name, 80)


def moment(at: datetime, form: str = "{time}") -> str:
    """Show a time in the reader's own zone; clients that cannot do that show UTC. *form* is Slack's date format."""
    shown = at.astimezone(UTC)
    in_utc = {"{time}": f"{shown:%H:%M}", "{time_secs}": f"{shown:%H:%M:%S}"}.get(form, f"{shown:%Y-%m-%d %H:%M}")
    return f"<!date^{int(at.timestamp())}^{form}|{in_utc} UTC>"


def percent(share: float) -> str:
    """0..1 as a whole percentage."""
    return f"{round(share * 100)} %"
