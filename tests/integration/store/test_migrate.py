"""The migrations runner on real databases, and every named query prepared on the real schema."""

import asyncio
import re
import shutil
from pathlib import Path

import psycopg
import pytest

from tools.errors import Permanent
from tools.store import migrate as module
from tools.store.db import Database, queries
from tools.store.migrate import FOLDER, HistoryEdited, migrate, pending

NOUNS = sorted(path.stem for path in Path(module.__file__).parent.glob("*.sql"))
PREPARABLE = re.compile(r"^\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", re.IGNORECASE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "0001_one.sql").write_text("CREATE TABLE one (a int); -- 100%")
    (tmp_path / "0002_two.sql").write_text("CREATE TABLE two (a int);\nINSERT INTO two VALUES (1)")
    return tmp_path


async def test_files_are_applied_once_in_order(empty_dsn: str, folder: Path):
    assert await pending(empty_dsn, folder) == ["0001_one.sql", "0002_two.sql"]
    assert await migrate(empty_dsn, folder) == ["0001_one.sql", "0002_two.sql"]
    assert await pending(empty_dsn, folder) == []
    assert await migrate(empty_dsn, folder) == []
    (folder / "0003_three.sql").write_text("DROP TABLE two")
    assert await migrate(empty_dsn, folder) == ["0003_three.sql"]


async def test_twelve_runners_at_once_apply_each_file_once(empty_dsn: str, folder: Path):
    applied = await asyncio.gather(*(migrate(empty_dsn, folder) for _ in range(12)))
    assert max(applied, key=len) == ["0001_one.sql", "0002_two.sql"]
    assert sum(map(len, applied)) == 2


def edited(folder: Path) -> None:
    (folder / "0001_one.sql").write_text("CREATE TABLE one (a bigint)")


def missing(folder: Path) -> None:
    (folder / "0002_two.sql").unlink()


def out_of_order(folder: Path) -> None:
    (folder / "0001_one.sql").rename(folder / "0000_one.sql")


def before(folder: Path) -> None:
    (folder / "0000_zero.sql").write_text("SELECT 1")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (edited, "0001_one.sql was edited after it was applied .* Restore it from version control"),
        (missing, "0002_two.sql was applied to this database and is missing. Restore it"),
        (out_of_order, "0001_one.sql was applied to this database and is missing"),
        (before, "0000_zero.sql comes before 0002_two.sql, .* Rename it to a number above 0002"),
    ],
)
async def test_an_edited_history_is_refused_before_anything_runs(empty_dsn: str, folder: Path, change, says: str):
    await migrate(empty_dsn, folder)
    change(folder)
    (folder / "0009_new.sql").write_text("CREATE TABLE fresh (a int)")
    for ask in (migrate, pending):
        with pytest.raises(HistoryEdited, match=says):
            await ask(empty_dsn, folder)
    with psycopg.connect(empty_dsn) as conn:
        assert conn.execute("SELECT to_regclass('fresh')").fetchone() == (None,)


async def test_windows_line_ends_are_not_an_edit(empty_dsn: str, folder: Path):
    await migrate(empty_dsn, folder)
    path = folder / "0002_two.sql"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert await migrate(empty_dsn, folder) == []


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("0002_again.sql", "0002_two.sql has the number of 0002_again.sql"),
        ("3_three.sql", "rename it"),
        ("0003-x.sql", "rename it"),
    ],
)
async def test_misnamed_files_are_refused(empty_dsn: str, folder: Path, name: str, says: str):
    (folder / name).write_text("SELECT 1")
    with pytest.raises(HistoryEdited, match=says):
        await migrate(empty_dsn, folder)


async def test_an_empty_folder_is_refused(empty_dsn: str, tmp_path: Path):
    with pytest.raises(HistoryEdited, match="No migrations in"):
        await migrate(empty_dsn, tmp_path)


async def test_a_failing_file_is_rolled_back_whole_and_can_be_mended(empty_dsn: str, folder: Path):
    (folder / "0002_two.sql").write_text("CREATE TABLE two (a int); SELECT 1/0")
    with pytest.raises(Permanent, match=r"0002_two\.sql failed and was rolled back"):
        await migrate(empty_dsn, folder)
    (folder / "0002_two.sql").write_text("CREATE TABLE two (a int)")
    assert await migrate(empty_dsn, folder) == ["0002_two.sql"]


async def test_tocsins_own_migrations_apply_and_stand_beside_tools(empty_dsn: str, tmp_path: Path):
    assert Path(module.__file__).parents[2] / "migrations" == FOLDER
    copied = Path(shutil.copytree(FOLDER, tmp_path / "copy"))
    assert await migrate(empty_dsn, copied) == sorted(path.name for path in FOLDER.glob("*.sql"))


def test_the_queues_schema_is_the_installed_ones():
    import procrastinate

    installed = (Path(procrastinate.__file__).parent / "sql" / "schema.sql").read_text()
    assert (FOLDER / "0002_procrastinate.sql").read_text().endswith(installed)


@pytest.mark.parametrize("noun", NOUNS)
async def test_every_named_query_prepares_on_the_migrated_schema(db: Database, noun: str):
    assert queries(noun)
    async with db.connection() as conn:
        for name, query in queries(noun).items():
            text = query.decode()
            for number, parameter in enumerate(sorted(set(re.findall(r"%\((\w+)\)[sb]", text))), start=1):
                text = re.sub(rf"%\({parameter}\)[sb]", f"${number}", text)
            if PREPARABLE.match(text):
                await conn.execute(f"PREPARE {noun}_{name} AS {text}".encode())
