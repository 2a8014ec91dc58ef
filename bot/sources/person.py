"""What a person writes in Slack: "checkout is slow since 10:00 @tocsin". Its sender is "person"; intake decides who asks."""

import re

from bot.reading.facts import Facts
from bot.reading.post import Post
from bot.reading.prose import facts_of_sheet
from bot.reading.text import bare, service_among

_NOISE = re.compile(r"@?\btocsin\b[,:]?|^\W*(?:hi|hey|hello|please|pls|fyi)\b[\s,:]*", re.IGNORECASE)
_WHEN = re.compile(
    r"[\s,(]*\b(?:since|from(?=\s+\d{1,2}(?:[:.]\d\d|\s?[ap]m))|for|starting|started)\b(?: about| around| at| the last| over)?\s+(?:\d|an?\b|half\b|this|today|yesterday|last)[^,.;!?]*",
    re.IGNORECASE,
)


def matches(post: Post) -> bool:
    """Say whether a person, not an app, wrote the message."""
    return post.kind == "slack" and post.sheet.person and not post.body.get("attachments")


def parse(post: Post) -> list[Facts]:
    """Return one alert named by the first line; ValueError for a message without words or that is no news."""
    sheet = post.sheet
    subtype = post.body.get("subtype")
    if isinstance(subtype, str) and subtype not in ("me_message", "file_share", "thread_broadcast"):
        msg = f"A {subtype[:60]} message is not an alert."
        raise ValueError(msg)
    if not any(re.search(r"[^\W_]", line) for line in sheet.lines):
        msg = "The message has no words in it."
        raise ValueError(msg)
    facts = facts_of_sheet(sheet, known=list(post.known))
    facts.sender = "person"
    first = next((line for line in sheet.lines if re.search(r"\w", _NOISE.sub("", line))), sheet.lines[0])
    said = _NOISE.sub("", bare(first)).strip(" ,.!?:;-")
    facts.name = (_WHEN.sub("", said).strip(" ,.!?:;-") or said or facts.name)[:120]
    words = re.findall(r"[\w.-]+", sheet.text.lower())
    facts.service = service_among([word.strip(".-") for word in words], post.known) or facts.service.lower()
    return [facts]
