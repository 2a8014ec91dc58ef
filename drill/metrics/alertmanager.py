"""The practice Alertmanager: groups alerts and tells receivers, in the real one's own message formats.

Owned by the world, which hands it the firing alerts after each evaluation; alertmanager_api.py shows it over HTTP.
"""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from drill.formats import stamp

_log = logging.getLogger(__name__)
GROUP_BY = ("alertname", "service")
GROUP_WAIT_S = 1.0
GROUP_INTERVAL_S = 2.0
RESOLVE_TIMEOUT_S = 300.0
_RETRY_S = 2.0
Body = dict[str, Any]


def fingerprint(labels: dict[str, str]) -> str:
    """Prometheus' label fingerprint: FNV-1a 64 over sorted names and values, each followed by 0xff."""
    value = 0xCBF29CE484222325
    for name, text in sorted(labels.items()):
        for byte in name.encode() + b"\xff" + text.encode() + b"\xff":
            value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


@dataclass
class Notice:
    """One alert as Alertmanager knows it; *ends* 0 while it fires."""

    labels: dict[str, str]
    annotations: dict[str, str]
    starts: float
    generator: str
    ends: float = 0.0
    updated: float = 0.0

    @property
    def fingerprint(self) -> str:
        """Its identity."""
        return fingerprint(self.labels)


@dataclass
class Group:
    """Alerts that are told together."""

    labels: dict[str, str]
    alerts: dict[str, Notice] = field(default_factory=dict)
    due: float = 0.0
    told: str = ""


@dataclass
class Silence:
    """One silence; times in epoch seconds."""

    id: str
    matchers: list[Body]
    starts: float
    ends: float
    created_by: str
    comment: str
    updated: float

    def state(self, now: float) -> str:
        """``pending``, ``active`` or ``expired``."""
        if now >= self.ends:
            return "expired"
        return "active" if now >= self.starts else "pending"

    def hides(self, labels: dict[str, str]) -> bool:
        """Whether every matcher matches."""
        return all(_matches(matcher, labels) for matcher in self.matchers)


def _matches(matcher: Body, labels: dict[str, str]) -> bool:
    given = labels.get(matcher["name"], "")
    if matcher.get("isRegex"):
        found = re.match(f"^(?:{matcher['value']})$", given) is not None
    else:
        found = given == matcher["value"]
    return found is bool(matcher.get("isEqual", True))


class Alertmanager:
    """Groups, silences and receivers; *base* is the drill's own address once it is known."""

    def __init__(self, clock: Callable[[], float], webhook_url: str = "") -> None:
        self._clock, self._webhook_url = clock, webhook_url
        self.groups: dict[str, Group] = {}
        self.silences: dict[str, Silence] = {}
        self.base = ""
        self.slack_url = ""
        self.sent: list[Body] = []

    def receive(self, firing: list[tuple[dict[str, str], dict[str, str], float, str]]) -> None:
        """Take in what fires now as (labels, annotations, starts, generator); what is missing has resolved."""
        now = self._clock()
        seen = set()
        for labels, annotations, starts, generator in firing:
            mark = fingerprint(labels)
            seen.add(mark)
            group = self._group(labels)
            known = group.alerts.get(mark)
            if known is None or known.ends:
                group.alerts[mark] = Notice(labels, annotations, starts, generator, updated=now)
                wait = GROUP_INTERVAL_S if group.told else GROUP_WAIT_S
                group.due = group.due or now + wait
            else:
                known.annotations, known.updated = annotations, now
        for group in self.groups.values():
            for mark, notice in group.alerts.items():
                if mark not in seen and not notice.ends:
                    notice.ends = notice.updated = now
                    group.due = group.due or now + GROUP_WAIT_S

    def _group(self, labels: dict[str, str]) -> Group:
        by = {name: labels[name] for name in GROUP_BY if labels.get(name)}
        return self.groups.setdefault(group_key(by), Group(by))

    def hidden_by(self, labels: dict[str, str]) -> list[str]:
        """Ids of active silences that hide these labels."""
        now = self._clock()
        return [s.id for s in self.silences.values() if s.state(now) == "active" and s.hides(labels)]

    async def notify(self, client: httpx.AsyncClient) -> None:
        """Tell the receivers what is due; a failed post is tried again."""
        now = self._clock()
        for key, group in list(self.groups.items()):
            if not group.due or now < group.due:
                continue
            loud = [n for n in group.alerts.values() if not self.hidden_by(n.labels)]
            state = repr(sorted((n.fingerprint, bool(n.ends)) for n in loud))
            firing = [n for n in loud if not n.ends]
            told_before = bool(group.told)
            if loud and state != group.told and (firing or told_before):
                try:
                    await self._tell(client, key, group, loud)
                except httpx.HTTPError as error:
                    _log.warning("alertmanager: cannot notify: %s", error)
                    group.due = now + _RETRY_S
                    continue
            group.told, group.due = state, 0.0
            group.alerts = {mark: n for mark, n in group.alerts.items() if not n.ends}
            if not group.alerts:
                del self.groups[key]

    async def _tell(self, client: httpx.AsyncClient, key: str, group: Group, alerts: list[Notice]) -> None:
        if self.slack_url:
            body = slack_message(group.labels, alerts, self.base)
            (await client.post(self.slack_url, json=body, headers=_AGENT)).raise_for_status()
            self.sent.append(body)
        if self._webhook_url:
            body = webhook_message(key, group.labels, alerts, self.base)
            (await client.post(self._webhook_url, json=body, headers=_AGENT)).raise_for_status()


_AGENT = {"User-Agent": "Alertmanager/0.27.0"}


def group_key(labels: dict[str, str]) -> str:
    """``{}/{}:{alertname="X", service="y"}``."""
    return "{}/{}:{" + ", ".join(f'{k}="{v}"' for k, v in sorted(labels.items())) + "}"


def _common(maps: list[dict[str, str]]) -> dict[str, str]:
    return {k: v for k, v in sorted(maps[0].items()) if all(each.get(k) == v for each in maps)} if maps else {}


def slack_message(group: dict[str, str], alerts: list[Notice], base: str) -> Body:
    """Return the default Slack notification (template/default.tmpl): a title, and an empty text."""
    firing = [notice for notice in alerts if not notice.ends]
    common = _common([notice.labels for notice in alerts])
    state = f"FIRING:{len(firing)}" if firing else "RESOLVED"
    title = f"[{state}] " + " ".join(value for _, value in sorted(group.items()))
    rest = [value for key, value in common.items() if key not in group]
    if rest:
        title += f" ({' '.join(rest)})"
    link = f"{base}/alertmanager/#/alerts?receiver=slack"
    attachment: Body = {
        "title": title,
        "title_link": link,
        "text": "",
        "fallback": f"{title} | {link}",
        "callback_id": "",
        "footer": "",
        "color": "danger" if firing else "good",
        "mrkdwn_in": ["fallback", "pretext", "text"],
    }
    return {"channel": "#alerts", "username": "Alertmanager", "attachments": [attachment]}


def webhook_message(key: str, group: dict[str, str], alerts: list[Notice], base: str) -> Body:
    """Return the version 4 webhook."""
    firing = any(not notice.ends for notice in alerts)
    return {
        "receiver": "webhook",
        "status": "firing" if firing else "resolved",
        "alerts": [
            {
                "status": "resolved" if notice.ends else "firing",
                "labels": notice.labels,
                "annotations": notice.annotations,
                "startsAt": stamp(notice.starts),
                "endsAt": stamp(notice.ends) if notice.ends else "0001-01-01T00:00:00Z",
                "generatorURL": notice.generator,
                "fingerprint": notice.fingerprint,
            }
            for notice in alerts
        ],
        "groupLabels": group,
        "commonLabels": _common([notice.labels for notice in alerts]),
        "commonAnnotations": _common([notice.annotations for notice in alerts]),
        "externalURL": f"{base}/alertmanager",
        "version": "4",
        "groupKey": key,
        "truncatedAlerts": 0,
    }
