"""What an alert is called: a name without its state, so that firing and resolved have one; roles.py and prose.py call it."""

import re

from bot.reading import keys
from bot.reading.text import is_url, text_of
from bot.reading.walk import Leaf
from bot.reading.words import only_state

_OWN_NAME = frozenset(
    keys.listed(
        "alert alarm rule monitor check condition policy problem trigger incident event issue error test violation anomaly"
        " workflow run pipeline build item data payload body attributes alerts events incidents issues detail details message group definition properties info"
    )
)
_OTHERS_NAME = frozenset(
    keys.listed("source type status state severity priority channel integration team tool creator owner kind category")
)
_EVENT_KEYS = frozenset(("event", "type", "trigger", "signal"))  # "push", "check.down": a kind of message
# What a notification calls itself or what it is about, and no alert's name.
_KINDS = frozenset(
    keys.listed(
        "host service node device system application alert alarm event incident issue problem monitor check notification metric log"
    )
)
_IDENTIFIER = re.compile(
    r"[0-9a-fA-F-]{16,}|[\d.:/ -]+|[A-Za-z]+[-_]?\d{6,}|arn:\S+|projects/\S+|\$\S+\$|\{\{.*\}\}|null|none|n/a|true|false",
    re.IGNORECASE,
)
_PREFIX = re.compile(
    r"^[\W_]*(?:\[?\b(?:re-?)?(?:firing|fired|alerting|triggered(?: on [^\]]{1,80})?|resolved|recovered|recovery|problem|alert|ok|up|down"
    r"|warning|warn|critical|crit|no data|new alert|alert closed|closed|open(?:ed)?|info|error|high|medium|low|acknowledged"
    r"|[ps](?:ev)?-?[0-5]|incident|alarm)"
    r"(?:(?: alert| incident| problem)?(?:[: ]\s*\d+)?\s*(?:\]|[:|\u2013\u2014]|\s-)|\s*#\d+[\s:]*|\](?=.))[\s:|\u2013\u2014-]*)+",
    re.IGNORECASE,
)
_SUFFIX = re.compile(
    r"\s*(?:[:\-\u2013\u2014|]\s*|\bis(?: now| back)?\s+|\bhas(?: been)?\s+|\bwas\s+)"
    r"(?:resolved|recovered|triggered|firing|alerting|ok|down|up|critical|warning|problem|failed|closed|open|fixed)"
    r"(?:[.!]?|[.,;]?\s+(?:since|for|after|due|because|as|at|again|\().*)$",
    re.IGNORECASE,
)
_SENTENCE = re.compile(
    r"(?:an?|the|new|your)?\s*(?:alert|alarm|incident|problem|issue)\s+(?:for|on|about|with|in)\s+[\"'*`]*(?P<name>[^\"'*`]{2,120}?)[\"'*`]*"
    r"\s+(?:has been|has|was|is)\s+(?:triggered|resolved|opened|closed|raised|fired|firing|created|cleared)\b.*",
    re.IGNORECASE,
)


def is_sentence(line: str) -> bool:
    """Say whether *line* is "An alert for X has been triggered ..."."""
    return _SENTENCE.fullmatch(line) is not None


def title_of(text: str, limit: int = 200) -> str:
    """Take the state and severity off a title, so that firing and resolved have one name; the title itself if nothing stays."""
    line = next((line.strip() for line in text.splitlines() if re.search(r"\w", line)), "")
    sentence = _SENTENCE.fullmatch(line)
    short = sentence["name"] if sentence else _SUFFIX.sub("", _PREFIX.sub("", line))
    short = short.strip(" \t*_`:|-\u2013\u2014")
    quoted = re.fullmatch(r"(?P<mark>[\"'])(?P<name>[^\"']+)(?P=mark)", short)
    return (quoted["name"] if quoted else short or line)[:limit]


def name_in(leaf: Leaf) -> str | None:
    """Accept what can be the alert's name: no id, address, bare state or name of something else."""
    text = text_of(leaf.value)
    last = leaf.names[0]
    if not re.search(r"[^\W\d_]{2}", text) or is_url(text) or _IDENTIFIER.fullmatch(text) or "\n" in text[:3]:
        return None
    if only_state(text) or text.lower() in _KINDS or (last in _EVENT_KEYS and re.fullmatch(r"[a-z_.:-]+", text)):
        return None
    if last == "name" and not _is_own_name(leaf):
        return None
    return title_of(text)


def _is_own_name(leaf: Leaf) -> bool:
    """Tell a `name` at the top, or in an object that stands for the alert, from the name of something else."""
    if len(leaf.path) < 2:
        return True
    words = leaf.path[-2].split("_")
    return words[-1] not in _OTHERS_NAME and any(word in _OWN_NAME for word in words)
