"""Alertmanager's default Slack title, `[FIRING:n] <group label values> (<other common label values>)`: values without names.

Grafana's unified alerting prints the same. What can be told from it is told; intake then asks Alertmanager's API for the
names (`parsing.enrich`).
"""

import html
import re
from collections.abc import Collection, Iterator
from typing import Any

from bot.reading.facts import Facts
from bot.reading.post import Post, entries
from bot.reading.slack import sheet_of
from bot.reading.text import (
    LINK,
    MAX_NAME,
    NAMESPACE_LABELS,
    SERVICE_LABELS,
    SEVERITY_LABELS,
    first_label,
    service_among,
    text_fingerprint,
    text_of,
)
from bot.reading.times import when
from bot.reading.words import severity_of

TITLE = re.compile(
    r"(?:[^\w\[:]|:(?:[a-z0-9_+-]{1,40}:)?){0,16}"  # bullets, asterisks and :emoji: in front
    r"\[(?P<status>FIRING|RESOLVED)(?::\s*\d+)?[^\]]{0,40}\]\s*(?P<rest>.*)",
    re.DOTALL,
)
_PAIR = re.compile(r"([A-Za-z_][A-Za-z0-9_]{0,99})[*_`]*[ \t]*[:=](.+)")
_CAMEL = re.compile(r"[A-Z][A-Za-z0-9_:]*[a-z][A-Za-z0-9_:]*")
_ANNOTATIONS = (
    "summary",
    "description",
    "message",
    "runbook_url",
    "dashboard_url",
    "value",
    "graph",
    "source",
    "silence",
    "dashboard",
)
_KNOWN = {
    *(
        "alertname",
        "cluster",
        "instance",
        "pod",
        "host",
        "hostname",
        "node",
        "region",
        "env",
        "environment",
        "team",
        "queue",
    ),
    *("grafana_folder", "zone", "datacenter", "customer", "tenant", "prometheus", "endpoint", "persistentvolumeclaim"),
    *SEVERITY_LABELS,
    *SERVICE_LABELS,
    *NAMESPACE_LABELS,
}


def titled(message: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the attachments (else the message's own text as one) whose title begins with [FIRING:n] or [RESOLVED]."""
    return [part for part in _parts(message) if _title(part)]


def parse(post: Post, sender: str) -> list[Facts]:
    """Return the facts of each titled part; ValueError when a title is empty."""
    found = [_facts(part, post, sender) for part in titled(post.body)]
    if not found:
        msg = "No title of this message begins with [FIRING:n] or [RESOLVED]."
        raise ValueError(msg)
    return found


def _parts(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    attachments = entries(message.get("attachments"))
    with_title = [item for item in attachments if _title(item)]
    if with_title:
        yield from with_title
    else:
        extra = attachments[0] if attachments else {}
        own = text_of(message.get("text"))
        sheet = sheet_of({"blocks": message.get("blocks")})
        first = own if TITLE.match(_plain(own)) else sheet.titles[0] if sheet.titles else own
        yield {"text": "", **extra, "title": first.partition("\n")[0], "body": own or sheet.text, "listed": sheet.lines}


def _title(part: dict[str, Any]) -> re.Match[str] | None:
    candidates = (_plain(part.get(name)) for name in ("title", "pretext", "fallback", "text"))
    return next((match for text in candidates if (match := TITLE.match(text))), None)


def _plain(value: Any) -> str:
    """Slack text without its markup: links become their label, entities their character."""
    return html.unescape(LINK.sub(lambda link: link["label"] or link["url"], text_of(value)))


def _facts(part: dict[str, Any], post: Post, sender: str) -> Facts:
    match = _title(part)
    if match is None:
        msg = "The title does not begin with [FIRING:n] or [RESOLVED]."
        raise ValueError(msg)
    title = match["rest"].strip(" *").partition("\n")[0]
    fallback = _fallback_values(part)
    body = "\n".join(_plain(part.get(name)) for name in ("pretext", "text", "body"))
    labels, annotations = _pairs(body, part)
    group, common = _values(title)
    shown_group, shown_common = _values(fallback) if fallback else (group, common)
    name = labels.get("alertname", "") or _name(shown_group or group, shown_common or common, post.known)
    if not name:
        msg = "The title names no alert after [FIRING:n] or [RESOLVED]."
        raise ValueError(msg)
    values = [value for value in [*shown_group, *shown_common] if value != name]
    told = {"title": title, "values": " ".join(values) if fallback or not body.strip() else "", **annotations}
    words = [*values, *group, *common]
    service = service_among(words, post.known) if not first_label(labels, SERVICE_LABELS) else ""
    return Facts(
        sender=sender,
        fingerprint=text_fingerprint(fallback or title),
        name=name[:MAX_NAME],
        status="resolved" if match["status"] == "RESOLVED" else "firing",
        severity=severity_of([first_label(labels, SEVERITY_LABELS)]) or severity_of(words),
        service=service,
        guessed_service="" if first_label(labels, SERVICE_LABELS) else labels.get("instance", ""),
        at=when(post.body.get("ts")),
        labels=labels,
        annotations=told,
        value=annotations.get("value", ""),
        links=_links(part, annotations),
        words=words,
    )


def _values(title: str) -> tuple[list[str], list[str]]:
    """Split a default title into the group's values and, from the last closing parenthesis back, the common ones."""
    title = title.strip()
    if title.endswith(")"):
        depth = 0
        for index in range(len(title) - 1, -1, -1):
            depth += {")": 1, "(": -1}.get(title[index], 0)
            if depth == 0:
                return title[:index].split(), title[index + 1 : -1].split()
    return title.split(), []


def _name(group: list[str], common: list[str], known: Collection[str]) -> str:
    """Return the alert's name: alertname sorts first in each list, but the group need not have it (group_by: [service])."""
    if group and group[0] not in known and (_CAMEL.fullmatch(group[0]) or not common):
        return group[0].rstrip(":,")
    if common and _CAMEL.fullmatch(common[0]):
        return common[0]
    return next(iter([*group, *common]), "")


def _fallback_values(part: dict[str, Any]) -> str:
    """Return the default title, which most customised templates leave in `fallback` (before " | link")."""
    match = TITLE.match(_plain(part.get("fallback")))
    return match["rest"].rpartition(" | ")[0].strip() if match and " | " in match["rest"] else ""


def _pairs(body: str, part: dict[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """Return labels and annotations written out as `name: value` lines and as attachment fields."""
    lines = (_PAIR.match(line.strip(" \t\u2022*-`_>")) for line in body.splitlines())
    found: dict[str, str] = {}
    for match in lines:
        if match:
            found.setdefault(match[1], match[2].strip(" \t*_`"))
    for one in entries(part.get("fields")):
        key, value = _plain(one.get("title")).strip(" *:"), _plain(one.get("value")).strip(" *`")
        if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_ ]{0,99}", key) and value:
            found[key.replace(" ", "_")] = value
    lowered = {key.lower(): value for key, value in found.items() if value and not value.startswith("//")}
    labels = {key: value for key, value in lowered.items() if key in _KNOWN}
    if "alert" in lowered:
        word = lowered["alert"].split(" ")[0]
        if _CAMEL.fullmatch(word):
            labels.setdefault("alertname", word)
    annotations = {key: value for key, value in lowered.items() if key in _ANNOTATIONS}
    if body.strip():
        annotations.setdefault("summary", body.strip().partition("\n")[0][:500])
    return labels, annotations


def _links(part: dict[str, Any], annotations: dict[str, str]) -> dict[str, str]:
    links = {"alertmanager": text_of(part.get("title_link")), "runbook": annotations.get("runbook_url", "")}
    links |= {key: annotations.get(key, "") for key in ("source", "silence", "dashboard")}
    for action in entries(part.get("actions")):
        label = text_of(action.get("text"), 60).lower()
        links[re.sub(r"\W+", "_", label).strip("_") or "link"] = text_of(action.get("url"))
    return links
