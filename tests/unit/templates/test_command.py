"""`tocsin logs templates`: an id for every line, in order; the printed list has every template."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from bot.__main__ import app
from tools.templates import mine


def run(*args: str, stdin: str | None = None):
    return CliRunner().invoke(app, ["logs", "templates", *args], input=stdin)


def test_ids_follow_the_lines(tmp_path):
    log, out = tmp_path / "app.log", tmp_path / "ids.json"
    log.write_bytes(b"job 1 done\njob 2 done\r\n\ndisk \xff full\njob 3 done")
    done = run(str(log), "--json", str(out))
    assert done.exit_code == 0
    assert done.stdout.splitlines()[0].split() == ["3", "T1", "job", "<*>", "done"]
    assert done.stdout.splitlines()[-1] == "3 templates of 5 lines"
    found = json.loads(out.read_text())
    assert [line == "T1" for line in found["lines"]] == [True, True, False, False, True]
    assert found["templates"]["T1"] == "job <*> done"
    assert found["counts"]["T1"] == 3


def test_standard_input_and_output():
    found = json.loads(run("-", "--json", "-", stdin="a 1\na 2\n").stdout)
    assert found["lines"] == ["T1", "T1"]


def test_an_empty_file_has_no_templates(tmp_path):
    (tmp_path / "none").write_text("")
    assert run(str(tmp_path / "none")).stdout == "0 templates of 0 lines\n"


def test_a_file_that_is_not_there_is_one_sentence(tmp_path):
    done = run(str(tmp_path / "gone.log"))
    assert done.exit_code == 2
    assert "cannot be read" in done.stderr


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=80), max_size=60))
def test_any_lines_have_an_id_each(lines):
    mined = mine(lines)
    assert len(mined.assigned) == len(lines)
    assert all(group.count == mined.assigned.count(index) for index, group in enumerate(mined.groups))


@pytest.mark.parametrize("count", [3, 300])
def test_equal_lines_share_their_template(count):
    assert len(mine(["user ann left"] * count + ["user ann left"]).groups) == 1
