"""One log line: its level, its message without the header in front, and the message with its variables masked.

Used by tools.templates (the miner) and, through it, by tools.evidence.logs. Nothing is configured per format: a header is
what stands before the message in the layouts of the field (ISO, syslog, logcat, klog, Apache, pipes, JSON, logfmt).
"""

import json
import re

WILD = "<*>"
_LEVELS = (
    ("error", re.compile(r"(?i)\b(?:fatal|panic|crit(?:ical)?|emerg(?:ency)?|severe|err(?:or)?)\b")),
    ("warning", re.compile(r"(?i)\bwarn(?:ing)?\b")),
    ("info", re.compile(r"(?i)\b(?:info|notice)\b")),
    ("debug", re.compile(r"(?i)\b(?:debug|trace)\b")),
)
_FIELD = re.compile(r"(?i)\b(?:level|lvl|severity|loglevel|log\.level)\"?\s*[=:]\s*\"?([A-Za-z]+)")
_PREFIX = 48  # a level word stands near the start of a line; further on, "error" is just a word of the message
_EXCEPTION = re.compile(r"Traceback \(most recent call last\)|\b\w+(?:Exception|Error)\b\s*[:(]|\bpanic:|^\s+at \S+\(")
_SEVERE = re.compile(r"(?i)\b(?:failed|failure|refused|timed? ?out|unavailable|denied|cannot|unable to)\b")
_MESSAGE_KEYS = ("message", "msg", "log", "event", "text", "body")
_ERROR_KEYS = ("error", "err", "exception", "exc", "reason", "cause", "detail")
_LEVEL_KEYS = ("level", "lvl", "severity", "loglevel", "log.level", "levelname", "@level")
_KLOG = re.compile(r"^([IWEF])\d{4} \d\d:\d\d")

_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_CLOCK = r"\d{1,2}:\d\d:\d\d(?:[.,:]\d+)?"
_STAMP = (
    rf"(?:{_DAY},? )?(?:\d{{4}}[-/.]\d\d[-/.]\d\d|\d\d[-/.]\d\d[-/.]\d\d(?:\d\d)?|\d\d?[-/.]\d\d?|\d{{8}}|{_MONTH} +\d{{1,2}}"
    rf"|\d{{1,2}}[ /-]{_MONTH}[ /-]\d{{2,4}})[-T :_]{{1,2}}(?:{_CLOCK}|\d\d[.]\d\d[.]\d\d(?:\.\d+)?)(?: \d{{4}})?"
    r"(?: ?(?:Z|UTC|GMT|[+-]\d\d:?\d\d))?"
)
_LEVEL = r"(?i:trace|debug|info|information|notice|warn|warning|err|error|severe|crit|critical|alert|emerg|fatal|panic|failure)"
_WORD_LEVEL = rf"(?:[\[(<]{_LEVEL}[\])>]:?|{_LEVEL}(?=[\s:|]|$):?)"
_PAIR = r"\[(?:[^\[\]]|\[[^\[\]]*\])*\]"
_COMPONENT = rf"(?:(?!{_LEVEL}\b)[A-Za-z_][\w.$/#@<>()\[\]*-]{{0,90}} ?:(?=\s|$))"

_SYSLOG = re.compile(
    rf"^.{{0,60}}?\b{_MONTH} +\d{{1,2}} \d\d:\d\d:\d\d (?P<host>[^\s\[\]:]+) "
    r"(?:(?P<tag>[^:\[\]]{1,50})(?:\[[^\]]*\])?(?: \([^)]*\))?:(?:\s+|$))?"
)
_TIMED = re.compile(rf"^(?:\S{{1,60}} +){{0,5}}?\[?(?:{_STAMP}|\d{{6}} \d{{6}})\]?,?(?=[\s|]|$)(?P<rest>\s*\|?)")
_EPOCH = re.compile(r"^(?:\S{1,60} +){0,4}?1[0-9]\d{8}(?:\.?\d{3,6})? +(?:\d{1,3} +)?")
_LEVELLED = re.compile(
    rf"^(?:[-|]?\s*(?:{_PAIR}|[\w./@:+-]{{1,60}}))??(?:\s+(?:{_PAIR}|[\w./@:+-]{{1,60}})){{0,2}}?\s*[-|]?\s*{_WORD_LEVEL}"
    rf"(?P<gap>\s*)"
)
_LOGCAT = re.compile(r"^\s*\d+\s+\d+\s+[VDIWEFA]\s+(?P<tag>[^:]{1,60}?)\s*:\s")
_PIPES = re.compile(r"^(?:[\w.$/-]{1,60}\|){1,3}")
_AFTER_LEVEL = (
    re.compile(rf"^(?:[-|:]\s+)?(?:\d+\s+)?(?:---\s+)?{_PAIR}\s+(?:-\s+|{_COMPONENT}\s*(?:-\s+)?)?"),
    re.compile(r"^\d+#\d+:\s+(?:\*\d+\s+)?"),
    re.compile(rf"^(?:[-|:]\s+)?{_COMPONENT}\s*(?:-\s+)?"),
    re.compile(rf"^[A-Za-z_]\w*(?:\.[\w$]+)+ +{_PAIR} *(?:-\s+)?"),
    re.compile(r"^[A-Za-z_][\w.$]*(?:\s{2,}|\s+- )"),
    re.compile(r"^[-|:]\s+"),
)
_AFTER_TIME = (
    re.compile(r"^\S+(?: \*\d+)? - (?=\S)"),
    re.compile(rf"^(?:-\s+)?(?:\d+\s+)?{_PAIR}\s+(?:{_COMPONENT}\s*)?"),
    re.compile(rf"^{_COMPONENT}\s*"),
    re.compile(r"^[-|*#.]\s+"),
)
_KLOG_HEAD = re.compile(r"^[IWEF]\d{4} \d\d:\d\d:\d\d\.\d+\s+\d+ [\w./-]+:\d+\] ")
_LOGFMT = re.compile(r'(?:^|\s)(?:msg|message)=(?:"((?:[^"\\]|\\.)*)"|(\S+))')
_LOGFMT_ERROR = re.compile(r'\s(?:err|error|exception|reason|cause)=(?:"((?:[^"\\]|\\.)*)"|(\S+))')
_BRACKETED = re.compile(rf"^\[{_STAMP}: {_LEVEL}/[^\]\s]+\]\s")
_LOGCAT_BRIEF = re.compile(r"^[VDIWEF]/[^(]{1,40}\(\s*\d+\):\s")

_TLD = r"(?:com|net|org|edu|gov|io|dev|cn|hk|uk|de|fr|jp|ru|br|tw|kr|nl|it|local|internal|cluster|localdomain)"
_DATE = re.compile(rf"{_DAY},? {_MONTH} +\d{{1,2}} \d\d:\d\d:\d\d(?: [A-Z]{{3,4}})?(?: \d{{4}})?|{_STAMP}")
_AMOUNT = re.compile(
    r"<?(?<![\w.])[+-]?\d+(?:\.\d+)?(?: (?=(?:sec|secs|seconds?|ms|msec|msecs|milliseconds?|minutes?|mins?|hours?|hrs?|days?)\b)"
    r"(?:sec|secs|seconds?|ms|msec|msecs|milliseconds?|minutes?|mins?|hours?|hrs?|days?)\b)"
)
_VARIABLES = re.compile(
    r"(?P<url>\b[a-zA-Z][\w+.-]*://[^\s\"'<>\])},;]+)"
    r"|(?P<uuid>\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b)"
    r"|(?P<mac>\b(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}\b)"
    r"|(?P<pair>(?<=[\w\])])=(?!=)(?:\"[^\"]*\"|'[^']*'|[^\s,;(){}\[\]\"'|=]*))"
    r"|(?P<path>(?<![\w/])(?:[a-zA-Z]:)?(?:[/\\][\w.@$+~%*=#:-]+){2,}[/\\]?|(?<![\w/<])/[\w.@$+~%-]+(?=[\s,;:)\]'\"]|$))"
    r"|(?P<ip>(?<![\w.])/?(?:[\w.-]+/)?\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?(?![\w.]*\w))"
    rf"|(?P<host>(?<![\w.@-])(?:[\w-]+\.)+{_TLD}(?::\d{{1,5}})?(?![\w.-]*\w)|(?<![\w.])[a-z][a-z0-9-]*(?:\.[\w-]+)*:\d{{4,5}}(?![\w.:]))"
    r"|(?P<hex>\b0[xX][0-9a-fA-F]+\b|(?<![\w.])(?=[0-9a-fA-F]*\d)(?=[0-9a-fA-F]*[a-fA-F])[0-9a-fA-F]{8,}(?![\w]))"
    r"|(?P<name>(?<![\w.])[A-Za-z][\w.$]*(?:[_-]+-?\d[\w.-]*)+|(?<![\w])[A-Za-z_]+\d{4,}\w*)"
    r"|(?P<size>(?<![\w.])[+-]?\d+(?:[.,:/]\d+)*(?:[KMGTP]i?[Bb]?|[kB]|ns|us|µs|ms|s|m|h|d|%)?(?![\w])(?!\.\d))"
    r"|(?P<single>(?<![\w'])'[^'\s]{1,80}'(?!\w)|\"[^\"\s]{1,80}\")"
)
_RUN = re.compile(r"<\*>(?:[-:./,#*x_+]*<\*>)+")
_HELD = re.compile(r"(?<![\w>])([\[{])(?:<\*>|[\s,:;='\"|])*([\]}])")
_LIST = re.compile(r"<\*>[,;|]?(?: +<\*>[,;|]?)+(?=[\s\])}.]|$)")


def read(line: str) -> tuple[str, str]:
    """Level (error, warning, info, debug or "") and message of one line; JSON lines are unwrapped."""
    if line.lstrip().startswith("{"):
        unwrapped = _json(line)
        if unwrapped is not None:
            return unwrapped
    named = _FIELD.search(line)
    if named:
        return level_of(named[1]) or _guess(line), line
    klog = _KLOG.match(line)
    if klog:
        return {"I": "info", "W": "warning"}.get(klog[1], "error"), line
    return _guess(line), line


def level_of(word: str) -> str:
    """Return the level that *word* names, "" when it names none."""
    return next((level for level, pattern in _LEVELS if pattern.fullmatch(word.strip())), "")


def _guess(line: str) -> str:
    if _EXCEPTION.search(line):
        return "error"
    head = line[:_PREFIX]
    for level, pattern in _LEVELS:
        if pattern.search(head):
            return level
    return "warning" if _SEVERE.search(line) else ""


def _json(line: str) -> tuple[str, str] | None:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    level = next((level_of(str(fields[key])) for key in _LEVEL_KEYS if key in fields), "")
    parts = [str(fields[key]) for key in _MESSAGE_KEYS if fields.get(key)][:1]
    parts += [f"{key}={fields[key]}" for key in _ERROR_KEYS if fields.get(key)]
    message = " ".join(parts) or line
    return level or _guess(message), message


def body(message: str) -> str:
    """*message* without its header: time, host, process, thread, level and component; all of it when it has none."""
    for pattern in (_KLOG_HEAD, _LOGCAT_BRIEF, _BRACKETED):
        found = pattern.match(message)
        if found:
            return message[found.end() :]
    fmt = _LOGFMT.search(message)
    if fmt and "=" in message[: fmt.start() + 1] + message[fmt.end() :]:
        return ": ".join(said[1] or said[2] or "" for said in (fmt, _LOGFMT_ERROR.search(message)) if said)
    syslog = _SYSLOG.match(message)
    if syslog:
        return message[syslog.end() :] or message
    timed = _TIMED.match(message)
    if timed:
        return _after_time(message[timed.end() :], timed["rest"]) or message
    epoch = _EPOCH.match(message)
    return message[epoch.end() :] or message if epoch else message


def headed(message: str) -> bool:
    """Whether *message* starts with a header, so that it begins a record."""
    return bool(message) and not message[0].isspace() and body(message) != message


def _after_time(rest: str, gap: str) -> str:
    if "|" in gap:
        return rest[found.end() :] if (found := _PIPES.match(rest)) else rest
    if found := _LOGCAT.match(rest):
        return rest[found.end() :]
    rest = rest.lstrip()
    if found := _LEVELLED.match(rest):
        level = found.end()
        # "Error" further on is a word of the message, unless what stands before it is a header's
        return _first(_AFTER_LEVEL, rest[level:])
    return _first(_AFTER_TIME, rest)


def _first(patterns: tuple[re.Pattern[str], ...], text: str) -> str:
    for pattern in patterns:
        if found := pattern.match(text):
            return text[found.end() :]
    return text


def mask(text: str) -> str:
    """*text* with what is plainly variable (times, addresses, paths, ids, numbers, values after ``=``) as ``<*>``."""
    if ":" in text:
        text = _DATE.sub(WILD, text)
    text = _AMOUNT.sub(WILD, text)
    text = _VARIABLES.sub(_wild, text)
    if "<*>" in text:
        text = _RUN.sub(WILD, text)
        text = _LIST.sub(WILD, text)
    if "[" in text or "{" in text:
        text = _HELD.sub(r"\1<*>\2", text)
    return text


def _wild(found: re.Match[str]) -> str:
    return "=<*>" if found.lastgroup == "pair" else WILD
