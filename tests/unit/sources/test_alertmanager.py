"""Alertmanager's messages, both ways in, as captured from the real one."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import parsing
from bot.sources import Unreadable, read
from tools.records import Alert

HERE = Path(__file__).parents[2] / "payloads"


def body(name: str) -> dict[str, object]:
    return json.loads((HERE / f"{name}.json").read_text())["body"]


def slack(title: str, **more: object) -> Alert:
    attachment = {
        "title": title,
        "fallback": f"{title} | http://am/#/alerts",
        "text": "",
        "title_link": "http://am/#/alerts",
    }
    (alert,) = read("slack", {"ts": "1763920000.000100", "attachments": [attachment | more]}, {"payment", "checkout"})
    return alert


def test_a_slack_message_and_a_webhook_of_one_alert_meet_under_one_key() -> None:
    names = (
        "alertmanager_slack_default",
        "alertmanager_slack_customised",
        "alertmanager_webhook_firing",
        "alertmanager_webhook_resolved",
    )
    keys = {
        parsing.incident_key(read("webhook" if "webhook" in name else "slack", body(name), {"payment"})[0])
        for name in names
    }
    assert keys == {"HighErrorRate|payment"}


@pytest.mark.parametrize("name", ["alertmanager_webhook_firing", "alertmanager_webhook_resolved"])
def test_fingerprint_is_alertmanagers_own(name: str) -> None:
    payload = body(name)
    assert [alert.fingerprint for alert in read("webhook", payload)] == [
        entry["fingerprint"] for entry in payload["alerts"]
    ]


def test_webhook_carries_query_times_and_runbook() -> None:
    (alert,) = read("webhook", body("alertmanager_webhook_resolved"))
    assert alert.query.startswith("sum by (service) (rate(http_requests_total{code=")
    assert alert.status == "resolved"
    assert alert.ends_at == datetime(2026, 11, 23, 18, 43, 17, 972000, UTC)
    assert alert.links["runbook"] == "http://127.0.0.1/runbooks/high-error-rate"
    assert alert.group_key == '{}/{}:{alertname="HighErrorRate", service="payment"}'
    assert alert.missing == ()


def test_webhook_keeps_the_readable_alerts_of_a_broken_list() -> None:
    (alert,) = read("webhook", {"alerts": [7, {"labels": {"alertname": "A"}}, None], "truncatedAlerts": 3})
    assert alert.missing == (
        "status",
        "service",
        "severity",
        "query",
        "2 unreadable alerts of the same notification",
        "3 alerts that Alertmanager left out (max_alerts)",
    )


@pytest.mark.parametrize("payload", [{"alerts": []}, {"alerts": [1]}, {}, [], None, {"alerts": "x"}])
def test_webhook_without_an_alert_is_refused(payload: object) -> None:
    with pytest.raises(Unreadable):
        read("webhook", payload)


def test_the_go_zero_time_is_no_time() -> None:
    (alert,) = read(
        "webhook", {"alerts": [{"labels": {"alertname": "A"}, "status": "resolved", "endsAt": "0001-01-01T00:00:00Z"}]}
    )
    assert alert.ends_at is None


@pytest.mark.parametrize(
    ("title", "name", "service"),
    [
        ("[FIRING:1] HighErrorRate payment (demo critical payments)", "HighErrorRate", "payment"),
        ("[FIRING:2] payment (HighErrorRate demo critical)", "HighErrorRate", "payment"),
        ("[FIRING:1]  (HighErrorRate demo critical payment)", "HighErrorRate", "payment"),
        ("[FIRING:1] HighErrorRate demo payment critical", "HighErrorRate", "payment"),
        ("[RESOLVED] HighErrorRate payment (demo (eu) critical)", "HighErrorRate", "payment"),
        (":fire: *[FIRING:1] HighErrorRate: payment*", "HighErrorRate", "payment"),
        ("[FIRING:1] high_error_rate payment-7d4b9c6f5-x2x7z", "high_error_rate", "payment"),
        ("[FIRING:3 | RESOLVED:1] HighErrorRate payment", "HighErrorRate", "payment"),
    ],
)
def test_default_titles(title: str, name: str, service: str) -> None:
    alert = slack(title)
    assert (alert.name, alert.service) == (name, service)


def test_firing_and_resolved_titles_have_one_fingerprint() -> None:
    firing, resolved = slack("[FIRING:2] X payment (a critical)"), slack("[RESOLVED] X payment (a critical)")
    assert firing.fingerprint == resolved.fingerprint
    assert (firing.status, resolved.status) == ("firing", "resolved")
    assert (firing.starts_at, resolved.ends_at) == (datetime.fromtimestamp(1763920000.0001, UTC),) * 2


def test_labels_written_out_in_a_customised_text() -> None:
    text = "*Alert:* HighErrorRate - `critical`\n*Description:* 5xx over 5%\n*Details:*\n • *namespace:* `shop`\n • *service:* `checkout`"
    alert = slack("[FIRING:1] HighErrorRate", text=text, fallback="")
    assert (alert.service, alert.namespace) == ("checkout", "shop")
    assert alert.annotations["description"] == "5xx over 5%"


def test_what_alertmanagers_own_text_list_template_prints() -> None:
    text = "Labels:\n - alertname = DiskFull\n - namespace = shop\n - severity = critical\nAnnotations:\n - summary = full\nSource: http://p/graph"
    alert = slack("[FIRING:1] DiskFull", text=text)
    assert (alert.name, alert.namespace, alert.severity) == ("DiskFull", "shop", "critical")


def test_what_the_title_cannot_say_is_named() -> None:
    assert slack("[FIRING:1] TargetDown (demo dead)").missing == ("service", "severity", "query", "labels")


def test_a_message_is_about_the_alert_whose_labels_it_shows() -> None:
    alert = slack("[FIRING:1] HighErrorRate payment (demo critical payments)")
    labels = {
        "alertname": "HighErrorRate",
        "service": "payment",
        "cluster": "demo",
        "severity": "critical",
        "team": "payments",
    }
    assert parsing.is_about(alert, labels)
    assert parsing.is_about(alert, labels | {"instance": "a"})
    assert not parsing.is_about(alert, labels | {"service": "checkout"})
    assert not parsing.is_about(alert, labels | {"alertname": "Other"})


def test_enriched_message_equals_the_webhook_where_it_matters() -> None:
    (hook,) = read("webhook", body("alertmanager_webhook_firing"))
    found = parsing.enrich(
        slack("[FIRING:1] HighErrorRate payment (demo critical payments)"), hook.labels, query="up == 0"
    )
    assert found.fingerprint == hook.fingerprint
    assert (found.service, found.severity, found.cluster, found.query) == ("payment", "critical", "demo", "up == 0")
    assert found.missing == ()
    assert parsing.incident_key(found) == parsing.incident_key(hook)


def test_an_exporters_own_name_is_not_the_service() -> None:
    labels = {
        "alertname": "KubePodCrashLooping",
        "service": "prometheus-kube-state-metrics",
        "job": "kube-state-metrics",
    }
    assert parsing.service_of(labels | {"pod": "checkout-7d4b9c6f5-x2x7z", "container": "app"}, ()) == "checkout"
    assert parsing.service_of(labels, ()) == ""


@pytest.mark.parametrize(
    ("pod", "owner"),
    [("checkout-7d4b9c6f5-x2x7z", "checkout"), ("db-0", "db"), ("node-agent-x2x7z", "node-agent"), ("checkout", "")],
)
def test_pod_owner(pod: str, owner: str) -> None:
    assert parsing.pod_owner(pod) == owner


NAME = st.from_regex(r"[A-Z][a-z]{1,12}[A-Z][a-z]{1,8}", fullmatch=True)
VALUE = st.from_regex(r"[a-z][a-z0-9.:-]{0,12}", fullmatch=True)


@given(name=NAME, group=st.lists(VALUE, max_size=3), common=st.lists(VALUE, max_size=4))
def test_any_default_title_gives_its_name_values_and_one_key_for_both_states(
    name: str, group: list[str], common: list[str]
) -> None:
    rest = f"{' '.join([name, *group])} " + (f"({' '.join(common)})" if common else "")
    firing, resolved = slack(f"[FIRING:4] {rest}"), slack(f"[RESOLVED] {rest}")
    assert firing.name == name
    assert firing.annotations.get("values", "").split() == [*group, *common]
    assert parsing.incident_key(firing) == parsing.incident_key(resolved)


def test_gravest_severity_wins_and_unknown_words_say_nothing() -> None:
    assert parsing.severity_of(["info", "Critical:", "warning"]) == "critical"
    assert parsing.severity_of(["demo"]) is None


def test_what_a_database_cannot_hold_is_replaced() -> None:
    assert parsing.clean({"a\x00": ["\ud800", 1, None]}) == {"a\ufffd": ["\ufffd", 1, None]}
