"""`tocsin run` beside a real Prometheus and a real Alertmanager: one alert by two roads is one incident, and it resolves."""

import json
import os
import sys

import httpx
import psycopg
import pytest

from tests.integration.whole.real_monitoring import (
    ROOT,
    Exporter,
    alertmanager,
    free_port,
    prometheus,
    started,
    wait_for,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]
TOKEN = "webhook-secret"


def rows(dsn, query):
    with psycopg.connect(dsn) as conn:
        return conn.execute(query).fetchall()


def test_one_alert_by_two_roads_is_one_incident_and_resolves(pg_dsn, tmp_path):
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OPENAI", "TOCSIN"))}
    exporter = Exporter()
    with started([sys.executable, "-m", "drill", "--port", "0"], environment) as drill:
        world = json.loads(drill.stdout.readline())
        listen = f"127.0.0.1:{free_port()}"
        hook = f"{world['url']}/services/T0DRILL/B0DRILL/secret"
        with (
            alertmanager(tmp_path, hook, f"http://{listen}/webhook/alertmanager", TOKEN) as alerts,
            prometheus(tmp_path, exporter, alerts) as metrics,
        ):
            settings = world["env"] | {
                "PROMETHEUS_URL": metrics,
                "ALERTMANAGER_URL": alerts,
                "DATABASE_URL": pg_dsn,
                "TOCSIN_LISTEN": listen,
                "TOCSIN_WEBHOOK_TOKEN": TOKEN,
                "TOCSIN_CONFIG": str(ROOT / "drill" / "tocsin.yaml"),
                "TOCSIN_DATA_DIR": str(tmp_path / "data"),
            }
            with started([sys.executable, "-m", "bot", "run"], environment | settings):
                wait_for(lambda: httpx.get(f"http://{listen}/readyz").is_success, 30, "tocsin ready")
                exporter.value = 500
                received = "SELECT kind FROM inbox WHERE state = 'done'"
                wait_for(
                    lambda: {"webhook", "slack_event"} <= {r[0] for r in rows(pg_dsn, received)}, 30, "two reports"
                )
                diagnosed = "SELECT body FROM incident_events WHERE kind = 'diagnosed'"
                wait_for(lambda: bool(rows(pg_dsn, diagnosed)), 30, "a diagnosis")
                ((number, alert),) = rows(pg_dsn, "SELECT id, alert FROM incidents")
                assert (alert["name"], alert["service"], alert["severity"]) == ("QueueTooLong", "checkout", "critical")
                assert "queue_length" in alert["query"]
                ((evidence,),) = rows(pg_dsn, "SELECT record FROM evidence WHERE record ->> 'tool' = 'alert_query'")
                assert "500" in evidence["summary"]
                drawn = "SELECT count(*) FROM posts WHERE key = 'card' AND state = 'posted'"
                wait_for(lambda: rows(pg_dsn, drawn) == [(1,)], 20, "one card")
                exporter.value = 5
                state = "SELECT state ->> 'state' FROM incidents"
                wait_for(lambda: rows(pg_dsn, state) == [("resolved",)], 40, "resolved")
    assert rows(pg_dsn, "SELECT count(*) FROM incidents") == [(1,)]
    assert rows(pg_dsn, f"SELECT count(*) FROM incident_events WHERE kind = 'opened' AND incident_id = {number}") == [
        (1,)
    ]
