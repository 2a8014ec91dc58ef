"""What senders call severities and states, in words, emoji and colours; used by every reader in bot/sources.

A word that is not known says nothing: no reader guesses a state from a word it does not know.
"""

import re
from collections.abc import Iterable
from typing import Literal

from bot.reading.keys import listed
from tools.records import Severity

Status = Literal["firing", "resolved"]

_SEVERITY_WORDS: dict[Severity, str] = {
    "critical": "critical crit page paging fatal emergency emerg disaster high highest severe urgent blocker major"
    " error err serious p0 p1 p2 sev0 sev1 sev2 s0 s1 panic catastrophic",
    "warning": "warning warn medium med moderate average minor p3 sev3 s3 attention",
    "info": "info information informational notice low lowest none p4 p5 sev4 sev5 debug verbose trivial unclassified",
}
SEVERITIES = {word: severity for severity, words in _SEVERITY_WORDS.items() for word in words.split()}
GRAVITY: tuple[Severity, ...] = ("critical", "warning", "info")

_OVER = frozenset(
    listed(
        """
        autoresolved available canceled cancelled clear cleared close closed complete completed deactivated done end
        ended expired fixed good green healthy ignored inactive merged normal ok okay online operational pass passed
        passing recover recovered recovery remediated reset resolve resolved responding restored solved succeeded success
        successful up
        """
    )
)
_ON = frozenset(
    listed(
        """
        abnormal anomalous ack acknowledge acknowledged acknowledgement activated active alarm alert alerting annotated anomaly
        assigned bad breach breached create created crit critical danger degraded detected down emergency error errors
        escalate escalated exceeded fail failed failing failure fatal fire fired firing hard identified investigating
        late major minor missed monitoring new nodata notify occurred offline ongoing open opened outage problem
        problems reassigned red rejected regression renotify reopen reopened retriggered snoozed start started timeout trigger
        triggered triggering trouble unacknowledged unavailable unhealthy unknown unreachable unresolved violated violation warn
        warning yellow
        """
    )
)
_ENDED = frozenset(listed("complete completed done end ended"))
_SUBJECT = frozenset(
    listed("errors problems outage timeout anomaly")
)  # states too, but of what somebody calls an alert
_NEVER_NEWS = {"un", "not", "no", "non", "isn", "never"}
_FILLER = frozenset(
    listed("no data item incident alert issue event monitor status state is the notification failure recovery auto")
)
_EMOJI: dict[str, tuple[Status, Severity | None]] = {
    "white_check_mark": ("resolved", None),
    "heavy_check_mark": ("resolved", None),
    "large_green_circle": ("resolved", None),
    "green_circle": ("resolved", None),
    "green_heart": ("resolved", None),
    "large_green_square": ("resolved", None),
    "tada": ("resolved", None),
    "\u2705": ("resolved", None),
    "\u2714": ("resolved", None),
    "\U0001f7e2": ("resolved", None),
    "\U0001f49a": ("resolved", None),
    "red_circle": ("firing", "critical"),
    "large_red_square": ("firing", "critical"),
    "rotating_light": ("firing", "critical"),
    "fire": ("firing", None),
    "boom": ("firing", "critical"),
    "sos": ("firing", "critical"),
    "x": ("firing", "critical"),
    "no_entry": ("firing", "critical"),
    "bangbang": ("firing", "critical"),
    "\U0001f534": ("firing", "critical"),
    "\U0001f6a8": ("firing", "critical"),
    "\U0001f525": ("firing", None),
    "\u274c": ("firing", "critical"),
    "warning": ("firing", "warning"),
    "large_orange_circle": ("firing", "warning"),
    "large_yellow_circle": ("firing", "warning"),
    "\u26a0": ("firing", "warning"),
    "\U0001f7e0": ("firing", "warning"),
    "\U0001f7e1": ("firing", "warning"),
    "information_source": ("firing", "info"),
    "large_blue_circle": ("firing", "info"),
    "\U0001f535": ("firing", "info"),
}
_SHORTCODE = re.compile(r":([a-z0-9_+-]{1,40}):")
_OVER_TEXT = re.compile(
    r"\b(resolved|recovered|recovery|cleared|closed|back to normal|all clear|is up|back up|no longer|is healthy|is fixed)\b"
    r"|(^|[\[(|:>]\s*)(OK|UP)\b",
    re.IGNORECASE,
)
_STILL = re.compile(r"\b(not|un|never|isn'?t|to be|until|once|when|if)[ -]?(yet )?(been )?$", re.IGNORECASE)


def tokens(text: str) -> list[str]:
    """Split "incident.auto_resolved" and "NoDataState" into lower-case words; letters and digits stay together."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text[:200])
    return re.findall(r"[a-z0-9]+", spaced.lower())


def status_word(value: object) -> Status | None:
    """Read the value of a field that holds a state ("RESOLVED", "incident.triggered", "No Data"); None when unknown.

    The last telling word decides ("OK -> ALARM" is firing); "not ok" and "unresolved" are firing.
    """
    if not isinstance(value, str) or len(value) > 80:
        return None
    words = tokens(value)
    turned = re.search(r"->|=>|\u2192|\bto\b", value) is not None
    if words[:2] == ["no", "data"]:
        return "firing"
    found: Status | None = None
    for index, word in enumerate(words):
        if word in _OVER:
            denied = index > 0 and words[index - 1] in _NEVER_NEWS
            found = "firing" if denied else "resolved"
        elif word in _ON and not (word == "alert" and found is None and len(words) > 1):
            if found == "resolved" and word in SEVERITIES and not turned:
                continue  # how grave what is over was: POLICY_CLOSE_CRITICAL
            found = "firing"
    return found or ("firing" if words and words[-1] == "alert" else None)


def merely_over(value: object) -> bool:
    """Say whether *value* tells no more than that something came to its end ("completed"), well or not."""
    return isinstance(value, str) and {word for word in tokens(value) if word in _OVER} <= _ENDED


def only_state(text: str) -> bool:
    """Say whether *text* is nothing but a state or a severity ("incident.triggered", "Critical", "No Data")."""
    words = tokens(text)
    return len(words) <= 4 and all(
        word not in _SUBJECT and (word in _OVER or word in _ON or word in SEVERITIES or word in _FILLER)
        for word in words
    )


def severity_word(value: object) -> Severity | None:
    """Read the value of a field that holds a severity ("P1 - Critical", "SEV-2", "Sev2"); the first known word decides."""
    if not isinstance(value, str) or len(value) > 60:
        return None
    joined = re.sub(r"\b(p|s|sev|severity|priority)[\s_-]*([0-5])\b", r" \1\2 ", value.lower())
    joined = re.sub(r"\bseverity(\d)", r"sev\1", re.sub(r"\bpriority(\d)", r"p\1", joined))
    for word in re.findall(r"[a-z0-9]+", joined):
        if word in SEVERITIES:
            return SEVERITIES[word]
    return None


def severity_of(words: Iterable[str]) -> Severity | None:
    """Return the gravest severity any of *words* names."""
    found = {SEVERITIES.get(word.strip(" :*_`.,;!").lower()) for word in words}
    return next((severity for severity in GRAVITY if severity in found), None)


def status_of(text: str) -> Status:
    """Read free text: "resolved" when it says that the trouble is over."""
    for match in _OVER_TEXT.finditer(text):
        if not _STILL.search(text[: match.start()]):
            return "resolved"
    return "firing"


def emoji_of(text: str) -> tuple[Status | None, Severity | None]:
    """Return what the emoji in *text* say; a green one wins, for a resolved message often quotes the red one."""
    marks = [*_SHORTCODE.findall(text), *(char for char in text if ord(char) > 0x2500)]
    told = [_EMOJI[mark] for mark in marks if mark in _EMOJI]
    if any(status == "resolved" for status, _ in told):
        return "resolved", None
    severities = {severity for _, severity in told}
    return ("firing" if told else None), next((one for one in GRAVITY if one in severities), None)


def colour_of(colour: str) -> tuple[Status | None, Severity | None]:
    """Return what an attachment's colour says: a name of Slack's, or hex read as green, red, or orange and yellow."""
    name = colour.strip().lstrip("#").lower()
    named: dict[str, tuple[Status, Severity | None]] = {
        "good": ("resolved", None),
        "danger": ("firing", "critical"),
        "warning": ("firing", "warning"),
    }
    if name in named:
        return named[name]
    if not re.fullmatch(r"[0-9a-f]{6}", name):
        return None, None
    red, green, blue = (int(name[at : at + 2], 16) for at in (0, 2, 4))
    if green > 1.25 * red and green >= blue:
        return "resolved", None
    if red > 150 and green < 0.45 * red and blue < 0.6 * red:
        return "firing", "critical"
    if red > 180 and green >= 0.45 * red and blue < 0.6 * green:
        return "firing", "warning"
    return None, None
