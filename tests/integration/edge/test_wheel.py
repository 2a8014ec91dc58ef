"""The wheel: what is in it, that it leaves another package called `agents` alone, and that its `tocsin` command runs."""

import base64
import csv
import hashlib
import io
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path, path: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    """Run *command* with nothing of this checkout on its path."""
    clean = {
        key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "TOCSIN", "SLACK", "OPENAI"))
    }
    return subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=clean | {"PYTHONPATH": path} | env,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    built = run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", out, cwd=ROOT)
    assert built.returncode == 0, built.stderr
    (found,) = out.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody else's wheel, whose import package is called agents too."""
    folder = tmp_path_factory.mktemp("other")
    content = {
        "agents/__init__.py": 'WHO = "somebody else"\n',
        "agents/ports.py": "SOMEBODY_ELSES = True\n",
        "bot/__init__.py": 'WHO = "somebody else"\n',
        "someone_elses_agents-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: someone-elses-agents\nVersion: 1.0\n",
        "someone_elses_agents-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [[name, f"sha256={digest(text.encode())}", str(len(text))] for name, text in content.items()]
    record = io.StringIO()
    csv.writer(record, lineterminator="\n").writerows([*rows, ["someone_elses_agents-1.0.dist-info/RECORD", "", ""]])
    path = folder / "someone_elses_agents-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**content, "someone_elses_agents-1.0.dist-info/RECORD": record.getvalue()}.items():
            archive.writestr(name, text)
    return path


def digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


@pytest.fixture(scope="module")
def prefix(wheel: Path, other: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place where both are installed, as pip installs them; their dependencies are this environment's."""
    prefix = tmp_path_factory.mktemp("installed")
    done = run(
        sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet", "--disable-pip-version-check",
        "--ignore-installed", "--prefix", prefix, other, wheel, cwd=prefix,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return prefix


def site(prefix: Path) -> Path:
    (found,) = prefix.glob("lib*/python*/site-packages")
    return found


def search_path(prefix: Path) -> str:
    """Return what stands on the path: the installed place first, then the dependencies (without this checkout's .pth)."""
    return os.pathsep.join([str(site(prefix)), sysconfig.get_paths()["purelib"]])


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


def test_everything_is_in_one_folder(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in names(wheel)}
    assert tops == {"tocsin", "tocsin-0.1.0.dist-info"}


def test_the_record_lists_each_file_with_its_hash(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        rows = list(csv.reader(io.StringIO(archive.read("tocsin-0.1.0.dist-info/RECORD").decode())))
        assert {row[0] for row in rows} == names(wheel)
        assert all(row[1] == f"sha256={digest(archive.read(row[0]))}" for row in rows if row[1])


def test_every_tracked_file_of_the_packages_is_in_it(wheel: Path) -> None:
    folders = ["bot", "agents", "tools", "migrations", "drill"]
    listed = run("git", "ls-files", *folders, cwd=ROOT).stdout.split()
    assert len(listed) > 100
    assert {f"tocsin/{name}" for name in listed} - names(wheel) == set()
    kinds = {Path(name).suffix for name in names(wheel)}
    assert {".py", ".sql", ".md", ".yaml", ".js", ".css", ".html"} <= kinds
    for folder, suffix in (
        ("migrations", ".sql"),
        ("tools/store", ".sql"),
        ("agents/prompts", ".md"),
        ("drill/scenarios", ".yaml"),
    ):
        assert any(name.startswith(f"tocsin/{folder}/") and name.endswith(suffix) for name in names(wheel)), folder


def test_no_rubbish_is_in_it(wheel: Path) -> None:
    assert not [name for name in names(wheel) if "__pycache__" in name or name.endswith((".pyc", ".lock", ".env"))]


def test_the_other_agents_is_untouched_and_what_others_import(prefix: Path, other: Path) -> None:
    with zipfile.ZipFile(other) as archive:
        for name in archive.namelist():
            if not name.endswith(("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")):
                assert (site(prefix) / name).read_bytes() == archive.read(name)
    code = "import agents, agents.ports, bot; print(agents.WHO, agents.ports.SOMEBODY_ELSES, bot.WHO)"
    done = run(sys.executable, "-S", "-c", code, cwd=prefix, path=search_path(prefix))
    assert done.stdout.strip() == "somebody else True somebody else", done.stderr


def test_tocsins_own_process_has_its_own_packages(prefix: Path) -> None:
    code = "import tocsin, agents.incident, bot, tools; print(agents.__file__, bot.__file__, tools.__file__, sep='\\n')"
    done = run(sys.executable, "-S", "-c", code, cwd=prefix, path=search_path(prefix))
    found = done.stdout.split()
    assert found == [str(site(prefix) / "tocsin" / name / "__init__.py") for name in ("agents", "bot", "tools")], (
        done.stderr
    )


@pytest.fixture(scope="module")
def tocsin(prefix: Path) -> Path:
    return prefix / "bin" / "tocsin"


def test_the_command_runs(prefix: Path, tocsin: Path, tmp_path: Path) -> None:
    version = run(tocsin, "--version", cwd=tmp_path, path=search_path(prefix))
    assert version.stdout == "tocsin 0.1.0\n", version.stderr
    helped = run(tocsin, "--help", cwd=tmp_path, path=search_path(prefix))
    assert all(command in helped.stdout for command in ("run", "demo", "doctor", "audit")), helped.stderr


def test_the_command_finds_its_migrations_and_the_database(prefix: Path, tocsin: Path, tmp_path: Path) -> None:
    env = {"TOCSIN_DATA_DIR": str(tmp_path / "data"), "HOME": str(tmp_path)}
    first = run(tocsin, "migrate", cwd=tmp_path, path=search_path(prefix), **env)
    assert first.returncode == 0, first.stderr
    assert "applied 0001_extensions.sql" in first.stdout
    again = run(tocsin, "audit", "verify", cwd=tmp_path, path=search_path(prefix), **env)
    assert again.stdout.startswith("0 rows, sound"), again.stderr


def test_the_practice_world_is_found_as_a_module(prefix: Path, tmp_path: Path) -> None:
    code = "import tocsin, importlib.util as u; s = u.find_spec('drill.__main__'); print(s.origin)"
    done = run(sys.executable, "-S", "-c", code, cwd=tmp_path, path=search_path(prefix))
    assert done.stdout.strip() == str(site(prefix) / "tocsin" / "drill" / "__main__.py"), done.stderr
