"""What starting costs: `make bench-start` prints the CPU of `tocsin --help`, the time until ready, and the memory then.

Help is measured as user plus system time of the child, median of 7, beside two floors: an empty Python, and a typer
program that does nothing. Ready is the time from `tocsin run` to the first 200 of /readyz, with the practice Slack and
cluster on the other side and an embedded Postgres whose folder exists already (its own first start takes some seconds).
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
BARE = "import typer; app = typer.Typer(rich_markup_mode=None); app.command()(lambda: None); app(['--help'])"
RUNS = 7
READY_S = 60.0


def cpu_s(command: list[str]) -> float:
    """Return the median user + system seconds of *command* over RUNS runs; the first, which fills caches, is left out."""
    spent = []
    for _ in range(RUNS + 1):
        child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            sys.exit(f"{' '.join(command)} ended with {child.returncode}")
        spent.append(used.ru_utime + used.ru_stime)
    return statistics.median(spent[1:])


@contextmanager
def practice_world() -> Iterator[dict[str, str]]:
    """Run the practice world; yield the environment that leads to it."""
    command = [sys.executable, "-m", "drill", "--port", "0", "--parent-pid", str(os.getpid())]
    world = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        line = world.stdout.readline() if world.stdout else ""
        yield json.loads(line)["env"]
    finally:
        world.terminate()
        world.wait(timeout=10)


def start(tocsin: list[str], env: dict[str, str]) -> tuple[float, float]:
    """Start `tocsin run`, wait until it is ready, stop it; return the seconds that took and its resident megabytes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    began = time.monotonic()
    child = subprocess.Popen([*tocsin, "run"], cwd=ROOT, env=env | {"TOCSIN_LISTEN": address}, stderr=subprocess.PIPE)
    try:
        while not ready(f"http://{address}/readyz"):
            if child.poll() is not None or time.monotonic() - began > READY_S:
                child.kill()
                sys.exit(f"tocsin run did not become ready: {child.communicate()[1].decode(errors='replace')[-2000:]}")
            time.sleep(0.01)
        took = time.monotonic() - began
        pages = int(Path(f"/proc/{child.pid}/statm").read_text().split()[1])
        return took, pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    finally:
        child.terminate()
        child.communicate(timeout=30)


def ready(url: str) -> bool:
    """Say whether *url* answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def main() -> None:
    """Measure and print."""
    installed = Path(sys.executable).with_name("tocsin")
    tocsin = [str(installed)] if installed.exists() else [sys.executable, "-m", "bot"]
    empty, bare, helped = (
        cpu_s([sys.executable, "-c", "pass"]),
        cpu_s([sys.executable, "-c", BARE]),
        cpu_s([*tocsin, "--help"]),
    )
    print(
        f"CPU of an empty Python {empty:.3f} s, of a bare typer program's --help {bare:.3f} s, of tocsin --help {helped:.3f} s"
    )
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TOCSIN_", "SLACK_", "OPENAI_", "DATABASE_", "REDIS_"))
    }
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder, practice_world() as world:
        config = {"TOCSIN_CONFIG": str(ROOT / "drill" / "tocsin.yaml"), "TOCSIN_DATA_DIR": folder}
        env = {**inherited, **world, **config, "TOCSIN_LOG_LEVEL": "warning"}
        first, _ = start(tocsin, env)
        took, megabytes = start(tocsin, env)
    print(f"first start ever, with the making of a database, {first:.1f} s; a later one {took:.1f} s")
    print(f"help_cpu_s={helped:.3f} ready_s={took:.2f} rss_mb={megabytes:.0f}")


if __name__ == "__main__":
    main()
