"""Alertmanager's messages are those a real one sent, and it groups, waits, resolves and keeps silent like it."""

import json
from typing import Any

import httpx
import pytest

from drill.metrics.alertmanager import Alertmanager, Notice, fingerprint, group_key, slack_message, webhook_message
from tests.unit.drill_world.conftest import Steps, client_of

# Bodies that Debian's Alertmanager 0.25 posted for this group (its version 4 webhook and its default Slack message).
LABELS = {
    "alertname": "HighErrorRate",
    "cluster": "demo",
    "service": "payment",
    "severity": "critical",
    "team": "payments",
}
GROUP = {"alertname": "HighErrorRate", "service": "payment"}


def test_the_fingerprint_is_prometheus_own() -> None:
    assert fingerprint(LABELS) == "0b79b14d793bf5a0"
    down = {
        "alertname": "TargetDown",
        "cluster": "demo",
        "instance": "127.0.0.1:39999",
        "job": "dead",
        "severity": "warning",
    }
    assert fingerprint(down) == "f5f1074c7862684b"


@pytest.mark.parametrize(("ends", "title", "color"), [
    (0.0, "[FIRING:1] HighErrorRate payment (demo critical payments)", "danger"),
    (9.0, "[RESOLVED] HighErrorRate payment (demo critical payments)", "good"),
])  # fmt: skip
def test_the_slack_message_is_the_default_template(ends: float, title: str, color: str) -> None:
    body = slack_message(GROUP, [Notice(LABELS, {}, 1.0, "", ends)], "http://vm")
    link = "http://vm/alertmanager/#/alerts?receiver=slack"
    assert body["attachments"] == [{
        "title": title, "title_link": link, "text": "", "fallback": f"{title} | {link}", "callback_id": "", "footer": "",
        "color": color, "mrkdwn_in": ["fallback", "pretext", "text"],
    }]  # fmt: skip


def test_the_webhook_has_the_fields_of_version_4() -> None:
    notice = Notice(LABELS, {"summary": "s"}, 1_700_000_000.0, "http://p/graph", 1_700_000_054.0)
    body = webhook_message(group_key(GROUP), GROUP, [notice], "http://vm")
    assert body["groupKey"] == '{}/{}:{alertname="HighErrorRate", service="payment"}'
    assert (body["version"], body["status"], body["truncatedAlerts"]) == ("4", "resolved", 0)
    assert body["commonLabels"] == LABELS
    assert body["alerts"] == [{
        "status": "resolved", "labels": LABELS, "annotations": {"summary": "s"}, "startsAt": "2023-11-14T22:13:20.000Z",
        "endsAt": "2023-11-14T22:14:14.000Z", "generatorURL": "http://p/graph", "fingerprint": "0b79b14d793bf5a0",
    }]  # fmt: skip


class Hook:
    """A receiver that keeps what it gets; *broken* answers 500."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.broken = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.broken:
            return httpx.Response(500)
        self.bodies.append(json.loads(request.content))
        return httpx.Response(200, text="ok")

    def titles(self) -> list[str]:
        return [body["attachments"][0]["title"] for body in self.bodies]


class Desk:
    """An Alertmanager with a clock and a receiver."""

    def __init__(self) -> None:
        self.now, self.hook = 100.0, Hook()
        self.manager = Alertmanager(lambda: self.now)
        self.manager.slack_url = "http://slack/hook"
        self.client = httpx.AsyncClient(transport=httpx.MockTransport(self.hook))

    async def pass_time(self, seconds: float, *services: str) -> None:
        """Let time pass while these services' alerts fire."""
        for _ in range(int(seconds * 2)):
            self.now += 0.5
            firing = [({"alertname": "A", "service": s.partition("/")[0], "pod": s}, {}, 100.0, "g") for s in services]
            self.manager.receive(firing)
            await self.manager.notify(self.client)


async def test_an_alert_is_told_once_and_its_end_once() -> None:
    desk = Desk()
    await desk.pass_time(0.5, "x")
    assert desk.hook.titles() == []
    await desk.pass_time(20, "x")
    await desk.pass_time(10)
    assert desk.hook.titles() == ["[FIRING:1] A x (x)", "[RESOLVED] A x (x)"]
    await desk.pass_time(5, "x")
    assert len(desk.hook.titles()) == 3


async def test_a_second_alert_of_a_group_is_told_with_the_first() -> None:
    desk = Desk()
    await desk.pass_time(3, "x/1")
    await desk.pass_time(5, "x/1", "x/2")
    await desk.pass_time(5, "x/2")
    assert desk.hook.titles() == ["[FIRING:1] A x (x/1)", "[FIRING:2] A x", "[FIRING:1] A x"]


async def test_groups_are_told_apart() -> None:
    desk = Desk()
    await desk.pass_time(3, "x", "y")
    assert sorted(desk.hook.titles()) == ["[FIRING:1] A x (x)", "[FIRING:1] A y (y)"]


async def test_a_failed_post_is_repeated() -> None:
    desk = Desk()
    desk.hook.broken = True
    await desk.pass_time(5, "x")
    desk.hook.broken = False
    await desk.pass_time(5, "x")
    assert desk.hook.titles() == ["[FIRING:1] A x (x)"]


async def test_an_alert_that_went_before_it_was_told_is_not_told() -> None:
    desk = Desk()
    desk.hook.broken = True
    await desk.pass_time(2, "x")
    await desk.pass_time(2)
    desk.hook.broken = False
    await desk.pass_time(5)
    assert desk.hook.titles() == []


async def test_a_silence_hides_and_its_end_shows(steps: Steps) -> None:
    base = "/alertmanager/api/v2"
    silence = {
        "matchers": [{"name": "service", "value": "check.*", "isRegex": True, "isEqual": True}],
        "startsAt": "2023-11-14T22:13:20Z", "endsAt": "2023-11-15T22:13:20Z", "createdBy": "me", "comment": "test",
    }  # fmt: skip
    async with client_of(steps.world, "") as client:
        made = (await client.post(f"{base}/silences", json=silence)).json()
        steps.world.fire("bad_rollout")
        steps.run(12)
        alert = (await client.get(f"{base}/alerts")).json()[0]
        assert alert["status"] == {"inhibitedBy": [], "silencedBy": [made["silenceID"]], "state": "suppressed"}
        assert alert["labels"]["service"] == "checkout"
        assert (await client.get(f"{base}/alerts?silenced=false")).json() == []
        assert (await client.delete(f"{base}/silence/{made['silenceID']}")).status_code == 200
        steps.run(1)
        assert len((await client.get(f"{base}/alerts", params={"filter": 'service="checkout"'})).json()) == 1
        assert (await client.get(f"{base}/alerts", params={"filter": 'service!~"check.*"'})).json() == []
        states = [each["status"]["state"] for each in (await client.get(f"{base}/silences")).json()]
        assert states == ["expired"]
        assert (await client.post(f"{base}/silences", json={"matchers": []})).status_code == 400
        assert (await client.get(f"{base}/alerts", params={"filter": "nonsense"})).status_code == 400
        groups = (await client.get(f"{base}/alerts/groups")).json()
        assert groups[0]["labels"] == {"alertname": "HighErrorRate", "service": "checkout"}
