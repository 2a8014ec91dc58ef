"""`tocsin run` started before its database: it waits, is ready once Postgres answers, and obeys SIGTERM meanwhile."""

import json
import os
import signal
import subprocess
import sys
from urllib.parse import quote

import httpx
import psycopg
import pytest

from tests.integration.whole.real_monitoring import ROOT, free_port, started, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def test_run_waits_for_its_database_and_stops_when_told(pg_dsn, tmp_path):
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OPENAI", "TOCSIN"))}
    facts = psycopg.conninfo.conninfo_to_dict(pg_dsn)
    folder = tmp_path / "pg"  # the server's socket folder, once it "starts"
    away = f"postgresql://postgres@/{facts['dbname']}?host={quote(str(folder), safe='')}"
    with started([sys.executable, "-m", "drill", "--port", "0"], environment) as drill:
        world = json.loads(drill.stdout.readline())
        listen = f"127.0.0.1:{free_port()}"
        settings = world["env"] | {
            "DATABASE_URL": away,
            "TOCSIN_LISTEN": listen,
            "TOCSIN_CONFIG": str(ROOT / "drill" / "tocsin.yaml"),
            "TOCSIN_DATA_DIR": str(tmp_path / "data"),
        }
        command = [sys.executable, "-m", "bot", "run"]
        impatient = _waiting(command, environment | settings)
        impatient.send_signal(signal.SIGTERM)
        assert impatient.wait(timeout=25) == 0
        waiting = _waiting(command, environment | settings)
        folder.symlink_to(facts["host"])
        try:
            wait_for(lambda: httpx.get(f"http://{listen}/readyz").is_success, 30, "tocsin ready")
        finally:
            waiting.send_signal(signal.SIGTERM)
        assert waiting.wait(timeout=25) == 0
        waiting.stderr.close()


def _waiting(command, environment):
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if "waiting_for_postgres" in line:
            return process
    raise AssertionError(f"tocsin ended with {process.wait()} instead of waiting")
