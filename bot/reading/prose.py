"""Facts from a Slack message: its pairs by what their names mean, then its title, words, emoji and colour.

Used by the generic reader and, for a start, by every sender's own reader.
"""

import re

from bot.reading.facts import Facts
from bot.reading.keys import listed
from bot.reading.naming import is_sentence, title_of
from bot.reading.post import Post
from bot.reading.roles import facts_of
from bot.reading.slack import Sheet
from bot.reading.text import bare, service_among, text_fingerprint
from bot.reading.times import spoken
from bot.reading.words import SEVERITIES, Status, colour_of, emoji_of, severity_word, status_of, status_word
from tools.records import Severity

# Words that grade a severity in a field, and mean anything in prose.
_PROSE = frozenset(
    listed(
        """
        attention average crit debug disaster err error high highest info information low lowest major med medium minor
        moderate none normal notice page paging s1 s2 s3 severe trivial urgent verbose warn
        """
    )
)
_LEAD = re.compile(
    r"[\[(|:]?\s*\b(critical|crit|fatal|emergency|disaster|high|error|major|warning|warn|average|minor|medium|info|information"
    r"|informational|low|p[0-5]|sev-?[0-5]|severity\s?[0-5])\b(?:\s+(?:severity|priority|alert|alarm|issue|problem|incident))?\s*(?:[\])|:\u2013\u2014]|-\s|$|(?=\s+(?:alert|problem|priority)))",
    re.IGNORECASE,
)
_STATE_LEAD = re.compile(
    r"^[\W_]*(?:\w+[ :-]+){0,3}?\[?(?P<word>firing|alerting|triggered|re-triggered|resolved|recovered|recovery|problem|ok|alarm|down|up|closed"
    r"|opened|warning|warn|critical|no data|failed|failing|degraded|fixed)\b",
    re.IGNORECASE,
)
_SERVICE = (
    re.compile(
        r"(?<![\w-])(?:service|app|application|component|deployment|workload|microservice)s?(?:[._]name)?[ \t]*[:=]?[ \t]+[`\"'*]+(?P<name>[\w./-]{2,60})[`\"'*]",
        re.IGNORECASE,
    ),
    re.compile(
        r"(?<![\w-])(?:service|app|application|component|deployment|workload)(?:[._]name)?[ \t]*[:=][ \t]*(?P<name>[A-Za-z][\w./-]{1,60})",
        re.IGNORECASE,
    ),
    re.compile(
        r"\b(?:service|application|app|deployment|component) [`\"']?(?P<name>[\w.-]{2,60})[`\"']? (?:is|has|was|went|failed|stopped)\b",
        re.IGNORECASE,
    ),
    re.compile(r"\bthe (?P<name>[a-z][\w-]{2,40}) (?:service|app|application|api)\b", re.IGNORECASE),
    re.compile(r"\b(?P<name>[a-z][a-z0-9]*(?:-[a-z0-9]+)*-(?:service|api|app|svc|server|worker|gateway))\b"),
)
_ON = re.compile(
    r"\b(?:on|for|in|of|at)\s+[`\"'*]*(?P<name>[a-z][a-z0-9]*(?:[.-][a-z0-9]+)+|[a-z]+\d+)[`\"'*]*(?=[\s,.;:)\]]|$)(?!\s?[:=]\s?\S)",
    re.IGNORECASE,
)
_PEOPLE = re.compile(
    r"^(?:(?:hi|hey|hello|all|team|folks|pls|please|seems|looks like|fyi|heads up|is|the|our|why|i think|anyone)[\s,:-]+)*"
    r"(?:(?:the|our)\s+)?(?P<name>[a-z][\w.-]{2,40})(?:\s+(?:service|app|api|page|pods?|deployment))?\s+"
    r"(?:is|are|seems?|looks?|keeps?|has|have|was|were|returns?|gives?|fails?|feels|stopped|went|isn'?t|doesn'?t|can'?t|down|slow|broken|unreachable|timing|times)\b",
    re.IGNORECASE,
)
_NOBODY = frozenset(
    listed(
        """
        anyone customers everybody everything i it people site somebody someone something that there they things this
        user users we what who you
        """
    )
)
_GRAVE = re.compile(
    r"\b(down|outage|broken|unreachable|dead|losing (?:money|orders)|all (?:users|customers)|nothing works|not working)\b",
    re.IGNORECASE,
)


def facts_of_sheet(sheet: Sheet, *, known: tuple[str, ...] | frozenset[str] | set[str] | list[str] = ()) -> Facts:
    """Return what a message shows."""
    facts = facts_of(list(sheet.pairs))
    facts.at = sheet.at
    title = best_title(sheet)
    pair_name = next(
        (str(leaf.value) for leaf in sheet.pairs if leaf.path[-1] in _NAME_PAIRS and len(str(leaf.value)) > 2), ""
    )
    if not pair_name and _is_heading(title, sheet):
        pair_name = sheet.pair(*_SUBJECT_PAIRS)
    facts.name = title_of(pair_name, 120) if pair_name else title_of(bare(title), 120)
    facts.status = _status(sheet, title)
    _severity(facts, sheet, title)
    _service(facts, sheet, title, known)
    facts.starts_at = facts.starts_at or spoken(sheet.text, sheet.at)
    facts.annotations = {"title": title[:500], **facts.annotations, "description": sheet.text}
    facts.links = dict(sheet.links)
    facts.words = [word.strip(".") for word in re.findall(r"[\w.-]+", sheet.text) if word.lower() not in _PROSE]
    if not facts.identity:
        steady = re.sub(r"\d+(\.\d+)?", "#", facts.name.lower())
        facts.fingerprint = text_fingerprint(sheet.username.lower(), steady, facts.service or facts.guessed_service)
    return facts


_HEADING = frozenset(
    listed(
        """
        a additional alarm alert alerts an app by details check event for from further host in incident incidents is issue monitor monitoring new node notification
        of on problem report resource service state status system the there to triggered update via was website your
        """
    )
)
_NAME_PAIRS = (
    "incident_title",
    "alert_title",
    "problem_title",
    "issue_title",
    "event_title",
    "incident_name",
    "event_name",
    "alertname",
    "alert_name",
    "alarm_name",
    "rule_name",
    "monitor_name",
    "check_name",
    "condition_name",
    "policy_name",
    "trigger_name",
    "alert_rule",
    "alarm",
    "monitor",
    "check",
    "rule",
    "problem_name",
    "trigger",
    "sensor",
    "test_name",
    "alert",
)
_PAIRED = re.compile(
    r"(?:host|hostname|service|state|status|severity|priority|time|date|project|tags?|environment|env|region|cluster|namespace|node|device)\s*:\s",
    re.IGNORECASE,
)
# What names the alert in a message whose title is no more than a heading, the surest first.
_SUBJECT_PAIRS = (
    "name",
    "title",
    "summary",
    "subject",
    "service",
    "message",
    "description",
    "output",
    "reason",
    "host",
)


def best_title(sheet: Sheet) -> str:
    """Return the first title with words in it; of a title that is only a state or a heading, the next."""
    told = [title for title in sheet.titles if re.search(r"[^\W_]", bare(title))]
    fitting = [title for title in told if _fits(bare(title))]
    headings = [title for title in fitting if _is_heading(title, sheet)]
    best = next((title for title in fitting if title not in headings), next(iter([*headings, *told]), ""))
    if len(bare(best).split()) == 1:  # perhaps only the sender's name, over the sentence that says it
        best = next((line for line in sheet.lines[:4] if is_sentence(bare(line))), best)
    return best


def _fits(words: str) -> bool:
    return len(re.sub(r"\W", "", title_of(words))) > 3 and not _is_state(words) and not words.endswith(":")


def _is_heading(title: str, sheet: Sheet) -> bool:
    """Tell what a notification calls itself ("Service PROBLEM notification", "Service alert from Nagios", its sender's name)."""
    if _PAIRED.match(bare(title)):
        return True
    words = re.findall(r"[a-z0-9]+", bare(title).lower())
    own = set(re.findall(r"[a-z]+", f"{sheet.username} {sheet.footer}".lower()))
    after = bare(title).lower().partition(" from ")[2].split()
    return all(
        word.isdigit() or word in _HEADING or word in own or word in after or word in SEVERITIES or status_word(word)
        for word in words
    )


def _is_state(words: str) -> bool:
    few = words.split()
    return (
        len(few) <= 3
        and status_word(words) is not None
        and all(
            word.lower().strip("[]:!.")
            in {"alert", "alerts", "new", "incident", "notification", "the", "status", "monitor", "is", "1"}
            or status_word(word)
            or severity_word(word)
            for word in few
        )
    )


def _status(sheet: Sheet, title: str) -> Status | None:
    """Find a state in a pair or at the head of the title; else words of the titles; else emoji; else the colour."""
    for name in (
        "status",
        "state",
        "alert_status",
        "alert_state",
        "current_state",
        "new_state",
        "incident_status",
        "monitor_status",
    ):
        found = status_word(sheet.pair(name))
        if found:
            return found
    for text in [title, *sheet.titles[:3]]:
        lead = _STATE_LEAD.match(bare(text))
        if lead and status_word(lead["word"]):
            return "resolved" if status_of(bare(text)) == "resolved" else status_word(lead["word"])
    if any(status_of(bare(text)) == "resolved" for text in [title, *sheet.lines[:2]]):
        return "resolved"
    shown, _ = emoji_of("\n".join([*sheet.titles[:3], sheet.raw[:600]]))
    coloured, _ = colour_of(sheet.colour)
    if "resolved" in (shown, coloured):
        return "resolved"
    if shown or coloured:
        return "firing"
    text = sheet.text
    return "firing" if sheet.person or re.search(_FIRING, text, re.IGNORECASE) else None


_FIRING = (
    r"\b(alert|fir(?:ed|ing)|triggered|fail(?:ed|ing|ure|s)?|down|problem|critical|warning|errors?|exceed(?:s|ed)?|above|below|over|full|slow|high|crash\w*"
    r"|timeout|timed out|unreachable|not responding|degraded|incident|outage|spike|breach\w*|no data)\b"
)


def _severity(facts: Facts, sheet: Sheet, title: str) -> None:
    if facts.severity:
        return
    texts = [bare(text) for text in dict.fromkeys([title, *sheet.titles[:3], *sheet.lines[:2]])]
    for text in texts:
        found = _LEAD.search(text[:80])
        if found:
            facts.severity = severity_word(found[1])
            return
    words = [word for text in [*texts, *sheet.lines] for word in re.findall(r"[A-Za-z]\w+", text)]
    told: list[Severity] = [
        SEVERITIES[word.lower()] for word in words if word.lower() in SEVERITIES and word.lower() not in _PROSE
    ]
    for severity in ("critical", "warning", "info"):
        if severity in told:
            facts.severity = severity
            return
    _, shown = emoji_of("\n".join([*sheet.titles[:3], sheet.raw[:600]]))
    _, coloured = colour_of(sheet.colour)
    facts.guessed_severity = shown or coloured or ("critical" if sheet.person and _GRAVE.search(sheet.text) else None)


def _service(facts: Facts, sheet: Sheet, title: str, known: object) -> None:
    if facts.service or (
        isinstance(known, list | tuple | set | frozenset) and service_among(re.findall(r"[\w.-]+", sheet.text), known)
    ):
        return
    text = bare(title) + "\n" + re.sub(r"\*", "", sheet.text)
    for pattern in _SERVICE:
        match = pattern.search(text)
        if match and status_word(match["name"]) is None and match["name"].lower() not in _NOBODY:
            facts.service = match["name"].rstrip(".")
            return
    if sheet.person:
        match = _PEOPLE.match(re.sub(r"@?\btocsin\b[\s,:]*", "", bare(title), flags=re.IGNORECASE).strip())
        if match and match["name"].lower() not in _NOBODY:
            facts.service = match["name"]
            return
    match = _ON.search(bare(title)) or _ON.search(text)
    if match and not facts.guessed_service:
        facts.guessed_service = match["name"]


def posted(post: Post, sender: str, identity: str = "") -> Facts:
    """Return what *sender*'s Slack message shows; *identity* is a pattern whose first group, found in a link, is its own id."""
    facts = facts_of_sheet(post.sheet, known=list(post.known))
    facts.sender = sender
    for link in post.sheet.links.values() if identity else ():
        match = re.search(identity, link)
        if match:
            facts.identity, facts.fingerprint = match[1], ""
            break
    return facts


def linked(post: Post, *hosts: str) -> bool:
    """Say whether a Slack message from an app links to one of *hosts* with its title or first links."""
    if post.kind != "slack" or post.sheet.person:
        return False
    return any(host in link for link in list(post.sheet.links.values())[:4] for host in hosts)
