"""The command line: light help, readable failures, a documented face."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bot.commands import diagnose, parse
from docs import cli

ROOT = Path(__file__).parents[3]
HEAVY = (
    "pydantic",
    "rich",
    "slack_bolt",
    "slack_sdk",
    "llama_index",
    "kubernetes",
    "psycopg",
    "uvicorn",
    "starlette",
    "numpy",
    "asyncio",
)


def tocsin(*words: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("TOCSIN_", "SLACK_", "OPENAI_", "DATABASE_"))
    }
    return subprocess.run(
        [sys.executable, "-m", "bot", *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env=clean | {"PYTHONPATH": str(ROOT), **env},
    )


def test_help_imports_nothing_heavy() -> None:
    code = f"import sys\nimport bot.__main__ as m\ntry:\n m.app(['--help'])\nexcept SystemExit:\n pass\nprint([n for n in {HEAVY} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_docs_are_the_help_texts() -> None:
    page = (ROOT / "docs" / "cli.md").read_text()
    assert page == cli.page(), "run: python -m docs.cli > docs/cli.md"
    for command in (
        "run",
        "demo",
        "doctor",
        "migrate",
        "diagnose",
        "knowledge sync",
        "knowledge search",
        "audit verify",
        "audit export",
    ):
        assert f"\n## tocsin {command}\n" in page


def test_wrong_settings_are_sentences_and_exit_code_2(tmp_path: Path) -> None:
    done = tocsin("run", cwd=tmp_path, PROMETHEUS_URL="nowhere", TOCSIN_CONFIG="missing.yaml")
    assert done.returncode == 2
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 4
    assert all(line.startswith("tocsin: ") for line in lines)
    assert "Traceback" not in done.stderr


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    done = tocsin("--debug", "run", cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" in done.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("audit", "verify", "nowhere.jsonl"), "nowhere.jsonl cannot be read"),
        (("audit", "verify", "--anchor", "x"), "holds no SEQ:HASH"),
        (("knowledge", "sync"), "No folder: name one"),
        (("knowledge", "sync", "nowhere"), "is not a folder"),
        (("audit", "export", "/nowhere/x"), "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path: Path, words: tuple[str, ...], sentence: str) -> None:
    done = tocsin(*words, cwd=tmp_path, HOME=str(tmp_path))
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_said_before_anything_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        tokens = {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1", "HOME": str(tmp_path)}
        done = tocsin("run", cwd=tmp_path, TOCSIN_LISTEN=address, **tokens)
    assert done.returncode == 2
    assert f'TOCSIN_LISTEN="{address}" cannot be listened on: Address already in use' in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_parse_prints_one_array_of_alerts_for_any_number_of_files(tmp_path: Path) -> None:
    alert = {"labels": {"alertname": "Slow", "service": "shop", "severity": "critical"}, "status": "firing"}
    hook = {"version": "4", "status": "firing", "alerts": [alert]}
    message = {"type": "message", "channel": "C1", "ts": "1.2", "user": "U1", "text": "shop is slow since 10:00 <@U2>"}
    (tmp_path / "hook.json").write_text(json.dumps(hook))
    (tmp_path / "event.json").write_text(json.dumps({"type": "event_callback", "event": message}))
    done = tocsin("parse", "hook.json", "event.json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    first, second = json.loads(done.stdout)
    assert list(first) == list(parse.KEYS)
    assert (first["name"], first["service"], first["severity"], first["sender"]) == (
        *("Slow", "shop", "critical"),
        "alertmanager",
    )
    assert (second["sender"], second["service"]) == ("person", "shop")


def test_parse_prints_what_it_could_read_and_exits_2_for_the_rest(tmp_path: Path) -> None:
    (tmp_path / "good.json").write_text(json.dumps({"title": "Disk full", "status": "firing", "host": "db-1"}))
    (tmp_path / "bad.json").write_text("[1, 2")
    done = tocsin("parse", "good.json", "bad.json", cwd=tmp_path)
    assert done.returncode == 2
    assert [alert["name"] for alert in json.loads(done.stdout)] == ["Disk full"]
    assert "bad.json: It is not JSON" in done.stderr
    assert tocsin("parse", "--sender", "nobody", "good.json", cwd=tmp_path).returncode == 2


def test_a_tampered_export_is_found(tmp_path: Path) -> None:
    row = {
        "seq": 1,
        "incident_id": 0,
        "at": "2026-01-01T00:00:00Z",
        "kind": "noted",
        "actor": "x",
        "body": {},
        "prev_hash": "",
        "hash": "0" * 64,
    }
    (tmp_path / "export.jsonl").write_text(json.dumps(row) + "\n")
    done = tocsin("audit", "verify", "export.jsonl", cwd=tmp_path)
    assert done.returncode == 1
    assert "NOT sound" in done.stdout
    (tmp_path / "empty.jsonl").write_text("")
    assert tocsin("audit", "verify", "empty.jsonl", cwd=tmp_path).stdout == "0 rows, sound; the chain is empty\n"


def test_a_log_line_cannot_drive_the_terminal() -> None:
    assert diagnose._plain("a\x1b[2J\u202eb\nc\x07") == "a\ufffd[2J\ufffdb c\ufffd"
