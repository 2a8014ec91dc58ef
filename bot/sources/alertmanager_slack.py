"""Alertmanager's Slack messages: the default template (a title and nothing else) and the common customised ones.

The default title is `[FIRING:n] <group label values> (<other common label values>)`: values without names. What can be
told from them is told; bot/intake.py then asks Alertmanager's API for the names (`parsing.enrich`).
"""

import html
import re
from collections.abc import Collection, Iterator
from typing import Any, Literal

from bot import parsing
from tools.records import Alert

KIND = ("slack",)
_TITLE = re.compile(
    r"(?:[^\w\[:]|:(?:[a-z0-9_+-]{1,40}:)?){0,16}"  # bullets, asterisks and :emoji: in front
    r"\[(?P<status>FIRING|RESOLVED)(?::\s*\d+)?[^\]]{0,40}\]\s*(?P<rest>.*)",
    re.DOTALL,
)
_PAIR = re.compile(r"([A-Za-z_][A-Za-z0-9_]{0,99})[*_`]*[ \t]*[:=](.+)")
_LINK = re.compile(r"<(?P<url>https?://[^|<>]+)(?:\|(?P<label>[^<>]*))?>")
_CAMEL = re.compile(r"[A-Z][A-Za-z0-9_:]*[a-z][A-Za-z0-9_:]*")
_ANNOTATIONS = ("summary", "description", "message", "runbook_url", "dashboard_url", "value")


def matches(message: dict[str, Any]) -> bool:
    """Say whether some title, fallback, pretext or text begins with [FIRING] or [RESOLVED]."""
    return any(_titled(part) for part in _parts(message))


def parse(message: dict[str, Any], known_services: Collection[str] = ()) -> list[Alert]:
    """Return one Alert per attachment (or text) that has a title; ValueError when a title is empty."""
    alerts = [_alert(part, message, known_services) for part in _parts(message) if _titled(part)]
    if not alerts:
        msg = "No title of this message begins with [FIRING:n] or [RESOLVED]."
        raise ValueError(msg)
    return alerts


def _parts(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the attachments that have a title; the message's own text when none has."""
    listed = message.get("attachments")
    attachments = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    titled = [item for item in attachments if _titled(item)]
    if titled:
        yield from titled
    else:
        extra = attachments[0] if attachments else {}
        yield {
            "text": "",
            **extra,
            "title": parsing.text_of(message.get("text")).partition("\n")[0],
            "body": message.get("text"),
        }


def _titled(part: dict[str, Any]) -> re.Match[str] | None:
    candidates = (_plain(part.get(name)) for name in ("title", "pretext", "fallback", "text"))
    return next((match for text in candidates if (match := _TITLE.match(text))), None)


def _plain(value: Any) -> str:
    """Slack text without its markup: links become their label, entities their character."""
    return html.unescape(_LINK.sub(lambda link: link["label"] or link["url"], parsing.text_of(value)))


def _alert(part: dict[str, Any], message: dict[str, Any], known: Collection[str]) -> Alert:
    match = _titled(part)
    if match is None:
        msg = "The title does not begin with [FIRING:n] or [RESOLVED]."
        raise ValueError(msg)
    title = match["rest"].strip(" *").partition("\n")[0]
    fallback = _fallback_values(part)
    body = "\n".join(_plain(part.get(name)) for name in ("pretext", "text", "body"))
    labels, annotations = _pairs(body, part)
    group, common = _values(title)
    shown_group, shown_common = _values(fallback) if fallback else (group, common)
    name = labels.get("alertname", "") or _name(shown_group or group, shown_common or common, known)
    if not name:
        msg = "The title names no alert after [FIRING:n] or [RESOLVED]."
        raise ValueError(msg)
    values = [value for value in [*shown_group, *shown_common] if value != name]
    told = {"title": title, "values": " ".join(values) if fallback or not body.strip() else "", **annotations}
    status: Literal["firing", "resolved"] = "resolved" if match["status"] == "RESOLVED" else "firing"
    at = parsing.when(message.get("ts"))
    alert = Alert(
        fingerprint=parsing.text_fingerprint(fallback or title),
        sender="alertmanager",
        name=name[: parsing.MAX_NAME],
        status=status,
        starts_at=at if status == "firing" else None,
        ends_at=at if status == "resolved" else None,
        labels=labels,
        annotations={key: value for key, value in told.items() if value},
        value=annotations.get("value", ""),
        links=_links(part, annotations),
    )
    return parsing.complete(alert, known, words=[*values, *group, *common])


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
    match = _TITLE.match(_plain(part.get("fallback")))
    return match["rest"].rpartition(" | ")[0].strip() if match and " | " in match["rest"] else ""


def _pairs(body: str, part: dict[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """Return labels and annotations written out as `name: value` lines and as attachment fields."""
    lines = (_PAIR.match(line.strip(" \t•*-`")) for line in body.splitlines())
    found = {match[1]: match[2].strip(" \t*_`") for match in lines if match}
    fields = part.get("fields")
    for field in fields if isinstance(fields, list) else []:
        if isinstance(field, dict):
            key, value = _plain(field.get("title")), _plain(field.get("value"))
            if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_ ]{0,99}", key) and value:
                found[key.replace(" ", "_")] = value
    known = {
        "alertname",
        "cluster",
        "instance",
        "pod",
        *parsing.SEVERITY_LABELS,
        *parsing.SERVICE_LABELS,
        *parsing.NAMESPACE_LABELS,
    }
    lowered = {key.lower(): value for key, value in found.items() if value and not value.startswith("//")}
    labels = {key: value for key, value in lowered.items() if key in known}
    if "alert" in lowered and _CAMEL.fullmatch(lowered["alert"]):
        labels.setdefault("alertname", lowered["alert"])
    annotations = {key: value for key, value in lowered.items() if key in _ANNOTATIONS}
    if body.strip():
        annotations.setdefault("summary", body.strip().partition("\n")[0][:500])
    return labels, annotations


def _links(part: dict[str, Any], annotations: dict[str, str]) -> dict[str, str]:
    links = {"alertmanager": parsing.text_of(part.get("title_link")), "runbook": annotations.get("runbook_url", "")}
    actions = part.get("actions")
    for action in actions if isinstance(actions, list) else []:
        if isinstance(action, dict):
            label = parsing.text_of(action.get("text"), 60).lower()
            links[re.sub(r"\W+", "_", label).strip("_") or "link"] = parsing.text_of(action.get("url"))
    return {kind: link for kind, link in links.items() if link.startswith(("http://", "https://"))}
