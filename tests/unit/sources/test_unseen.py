"""Payloads of senders that have no reader of their own, written from their documentation: nothing in bot/ names them.

What is asserted is what the issue asks of the generic reader: name, status, severity and service are right, or `missing`
names what could not be found.
"""

import pytest

from bot.sources import read

# name of the sender, payload, (name, status, severity, service); None: it may stand as a guess, and is in `missing`.
UNSEEN = [
    (
        "victorops",
        {
            "monitoring_tool": "API",
            "message_type": "CRITICAL",
            "entity_id": "disk.space/db01",
            "entity_display_name": "Disk space low on db01",
            "state_message": "Disk is at 97%",
            "service": "billing",
            "state_start_time": 1763900000,
        },
        ("Disk space low on db01", "firing", "critical", "billing"),
    ),
    (
        "victorops recovery",
        {
            "message_type": "RECOVERY",
            "entity_id": "disk.space/db01",
            "entity_display_name": "Disk space low on db01",
            "state_message": "ok",
        },
        ("Disk space low on db01", "resolved", None, None),
    ),
    (
        "statuscake",
        {
            "Token": "x",
            "Status": "Down",
            "StatusCode": "500",
            "URL": "https://shop.example.com/",
            "Name": "Shop front page",
            "Tags": "shop,prod",
            "Checkrate": "60",
        },
        ("Shop front page", "firing", None, None),
    ),
    (
        "pingdom",
        {
            "check_id": 12345,
            "check_name": "Checkout API",
            "check_type": "HTTP",
            "check_params": {"basic_auth": False, "hostname": "checkout.example.com", "port": 443},
            "tags": ["prod"],
            "previous_state": "UP",
            "current_state": "DOWN",
            "importance_level": "HIGH",
            "state_changed_timestamp": 1763900000,
            "state_changed_utc_time": "2025-11-23T12:13:20",
            "long_description": "HTTP Error 502",
            "description": "HTTP Error 502",
        },
        ("Checkout API", "firing", "critical", None),
    ),
    (
        "checkly",
        {
            "CheckName": "Login flow",
            "CheckType": "BROWSER",
            "AlertTitle": "Login flow has failed",
            "AlertType": "ALERT_FAILURE",
            "CheckId": "c0f",
            "ResponseTime": 1200,
            "Link": "https://app.checklyhq.com/c/1",
            "Severity": "high",
            "service": "login",
        },
        ("Login flow", "firing", "critical", "login"),
    ),
    (
        "better stack",
        {
            "data": {
                "id": "25",
                "type": "incident",
                "attributes": {
                    "name": "payments-api",
                    "url": "https://pay.example.com",
                    "cause": "Status 503",
                    "started_at": "2025-11-23T10:00:00Z",
                    "acknowledged_at": None,
                    "resolved_at": None,
                    "status": "Started",
                    "call": False,
                },
            }
        },
        ("payments-api", "firing", None, None),
    ),
    (
        "honeycomb",
        {
            "version": "v0.1.0",
            "status": "TRIGGERED",
            "summary": "Triggered: Slow requests",
            "description": "p99 too high",
            "operator": ">",
            "threshold": 500,
            "result_groups": [{"Group": {"service": "cart"}, "Result": 812}],
            "name": "Slow requests",
            "id": "abdcefg",
            "trigger_url": "https://ui.honeycomb.io/t/1",
        },
        ("Slow requests", "firing", None, "cart"),
    ),
    (
        "dynatrace",
        {
            "State": "OPEN",
            "ProblemID": "P-123",
            "PID": "99",
            "ProblemTitle": "Response time degradation",
            "ProblemSeverity": "PERFORMANCE",
            "ProblemImpact": "SERVICE",
            "ImpactedEntity": "Response time degradation on Web service checkout",
            "ImpactedEntities": [{"type": "SERVICE", "name": "checkout", "entity": "SERVICE-1"}],
            "Tags": "prod",
            "ProblemURL": "https://x.live.dynatrace.com/p/1",
        },
        ("Response time degradation", "firing", None, "checkout"),
    ),
    (
        "icinga2",
        {
            "host_name": "web01",
            "service_name": "http",
            "service_display_name": "HTTP check",
            "state": "CRITICAL",
            "notification_type": "PROBLEM",
            "output": "connection refused",
            "long_date_time": "2025-11-23 10:00:00 +0000",
        },
        (None, "firing", "critical", "http"),
    ),
    (
        "nagios",
        {
            "NOTIFICATIONTYPE": "RECOVERY",
            "SERVICEDESC": "Disk /var",
            "HOSTNAME": "db01",
            "SERVICESTATE": "OK",
            "SERVICEOUTPUT": "DISK OK",
        },
        ("Disk /var", "resolved", None, None),
    ),
    (
        "checkmk",
        {
            "NOTIFICATIONTYPE": "PROBLEM",
            "HOSTNAME": "app03",
            "SERVICEDESC": "CPU load",
            "SERVICESTATE": "WARN",
            "SERVICEOUTPUT": "15 min load 9.1",
        },
        ("CPU load", "firing", "warning", None),
    ),
    (
        "prtg",
        {
            "sensor": "Ping",
            "device": "core-switch",
            "status": "Down",
            "priority": "5",
            "message": "Request timed out",
            "linksensor": "https://prtg/sensor?id=1",
            "sensorid": "2044",
        },
        ("Ping", "firing", None, None),
    ),
    (
        "healthchecks.io",
        {
            "name": "nightly backup",
            "slug": "nightly-backup",
            "tags": "prod db",
            "status": "down",
            "last_ping": "2025-11-23T02:00:00+00:00",
            "n_pings": 12,
            "unique_key": "abc",
        },
        ("nightly backup", "firing", None, None),
    ),
    (
        "netdata",
        {
            "message": "ram_in_use is CRITICAL on node3",
            "alarm": "ram_in_use",
            "info": "system memory utilization",
            "chart": "system.ram",
            "context": "system.ram",
            "space": "Prod",
            "family": "ram",
            "class": "Utilization",
            "severity": "critical",
            "date": "2025-11-23T10:00:00Z",
            "duration": "1m",
            "alert_url": "https://app.netdata.cloud/a",
            "host": "node3",
            "state": "CRITICAL",
        },
        ("ram_in_use", "firing", "critical", None),
    ),
    (
        "wazuh",
        {
            "timestamp": "2025-11-23T10:00:00.000+0000",
            "rule": {
                "level": 12,
                "description": "Multiple authentication failures",
                "id": "5551",
                "groups": ["authentication_failures"],
            },
            "agent": {"id": "001", "name": "bastion"},
            "location": "/var/log/auth.log",
            "full_log": "sshd: Failed password",
        },
        ("Multiple authentication failures", None, "critical", None),
    ),
    (
        "rollbar",
        {
            "event_name": "new_item",
            "data": {
                "item": {
                    "id": 27,
                    "title": "TypeError: x is undefined",
                    "level": 40,
                    "environment": "production",
                    "framework": 2,
                    "status": 1,
                    "project_id": 9,
                    "last_occurrence": {"level": "error", "timestamp": 1763900000},
                }
            },
        },
        ("TypeError: x is undefined", "firing", "critical", None),
    ),
    (
        "bugsnag",
        {
            "account": {"name": "Acme"},
            "project": {"name": "storefront", "id": "1"},
            "trigger": {"type": "firstException", "message": "New error"},
            "error": {
                "exceptionClass": "NoMethodError",
                "message": "undefined method",
                "severity": "error",
                "status": "open",
                "url": "https://app.bugsnag.com/e/1",
                "firstReceived": "2025-11-23T10:00:00Z",
            },
        },
        ("NoMethodError", "firing", "critical", "storefront"),
    ),
    (
        "airbrake",
        {
            "error": {
                "id": 1,
                "error_message": "RuntimeError: boom",
                "error_class": "RuntimeError",
                "project": {"id": 5, "name": "orders"},
                "environment": "production",
                "last_notice": {"request_url": "http://x/y"},
            },
            "airbrake_error_url": "https://airbrake.io/1",
        },
        ("RuntimeError", None, None, "orders"),
    ),
    (
        "instana",
        {
            "issue": {
                "id": "53650436",
                "type": "issue",
                "state": "OPEN",
                "start": 1763900000000,
                "severity": 10,
                "text": "Erroneous call rate is too high",
                "suggestion": "Check",
                "link": "https://instana/i",
                "zone": "prod",
                "fqdn": "a.b",
                "entity": "ServiceX",
                "entityLabel": "catalogue",
                "service": "catalogue",
            }
        },
        ("Erroneous call rate is too high", "firing", None, "catalogue"),
    ),
    (
        "logicmonitor",
        {
            "alertid": "LMD1",
            "alertstatus": "active",
            "type": "alert",
            "level": "critical",
            "host": "db-9",
            "datasource": "MySQL",
            "datapoint": "Connections",
            "value": "412",
            "threshold": "> 400",
            "alert_name": "MySQL connections",
            "service": "mysql-orders",
        },
        ("MySQL connections", "firing", "critical", "mysql-orders"),
    ),
    (
        "incident.io",
        {
            "event_type": "public_incident.incident_created_v2",
            "public_incident.incident_created_v2": {
                "id": "01",
                "name": "Checkout is failing",
                "reference": "INC-12",
                "severity": {"name": "Major", "rank": 2},
                "incident_status": {"name": "Investigating", "category": "active"},
                "created_at": "2025-11-23T10:00:00Z",
                "permalink": "https://app.incident.io/1",
            },
        },
        ("Checkout is failing", "firing", "critical", None),
    ),
    (
        "statuspage",
        {
            "page": {"id": "x", "status_indicator": "major", "status_description": "Partial outage"},
            "incident": {
                "name": "Elevated API errors",
                "status": "investigating",
                "impact": "major",
                "created_at": "2025-11-23T10:00:00Z",
                "shortlink": "https://stspg.io/1",
                "id": "i1",
                "components": [{"name": "API", "status": "major_outage"}],
            },
        },
        ("Elevated API errors", "firing", "critical", "API"),
    ),
    (
        "splunk",
        {
            "sid": "scheduler__1",
            "search_name": "Errors in payment-api",
            "app": "search",
            "owner": "admin",
            "results_link": "https://splunk/1",
            "result": {"count": "42", "service": "payment-api", "severity": "high"},
        },
        ("Errors in payment-api", None, "critical", "payment-api"),
    ),
    (
        "signalfx",
        {
            "severity": "Critical",
            "status": "anomalous",
            "statusExtended": "anomalous",
            "detector": "CPU detector",
            "detectorUrl": "https://s/1",
            "incidentId": "E1",
            "rule": "CPU too high",
            "messageTitle": "Critical Alert: CPU too high",
            "timestamp": "2025-11-23T10:00:00Z",
            "dimensions": {"service": "auth"},
        },
        ("CPU too high", "firing", "critical", "auth"),
    ),
    (
        "generic flat",
        {"alert": "Queue is backing up", "state": "alerting", "level": "warn", "app": "mailer", "started": 1763900000},
        ("Queue is backing up", "firing", "warning", "mailer"),
    ),
    (
        "generic nested",
        {
            "notification": {
                "monitor": {"name": "Search latency", "state": "OK"},
                "resource": {"service": {"name": "search"}},
                "priority": "P3",
            }
        },
        ("Search latency", "resolved", "warning", "search"),
    ),
    (
        "boolean",
        {"title": "Cache misses", "resolved": True, "urgency": "low", "component": "cache"},
        ("Cache misses", "resolved", "info", "cache"),
    ),
    (
        "list of events",
        {"events": [{"event": "Pod restarts", "status": "firing", "severity": "minor", "application": "ledger"}]},
        ("Pod restarts", "firing", "warning", "ledger"),
    ),
    (
        "site24x7",
        {
            "MONITOR_DASHBOARD_LINK": "https://s/1",
            "MONITORTYPE": "URL",
            "STATUS": "DOWN",
            "MONITORNAME": "Home page",
            "INCIDENT_REASON": "Host unavailable",
            "OUTAGE_TIME_UNIX_FORMAT": "1763900000000",
            "MONITORURL": "https://home.example.com",
        },
        ("Home page", "firing", None, None),
    ),
    (
        "appdynamics",
        {
            "event": {
                "healthRuleName": "Business transaction error rate",
                "severity": "ERROR",
                "eventType": "POLICY_OPEN_CRITICAL",
                "applicationName": "eCommerce",
                "deepLink": "https://a/1",
                "summaryMessage": "Error rate is greater than 5",
            }
        },
        ("Business transaction error rate", "firing", "critical", "eCommerce"),
    ),
    (
        "uptime kuma",
        {
            "heartbeat": {
                "monitorID": 7,
                "status": 0,
                "time": "2025-11-23 10:00:00",
                "msg": "timeout of 48000ms exceeded",
                "important": True,
            },
            "monitor": {"id": 7, "name": "gateway", "url": "https://gw.example.com", "type": "http"},
            "msg": "[gateway] [\U0001f534 Down] timeout",
        },
        ("gateway", None, None, None),
    ),
    (
        "sumo logic",
        {"alertName": "High errors", "triggerType": "Critical", "monitorStatus": "Firing", "service": "payments"},
        ("High errors", "firing", "critical", "payments"),
    ),
    (
        "servicenow",
        {
            "number": "INC0012",
            "short_description": "Order API unavailable",
            "priority": "1 - Critical",
            "state": "New",
            "cmdb_ci": "order-api",
        },
        ("Order API unavailable", "firing", "critical", "order-api"),
    ),
    (
        "short keys",
        {"alert": {"id": 5, "what": "queue too long", "prio": "P1", "svc": "mailer", "is_active": True}},
        ("queue too long", "firing", "critical", "mailer"),
    ),
    (
        "nagios host",
        {"type": "PROBLEM", "host": "db02", "state": "DOWN", "output": "PING CRITICAL - 100% loss"},
        ("PING CRITICAL - 100% loss", "firing", None, None),
    ),
    (
        "cloud monitor",
        {
            "alertName": "cpu_total",
            "alertState": "ALERT",
            "instanceName": "order-server",
            "preTriggerLevel": "null",
            "triggerLevel": "CRITICAL",
        },
        ("cpu_total", "firing", "critical", None),
    ),
]


@pytest.mark.parametrize(("payload", "want"), [row[1:] for row in UNSEEN], ids=[row[0] for row in UNSEEN])
def test_a_sender_without_a_reader_is_read_or_the_gap_is_named(
    payload: dict[str, object], want: tuple[str | None, ...]
) -> None:
    (alert,) = read("webhook", payload)
    for field, expected in zip(("name", "status", "severity", "service"), want, strict=True):
        told = getattr(alert, field)
        if expected is None:
            assert field in alert.missing or field == "name", (field, told)
        else:
            assert told == expected, (field, told)
            assert field not in alert.missing
