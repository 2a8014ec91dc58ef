"""Logging: one form for every library's lines, with the secrets taken out."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from bot import log

TOKEN = "xoxb-123456789012-abcdefghijkl"


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in log._NOISY}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, old in levels.items():
        logging.getLogger(name).setLevel(old)
    structlog.reset_defaults()


def test_json_lines_have_level_time_logger_and_no_secret() -> None:
    out = io.StringIO()
    log.configure("info", "auto", out)
    structlog.get_logger("bot.x").warning("told", token_in_text=f"it is {TOKEN}", nested={"deep": [TOKEN]}, count=3)
    line = json.loads(out.getvalue())
    assert TOKEN not in out.getvalue()
    assert (line["event"], line["level"], line["logger"], line["count"]) == ("told", "warning", "bot.x", 3)
    assert line["timestamp"].endswith("Z")


def test_lines_of_libraries_take_the_same_path() -> None:
    out = io.StringIO()
    log.configure("info", "json", out)
    logging.getLogger("slack_bolt.App").error("failed with %s", TOKEN)
    line = json.loads(out.getvalue())
    assert line["event"].startswith("failed with [redacted")


def test_an_exception_is_in_the_line_without_its_secrets() -> None:
    out = io.StringIO()
    log.configure("info", "json", out)
    try:
        int(TOKEN)
    except ValueError:
        structlog.get_logger().exception("broke")
    line = json.loads(out.getvalue())
    assert "ValueError" in line["exception"]
    assert TOKEN not in out.getvalue()


def test_an_exception_for_people_has_no_secrets_either() -> None:
    out = io.StringIO()
    log.configure("info", "console", out)
    try:
        int(TOKEN)
    except ValueError:
        logging.getLogger("somebody.elses").exception("broke")
        structlog.get_logger().exception("broke")
    assert out.getvalue().count("ValueError") >= 2
    assert TOKEN not in out.getvalue()


def test_level_and_noise() -> None:
    out = io.StringIO()
    log.configure("info", "json", out)
    logging.getLogger("httpx").info("GET ...")
    structlog.get_logger().debug("detail")
    assert out.getvalue() == ""
